"""What is to be sealed next: rows behind the cursors, in an order that any later reader can check.

A writer numbers its rows without a gap, and one transaction commits neighbours; an organisation's events are numbered under a
lock. So a number that is missing, or there twice, was made so by somebody: it ends its stream, by name, and the other
streams go on. Rows of several writers are merged by their time, so that what piled up is sealed day by day.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from visionality.evidence.rows import RowLog
from visionality.runtime.sql import statements

AT_ONCE = 20_000
"""Rows of a log in one step: about a second of work."""
WRITERS_AT_ONCE = 100

_SQL = statements("visionality.evidence.sql", "due.sql")
_LEDGER_COLUMNS = sql.SQL(", l.project_id, l.currency, l.cost_nusd, l.billed_nusd")


class Break(NamedTuple):
    """Where a stream cannot go on: the number is missing, or more than one row has it."""

    log: RowLog
    org_id: UUID
    """Of the row that stands behind the number: of a missing one nothing else is known."""
    writer_no: int | None
    """None in the logs that an organisation numbers itself."""
    number: int
    what: Literal["missing", "doubled"]


class Leaf(NamedTuple):
    """A row as far as its tree needs it."""

    number: int
    org_id: UUID
    row_id: bytes
    created_at: datetime
    leaf: bytes


class LedgerLeaf(NamedTuple):
    """A row of `request_logs` as far as its tree and its scope need it."""

    number: int
    org_id: UUID
    row_id: bytes
    created_at: datetime
    leaf: bytes
    project_id: str | None
    currency: str
    cost_nusd: int
    billed_nusd: int


@dataclass(slots=True)
class Due:
    """Rows of one log in the order in which they are sealed, and the numbers up to which each writer's are among them."""

    leaves: list[Any] = field(default_factory=list)
    cursors: dict[int, int] = field(default_factory=dict)
    breaks: list[Break] = field(default_factory=list)
    is_all: bool = True
    """Whether nothing more waits, but behind breaks."""


class _Waiting(NamedTuple):
    writer_no: int
    after: int
    first: int
    created_at: datetime
    org_id: UUID


def due_of_writers(
    connection: psycopg.Connection[Any],
    log: Literal["request_logs", "budget_events"],
    *,
    at_once: int = AT_ONCE,
    silent_too: bool = True,
) -> Due:
    """The next rows of each writer. `silent_too` looks at writers that have had no heartbeat for an hour as well."""
    due = Due()
    table = sql.Identifier("vis", log)
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        cursor.execute(sql.SQL(_SQL["waiting"]).format(log=table), {"name": log, "all": silent_too})
        waiting = [_Waiting(*one) for one in cursor]
        for one in [one for one in waiting if one.first != one.after + 1]:
            due.breaks.append(Break(log, one.org_id, one.writer_no, one.after + 1, "missing"))
            waiting.remove(one)
        chosen, later = waiting[:WRITERS_AT_ONCE], waiting[WRITERS_AT_ONCE:]
        if not chosen:
            return due
        share = max(1, at_once // len(chosen))
        more = _LEDGER_COLUMNS if log == "request_logs" else sql.SQL("")
        after = {one.writer_no: one.after for one in chosen}
        cursor.execute(
            sql.SQL(_SQL["rows"]).format(log=table, more=more),
            {"writers": list(after), "after": list(after.values()), "share": share + 1},
        )
        made = LedgerLeaf if log == "request_logs" else Leaf
        streams = {
            writer_no: [made(*row[1:]) for row in rows] for writer_no, rows in groupby(cursor, itemgetter(0))
        }
    ends = [one.created_at for one in later]
    for writer_no, rows in streams.items():
        is_more = _cut(due, log, rows, after[writer_no], share, writer_no)
        if is_more and rows:
            ends.append(max(row.created_at for row in rows))
    _merged(due, streams, min(ends, default=None))
    return due


def due_of_events(
    connection: psycopg.Connection[Any], logs: Sequence[RowLog], *, at_once: int = AT_ONCE
) -> dict[RowLog, Due]:
    """The next events of each organisation, of logs that are numbered an organisation."""
    found: dict[RowLog, Due] = {log: Due() for log in logs}
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        behind = cursor.execute(_SQL["behind"], {"logs": list(logs)}).fetchall()
        for log, ones in groupby(behind, itemgetter(1)):
            _events(
                cursor, log, [(org_id, after, upto) for org_id, _, after, upto in ones], at_once, found[log]
            )
    return found


def _events(
    cursor: psycopg.Cursor[Any], log: RowLog, behind: list[tuple[UUID, int, int]], at_once: int, due: Due
) -> None:
    orgs, afters, uptos = zip(*behind, strict=True)
    share = max(1, at_once // len(behind))
    wanted = {"orgs": list(orgs), "after": list(afters), "upto": list(uptos), "share": share + 1}
    cursor.execute(sql.SQL(_SQL["events"]).format(log=sql.Identifier("vis", log)), wanted)
    streams = {
        org_id: list(rows) for org_id, rows in groupby((Leaf(*row) for row in cursor), attrgetter("org_id"))
    }
    for org_id, after, upto in behind:
        rows = streams.get(org_id, [])
        broken, is_more = len(due.breaks), _cut(due, log, rows, after, share, None)
        if not is_more and broken == len(due.breaks) and after + len(rows) < upto:
            due.breaks.append(Break(log, org_id, None, after + len(rows) + 1, "missing"))
        due.leaves += rows


def _cut(due: Due, log: RowLog, rows: list[Any], after: int, share: int, writer_no: int | None) -> bool:
    """Leave of a stream what has the next numbers, at most a share; note where it breaks. Returns whether more waits."""
    for place, row in enumerate(rows):
        expected = after + 1 + place
        if row.number == expected:
            continue
        if row.number > expected:
            due.breaks.append(Break(log, row.org_id, writer_no, expected, "missing"))
            del rows[place:]
        else:
            due.breaks.append(Break(log, row.org_id, writer_no, row.number, "doubled"))
            del rows[max(place - 1, 0) :]
        break
    is_more = len(rows) > share
    del rows[share:]
    due.is_all &= not is_more
    return is_more


def _merged(due: Due, streams: dict[int, list[Any]], end: datetime | None) -> None:
    """Take the rows of all streams by their time, each stream in its own order, none from behind the end."""
    for writer_no, rows in streams.items():
        if end is not None:
            _before(rows, end, due)
        if rows:
            due.cursors[writer_no] = rows[-1].number
    filled = [rows for rows in streams.values() if rows]
    due.leaves = filled[0] if len(filled) == 1 else list(merge(*filled, key=attrgetter("created_at")))


def _before(rows: list[Any], end: datetime, due: Due) -> None:
    place = next((place for place, row in enumerate(rows) if row.created_at > end), None)
    due.is_all = False
    if place is not None:
        del rows[place:]


def by_org(leaves: Iterable[Any]) -> dict[UUID, list[Any]]:
    """Rows by their organisation, in their order."""
    found: dict[UUID, list[Any]] = {}
    for leaf in leaves:
        found.setdefault(leaf.org_id, []).append(leaf)
    return found
