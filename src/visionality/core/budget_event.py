"""A step in the life of a hold: one row of `vis.budget_events`, and the leaf that it has."""

import hashlib
from datetime import UTC, datetime
from itertools import repeat
from typing import Literal
from uuid import UUID

import msgspec

from visionality.core.canonical import FORM, LARGEST, Shape

EventKind = Literal["reserve", "deny", "settle", "release", "expire", "overage"]


class Event(msgspec.Struct):
    """The columns that are hashed, in the table's order; amounts in nano-USD."""

    org_id: UUID
    created_at: datetime
    id: UUID
    writer_no: int
    wseq: int
    kind: EventKind
    hold_id: UUID
    request_id: UUID
    windows: list[UUID]
    amount_nusd: int
    """What was held; of an `overage`, by how much the cost was more."""
    actual_nusd: int | None
    """What the windows were charged; None where nothing was."""
    actor: str | None


class _Written(msgspec.Struct):
    """An event in the form's order, with its amounts as the form writes them."""

    actor: str | None
    actual_nusd: str | None
    amount_nusd: str
    created_at: datetime
    hold_id: UUID
    id: UUID
    kind: str
    org_id: UUID
    request_id: UUID
    v: int
    windows: list[UUID]
    writer_no: int
    wseq: int


def event_bytes(event: Event) -> bytes:
    """What `row_bytes` gives for the event's columns: two of them are made a call. Raises TypeError like it."""
    if not _is_plain(event):
        return _bytes_of(event)
    actual = event.actual_nusd
    return _encode(
        _Written(
            event.actor,
            None if actual is None else str(actual),
            str(event.amount_nusd),
            event.created_at,
            event.hold_id,
            event.id,
            event.kind,
            event.org_id,
            event.request_id,
            FORM,
            event.windows,
            event.writer_no,
            event.wseq,
        )
    )


def event_leaf(event: Event) -> bytes:
    """RFC 6962 leaf hash of the event, 32 bytes."""
    return hashlib.sha256(b"\x00" + event_bytes(event)).digest()


def _is_plain(event: Event) -> bool:
    """Whether each column holds what it is declared with, so that the encoder writes it as the form has it."""
    at = event.created_at
    return (
        at.__class__ is datetime
        and at.tzinfo is UTC
        and at.microsecond != 0  # a whole second would be written without a fraction
        and isinstance(event.org_id, UUID)
        and isinstance(event.id, UUID)
        and isinstance(event.hold_id, UUID)
        and isinstance(event.request_id, UUID)
        and isinstance(event.kind, str)
        and event.amount_nusd.__class__ is int
        and (event.actual_nusd is None or event.actual_nusd.__class__ is int)
        and event.actor is None
        and event.writer_no.__class__ is event.wseq.__class__ is int
        and 0 <= event.writer_no <= LARGEST
        and 0 <= event.wseq <= LARGEST
        and event.windows.__class__ is list
        and all(map(isinstance, event.windows, repeat(UUID)))
    )


_bytes_of = Shape(Event).bytes_of
_encode = msgspec.json.Encoder().encode
