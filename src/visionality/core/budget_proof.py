"""Whether budgets kept to their caps, told from the audit rows alone (promise B1).

A replay is a fold over the budget events in the order of their positions. Windows begin with their opening; a hold that
begins adds to what is held, one that ends takes it away and adds what it cost to what is spent. Within one position ends
come before begins, and what goes on being held of a hold that ends comes before what is asked for. What was asked for must
then have fitted under the cap in force. A cost beyond its hold is the one way past a cap, and has its `overage`; a cap
that is cut below what is spent and held keeps more from being held, and wrongs nobody.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from visionality.core.budget_account import Account, Cap, Finding, Placed, Window, found_at
from visionality.core.budget_event import Event, event_leaf
from visionality.core.budget_lines import Line, misfits
from visionality.core.money import usd


class Held(NamedTuple):
    """A hold, open in the replay or standing in the database."""

    hold_id: UUID
    request_id: UUID
    windows: tuple[UUID, ...]
    amount_nusd: int


_Key = tuple[UUID, UUID]
"""A hold that waits for an answer is named by that answer's id, which may come again: it is told by its call too."""


class Proof:
    """Windows and what is found about them: by the events, then by what stands now, then by the rows."""

    def __init__(self, windows: Iterable[Window], caps: Mapping[UUID, Sequence[Cap]]) -> None:
        self.accounts = {
            window.window_id: Account(window, caps.get(window.budget_id, ())) for window in windows
        }
        self.events = 0
        self._open: dict[_Key, Held] = {}
        self._expired: dict[_Key, Held] = {}
        """Charged by a reaper, so that what is learned later may come as a difference, once."""

    def replay(self, events: Iterable[Placed]) -> None:
        """Fold the events, which come by (position, writer, the writer's number)."""
        for _, together in groupby(events, key=lambda placed: (placed.position, placed.event.writer_no)):
            moves = (_Move(placed, self._touched(placed.event.windows)) for placed in together)
            self._step([move for move in moves if move.accounts])

    def compare_standing(self, standing: Iterable[Held]) -> None:
        """Compare what is open after the last event with what the database says is."""
        for hold in standing:
            began = self._open.pop(_key(hold), None)
            if began is None:
                self._wrong(hold.windows, _of_hold(hold, "stands, and is not open by the events"))
            elif began != hold:
                words = f"stands, and by its event it is of {usd(began.amount_nusd)}, or in other windows"
                self._wrong((*hold.windows, *began.windows), _of_hold(hold, words))
        for hold in self._open.values():
            self._wrong(hold.windows, _of_hold(hold, "is open by the events, and does not stand"))
        for account in self.accounts.values():
            account.close()

    def compare_rows(self, lines: Iterable[Line]) -> None:
        """Compare what was charged with the rows, whose lines come call by call."""
        for _, lines_of_call in groupby(lines, key=lambda line: (line.request_id, line.writer_no)):
            call = list(lines_of_call)
            windows = [window_id for line in call for window_id in line.windows]
            if self._touched(windows):
                for line, words in misfits(call):
                    whose = Finding(words, line.created_at, line.position, line.hold_id, line.request_id)
                    self._wrong(line.windows or windows, whose)

    def _touched(self, windows: Iterable[UUID]) -> list[Account]:
        return [self.accounts[window_id] for window_id in windows if window_id in self.accounts]

    def _wrong(self, windows: Iterable[UUID], finding: Finding) -> None:
        for account in self._touched(dict.fromkeys(windows)):
            account.wrong(finding)

    def _step(self, step: Sequence["_Move"]) -> None:
        """What one transaction did."""
        for move in step:
            self._look(move)
        ends = [move for move in step if move.event.kind in {"settle", "release", "expire"}]
        for move in ends:
            self._end(move)
        self._explain(step, ends)
        rests, asked = _begun(step, ends)
        for move in rests:
            self._begin(move)
        for move in asked:
            self._begin(move)
            for account in move.accounts:
                account.judge(move.placed)
        for move in step:
            for account in move.accounts:
                account.peak(move.placed)

    def _look(self, move: "_Move") -> None:
        event = move.event
        self.events += 1
        if event_leaf(event) != move.placed.leaf_hash:
            move.wrong(f"the {event.kind} was changed after it was written: its leaf hash is another")
        for account in move.accounts:
            account.arrive(move.placed.position)
            account.follow(move.placed)
            account.denials += event.kind == "deny"

    def _end(self, move: "_Move") -> None:
        event = move.event
        hold = self._open.pop(_key(event), None)
        if hold is None and event.kind == "settle" and event.amount_nusd == 0:
            late = self._expired.pop(_key(event), None)
            hold = late._replace(amount_nusd=0) if late else None
        if hold is None:
            move.wrong(f"the {event.kind} is of a hold that is not open: it never began, or ended before")
        elif hold != _held(event):
            words = f"the {event.kind} ends a hold of {usd(event.amount_nusd)} USD, and what began is one of"
            words += f" {usd(hold.amount_nusd)}, or in other windows"
            self._wrong((*event.windows, *hold.windows), found_at(move.placed, words))
        if event.kind == "expire" and (event.actual_nusd or not event.amount_nusd):
            self._expired[_key(event)] = _held(event)
        for account in move.accounts:
            account.held_nusd -= event.amount_nusd
            account.spent_nusd += event.actual_nusd or 0

    def _explain(self, step: Sequence["_Move"], ends: Sequence["_Move"]) -> None:
        """Match costs beyond their holds with the overages that say so."""
        said = {_key(move.event): move for move in step if move.event.kind == "overage"}
        for move in ends:
            event = move.event
            over_nusd = max((event.actual_nusd or 0) - event.amount_nusd, 0)
            overage = said.pop(_key(event), None)
            if over_nusd != (overage.event.amount_nusd if overage else 0):
                words = (
                    f"{usd(event.actual_nusd or 0)} USD were charged for a hold of {usd(event.amount_nusd)}"
                )
                move.wrong(f"{words}, and no overage says so")
            for account in move.accounts if overage else ():
                account.overages += 1
                account.overage_nusd += over_nusd
        for overage in said.values():
            overage.wrong("an overage is of nothing that was charged")

    def _begin(self, move: "_Move") -> None:
        event = move.event
        if _key(event) in self._open:
            move.wrong("the hold that begins is open already")
        self._open[_key(event)] = _held(event)
        for account in move.accounts:
            account.reserves += 1
            account.held_nusd += event.amount_nusd


class _Move(NamedTuple):
    """An event, with the windows of the proof that it moves."""

    placed: Placed
    accounts: list[Account]

    @property
    def event(self) -> Event:
        return self.placed.event

    def wrong(self, words: str) -> None:
        for account in self.accounts:
            account.wrong(found_at(self.placed, words))


def _begun(step: Sequence[_Move], ends: Sequence[_Move]) -> tuple[list[_Move], list[_Move]]:
    """The holds that only go on, each with an end of the same call that costs at most the difference; and the others."""
    ended: dict[UUID, list[Event]] = {}
    for move in ends:
        ended.setdefault(move.event.request_id, []).append(move.event)
    rests: list[_Move] = []
    asked: list[_Move] = []
    for move in step:
        if move.event.kind == "reserve":
            of_the_call = ended.get(move.event.request_id, [])
            end = next((end for end in of_the_call if _goes_on(end, move.event)), None)
            if end is not None:
                of_the_call.remove(end)
            (asked if end is None else rests).append(move)
    return rests, asked


def _goes_on(end: Event, rest: Event) -> bool:
    room_nusd = end.amount_nusd - (end.actual_nusd or 0)
    return end.windows == rest.windows and rest.amount_nusd <= max(room_nusd, 0)


def _key(one: Event | Held) -> _Key:
    return one.hold_id, one.request_id


def _held(event: Event) -> Held:
    return Held(event.hold_id, event.request_id, tuple(event.windows), event.amount_nusd)


def _of_hold(hold: Held, words: str) -> Finding:
    told = f"a hold of {usd(hold.amount_nusd)} USD {words}"
    return Finding(told, hold_id=hold.hold_id, request_id=hold.request_id)
