"""Lawful lives of a few windows, made without a database: what gateways would have written, in the order they did."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st
from msgspec.structs import replace

from visionality.core.budget_account import Cap, Placed, Window
from visionality.core.budget_event import Event, event_leaf
from visionality.core.budget_lines import Line
from visionality.core.budget_proof import Held, Proof

ORG = UUID(int=7)
START = datetime(2026, 11, 1, tzinfo=UTC)
BUDGETS = (UUID(int=100), UUID(int=200))
WINDOWS = {UUID(int=101): BUDGETS[0], UUID(int=102): BUDGETS[0], UUID(int=201): BUDGETS[1]}
"""The first budget has two windows."""
OPENINGS = {UUID(int=101): 50}
WRITERS = (1, 2)
REAPER = 9


def placed(event: Event, position: int) -> Placed:
    return Placed(event, event_leaf(event), position)


@dataclass
class Open:
    """A hold that stands."""

    held: Held
    is_rest: bool = False


@dataclass
class History:
    """What the tables would hold. Positions are global here, which is one of the orders that windows allow."""

    events: list[Placed] = field(default_factory=list)
    caps: dict[UUID, list[Cap]] = field(default_factory=dict)
    windows: dict[UUID, Window] = field(default_factory=dict)
    standing: list[Held] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def proof(self) -> Proof:
        proof = Proof(self.windows.values(), self.caps)
        proof.replay(sorted(self.events, key=lambda one: (one.position, one.event.writer_no, one.event.wseq)))
        proof.compare_standing(self.standing)
        proof.compare_rows(
            sorted(self.lines, key=lambda line: (line.request_id, line.writer_no, line.is_row, line.wseq))
        )
        return proof

    def findings(self) -> list[str]:
        return [finding.words for account in self.proof().accounts.values() for finding in account.findings]


class Maker:
    """Plays gateways and a reaper that keep every rule."""

    def __init__(self, caps: list[tuple[int, bool]]) -> None:
        self.history = History()
        self.spent = {window_id: OPENINGS.get(window_id, 0) for window_id in WINDOWS}
        self.open: dict[UUID, Open] = {}
        self.expired: list[Held] = []
        self.position = 0
        self.ids = 1_000
        self.event_seq = dict.fromkeys((*WRITERS, REAPER), 0)
        self.row_seq = dict.fromkeys((*WRITERS, REAPER), 0)
        self.moved = dict.fromkeys(WINDOWS, 0)
        for budget_id, (cap_nusd, hard) in zip(BUDGETS, caps, strict=True):
            opened = {
                window_id: nusd for window_id, nusd in OPENINGS.items() if WINDOWS[window_id] == budget_id
            }
            self.history.caps[budget_id] = [Cap(0, cap_nusd, hard, opened, is_intact=True)]

    def new_id(self) -> UUID:
        self.ids += 1
        return UUID(int=self.ids)

    def cap(self, budget: int, cap_nusd: int, hard: bool) -> None:
        self.position += 1
        budget_id = BUDGETS[budget]
        self.history.caps[budget_id].append(Cap(self.position, cap_nusd, hard, {}, is_intact=True))
        for window_id in (one for one in WINDOWS if WINDOWS[one] == budget_id):
            self.moved[window_id] = self.position

    def transaction(self, writer: int, asks, ends, late: int | None) -> None:
        """Ends of what stood before, each with what goes on of it, and then what is asked for."""
        self.position += 1
        standing = list(self.open.values())
        for pick, kind, percent, goes_on in ends[: len(standing)]:
            self.end(writer, standing.pop(pick % len(standing)), kind, percent, goes_on)
        if late is not None and self.expired:
            self.come_late(writer, self.expired.pop(late % len(self.expired)), late)
        for windows, amount_nusd in asks:
            self.ask(writer, windows, amount_nusd)

    def ask(self, writer: int, windows: tuple[UUID, ...], amount_nusd: int) -> None:
        hold = Held(self.new_id(), self.new_id(), windows, amount_nusd)
        fits = all(self.left(window_id) >= amount_nusd for window_id in windows)
        self.append(writer, "reserve" if fits else "deny", hold, amount_nusd, None)
        if fits:
            self.open[hold.hold_id] = Open(hold)

    def end(self, writer: int, hold: Open, kind: str, percent: int | None, goes_on: bool) -> None:
        if hold.is_rest or kind == "expire":
            self.expire(hold)
            return
        self.open.pop(hold.held.hold_id)
        if kind == "release":
            self.append(writer, "release", hold.held, hold.held.amount_nusd, None)
            return
        cost_nusd = hold.held.amount_nusd * (percent or 0) // 100
        rest_nusd = hold.held.amount_nusd - cost_nusd
        rest = None
        if goes_on and rest_nusd > 0:
            rest = hold.held._replace(hold_id=self.new_id(), amount_nusd=rest_nusd)
            self.append(writer, "reserve", rest, rest_nusd, None)
            self.open[rest.hold_id] = Open(rest, is_rest=percent is not None)
        charged_nusd = cost_nusd
        if percent is None:
            charged_nusd = hold.held.amount_nusd - (rest.amount_nusd if rest else 0)
        self.charge(writer, "settle", hold.held, hold.held.amount_nusd, charged_nusd)
        self.row(writer, hold.held, cost_nusd, "unknown" if percent is None else "known")

    def expire(self, hold: Open) -> None:
        """In a transaction of the reaper's own."""
        self.position += 1
        self.open.pop(hold.held.hold_id)
        charged_nusd = 0 if hold.is_rest else hold.held.amount_nusd
        self.charge(REAPER, "expire", hold.held, hold.held.amount_nusd, charged_nusd)
        if not hold.is_rest:
            self.row(REAPER, hold.held, charged_nusd, "known")
            self.expired.append(hold.held)
        self.position += 1

    def come_late(self, writer: int, hold: Held, late: int) -> None:
        difference_nusd = late * 10 - hold.amount_nusd
        self.charge(writer, "settle", hold, 0, difference_nusd)
        self.row(writer, hold, difference_nusd, "known")

    def charge(self, writer: int, kind: str, hold: Held, amount_nusd: int, charged_nusd: int) -> None:
        self.append(writer, kind, hold, amount_nusd, charged_nusd)
        if charged_nusd > amount_nusd:
            self.append(writer, "overage", hold, charged_nusd - amount_nusd, None)
        for window_id in hold.windows:
            self.spent[window_id] += charged_nusd

    def held(self, window_id: UUID) -> int:
        return sum(one.held.amount_nusd for one in self.open.values() if window_id in one.held.windows)

    def left(self, window_id: UUID) -> float:
        cap = self.history.caps[WINDOWS[window_id]][-1]
        return cap.cap_nusd - self.spent[window_id] - self.held(window_id) if cap.hard else float("inf")

    def append(self, writer: int, kind: str, hold: Held, amount_nusd: int, actual_nusd: int | None) -> None:
        self.event_seq[writer] += 1
        at = START + timedelta(seconds=self.position)
        whose = (ORG, at, self.new_id(), writer, self.event_seq[writer], kind, hold.hold_id, hold.request_id)
        event = Event(*whose, list(hold.windows), amount_nusd, actual_nusd, None)
        self.history.events.append(placed(event, self.position))
        for window_id in hold.windows:
            self.moved[window_id] = self.position

    def row(self, writer: int, hold: Held, cost_nusd: int, price_state: str) -> None:
        self.row_seq[writer] += 1
        at = START + timedelta(seconds=self.position)
        whose = (hold.request_id, writer, True, self.row_seq[writer], price_state, at)
        self.history.lines.append(Line(*whose, cost_nusd, None, None, None, ()))

    def done(self) -> History:
        history = self.history
        for window_id, budget_id in WINDOWS.items():
            cap = history.caps[budget_id][-1]
            last = max(self.moved[window_id], cap.position)
            begins = (window_id, budget_id, "", START, START + timedelta(days=30), cap.cap_nusd, cap.hard)
            sums = (OPENINGS.get(window_id, 0), self.spent[window_id], self.held(window_id))
            history.windows[window_id] = Window(*begins, *sums, last)
        history.standing = [one.held for one in self.open.values()]
        history.lines += [
            line_of(one) for one in history.events if one.event.kind in {"reserve", "settle", "expire"}
        ]
        return history


def line_of(one: Placed) -> Line:
    event = one.event
    whose = (event.request_id, event.writer_no, False, event.wseq, event.kind, event.created_at)
    return Line(*whose, event.amount_nusd, event.actual_nusd, one.position, event.hold_id, event.windows)


def changed(history: History, at: int, *, rehash: bool = True, **columns: object) -> None:
    """Put another event in the place of one, in both streams; with the leaf that it should have, or with the old one."""
    old = history.events[at]
    event = replace(old.event, **columns)
    history.events[at] = Placed(event, event_leaf(event) if rehash else old.leaf_hash, old.position)
    history.lines = [
        line_of(history.events[at]) if not line.is_row and line == line_of(old) else line
        for line in history.lines
    ]


_windows = st.lists(st.sampled_from(list(WINDOWS)), min_size=1, max_size=3, unique=True).map(tuple)
_asks = st.lists(st.tuples(_windows, st.integers(0, 400)), max_size=3)
_ends = st.lists(
    st.tuples(
        *(st.integers(0, 9), st.sampled_from(["settle", "settle", "settle", "release", "expire"])),
        *(st.sampled_from([0, 40, 100, 130, None]), st.booleans()),
    ),
    max_size=3,
)
_late = st.none() | st.integers(0, 60)
_caps = st.tuples(st.integers(0, 1_500), st.booleans() | st.just(True))
_steps = st.lists(
    st.tuples(st.just("cap"), st.integers(0, 1), _caps)
    | st.tuples(st.sampled_from(WRITERS), _asks, _ends, _late),
    max_size=12,
)


def made(caps, steps) -> History:
    maker = Maker(list(caps))
    for step in steps:
        if step[0] == "cap":
            maker.cap(step[1], *step[2])
        else:
            maker.transaction(*step)
    return maker.done()


histories = st.builds(made, st.tuples(_caps, _caps), _steps)
