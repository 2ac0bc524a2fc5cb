"""Heads of an organisation's logs, and proofs under them, out of what the sealer stored.

A seal keeps the leaves that it appended and the frontier behind them. So the root of any subtree is read off the last frontier
that ends within it and the few leaves behind that: a proof over five million leaves reads some twenty seals, not all of them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from visionality.core.merkle import DIGEST, Frontier, Range, consistency_ranges, cut, inclusion_ranges
from visionality.ledger.reader import CLOCKS_APART
from visionality.runtime.ids import made_at
from visionality.runtime.sql import statements

Log = Literal["request_logs", "budget_events", "key_events", "admin_events", "segments"]
LOGS: tuple[Log, ...] = ("request_logs", "budget_events", "key_events", "admin_events", "segments")

_SQL = statements("visionality.evidence.sql", "heads.sql")
_ID = 16


@dataclass(frozen=True, slots=True)
class Head:
    """A log of `size` leaves, as it was signed."""

    seal_no: int
    size: int
    root: bytes
    note: str
    sealed_at: datetime


def newest(connection: psycopg.Connection[Any], org_id: UUID, log: Log) -> Head | None:
    """The newest head of a log; None while it has no leaf."""
    return _head(connection, "newest", {"org_id": org_id, "log": log})


def at_size(connection: psycopg.Connection[Any], org_id: UUID, log: Log, size: int) -> Head | None:
    """The head that was signed when the log had this size; None when none was."""
    found = _head(connection, "at_size", {"org_id": org_id, "log": log, "size": size})
    return found if found is not None and found.size == size else None


def inclusion_of(
    connection: psycopg.Connection[Any], org_id: UUID, log: Log, index: int, size: int
) -> list[bytes]:
    """The path from a leaf to the root that the log had at this size. Raises ValueError where there is no such leaf."""
    return _roots(connection, org_id, log, inclusion_ranges(index, size))


def consistency_of(
    connection: psycopg.Connection[Any], org_id: UUID, log: Log, first: int, second: int
) -> list[bytes]:
    """What shows that the log at the second size extends the one at the first. Raises ValueError."""
    return _roots(connection, org_id, log, consistency_ranges(first, second))


def index_of_row(connection: psycopg.Connection[Any], org_id: UUID, log: Log, row_id: UUID) -> int | None:
    """The place of a row, event or segment in its log by its id; None while it is not sealed.

    The id holds the moment when it was made (UUIDv7), before which it cannot have been sealed.
    """
    made = made_at(row_id)
    if made is None:
        return None
    wanted = {"org_id": org_id, "log": log, "row_id": row_id, "since": made - CLOCKS_APART}
    with connection.cursor(row_factory=tuple_row) as cursor:
        for first_index, row_ids in cursor.execute(_SQL["holding"], wanted):
            packed = bytes(row_ids)
            for place in range(0, len(packed), _ID):
                if packed[place : place + _ID] == row_id.bytes:
                    return int(first_index) + place // _ID
    return None


def leaves_of(connection: psycopg.Connection[Any], org_id: UUID, log: Log, span: Range) -> list[bytes]:
    """The leaves of a range, as they were sealed. Raises ValueError where some of them are not."""
    start, end = span
    wanted = {"org_id": org_id, "log": log, "start": start, "end": end}
    leaves: list[bytes] = []
    with connection.cursor(row_factory=tuple_row) as cursor:
        for first_index, packed in cursor.execute(_SQL["leaves"], wanted):
            within = slice(max(start - first_index, 0) * DIGEST, max(end - first_index, 0) * DIGEST)
            leaves += cut(bytes(packed)[within])
    if len(leaves) != end - start:
        raise ValueError(f"leaves {start} to {end} of {log} are not all sealed: {len(leaves)} were found")
    return leaves


def _head(connection: psycopg.Connection[Any], statement: str, wanted: dict[str, object]) -> Head | None:
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL[statement], wanted).fetchone()
    if found is None:
        return None
    seal_no, size, root, note, sealed_at = found
    return Head(seal_no, size, bytes(root), note, sealed_at)


def _roots(connection: psycopg.Connection[Any], org_id: UUID, log: Log, ranges: list[Range]) -> list[bytes]:
    return [_root(connection, org_id, log, span) for span in ranges]


def _root(connection: psycopg.Connection[Any], org_id: UUID, log: Log, span: Range) -> bytes:
    """The root of a range that is a subtree: out of the frontier that ends within it, and the leaves behind."""
    start, end = span
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL["up_to"], {"org_id": org_id, "log": log, "size": end}).fetchone()
    if found is None or found[0] <= start:
        return Frontier().extend(leaves_of(connection, org_id, log, span)).root()
    stood = Frontier.unpacked(found[0], bytes(found[1]))
    behind = leaves_of(connection, org_id, log, (stood.size, end))
    return stood.since(start).extend(behind).root()
