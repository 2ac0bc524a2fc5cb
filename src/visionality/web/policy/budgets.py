"""Budgets: set, removed, and what they stand at.

A budget keeps its id and its windows when it is edited, so what was spent still counts. One that is made in the middle of
a period begins with what the rows of the period cost. Run inside `web.start.organisation_context`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from django.db import connection
from django.db.models import QuerySet

from visionality.core.money import usd
from visionality.core.scope import KINDS, Scope
from visionality.core.window import PERIODS, Period, bounds, window_id
from visionality.ledger.administration import move_cap, open_budget, open_window
from visionality.ledger.batch import Window
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.web.policy.acts import Act, Unknown, alone, told
from visionality.web.policy.models import Budget
from visionality.web.policy.scopes import Warnings, checked

_SQL = statements("visionality.web.policy", "budgets.sql")


class Terms(TypedDict, total=False):
    """What is said of a budget beside its cap; what is left out stays as it was."""

    hard: bool
    soft: list[int]
    near_cap: Literal["refuse", "clamp"]
    ceiling_nusd: int | None


@dataclass(frozen=True, slots=True)
class Opening:
    """What each value of a scope has spent in the period of the moment, from the rows; none that spent nothing."""

    starts_at: datetime
    ends_at: datetime
    spent_nusd: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Balance:
    """One window: what a value of the scope has spent in the period and what its open calls hold, in nano-USD."""

    value: str
    spent_nusd: int
    held_nusd: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in the period of the moment. Balances come with the greatest first; for each value where it is for each."""

    budget_id: UUID
    scope: Scope
    period: Period
    cap_nusd: int
    hard: bool
    soft: tuple[int, ...]
    near_cap: str
    ceiling_nusd: int | None
    starts_at: datetime
    ends_at: datetime
    """In the organisation's time zone."""
    balances: tuple[Balance, ...]

    def left_nusd(self, balance: Balance) -> int:
        """What may still be held; below zero after a cap was cut."""
        return self.cap_nusd - balance.spent_nusd - balance.held_nusd


def set_budget(
    act: Act, scope: Scope, period: Period, cap_nusd: int, terms: Terms
) -> tuple[Standing, Warnings]:
    """Make a budget, or edit the one that there is for this scope and period. In force at once.

    Raises Unknown for a scope that names nothing.
    """
    scope, warnings = checked(act, scope)
    zone = ZoneInfo(alone(act).time_zone)
    budget = _live(act).filter(scope_kind=scope.kind, scope_value=scope.value, period=period).first()
    if budget is None:
        named = {"scope_kind": scope.kind, "scope_value": scope.value, "period": period}
        budget = Budget(org_id=act.org_id, cap_nusd=cap_nusd, **named, **{"hard": False, **terms})
        begin(act, budget, _opening(act, zone, budget))
        warnings += _others(act, budget)
    else:
        before = _terms(budget)
        budget.cap_nusd = cap_nusd
        for name, value in terms.items():
            setattr(budget, name, value)
        budget.save()
        with connection.cursor() as cursor:
            position = move_cap(cursor, act.org_id, budget.id, cap_nusd, hard=budget.hard)
        _record(act, budget, position, {}, before)
    return _standings(act, zone, [budget])[0], warnings


def remove_budget(act: Act, scope: Scope, period: Period | None) -> Standing:
    """Retire a budget; nothing is refused or counted for it any more. The period is needed where there are several.

    Raises Unknown.
    """
    zone = ZoneInfo(alone(act).time_zone)
    live = _live(act).filter(scope_kind=scope.kind, scope_value=scope.value)
    found = list(live.filter(period=period) if period else live)
    if not found:
        raise Unknown(
            f"there is no budget of {scope}{f' a {period}' if period else ''}: `vis budget list` shows them"
        )
    if len(found) > 1:
        periods = " or ".join(sorted(one.period for one in found))
        raise Unknown(f"there are {len(found)} budgets of {scope}: say which with --period {periods}")
    (standing,) = _standings(act, zone, found)
    retire(act, found[0])
    return standing


def standings(act: Act) -> list[Standing]:
    """Every live budget, the organisation's first, then by kind, value and period."""
    budgets = list(_live(act).select_related("org"))
    if not budgets:
        return []
    return sorted(_standings(act, ZoneInfo(budgets[0].org.time_zone), budgets), key=_place)


def access_standing(act: Act, budget_id: UUID) -> Standing:
    """One live budget. Raises Unknown."""
    budget = _live(act).select_related("org").filter(id=budget_id).first()
    if budget is None:
        raise Unknown(f"there is no budget {budget_id}: `vis budget list --json` shows them")
    return _standings(act, ZoneInfo(budget.org.time_zone), [budget])[0]


def _place(standing: Standing) -> tuple[int, str, int]:
    kind, value = standing.scope
    return KINDS.index(kind), value, PERIODS.index(standing.period)


def begin(act: Act, budget: Budget, opening: Opening) -> None:
    """A new budget. Its windows of this period open with what their rows cost already."""
    budget.save(force_insert=True)
    opened: dict[str, int] = {}
    with connection.cursor() as cursor:
        open_budget(cursor, act.org_id, budget.id, budget.cap_nusd, hard=budget.hard)
        for value, spent_nusd in opening.spent_nusd.items():
            named = window_id(budget.id, opening.starts_at, value)
            window = Window(act.org_id, named, budget.id, value, opening.starts_at, opening.ends_at)
            open_window(cursor, window, spent_nusd)
            opened[str(named)] = spent_nusd
    _record(act, budget, 0, opened, {})


def openings(act: Act, zone: ZoneInfo) -> list[tuple[Budget, Opening]]:
    """Every budget of the calendar, with what was spent in the period that this moment lies in by this zone."""
    return [(budget, _opening(act, zone, budget)) for budget in _live(act).exclude(period="total")]


def begin_again(act: Act, budget: Budget, opening: Opening) -> None:
    """Replace a budget by one like it, whose periods begin at other moments."""
    retire(act, budget)
    budget.id, budget.retired_at = uuid7(), None
    begin(act, budget, opening)


def retire(act: Act, budget: Budget) -> None:
    budget.retired_at = act.now
    budget.save(update_fields=["retired_at"])
    detail = {"budget_id": str(budget.id), "scope": str(_scope(budget)), "period": budget.period}
    act.record("budget_removed", told(_terms(budget), detail))


def _live(act: Act) -> QuerySet[Budget]:
    return Budget.objects.filter(org_id=act.org_id, retired_at=None)


def _others(act: Act, budget: Budget) -> Warnings:
    """That the scope has budgets for other periods, which go on."""
    same = _live(act).filter(scope_kind=budget.scope_kind, scope_value=budget.scope_value)
    return [
        f"{_scope(budget)} has another budget, {usd(other.cap_nusd)} USD for the {other.period}, and both count"
        for other in same.exclude(pk=budget.pk)
    ]


def _scope(budget: Budget) -> Scope:
    return Scope(budget.scope_kind, budget.scope_value)


def _opening(act: Act, zone: ZoneInfo, budget: Budget) -> Opening:
    starts_at, ends_at = bounds(cast("Period", budget.period), zone, act.now)
    is_project = budget.scope_kind == "project" and not _scope(budget).is_each
    asked: dict[str, Any] = {
        "org_id": act.org_id,
        "kind": budget.scope_kind,
        "value": budget.scope_value,
        "project_id": budget.scope_value if is_project else None,
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL["spent"], asked)
        return Opening(starts_at, ends_at, dict(cursor.fetchall()))


def _record(
    act: Act, budget: Budget, position: int, opened: dict[str, int], before: Mapping[str, str]
) -> None:
    detail = {
        "budget_id": str(budget.id),
        "scope": str(_scope(budget)),
        "period": budget.period,
        **_terms(budget),
        "position": str(position),
        "opening_nusd": str(sum(opened.values())),
        "openings": msgspec.json.encode(opened, order="sorted").decode(),
    }
    act.record("budget_set", told(before, detail))


def _terms(budget: Budget) -> dict[str, str]:
    return {
        "cap_nusd": str(budget.cap_nusd),
        "hard": str(budget.hard).lower(),
        "soft": " ".join(f"{percent}%" for percent in budget.soft),
        "near_cap": budget.near_cap,
        "ceiling_nusd": "" if budget.ceiling_nusd is None else str(budget.ceiling_nusd),
    }


def _standings(act: Act, zone: ZoneInfo, budgets: Iterable[Budget]) -> list[Standing]:
    balances: dict[UUID, list[Balance]] = {budget.id: [] for budget in budgets}
    with connection.cursor() as cursor:
        cursor.execute(_SQL["standing"], {"org_id": act.org_id, "budgets": list(balances), "now": act.now})
        for budget_id, value, spent_nusd, held_nusd in cursor.fetchall():
            balances[budget_id].append(Balance(value, spent_nusd, held_nusd))
    return [_standing(act, zone, budget, balances[budget.id]) for budget in budgets]


def _standing(act: Act, zone: ZoneInfo, budget: Budget, balances: list[Balance]) -> Standing:
    scope, period = _scope(budget), cast("Period", budget.period)
    starts_at, ends_at = bounds(period, zone, act.now)
    return Standing(
        budget.id,
        scope,
        period,
        budget.cap_nusd,
        budget.hard,
        tuple(budget.soft),
        budget.near_cap,
        budget.ceiling_nusd,
        starts_at.astimezone(zone),
        ends_at.astimezone(zone),
        tuple(balances or ([] if scope.is_each else [Balance(scope.value, 0, 0)])),
    )
