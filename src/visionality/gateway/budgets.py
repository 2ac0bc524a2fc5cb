"""The budgets that a call draws on, and what its caller is told when one of them refuses (promise B1).

One list of scopes, the narrowest first, and nobody is outside of it: a budget for each value of a scope (`*`) covers a
name that was never seen before like any other.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from visionality.core.call import Refusal
from visionality.core.row import Row
from visionality.core.window import EVER, bounds, window_id
from visionality.ledger.ids import swift
from visionality.ledger.writer import Denial, Window
from visionality.registry.snapshot import BudgetRecord

BLOCKED = "spend_token_blocked"
EACH = "*"
BUSINESS_UNIT = "business_unit"
REMEMBERED = 10_000
"""Windows, and lists of them, that are kept at hand; there is one for each value where a budget is for each."""

SPEND_TOKEN = "spend_token"  # noqa: S105 -- a kind of scope

_VALUES: dict[str, Callable[[Row], str | None]] = {
    SPEND_TOKEN: attrgetter("spend_token_id"),
    "key": lambda row: str(row.key_id) if row.key_id else None,
    "agent": attrgetter("agent_sub"),
    "person": attrgetter("sso_sub"),
    "task_class": attrgetter("task_class"),
    "model_family": attrgetter("model_family"),
    "team": attrgetter("team_id"),
    "customer": attrgetter("customer_id"),
    "project": attrgetter("project_id"),
    BUSINESS_UNIT: lambda row: (row.tags or {}).get(BUSINESS_UNIT),
    "organisation": lambda _: "",
}
"""The kinds of scope, the narrowest first, and what a row has of each."""

_NOT_NAMED = frozenset({"team", BUSINESS_UNIT, "organisation"})
"""Scopes of which a caller learns the kind only: the key says nothing of them."""


class Draw(NamedTuple):
    """One budget that a call draws on, in the window of the moment."""

    budget: BudgetRecord
    window: Window


class _Drawn(NamedTuple):
    """What calls with the same values draw on between two moments."""

    since: datetime
    until: datetime
    draws: Sequence[Draw]


class Budgets:
    """The live budgets of one organisation at one revision."""

    def __init__(self, org_id: UUID, time_zone: str, live: Iterable[BudgetRecord]) -> None:
        self._org_id = org_id
        self._zone = ZoneInfo(time_zone)
        self._windows: dict[tuple[UUID, str], Window] = {}
        self._drawn: dict[tuple[str | None, ...], _Drawn] = {}
        by_kind: dict[str, dict[str, list[BudgetRecord]]] = {}
        for budget in live:
            by_kind.setdefault(budget.scope_kind, {}).setdefault(budget.scope_value, []).append(budget)
        self._scopes = [(_VALUES[kind], by_kind[kind]) for kind in _VALUES if kind in by_kind]

    def draws(self, row: Row, now: datetime) -> Sequence[Draw]:
        """What the call of this row draws on now; a budget whose scope the row has no value of does not apply."""
        values = (row.spend_token_id, *[value_of(row) for value_of, _ in self._scopes])
        known = self._drawn.get(values)
        if known is not None and known.since <= now < known.until:
            return known.draws
        drawn = [self._own(row.spend_token_id, now)] if row.spend_token_id else []
        for value, (_, budgets) in zip(values[1:], self._scopes, strict=True):
            if value is not None:
                for name in dict.fromkeys((value, EACH)):  # a client may call its model `*`
                    drawn += [
                        Draw(budget, self._window(budget, value, now)) for budget in budgets.get(name, ())
                    ]
        since = max((draw.window.starts_at for draw in drawn), default=EVER[0])
        until = min((draw.window.ends_at for draw in drawn), default=EVER[1])
        if len(self._drawn) >= REMEMBERED:
            self._drawn.clear()
        self._drawn[values] = _Drawn(since, until, drawn)
        return drawn

    def _own(self, token_id: str, now: datetime) -> Draw:
        """The hard limit of a spend token: its window was made with it, and holds its cap."""
        budget = BudgetRecord(
            UUID(token_id), SPEND_TOKEN, token_id, "total", 0, True, (), "refuse", None, EVER[0]
        )
        return Draw(budget, self._window(budget, token_id, now))

    def refusal(self, draws: Sequence[Draw], denial: Denial) -> Refusal:
        """What the caller is told: which budget, until when, and no sum of anybody's."""
        refusing = next((draw for draw in draws if draw.window.window_id == denial.window_id), None)
        if refusing is None:
            return Refusal(402, BLOCKED, "a budget that this call draws on has not enough left for it")
        budget, window = refusing
        kind = budget.scope_kind
        value = "" if kind in _NOT_NAMED else window.scope_value
        scope = f"{kind.replace('_', ' ')} {value}".rstrip()
        if budget.period == "total":
            told = f"the budget of this {scope} has not enough left for this call: it must be raised"
            return Refusal(
                402, BLOCKED, told, tags={"blocked_by": _spelled(budget, window)}, headers=(_by(kind),)
            )
        resets = window.ends_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
        told = f"the budget of this {scope} for the {budget.period} has not enough left for this call: the next {budget.period} begins at {resets}"
        headers = (_by(kind), (b"x-vis-budget-resets", resets.encode()))
        return Refusal(402, BLOCKED, told, tags={"blocked_by": _spelled(budget, window)}, headers=headers)

    def _window(self, budget: BudgetRecord, value: str, now: datetime) -> Window:
        found = self._windows.get((budget.budget_id, value))
        if found is not None and found.starts_at <= now < found.ends_at:
            return found
        starts_at, ends_at = bounds(budget.period, self._zone, now)
        named = swift(window_id(budget.budget_id, starts_at, value))
        if len(self._windows) >= REMEMBERED:
            self._windows.clear()
        made = Window(self._org_id, named, budget.budget_id, value, starts_at, ends_at)
        self._windows[budget.budget_id, value] = made
        return made


def _spelled(budget: BudgetRecord, window: Window) -> str:
    """The scope as an operator writes it."""
    return f"{budget.scope_kind}:{window.scope_value}".rstrip(":")


def _by(kind: str) -> tuple[bytes, bytes]:
    return b"x-vis-blocked-by", kind.encode()
