"""What one transaction of the ledger writer carries, with the numbers it carries it under."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from msgspec.structs import astuple, replace

from visionality.core.budget_event import Event, EventKind, event_leaf
from visionality.core.canonical import Shape
from visionality.core.row import COLUMNS, Row
from visionality.ledger.ids import uuid7

TAKES = -1
"""What an event wants that ends a hold: that it stands."""
_JSON_COLUMNS = [COLUMNS.index(name) for name in ("usage", "rates", "pii", "tags")]
_json = msgspec.json.Encoder(order="sorted").encode


class Hold(msgspec.Struct, frozen=True):
    """Money reserved for one attempt, in nano-USD, with the draft of the row that will settle it.

    It is held in each of the windows, in all of them or in none.
    """

    org_id: UUID
    hold_id: UUID
    request_id: UUID
    amount_nusd: int
    expires_at: datetime
    draft: str | None = None
    windows: Sequence[UUID] = ()


class Window(msgspec.Struct, frozen=True):
    """One budget in one period, for one value of its scope: what is said when its row is made."""

    org_id: UUID
    window_id: UUID
    budget_id: UUID
    scope_value: str
    starts_at: datetime
    ends_at: datetime


class Denial(msgspec.Struct, frozen=True):
    """Which window refused a hold, and what was left in each of its windows then, as far as that is known."""

    window_id: UUID | None
    left_nusd: Mapping[UUID, int | None]


row_leaf = Shape(Row).leaf_hash
"""The leaf of a row that has its numbers."""


class Work(msgspec.Struct, eq=False):
    """One thing to be made durable: a hold to make, a hold to take, a row to append, or several of these at once.

    Past `due`, a time of the loop, its caller does not wait for it any longer.
    """

    done: asyncio.Future[None]
    make: Hold | None = None
    granted: bool = False
    """Whether what it makes stays within what is held already, so that no window is asked."""
    take: Hold | None = None
    taken_as: EventKind = "settle"
    row: Row | None = None
    late: Hold | None = None
    """The hold that was charged in place of the row, when that is a true-up: its windows get the difference."""
    due: float = inf
    denial: Denial | None = None
    """Why what it was to make does not stand."""
    was_lost: bool = False
    """Whether somebody else had taken the hold and written the row."""


class Look(msgspec.Struct, eq=False):
    """Somebody who wants to know whether a hold stands."""

    found: asyncio.Future[Hold | None]
    org_id: UUID
    hold_id: UUID


class Addition(msgspec.Struct, eq=False):
    """Rows that follow from what stands, and somebody who waits until they stand too."""

    done: asyncio.Future[int]
    make: Callable[[asyncpg.Connection], Awaitable[list[Row]]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where a writer stands: its number, and the last number of each of its two streams."""

    writer_no: int = 0
    row_seq: int = 0
    event_seq: int = 0


class Moved(msgspec.Struct, eq=False):
    """What a batch changes in one window."""

    org_id: UUID
    held_nusd: int = 0
    spent_nusd: int = 0
    asked_nusd: int = 0


@dataclass(slots=True)
class Batch:
    """Composed once and sent unchanged until its outcome is known."""

    works: Sequence[Work]
    before: Numbers
    now: datetime
    takes: list[Hold] = field(default_factory=list)
    makes: list[Hold] = field(default_factory=list)
    """Those that their windows are asked for."""
    rests: list[Hold] = field(default_factory=list)
    """Those that stay within what is held already."""
    events: list[Event] = field(default_factory=list)
    wants: list[int] = field(default_factory=list)
    """Of each event, the place among `makes` of the hold that it begins, from 1; TAKES of one that ends a hold; else 0."""
    rows: list[Row] = field(default_factory=list)
    windows: dict[UUID, Moved] = field(default_factory=dict)
    """By id, which no two organisations share."""
    may_refuse: bool = False
    """Whether each hold comes with the denial that is written in its place when it is refused."""

    @property
    def after(self) -> Numbers:
        """Where the writer stands once this is committed."""
        before = self.before
        return Numbers(before.writer_no, before.row_seq + len(self.rows), before.event_seq + len(self.events))

    def arguments(self) -> tuple[Any, ...]:
        """The parameters of `commit_batch`, in its order."""
        return (
            [self._event_record(*event) for event in zip(self.events, self.wants, strict=True)],
            [_hold_record(hold, self.before.writer_no) for hold in (*self.makes, *self.rests)],
            [_row_record(row) for row in self.rows],
            self.now,
            *(self._moves() if self.windows else _NOTHING_MOVES),
        )

    def denials(self, refused: Sequence[int] | None, left: Sequence[int | None] | None) -> None:
        """Tell the works whose holds were refused, by what `commit_batch` answered."""
        if not refused or left is None or not any(refused):
            return
        ids = self._ordered()
        lefts = dict(zip(ids, left, strict=True))
        makers = (work for work in self.works if work.make is not None and not work.granted)
        for work, refusing in zip(makers, refused, strict=True):
            if refusing and work.make is not None:
                of_its_own = {window_id: lefts[window_id] for window_id in work.make.windows}
                work.denial = Denial(ids[refusing - 1], of_its_own)

    def witness(self) -> tuple[str, tuple[UUID, datetime, UUID]]:
        """A query and a key that tell whether this batch was committed: all of it was, or nothing."""
        if self.events:
            event = self.events[0]
            return "event_exists", (event.org_id, event.created_at, event.id)
        row = self.rows[0]
        return "row_exists", (row.org_id, row.created_at, row.id)

    def add(self, work: Work) -> None:
        """Number the row and the events of a work."""
        if work.make is not None:
            (self._go_on if work.granted else self._begin)(work.make)
        if work.take is not None:
            self._end(work.taken_as, work.take, _charged(work, work.take))
        if work.row is None:
            return
        if work.late is not None:
            self._adjust(work.late, _difference(work, work.late, work.row))
        work.row.writer_no = self.before.writer_no
        work.row.wseq = self.before.row_seq + len(self.rows) + 1
        self.rows.append(work.row)

    def _begin(self, hold: Hold) -> None:
        self.makes.append(hold)
        for moved in self._windows(hold):
            moved.asked_nusd += hold.amount_nusd
        self._event("reserve", hold, hold.amount_nusd, None, want=len(self.makes))

    def _go_on(self, rest: Hold) -> None:
        """It is never free in between: whoever asks in the same batch, before it or behind, finds it held."""
        self.rests.append(rest)
        self._move(rest, -rest.amount_nusd, 0)
        self._event("reserve", rest, rest.amount_nusd, None)

    def _end(self, kind: EventKind, hold: Hold, charged_nusd: int | None) -> None:
        self.takes.append(hold)
        self._move(hold, hold.amount_nusd, charged_nusd or 0)
        self._event(kind, hold, hold.amount_nusd, charged_nusd, want=TAKES)
        self._over(hold, (charged_nusd or 0) - hold.amount_nusd)

    def _adjust(self, hold: Hold, difference_nusd: int) -> None:
        self._move(hold, 0, difference_nusd)
        self._event("settle", hold, 0, difference_nusd)
        self._over(hold, difference_nusd)

    def _over(self, hold: Hold, over_nusd: int) -> None:
        if hold.windows and over_nusd > 0:
            self._event("overage", hold, over_nusd, None)

    def _move(self, hold: Hold, held_nusd: int, spent_nusd: int) -> None:
        for moved in self._windows(hold):
            moved.held_nusd += held_nusd
            moved.spent_nusd += spent_nusd

    def _windows(self, hold: Hold) -> list[Moved]:
        """What the batch changes in each of the hold's windows, as far as it is known yet."""
        windows = self.windows
        for window_id in hold.windows:
            if window_id not in windows:
                windows[window_id] = Moved(hold.org_id)
        return [windows[window_id] for window_id in hold.windows]

    def _event(
        self, kind: EventKind, hold: Hold, amount_nusd: int, actual_nusd: int | None, want: int = 0
    ) -> None:
        number = self.before.event_seq + len(self.events) + 1
        whose = (hold.org_id, self.now, uuid7(), self.before.writer_no, number, kind)
        what = (hold.hold_id, hold.request_id, list(hold.windows), amount_nusd, actual_nusd, None)
        self.events.append(Event(*whose, *what))
        self.wants.append(want)

    def _event_record(self, event: Event, want: int) -> tuple[Any, ...]:
        """Without what is said once for all of them, and without a list that is empty: either is dear to encode."""
        denied = None
        if self.may_refuse and want > 0 and event.windows:
            denied = event_leaf(replace(event, kind="deny"))
        return (
            event.org_id,
            None,
            event.id,
            event.writer_no,
            event.wseq,
            event.kind,
            event.hold_id,
            event.request_id,
            event.windows or None,
            event.amount_nusd,
            event.actual_nusd,
            event.actor,
            event_leaf(event),
            want,
            denied,
        )

    def _ordered(self) -> list[UUID]:
        """The windows in the order in which every writer locks them."""
        windows = self.windows
        return sorted(windows, key=lambda window_id: (windows[window_id].org_id.int, window_id.int))

    def _moves(self) -> tuple[Any, ...]:
        ids = self._ordered()
        place = {window_id: number for number, window_id in enumerate(ids, 1)}
        moved = [self.windows[window_id] for window_id in ids]
        places: list[int] = []
        upto: list[int] = []
        for hold in self.makes:
            places += [place[window_id] for window_id in hold.windows]
            upto.append(len(places))
        return (
            [one.org_id for one in moved],
            ids,
            [one.held_nusd for one in moved],
            [one.spent_nusd for one in moved],
            [one.asked_nusd for one in moved],
            self.may_refuse,
            [hold.amount_nusd for hold in self.makes],
            upto,
            places,
            *((None, None, None) if self.takes else self.witness()[1]),
        )


_NOTHING_MOVES: tuple[Any, ...] = ([], [], [], [], [], False, [], [], [], None, None, None)


def compose(works: Sequence[Work], before: Numbers, now: datetime) -> Batch:
    """Number the works' rows and events, without a gap after `before`."""
    batch = Batch(works, before, now)
    for work in works:
        batch.add(work)
    return batch


def _charged(work: Work, hold: Hold) -> int | None:
    """What ends with a hold: its row's cost. A cost that is not known counts with what was held, as far as budgets go.

    What is still held of it then, with the lines of a batch that are to come, does not count twice.
    """
    if work.taken_as == "release":
        return None
    if work.row is None:
        return 0
    if not hold.windows or work.row.price_state != "unknown":
        return work.row.cost_nusd
    return hold.amount_nusd - _still_held(work)


def _difference(work: Work, hold: Hold, row: Row) -> int:
    """What a late row changes: its cost is the difference already. One that is not known leaves what was charged."""
    if not hold.windows or row.price_state != "unknown":
        return row.cost_nusd
    return -_still_held(work)


def _still_held(work: Work) -> int:
    return work.make.amount_nusd if work.make is not None and work.granted else 0


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
    return (*whose, list(hold.windows) or None, hold.amount_nusd, writer_no, hold.expires_at, hold.draft)


def _row_record(row: Row) -> tuple[Any, ...]:
    leaf = row_leaf(row)
    columns = list(astuple(row))
    for at in _JSON_COLUMNS:
        if columns[at] is not None:
            columns[at] = _json(columns[at]).decode()
    return (*columns, leaf)
