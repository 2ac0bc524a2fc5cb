"""The proof that budgets kept to their caps, read from the database (core/budget_proof.py).

Events and lines are streamed, so that memory holds what is open at a moment and not what has ever been.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import tuple_row

from visionality.core.budget_account import Account, Cap, Finding, Placed, Window
from visionality.core.budget_event import Event
from visionality.core.budget_lines import Line
from visionality.core.budget_proof import Held, Proof
from visionality.core.canonical import leaf_hash
from visionality.ledger.reader import CLOCKS_APART, Record
from visionality.runtime.sql import statements

_SQL = statements("visionality.ledger.sql", "proof.sql")

ROWS_WAIT = timedelta(days=1)
"""A row is stamped when its call ends, and its budget events when it is written: as long as the database may be away."""
_AT_ONCE = 2_000

Progress = Callable[[int, int], None]


class Named(NamedTuple):
    """A budget as the administrative log names it."""

    scope: str
    period: str


@dataclass(slots=True)
class Proven:
    """What was proved of each window that touches a range, and what was found about the log that the caps are from."""

    accounts: Sequence[Account]
    budgets: Mapping[UUID, Named]
    events: int
    findings: list[Finding] = field(default_factory=list)

    @property
    def found(self) -> int:
        return len(self.findings) + sum(account.found for account in self.accounts)


def prove(
    connection: psycopg.Connection[Record], org_id: UUID, start: datetime, end: datetime, progress: Progress
) -> Proven:
    """Replay every window whose period touches a half-open range, from its beginning until now.

    `progress` is told (lines read, lines in all). The connection must see one snapshot.
    """
    log = _Log(connection, org_id)
    windows = _windows(connection, org_id, start, end)
    proof = Proof(windows, log.caps)
    if windows:
        began = min(
            max(window.starts_at, log.made.get(window.budget_id, window.starts_at)) for window in windows
        )
        lines = _Lines(connection, org_id, began - CLOCKS_APART, progress)
        proof.replay(Placed(Event(*row[:12]), *row[12:]) for row in lines.of("events"))
        proof.compare_standing(_standing(connection, org_id))
        proof.compare_rows(Line(*row) for row in lines.of("lines"))
    return Proven(list(proof.accounts.values()), log.budgets, proof.events, log.findings)


class _Log:
    """What the administrative log says of budgets."""

    def __init__(self, connection: psycopg.Connection[Record], org_id: UUID) -> None:
        self.caps: dict[UUID, list[Cap]] = {}
        self.budgets: dict[UUID, Named] = {}
        self.made: dict[UUID, datetime] = {}
        self.findings: list[Finding] = []
        (numbers,) = connection.execute(_SQL["log"], {"org_id": org_id})
        missing = numbers["last"] - numbers["first"] + 1 - numbers["events"]
        if missing:
            span = f"between its numbers {numbers['first']} and {numbers['last']}"
            self.findings.append(Finding(f"the administrative log lacks {missing} events {span}"))
        for record in connection.execute(_SQL["caps"], {"org_id": org_id}):
            try:
                self._take(record)
            except (KeyError, TypeError, ValueError):  # msgspec's errors are ValueErrors
                words = f"event {record['seq']} of the administrative log says nothing of a budget that can be read"
                self.findings.append(Finding(words, record["created_at"]))

    def _take(self, record: Record) -> None:
        detail = record["detail"]
        budget_id = UUID(detail["budget_id"])
        self.budgets.setdefault(budget_id, Named(detail["scope"], detail["period"]))
        self.made.setdefault(budget_id, record["created_at"])
        if record["kind"] == "budget_set":
            leaf = record.pop("leaf_hash")
            openings = msgspec.json.decode(detail["openings"], type=dict[UUID, int])
            terms = (int(detail["position"]), int(detail["cap_nusd"]), detail["hard"] == "true")
            cap = Cap(*terms, openings, is_intact=leaf_hash(record) == leaf)
            self.caps.setdefault(budget_id, []).append(cap)


class _Lines:
    """The two long streams since a moment, with word of how far they are."""

    def __init__(
        self, connection: psycopg.Connection[Record], org_id: UUID, since: datetime, progress: Progress
    ) -> None:
        self._asked = {"org_id": org_id, "since": since, "rows_since": since - ROWS_WAIT}
        self._connection, self._progress = connection, progress
        (length,) = connection.execute(_SQL["length"], self._asked)
        self._read, self._in_all = 0, length["lines"]

    def of(self, query: str) -> Iterator[tuple[Any, ...]]:
        with self._connection.cursor(query, row_factory=tuple_row) as cursor:
            cursor.itersize = _AT_ONCE
            for row in cursor.execute(_SQL[query], self._asked, binary=True):
                yield row
                self._read += 1
                if self._read % _AT_ONCE == 0 or self._read == self._in_all:
                    self._progress(self._read, self._in_all)


def _windows(
    connection: psycopg.Connection[Record], org_id: UUID, start: datetime, end: datetime
) -> list[Window]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL["windows"], {"org_id": org_id, "start": start, "end": end})
        return [Window(*row) for row in found]


def _standing(connection: psycopg.Connection[Record], org_id: UUID) -> Iterator[Held]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        for hold_id, request_id, windows, nusd in cursor.execute(_SQL["standing"], {"org_id": org_id}):
            yield Held(hold_id, request_id, tuple(windows), nusd)
