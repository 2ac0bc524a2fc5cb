"""The daily sums are kept here: rows are added in the order of their writers' numbers, each once.

A step is one transaction that adds some rows to the sums and moves the cursors of their writers behind them, so it happened
or it did not. An advisory lock of that transaction lets one process at a time do so; no call waits for it. What is not added
yet is read from the ledger itself (ledger/sums.py), so a roller that stands still makes pages slower and nothing wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, scalar_row

from visionality.ledger import splits
from visionality.ledger.sums import MEASURES, counted, midnight
from visionality.ledger.work import work_statement
from visionality.runtime.sql import statements

AT_ONCE = 20_000
"""Rows in one transaction: less than a second of work."""

_SQL = statements("visionality.ledger.sql", "rollup.sql")
_ADD = sql.SQL(_SQL["add"]).format(measures=MEASURES, counted=counted(_SQL["due"]))
_ADD_WORK = work_statement("add", _SQL["due"])
_DIFFERENCES = sql.SQL(_SQL["differences"]).format(measures=MEASURES, counted=counted(_SQL["rolled"]))
_WORK_DIFFERENCES = work_statement("differences", _SQL["rolled"])


class _Ready(NamedTuple):
    """What of a writer is not in the sums: the rows behind `after` up to `upto`, and the first number behind a gap."""

    writer_no: int
    after: int
    upto: int | None
    beyond: int | None


class Gap(NamedTuple):
    """A writer whose row `after + 1` is not there, though one with a later number is. Its sums wait for that row."""

    writer_no: int
    after: int


class Step(NamedTuple):
    """How many rows were added, and which writers cannot go on."""

    rows: int
    gaps: list[Gap]


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that is not that of its rows, which is said by their cost; it may also be another measure."""

    org_id: UUID
    day: date
    dim: str
    key: str
    key2: str
    currency: str
    source: str
    summed_nusd: int
    ledger_nusd: int


def roll(connection: psycopg.Connection[Any], *, at_once: int = AT_ONCE, silent_too: bool = True) -> Step:
    """Add the next rows of each writer; none while another process does so. `connection` is of vis_sealer, in no transaction.

    `silent_too` looks at writers that have had no heartbeat for an hour as well. Raises what psycopg raises; then nothing
    was added.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(_Ready)) as cursor:
        if not _leads(connection):
            return Step(0, [])
        connection.execute(_SQL["means"])
        rules = splits.meet(connection)
        ready = cursor.execute(_SQL["ready"], {"at_once": at_once, "all": silent_too}).fetchall()
        due = _first(ready, at_once)
        if due:
            writers, after, upto = (list(column) for column in zip(*due, strict=True))
            ranges = {"writers": writers, "after": after, "upto": upto}
            connection.execute(_ADD, ranges)
            connection.execute(_ADD_WORK, ranges)
            splits.add(connection, rules, _SQL["due"], ranges)
            connection.execute(_SQL["move"], ranges)
        gaps = [Gap(one.writer_no, one.upto or one.after) for one in ready if one.beyond is not None]
        return Step(sum(upto - after for _, after, upto in due), gaps)


def _leads(connection: psycopg.Connection[Any]) -> bool:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute(_SQL["lead"]).fetchone())


def _first(ready: Sequence[_Ready], rows: int) -> list[tuple[int, int, int]]:
    """As much of it as makes so many rows: writer, after, up to."""
    taken = []
    for one in ready:
        share = min((one.upto or one.after) - one.after, rows)
        if share:
            taken.append((one.writer_no, one.after, one.after + share))
        rows -= share
    return taken


def rebuild(connection: psycopg.Connection[Any]) -> int:
    """Forget every sum and make them anew from the ledger. Returns how many rows were added.

    Readers see the right sums all the while, though slowly at first.
    """
    with connection.transaction():
        connection.execute(_SQL["wait_to_lead"])
        connection.execute(_SQL["forget"])
    rows = 0
    while step := roll(connection).rows:
        rows += step
    return rows


def differences(connection: psycopg.Connection[Any], day: date) -> list[Difference]:
    """Where the sums of a UTC day are not those of the rows that were added to them, in every organisation.

    The work of projects is among them as the dimension `work`, what splits move as `moved`.
    """
    given = {"day": day, "start": midnight(day), "end": midnight(day + timedelta(days=1))}
    with connection.transaction(), connection.cursor(row_factory=class_row(Difference)) as cursor:
        connection.execute(_SQL["one_moment"])
        found = cursor.execute(_DIFFERENCES, given).fetchall()
        found += cursor.execute(_WORK_DIFFERENCES, given).fetchall()
        found += [
            Difference(line.org_id, day, "moved", line.cost_center, line.gl_code, line.currency, "", *costs)
            for line, *costs in splits.differing(connection, day, _SQL["rolled"], given)
        ]
        return found
