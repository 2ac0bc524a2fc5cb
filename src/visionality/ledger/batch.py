"""What one transaction of the ledger writer carries, with the numbers it carries it under."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from visionality.core.canonical import leaf_hash
from visionality.core.row import Row, values
from visionality.runtime.ids import uuid7

EventKind = Literal["reserve", "settle", "release", "expire"]

_JSON_COLUMNS = ("usage", "rates", "pii", "tags")
_json = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Hold:
    """Money reserved for one attempt, in nano-USD, with the draft of the row that will settle it."""

    org_id: UUID
    hold_id: UUID
    request_id: UUID
    amount_nusd: int
    expires_at: datetime
    draft: str | None = None


@dataclass(slots=True, eq=False)
class Work:
    """One thing to be made durable: a hold to make, a hold to take, a row to append, or several of these at once."""

    done: asyncio.Future[None]
    make: Hold | None = None
    take: Hold | None = None
    taken_as: EventKind = "settle"
    row: Row | None = None


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
    events: list[dict[str, Any]] = field(default_factory=list)
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
            [(*event.values(), leaf_hash(event)) for event in self.events],
            [_row_record(row) for row in self.rows],
        )

    def witness(self) -> tuple[str, tuple[UUID, datetime, UUID]]:
        """A query and a key that tell whether this batch was committed: all of it was, or nothing."""
        if self.events:
            event = self.events[0]
            return "event_exists", (event["org_id"], event["created_at"], event["id"])
        row = self.rows[0]
        return "row_exists", (row.org_id, row.created_at, row.id)

    def _event(self, now: datetime, kind: EventKind, hold: Hold, actual_nusd: int | None) -> None:
        self.events.append(
            {
                "org_id": hold.org_id,
                "created_at": now,
                "id": uuid7(),
                "writer_no": self.before.writer_no,
                "wseq": self.before.event_seq + len(self.events) + 1,
                "kind": kind,
                "hold_id": hold.hold_id,
                "request_id": hold.request_id,
                "windows": [],
                "amount_nusd": hold.amount_nusd,
                "actual_nusd": actual_nusd,
                "actor": None,
            }
        )


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
    columns = values(row)
    leaf = leaf_hash(columns)
    for name in _JSON_COLUMNS:
        if columns[name] is not None:
            columns[name] = _json(columns[name]).decode()
    return (*columns.values(), leaf)
