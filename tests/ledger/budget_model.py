"""Budgets as a person would count them: what is told here is what the ledger must have done.

The ledger says in which order things happened to a window (`position`). Given that order and what the callers wanted, the
model says which holds may stand and what each window then stands at. It shares no code with the product.
"""

from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from msgspec.structs import replace

from visionality.ledger.batch import Hold

Key = tuple[UUID, UUID]
"""(hold_id, request_id): the hold of an answer that was begun has that answer's id, which may come again."""


@dataclass
class Window:
    budget_id: UUID
    spent_nusd: int = 0
    held: dict[Key, int] = field(default_factory=dict)

    @property
    def held_nusd(self) -> int:
        return sum(self.held.values())


@dataclass
class Budget:
    """Its caps, each with the position since which it is in force."""

    caps: list[tuple[int, int, bool]]

    def at(self, position) -> tuple[int, bool]:
        """(cap, hard)"""
        return max((cap for cap in self.caps if cap[0] <= position), key=lambda cap: cap[0])[1:]

    @property
    def now(self) -> tuple[int, bool]:
        return max(self.caps, key=lambda cap: cap[0])[1:]


@dataclass(eq=False)
class Ending:
    """What somebody wants to become of a hold. `cost_nusd` None: nobody knows it."""

    kind: str
    cost_nusd: int | None = 0
    rest: Hold | None = None

    def charge(self, hold: Hold, *, late: bool) -> int | None:
        if self.kind == "release":
            return None
        if self.cost_nusd is not None:
            return self.cost_nusd - (hold.amount_nusd if late else 0)
        still = self.rest.amount_nusd if self.rest else 0
        counts = hold.amount_nusd - still if hold.windows else 0
        return counts - (hold.amount_nusd if late else 0)


def key_of(event) -> Key:
    return event["hold_id"], event["request_id"]


def _in_order(event):
    """By position. Holds in no window have none; a hold begins before it ends, so their times will do."""
    when = event["position"] or event["created_at"].timestamp()
    return event["position"] is not None, when, event["writer_no"], event["wseq"]


@dataclass
class Model:
    budgets: dict[UUID, Budget] = field(default_factory=dict)
    windows: dict[UUID, Window] = field(default_factory=dict)
    asked: dict[UUID, Hold] = field(default_factory=dict)
    endings: dict[Key, list[Ending]] = field(default_factory=dict)
    holds: dict[Key, Hold] = field(default_factory=dict)
    """Those that stand."""
    expired: dict[Key, Hold] = field(default_factory=dict)
    """Calls that the reaper charged, and nobody has written up since."""
    answers: dict[UUID, str] = field(default_factory=dict)
    """What became of a hold that was asked for: `reserve` or `deny`."""

    def wanted(self, hold: Hold, ending: Ending) -> None:
        """Somebody is about to end this hold so."""
        self.endings.setdefault((hold.hold_id, hold.request_id), []).append(ending)

    def apply(self, events) -> None:
        """Take the events of a step, and fail where one of them should have been another."""
        for _, together in groupby(sorted(events, key=_in_order), key=lambda event: _in_order(event)[:3]):
            self._transaction(list(together))

    def _transaction(self, events) -> None:
        begins = [event for event in events if event["kind"] in {"reserve", "deny"}]
        going_on = {event["request_id"] for event in begins if event["hold_id"] not in self.asked}
        rests, over = [], []
        for event in events:
            if event["kind"] in {"settle", "release", "expire"}:
                self._end(event, rests, over, goes_on=event["request_id"] in going_on)
        said = [(event["hold_id"], event["amount_nusd"]) for event in events if event["kind"] == "overage"]
        assert sorted(said) == sorted(over), "an overage says exactly what was beyond a hold"
        for event in [event for event in begins if event["hold_id"] not in self.asked]:
            begins.remove(event)
            rest = next(rest for rest in rests if rest.request_id == event["request_id"])
            rests.remove(rest)
            assert (event["kind"], event["amount_nusd"]) == ("reserve", rest.amount_nusd)
            self._stand(event, rest)
        assert not rests, "what goes on being held is held"
        for event in begins:
            self._answer(event)

    def _end(self, event, rests, over, *, goes_on) -> None:
        hold = self.holds.pop(key_of(event), None)
        late = hold is None
        if late:
            hold = self.expired.pop(key_of(event))
            assert event["kind"] == "settle", "only a settlement comes late"
        elif event["kind"] == "expire":
            charged = hold.amount_nusd if hold.draft else 0
            self.endings.setdefault(key_of(event), []).append(Ending("expire", charged))
            if hold.draft:
                self.expired[key_of(event)] = hold
        assert event["amount_nusd"] == (0 if late else hold.amount_nusd)
        wanted = [
            ending
            for ending in self.endings[key_of(event)]
            if ending.kind == event["kind"]
            and ending.charge(hold, late=late) == event["actual_nusd"]
            and (ending.rest is not None) == goes_on
        ]
        assert wanted, "what was charged is what somebody wanted to be charged"
        ending = wanted[-1]
        self.endings[key_of(event)].remove(ending)
        if ending.rest is not None:
            rests.append(ending.rest)
        charged = event["actual_nusd"] or 0
        if hold.windows and charged > event["amount_nusd"]:
            over.append((event["hold_id"], charged - event["amount_nusd"]))
        for window_id in hold.windows:
            self.windows[window_id].held.pop(key_of(event), None)
            self.windows[window_id].spent_nusd += charged

    def _answer(self, event) -> None:
        hold = self.asked[event["hold_id"]]
        assert (event["amount_nusd"], tuple(event["windows"])) == (hold.amount_nusd, tuple(hold.windows))
        self.answers[event["hold_id"]] = event["kind"]
        fits = all(self._left(window_id, event["position"]) >= hold.amount_nusd for window_id in hold.windows)
        assert event["kind"] == ("reserve" if fits else "deny")
        if fits:
            self._stand(event, hold)

    def _left(self, window_id, position):
        window = self.windows[window_id]
        cap_nusd, hard = self.budgets[window.budget_id].at(position)
        return cap_nusd - window.spent_nusd - window.held_nusd if hard else float("inf")

    def _stand(self, event, hold) -> None:
        assert key_of(event) not in self.holds
        self.holds[key_of(event)] = replace(hold, hold_id=event["hold_id"])
        for window_id in hold.windows:
            self.windows[window_id].held[key_of(event)] = hold.amount_nusd
