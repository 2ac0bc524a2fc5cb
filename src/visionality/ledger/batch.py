"""What one transaction of the ledger writer carries, with the numbers it carries it under."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any, Literal
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from visionality.core.canonical import Shape
from visionality.core.row import COLUMNS, Row
from visionality.runtime.ids import uuid7

EventKind = Literal["reserve", "settle", "release", "expire"]

_JSON_COLUMNS = [COLUMNS.index(name) for name in ("usage", "rates", "pii", "tags")]
_json = msgspec.json.Encoder(order="sorted").encode


class Hold(msgspec.Struct, frozen=True):
    """Money reserved for one attempt, in nano-USD, with the draft of the row that will settle it."""

    org_id: UUID
    hold_id: UUID
    request_id: UUID
    amount_nusd: int
    expires_at: datetime
    draft: str | None = None


class Event(msgspec.Struct):
    """One row of `vis.budget_events`, in the table's order: a step in the life of a hold."""

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
    actual_nusd: int | None
    actor: str | None


_row_leaf = Shape(Row).leaf_hash
_event_leaf = Shape(Event).leaf_hash


class Work(msgspec.Struct, eq=False):
    """One thing to be made durable: a hold to make, a hold to take, a row to append, or several of these at once.

    Past `due`, a time of the loop, its caller does not wait for it any longer.
    """

    done: asyncio.Future[None]
    make: Hold | None = None
    take: Hold | None = None
    taken_as: EventKind = "settle"
    row: Row | None = None
    due: float = inf


class Look(msgspec.Struct, eq=False):
    """Somebody who wants to know whether a hold stands."""

    found: asyncio.Future[Hold | None]
    org_id: UUID
    hold_id: UUID


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a writer stands: its number, and the last number of each of its two streams."""

    writer_no: int = 0
    row_seq: int = 0
    event_seq: int = 0


@dataclass(slots=True)
class Batch:
    """Composed once and sent unchanged until its outcome is known."""

    works: Sequence[Work]
    before: Numbers
    takes: list[Hold] = field(default_factory=list)
    makes: list[Hold] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    @property
    def after(self) -> Numbers:
        """Where the writer stands once this is committed."""
        before = self.before
        return Numbers(before.writer_no, before.row_seq + len(self.rows), before.event_seq + len(self.events))

    def arguments(self) -> tuple[list[Any], ...]:
        """The parameters of `commit_batch`, in its order."""
        return (
            [hold.org_id for hold in self.takes],
            [hold.hold_id for hold in self.takes],
            [_hold_record(hold, self.before.writer_no) for hold in self.makes],
            [(*astuple(event), _event_leaf(event)) for event in self.events],
            [_row_record(row) for row in self.rows],
        )

    def witness(self) -> tuple[str, tuple[UUID, datetime, UUID]]:
        """A query and a key that tell whether this batch was committed: all of it was, or nothing."""
        if self.events:
            event = self.events[0]
            return "event_exists", (event.org_id, event.created_at, event.id)
        row = self.rows[0]
        return "row_exists", (row.org_id, row.created_at, row.id)

    def _event(self, now: datetime, kind: EventKind, hold: Hold, actual_nusd: int | None) -> None:
        before, number = self.before, self.before.event_seq + len(self.events) + 1
        whose = (hold.org_id, now, uuid7(), before.writer_no, number, kind, hold.hold_id, hold.request_id)
        self.events.append(Event(*whose, [], hold.amount_nusd, actual_nusd, None))


def compose(works: Sequence[Work], before: Numbers, now: datetime) -> Batch:
    """Number the works' rows and events, without a gap after `before`."""
    batch = Batch(works, before)
    for work in works:
        if work.make is not None:
            batch.makes.append(work.make)
            batch._event(now, "reserve", work.make, None)  # noqa: SLF001 -- a batch is built here and only here
        if work.take is not None:
            batch.takes.append(work.take)
            charged = None if work.taken_as == "release" else work.row.cost_nusd if work.row else 0
            batch._event(now, work.taken_as, work.take, charged)  # noqa: SLF001
        if work.row is not None:
            work.row.writer_no = before.writer_no
            work.row.wseq = before.row_seq + len(batch.rows) + 1
            batch.rows.append(work.row)
    return batch


def placeholder(row: Row) -> Row:
    """What stands in for a row that the database refuses: its number, its call, and the reason."""
    return Row(
        org_id=row.org_id,
        created_at=row.created_at,
        id=row.id,
        request_id=row.request_id,
        provider="unknown",
        dialect="unknown",
        entry=row.entry if row.entry in {"call", "attempt", "import"} else "call",
        decision="failed",
        reason="the row could not be stored; see the dead-letter file",
        price_state="unknown",
    )


def true_up(row: Row, charged: tuple[UUID, int, int]) -> None:
    """Turn a late row into the difference against the row (id, cost, billed) that was charged in its place."""
    row.entry = "true_up"
    row.corrects, cost_nusd, billed_nusd = charged
    row.cost_nusd -= cost_nusd
    row.billed_nusd -= billed_nusd
    row.reason = "settled after it was charged at its worst case"


def _hold_record(hold: Hold, writer_no: int) -> tuple[Any, ...]:
    whose = (hold.org_id, hold.hold_id, hold.request_id)
    return (*whose, [], hold.amount_nusd, writer_no, hold.expires_at, hold.draft)


def _row_record(row: Row) -> tuple[Any, ...]:
    leaf = _row_leaf(row)
    columns = list(astuple(row))
    for at in _JSON_COLUMNS:
        if columns[at] is not None:
            columns[at] = _json(columns[at]).decode()
    return (*columns, leaf)
