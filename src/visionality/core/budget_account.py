"""One window in a replay of the budget events: what it stands at, the cap in force, and what was found wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from visionality.core.budget_event import Event
from visionality.core.money import usd

MOST_FINDINGS = 20
"""That are kept of one window; more are counted."""


class Placed(NamedTuple):
    """An event with what the database keeps beside its columns: its leaf, and its place in the order of its windows."""

    event: Event
    leaf_hash: bytes
    position: int


class Cap(NamedTuple):
    """One setting of a budget's cap, as the administrative log has it, in force since a position."""

    position: int
    cap_nusd: int
    hard: bool
    openings: Mapping[UUID, int]
    """What windows that were made with the budget had spent already."""
    is_intact: bool
    """Whether its leaf hash recomputes."""


class Window(NamedTuple):
    """A window as its row has it now."""

    window_id: UUID
    budget_id: UUID
    scope_value: str
    starts_at: datetime
    ends_at: datetime
    cap_nusd: int
    hard: bool
    opening_nusd: int
    spent_nusd: int
    reserved_nusd: int
    position: int


class Finding(NamedTuple):
    """Something that must not be, and where."""

    words: str
    at: datetime | None = None
    position: int | None = None
    hold_id: UUID | None = None
    request_id: UUID | None = None


def found_at(placed: Placed, words: str) -> Finding:
    event = placed.event
    return Finding(words, event.created_at, placed.position, event.hold_id, event.request_id)


@dataclass(slots=True)
class Account:
    """A window as the events make it. Amounts in nano-USD."""

    window: Window
    caps: Sequence[Cap]
    spent_nusd: int = field(init=False)
    held_nusd: int = 0
    reserves: int = 0
    denials: int = 0
    overages: int = 0
    overage_nusd: int = 0
    is_cut: bool = False
    """Whether a hard cap came into force that was below what was spent and held then."""
    most_nusd: int = field(init=False)
    """The most that was spent and held at once."""
    most_at: datetime | None = None
    most_position: int = 0
    most_past_nusd: int = 0
    """The furthest that this was past a hard cap."""
    found: int = 0
    findings: list[Finding] = field(default_factory=list)
    _in_force: int = -1
    _position: int = 0
    _writer: int = 0
    _last_wseq: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spent_nusd = self.most_nusd = self.window.opening_nusd
        if not self.caps or self.caps[0].position:
            self.wrong(Finding("the administrative log does not say the cap that it began with"))
        if not all(cap.is_intact for cap in self.caps):
            self.wrong(
                Finding("a record of its cap was changed after it was written: its leaf hash is another")
            )
        for before, after in pairwise(self.caps):
            if after.position <= before.position:
                self.wrong(
                    Finding(f"a cap set at position {after.position} follows one of {before.position}")
                )
        said_nusd = self.caps[0].openings.get(self.window.window_id, 0) if self.caps else 0
        self._compare("it opened with", said_nusd, self.window.opening_nusd, "the administrative log")

    @property
    def total_nusd(self) -> int:
        return self.spent_nusd + self.held_nusd

    @property
    def cap(self) -> Cap | None:
        """The cap in force; None where the log has none."""
        return self.caps[self._in_force] if self._in_force >= 0 else None

    def wrong(self, finding: Finding) -> None:
        self.found += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)

    def arrive(self, position: int) -> None:
        """Bring the caps into force that were set before this position."""
        while self._in_force + 1 < len(self.caps) and self.caps[self._in_force + 1].position <= position:
            self._in_force += 1
            self.is_cut |= self._past_nusd() > 0
            self.most_past_nusd = max(self.most_past_nusd, self._past_nusd())

    def follow(self, placed: Placed) -> None:
        """See that a position is one writer's, and that positions rise with each writer's own numbers."""
        event, position = placed.event, placed.position
        if position == self._position and event.writer_no != self._writer:
            words = f"writers {self._writer} and {event.writer_no} were both at position {position}"
            self.wrong(found_at(placed, words))
        if event.wseq <= self._last_wseq.get(event.writer_no, 0):
            words = f"event {event.wseq} of writer {event.writer_no} is placed behind a later one"
            self.wrong(found_at(placed, words))
        self._position, self._writer = position, event.writer_no
        self._last_wseq[event.writer_no] = event.wseq

    def judge(self, placed: Placed) -> None:
        """Whether a hold that was asked for, and counts already, fits under the cap."""
        cap, asked_nusd = self.cap, placed.event.amount_nusd
        if cap is None or not cap.hard or not asked_nusd or self.total_nusd <= cap.cap_nusd:
            return
        left_nusd = cap.cap_nusd - self.total_nusd + asked_nusd
        passed = f"{usd(asked_nusd)} USD were held where {usd(left_nusd)} of {usd(cap.cap_nusd)} were left"
        after = f"then {usd(self.spent_nusd)} were spent and {usd(self.held_nusd)} held"
        self.wrong(found_at(placed, f"the cap was passed: {passed}; {after}"))

    def peak(self, placed: Placed) -> None:
        """Remember the most that it stood at."""
        self.most_past_nusd = max(self.most_past_nusd, self._past_nusd())
        if self.most_at is None or self.total_nusd > self.most_nusd:
            self.most_nusd, self.most_at = self.total_nusd, placed.event.created_at
            self.most_position = placed.position

    def close(self) -> None:
        """Compare what the events come to with what the window's row has."""
        window, last = self.window, max([self._position, *(cap.position for cap in self.caps)])
        self.arrive(last)
        self._compare("spent are", self.spent_nusd, window.spent_nusd, "the events")
        self._compare("held are", self.held_nusd, window.reserved_nusd, "the events")
        if self.cap is not None:
            self._compare("its cap is", self.cap.cap_nusd, window.cap_nusd, "the administrative log")
            if self.cap.hard != window.hard:
                words = "its cap is hard by one, and soft by the other: the administrative log, and the window's row"
                self.wrong(Finding(words))
        if last != window.position:
            words = f"its last event is at position {last}, and the window's row says {window.position}"
            self.wrong(Finding(words))

    def _past_nusd(self) -> int:
        """How far this is past its cap, if that is hard."""
        return self.total_nusd - self.cap.cap_nusd if self.cap is not None and self.cap.hard else 0

    def _compare(self, what: str, told_nusd: int, stored_nusd: int, by: str) -> None:
        if told_nusd != stored_nusd:
            words = f"{what} {usd(told_nusd)} USD by {by}, and {usd(stored_nusd)} by the window's row"
            self.wrong(Finding(words))
