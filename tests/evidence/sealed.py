"""An installation whose rows, events and acts are written as the product writes them, and sealed as often as a test likes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from msgspec.structs import asdict
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from conftest import Database, clone_of
from visionality.core.budget_event import Event, event_leaf
from visionality.core.canonical import leaf_hash
from visionality.core.row import Row
from visionality.evidence.sealing import Step, step
from visionality.ledger.administration import append_admin_event, append_key_event
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.vault.installation import open_keys

NOON = datetime(2026, 11, 10, 12, 0, 0, 1, UTC)


class Installation:
    """A fresh database with its keys. `writers` are 101 to 103."""

    def __init__(self, database: Database, org: UUID, data_dir) -> None:
        self.database, self.org = database, org
        self.keys = open_keys(Settings(data_dir=data_dir), database.dsn("vis_web"), lambda words: None)
        self.holder = uuid7()
        self.written: dict[tuple[str, int], int] = {}
        database.run(
            "insert into vis.writers (writer_no, process) select i, 'test' from generate_series(101, 103) i",
            "set role vis_owner; select vis.add_months('2026-10-01', 3)",
        )

    @contextmanager
    def copied(self) -> Iterator["Installation"]:
        """The same installation again, as it is now. Nobody else is connected to this one."""
        self.database.kept.let_go()
        with clone_of(self.database.server, self.database.name) as clone:
            other = copy(self)
            other.database, other.written = clone, dict(self.written)
            yield other

    # ------------------------------------------------------------ what is written

    def write(self, writer_no: int = 101, *, skip: int = 0, **columns: Any) -> Row:
        """A row with the writer's next number, or one behind so many that are missing."""
        row = self.row(self._next("request_logs", writer_no, skip), writer_no, **columns)
        self.insert(row)
        return row

    def row(self, wseq: int, writer_no: int = 101, **columns: Any) -> Row:
        usual = {"created_at": NOON, "project_id": "HPC", "cost_nusd": 1_000, "billed_nusd": 1_200}
        made = {
            "id": uuid7(),
            "request_id": uuid7(),
            "writer_no": writer_no,
            "wseq": wseq,
            "org_id": self.org,
        }
        model = {"provider": "anthropic", "dialect": "messages", "model_used": "claude-haiku-4-5"}
        said = {
            "usage": {"in_text": 9, "out_text": 1},
            "rates": {"in_text": "1"},
            "tags": {"step": "ü"},
            "status_code": 200,
        }
        return Row(**(usual | made | model | said | columns))

    def insert(self, row: Row, leaf: bytes | None = None) -> None:
        columns = asdict(row)
        self._insert("vis_writer", "request_logs", columns | {"leaf_hash": leaf or leaf_hash(columns)})

    def hold(self, writer_no: int = 101, *, skip: int = 0, **columns: Any) -> Event:
        """An event of a budget with the writer's next number."""
        wseq = self._next("budget_events", writer_no, skip)
        money = {"windows": [uuid7()], "amount_nusd": 5_000, "actual_nusd": None, "actor": None}
        made = {"id": uuid7(), "hold_id": uuid7(), "request_id": uuid7(), "kind": "reserve"}
        event = Event(
            **(
                {"org_id": self.org, "created_at": NOON, "writer_no": writer_no, "wseq": wseq}
                | made
                | money
                | columns
            )
        )
        self._insert("vis_writer", "budget_events", asdict(event) | {"leaf_hash": event_leaf(event)})
        return event

    def act(self, kind: str = "project_added", org: UUID | None = None) -> None:
        """An administrative act."""
        org = org or self.org
        with self.database.as_role("vis_web", org) as connection, connection.cursor() as cursor:
            append_admin_event(cursor, org, NOON, kind, "alice", {"name": "HPC"}, "127.0.0.1")

    def key_step(self) -> None:
        """A step in the life of a key."""
        with self.database.as_role("vis_web", self.org) as connection, connection.cursor() as cursor:
            append_key_event(
                cursor, self.org, NOON, "issued", uuid7(), "ci@hpc", "alice", {"agent": "ci@hpc"}
            )

    def organisation(self, slug: str, zone: str = "UTC") -> UUID:
        """Another organisation."""
        org_id = uuid7()
        with self.database.as_role("vis_web", org_id) as connection:
            connection.execute(
                "insert into vis_control.organisation (id, slug, name, time_zone, created_at) values (%s, %s, %s, %s, now())",
                [org_id, slug, slug.title(), zone],
            )
        return org_id

    # ------------------------------------------------------------ what is sealed

    def seal(self, now: datetime = NOON, *, holder: UUID | None = None, at_once: int = 20_000) -> Step:
        with psycopg.connect(self.database.dsn("vis_sealer"), autocommit=True) as connection:
            return step(connection, self.keys, holder or self.holder, now, at_once=at_once)

    def seal_all(self, now: datetime = NOON, at_once: int = 20_000) -> int:
        """Step until nothing waits; how many steps that took."""
        steps = 1
        while not self.seal(now, at_once=at_once).is_all:
            steps += 1
        return steps

    def auditor(self) -> psycopg.Connection[dict[str, Any]]:
        return psycopg.connect(self.database.dsn("vis_auditor"), row_factory=dict_row)

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self.auditor() as connection:
            return connection.execute(sql, values or None).fetchall()

    def seals(self, log: str, org: UUID | None = None) -> list[dict[str, Any]]:
        return self.query(
            "select * from vis.seals where org_id = %s and log = %s order by seal_no", org or self.org, log
        )

    def sealed_ids(self, log: str, org: UUID | None = None) -> list[UUID]:
        """Every id in the order of the tree."""
        packed = b"".join(bytes(one["row_ids"]) for one in self.seals(log, org))
        return [UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), 16)]

    def sealed_leaves(self, log: str, org: UUID | None = None) -> list[bytes]:
        packed = b"".join(bytes(one["leaf_hashes"]) for one in self.seals(log, org))
        return [packed[at : at + 32] for at in range(0, len(packed), 32)]

    def numbered(self, project: str = "HPC", org: UUID | None = None) -> list[tuple[int, UUID]]:
        """Each number of a scope with the row that has it."""
        runs = self.query(
            "select * from vis.scope_runs where org_id = %s and project_id = %s order by first_seq",
            org or self.org,
            project,
        )
        found = []
        for run in runs:
            packed = bytes(run["row_ids"])
            ids = [UUID(bytes=packed[at : at + 16]) for at in range(0, len(packed), 16)]
            found += list(zip(range(run["first_seq"], run["last_seq"] + 1), ids, strict=True))
        return found

    def _next(self, log: str, writer_no: int, skip: int) -> int:
        number = self.written.get((log, writer_no), 0) + 1 + skip
        self.written[log, writer_no] = number
        return number

    def _insert(self, role: str, table: str, columns: dict[str, Any]) -> None:
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in columns.items()}
        names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
        with self.database.as_role(role) as connection:
            connection.execute(f"insert into vis.{table} ({names}) values ({marks})", values)


def ids_of(rows: Sequence[Any]) -> list[UUID]:
    return [row.id for row in rows]
