"""The rows of a closed segment in the order of their numbers, each in the bytes that were hashed (docs/audit/formats.md, 1 and 3).

The numbering holds ids and no rows, so rows are read by the span of time that a piece of the numbering has, and stand in memory
for as long as that piece is worked on. Every row is hashed again, and so is the tree over them: what the ledger holds now is what
was sealed, or the row that is not is named.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from visionality.core.canonical import Shape
from visionality.core.merkle import Frontier
from visionality.core.pack import WITHOUT_PROJECT, Header
from visionality.core.row import COLUMNS, Row
from visionality.runtime.sql import statements

AT_ONCE = 2_000
"""Rows that are worked on together, at least; at most those of one step of the sealer more, since a run is read as a whole."""
_RUNS = 100
"""Runs that are fetched together: of one step of the sealer each has 320 kB at most."""
APART = timedelta(hours=1)
"""Rows of a piece that are further apart in time are read by themselves: what lies between is of other pieces."""

_SQL = statements("visionality.evidence.sql", "packs.sql")
_COLUMNS = sql.SQL(", ").join(sql.Identifier(name) for name in (*COLUMNS, "leaf_hash"))
_ID = 16
_bytes_of = Shape(Row).bytes_of


class RowAltered(Exception):
    """The ledger no longer holds what was sealed; the message names the first row that differs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Which rows are wanted."""

    org_id: UUID
    project_id: str
    header: Header

    @property
    def named(self) -> dict[str, object]:
        of = self.header
        return {
            "org_id": self.org_id,
            "project_id": self.project_id,
            "first_seq": of.first_seq,
            "last_seq": of.last_seq,
        }


@dataclass(frozen=True, slots=True)
class _Run:
    first_seq: int
    first_at: datetime
    last_at: datetime
    ids: list[int]
    """As whole numbers, which are looked up in a fraction of the time that UUIDs take."""


def rows_of(connection: psycopg.Connection[Any], segment: Segment) -> Iterator[tuple[Row, bytes]]:
    """Each row and its bytes. Raises RowAltered, at the end for what only the tree shows."""
    frontier = Frontier()
    for piece in _pieces(_runs(connection, segment)):
        leaves = []
        for row, leaf in _in_order(connection, segment, piece):
            written = _written(segment, row)
            made = sha256(b"\0" + written).digest()
            if made != leaf:
                raise RowAltered(_named(segment, row, "does not hash to the leaf beside it"))
            leaves.append(made)
            yield row, written
        frontier = frontier.extend(leaves)
    if frontier.size != segment.header.count or frontier.root().hex() != segment.header.root:
        raise RowAltered(_found(connection, segment))


def _written(segment: Segment, row: Row) -> bytes:
    try:
        return _bytes_of(row)
    except TypeError:
        raise RowAltered(_named(segment, row, "holds what no row can hold")) from None


def _runs(connection: psycopg.Connection[Any], segment: Segment) -> Iterator[_Run]:
    with connection.cursor("runs", row_factory=tuple_row) as cursor:
        cursor.itersize = _RUNS
        for first_seq, _, first_at, last_at, row_ids in cursor.execute(_SQL["runs"], segment.named):
            yield _Run(first_seq, first_at, last_at, _cut(bytes(row_ids)))


def _pieces(runs: Iterable[_Run]) -> Iterator[list[_Run]]:
    """Runs together until they have enough rows."""
    piece: list[_Run] = []
    size = 0
    for run in runs:
        piece.append(run)
        size += len(run.ids)
        if size >= AT_ONCE:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _in_order(
    connection: psycopg.Connection[Any], segment: Segment, piece: Sequence[_Run]
) -> Iterator[tuple[Row, bytes]]:
    """Each row of the piece and the leaf that stands beside it."""
    found: dict[int, tuple[Row, bytes] | None] = dict.fromkeys(row_id for run in piece for row_id in run.ids)
    for since, until in _spans(piece):
        _read(connection, segment, since, until, found)
    for run in piece:
        for place, row_id in enumerate(run.ids):
            one = found[row_id]
            if one is None:
                raise RowAltered(_gone(segment, run.first_seq + place, row_id))
            yield one


def _spans(piece: Sequence[_Run]) -> list[tuple[datetime, datetime]]:
    spans: list[tuple[datetime, datetime]] = []
    for since, until in sorted((run.first_at, run.last_at) for run in piece):
        if spans and since - spans[-1][1] <= APART:
            spans[-1] = spans[-1][0], max(until, spans[-1][1])
        else:
            spans.append((since, until))
    return spans


def _read(
    connection: psycopg.Connection[Any],
    segment: Segment,
    since: datetime,
    until: datetime,
    found: dict[int, tuple[Row, bytes] | None],
) -> None:
    """Put the rows of a span of time, and their leaves, to the ids that are looked for."""
    name = "without_project" if segment.project_id == WITHOUT_PROJECT else "of_project"
    named = {**segment.named, "since": since, "until": until}
    with connection.cursor("rows", row_factory=tuple_row) as cursor:
        cursor.itersize = AT_ONCE
        for *values, leaf in cursor.execute(sql.SQL(_SQL[name]).format(columns=_COLUMNS), named, binary=True):
            row_id = values[_PLACE_OF_ID].int
            if row_id in found:
                found[row_id] = _row(values), leaf


def _row(values: Sequence[Any]) -> Row:
    return Row(**dict(zip(COLUMNS, values, strict=True)))


def _found(connection: psycopg.Connection[Any], segment: Segment) -> str:
    """Which row is not the one that was sealed, of a segment whose rows all hash to the leaves beside them."""
    sealed: dict[int, bytes] = {}
    with connection.cursor("sealed", row_factory=tuple_row) as cursor:
        for ours, ids, leaves in cursor.execute(_SQL["sealed"], segment.named):
            leaf_of = dict(zip(_cut(bytes(ids)), _cut_leaves(bytes(leaves)), strict=True))
            sealed |= {row_id: leaf_of[row_id] for row_id in _cut(bytes(ours)) if row_id in leaf_of}
    for piece in _pieces(_runs(connection, segment)):
        for row, leaf in _in_order(connection, segment, piece):
            if sealed.get(row.id.int) != leaf:
                return _named(
                    segment, row, "is not the one that was sealed, though its leaf was made anew with it"
                )
    return (
        f"the numbering of segment {segment.header.segment_no} of project {segment.project_id} of organisation "
        f"{segment.org_id} is not the one that was sealed"
    )


def _named(segment: Segment, row: Row, what: str) -> str:
    return (
        f"row {row.id} of organisation {segment.org_id}, number {row.wseq} of writer {row.writer_no}, "
        f"in project {segment.project_id}, {what}"
    )


def _gone(segment: Segment, scope_seq: int, row_id: int) -> str:
    return (
        f"row {UUID(int=row_id)} of organisation {segment.org_id}, number {scope_seq} of project {segment.project_id}, was sealed "
        "and is no longer in the ledger as a row of that project"
    )


def _cut(packed: bytes) -> list[int]:
    return [int.from_bytes(packed[at : at + _ID]) for at in range(0, len(packed), _ID)]


def _cut_leaves(packed: bytes) -> list[bytes]:
    return [packed[at : at + 32] for at in range(0, len(packed), 32)]


_PLACE_OF_ID = COLUMNS.index("id")
