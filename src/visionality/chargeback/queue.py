"""The queue: rows that nobody is charged for yet, or whose evidence is in doubt, by their likely cause (promise A6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from visionality.chargeback.filter import rows_of
from visionality.core.queue_cause import Cause, Known, Waiting, cause
from visionality.ledger.reader import CALL_ROWS_COME_WITHIN, CLOCKS_APART
from visionality.runtime.ids import made_at
from visionality.runtime.sql import statements

_SQL = statements("visionality.chargeback.sql", "queue.sql")
_EVIDENCE = ("project_id", "repo", "branch", "client", "conflict", "denied")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the waiting rows are meant; None lets everything through."""

    repo: str | None = None
    branch: str | None = None
    agent: str | None = None
    cause: str | None = None
    """Its code."""

    def takes(self, row: Record, why: Cause) -> bool:
        wanted = ((self.repo, row["repo"]), (self.branch, row["branch"]), (self.agent, row["agent_sub"]))
        return all(said is None or said == has for said, has in wanted) and self.cause in {None, why.code}


@dataclass(slots=True)
class Group:
    """The rows of one cause in one currency."""

    cause: Cause
    currency: str
    first: datetime
    last: datetime
    calls: int = 0
    cost_nusd: int = 0

    def add(self, alike: Record) -> None:
        self.calls += alike["calls"]
        self.cost_nusd += alike["cost_nusd"]
        self.last = max(self.last, alike["last"])


@dataclass(slots=True)
class Selection:
    """Rows to be corrected, and per currency the nano-dollars that they stand for."""

    rows: list[tuple[UUID, datetime]] = field(default_factory=list)
    cost_nusd: dict[str, int] = field(default_factory=dict)

    def add(self, row: Record) -> None:
        self.rows.append((row["id"], row["created_at"]))
        self.cost_nusd[row["currency"]] = self.cost_nusd.get(row["currency"], 0) + row["cost_nusd"]


@dataclass(frozen=True, slots=True)
class Queue:
    """The rows that wait in a half-open range, as one transaction sees them."""

    connection: psycopg.Connection[Any]
    org_id: UUID
    start: datetime
    end: datetime
    known: Known
    include_sandbox: bool = False

    def groups(self) -> list[Group]:
        """The dearest first."""
        found: dict[tuple[str, str, str], Group] = {}
        for alike, why in self._waiting("alike"):
            name = (alike["currency"], why.kind, why.subject)
            if name not in found:
                found[name] = Group(why, alike["currency"], alike["first"], alike["last"])
            found[name].add(alike)
        return sorted(found.values(), key=lambda one: (-one.cost_nusd, -one.calls, one.cause.words))

    def chosen(self, choice: Choice) -> Selection:
        selection = Selection()
        for row, why in self._waiting("waiting"):
            if choice.takes(row, why):
                selection.add(row)
        return selection

    def _waiting(self, name: Literal["waiting", "alike"]) -> Iterator[tuple[Record, Cause]]:
        where = rows_of(self.org_id, self.start, self.end, {}, include_sandbox=self.include_sandbox)
        waits = sql.SQL(_SQL["waits"]).format(filter=where)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            for row in cursor.stream(sql.SQL(_SQL[name]).format(waits=waits)):
                yield row, cause(Waiting(*(row[name] for name in _EVIDENCE)), self.known)


def named(connection: psycopg.Connection[Any], org_id: UUID, ids: Sequence[UUID]) -> list[Record]:
    """The rows of these ids that the organisation has, true-ups and corrections included."""
    moments = [made for one in ids if (made := made_at(one)) is not None]
    if not moments:
        return []
    query = sql.SQL(_SQL["named"]).format(
        org_id=org_id,
        ids=list(ids),
        since=min(moments) - CLOCKS_APART,
        until=max(moments) + CALL_ROWS_COME_WITHIN + timedelta(days=1),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()
