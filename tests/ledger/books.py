"""Rows of several writers in a fresh database, the roller that adds them up, and what it has added."""

from datetime import timedelta
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from ledger.rows import insert, smallest
from visionality.ledger.reader import reading
from visionality.ledger.rollup import differences, roll
from visionality.ledger.sums import Dim, Sum, daily, midnight, sums
from visionality.runtime.clock import utc_now

TODAY = utc_now().date()
DAYS = (TODAY, TODAY + timedelta(days=1))
UNTIL = TODAY + timedelta(days=2)


class Books:
    """Rows of several writers of a fresh database, written in order, and what they add up to."""

    def __init__(self, database, org: UUID) -> None:
        self.database, self.org = database, org
        self.written: dict[int, int] = {}
        with self.as_("vis_super") as connection:
            connection.execute(
                "insert into vis.writers (writer_no, process) select i, 'test' from generate_series(101, 103) i"
            )

    def as_(self, role: str, **options):
        return psycopg.connect(self.database.dsn(role), **options)

    def write(self, writer_no: int = 101, *, skip: int = 0, **columns) -> None:
        wseq = self.written.get(writer_no, 0) + 1 + skip
        self.written[writer_no] = wseq
        self.insert(writer_no, wseq, **columns)

    def insert(self, writer_no: int, wseq: int, **columns) -> None:
        org_id = columns.pop("org_id", self.org)
        at = columns.pop("created_at", midnight(TODAY))
        numbers = {"writer_no": writer_no, "wseq": wseq}
        with self.as_("vis_writer") as connection:
            insert(connection, "request_logs", smallest("request_logs", org_id, at) | numbers | columns)

    def roll(self, at_once: int = 1000):
        with self.as_("vis_sealer", autocommit=True) as connection:
            return roll(connection, at_once=at_once)

    def roll_and_die(self) -> None:
        with (
            self.as_("vis_sealer", autocommit=True) as connection,
            connection.transaction(force_rollback=True),
        ):
            roll(connection)

    def differences(self) -> list:
        with self.as_("vis_sealer", autocommit=True) as connection:
            return [found for day in DAYS for found in differences(connection, day)]

    def sums(self, dim: Dim = "project", **wanted) -> list[Sum]:
        with reading(self.database.dsn("vis_reader"), self.org) as connection:
            return sums(connection, self.org, dim, TODAY, UNTIL, **wanted)

    def rows(self) -> list[dict]:
        """What no simulated provider answered."""
        with self.as_("vis_auditor", row_factory=dict_row) as connection:
            return connection.execute(
                "select * from vis.request_logs where org_id = %s and provider <> 'sandbox'", [self.org]
            ).fetchall()

    def daily(self, dim: Dim = "project", **wanted) -> list[Sum]:
        with reading(self.database.dsn("vis_reader"), self.org) as connection:
            return daily(connection, self.org, dim, TODAY, UNTIL, **wanted)
