"""What holds were charged beside the rows that they were charged for.

A hold ends in the transaction that writes its row, and one writer numbers both in one order. So the ends of a call that
one writer wrote, and its rows, are pairs in that order. A refusal is a row that no hold was made for.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from visionality.core.money import usd


class Line(NamedTuple):
    """An event that begins or ends a hold, or a row.

    Lines come by (request_id, writer_no), events before rows, and then in the order of the writer's numbers.
    """

    request_id: UUID
    writer_no: int
    is_row: bool
    wseq: int
    what: str
    """The kind of the event, or the price state of the row."""
    created_at: datetime
    amount_nusd: int
    """What was held, or what the row costs."""
    actual_nusd: int | None
    position: int | None
    hold_id: UUID | None
    windows: Sequence[UUID]


def misfits(call: Sequence[Line]) -> Iterator[tuple[Line, str]]:
    """What does not belong together of the lines of one call and one writer, and why."""
    rows = deque(line for line in call if line.is_row)
    begun = {(line.wseq, line.position): line.amount_nusd for line in call if line.what == "reserve"}
    for end in call:
        if end.is_row or not _is_charged(end):
            continue
        still_nusd = begun.get((end.wseq - 1, end.position), 0)
        while rows and not _fits(end, rows[0], still_nusd) and not _counts(rows[0]):
            rows.popleft()
        row = rows.popleft() if rows else None
        if row is None or not _fits(end, row, still_nusd):
            says = "there is no row for it" if row is None else f"its row says {usd(row.amount_nusd)}"
            yield end, f"{usd(end.actual_nusd or 0)} USD were charged, and {says}"
    for row in rows:
        if _counts(row):
            yield row, f"a row says {usd(row.amount_nusd)} USD that nothing was charged"


def _is_charged(end: Line) -> bool:
    """Whether a row was written with it. The rest of an estimate is let go at its expiry, and has none."""
    return end.what == "settle" or (end.what == "expire" and not (end.amount_nusd and not end.actual_nusd))


def _fits(end: Line, row: Line, still_nusd: int) -> bool:
    """Whether a row says what was charged. A cost that nobody knows counts with what was held and is no longer."""
    if row.what == "unknown" and end.windows:
        return end.actual_nusd == end.amount_nusd - still_nusd
    return end.actual_nusd == row.amount_nusd


def _counts(row: Line) -> bool:
    return row.amount_nusd != 0 or row.what == "unknown"
