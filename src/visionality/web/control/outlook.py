"""Where a budget's window goes: the curve of what was spent, its forecast, and who drives it.

Days are UTC days of the rollup (ledger/sums.py). The last point of the curve is the window's own sum, to the nano-dollar;
the days before it are that sum less what came after them. The alert of `jobs/burn.py` counts in the organisation's own
days, so its forecast may differ a little where that is not UTC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from visionality.core.burn import METHOD, Driver, drivers, forecast
from visionality.core.burn import Burn as Forecast
from visionality.core.scope import ORGANISATION, Scope
from visionality.ledger.sums import Dim, Sum, daily, sums_by
from visionality.web.charts.burn import Burn, Outlook, burn
from visionality.web.plane import plane
from visionality.web.policy.budgets import Balance, Standing
from visionality.web.seats.figures import Amount, amount, cents, percent
from visionality.web.seats.remembered import Remembered

BEFORE = timedelta(weeks=8)
"""How far before a window a forecast looks."""
_LONGEST = 100
"""Days of a window that is drawn."""
_DAY = timedelta(days=1)
_UTC = ZoneInfo("UTC")
CURRENCY = "USD"

_DIMS: Mapping[str, Dim] = {
    "organisation": "all",
    "project": "project",
    "customer": "customer",
    "team": "team",
    "person": "person",
    "agent": "agent",
    "task_class": "task_class",
    "model_family": "model",
    "key": "key",
}
"""The rollup's dimension of a kind of scope."""
_DRIVERS: Mapping[str, Sequence[tuple[str, Dim]]] = {
    "organisation": (("agent_sub", "agent"), ("model_used", "model"), ("task_class", "task_class")),
    "project": (
        ("agent_sub", "project_agent"),
        ("model_used", "project_model"),
        ("task_class", "project_task_class"),
    ),
    "agent": (("model_used", "agent_model"), ("task_class", "agent_task_class")),
}
_WORDS = {"agent_sub": "Agent", "model_used": "Model", "task_class": "Kind of work"}
_SELECTORS = {"agent_sub": "agent", "model_used": "instead_of", "task_class": "task_class"}


@dataclass(frozen=True, slots=True)
class _Days:
    spent: dict[date, int]
    is_simulated: bool


_kept: Remembered[_Days] = Remembered(least=20, times=50)
_kept_drivers: Remembered[Sequence[Driver]] = Remembered(least=20, times=50)


@dataclass(frozen=True, slots=True)
class Driven:
    """A line of the table of drivers."""

    kind: str
    value: str
    spent: Amount
    before: Amount
    share: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a budget's page says of its course. `selectors` are those of a hint for whoever drives it most."""

    chart: Burn
    likely: Amount | None
    low: Amount | None
    high: Amount | None
    reached_on: date | None
    elapsed: int
    is_hot: bool
    method: str
    drivers: list[Driven]
    selectors: dict[str, str]


def outlook(
    connection: psycopg.Connection[Any], org_id: UUID, standing: Standing, balance: Balance, now: datetime
) -> Told | None:
    """None where the window is no stretch of days, or the rollup does not know its kind."""
    chart = curve(connection, org_id, standing, balance, now)
    if chart is None:
        return None
    course, burnt, is_simulated = chart
    question = (org_id, standing.budget_id, balance.value)
    found = _kept_drivers.get(
        question,
        lambda: driven_by(connection, org_id, standing, balance, now, is_simulated=is_simulated),
    )
    return Told(
        chart=course,
        likely=cents(burnt.forecast_nusd),
        low=cents(burnt.low_nusd),
        high=cents(burnt.high_nusd),
        reached_on=burnt.reached_on,
        elapsed=burnt.elapsed_percent,
        is_hot=burnt.is_hot,
        method=METHOD,
        drivers=[_driven(one) for one in found],
        selectors=selectors(
            Scope(standing.scope.kind, balance.value), [(one.dimension, one.value) for one in found]
        ),
    )


def curve(
    connection: psycopg.Connection[Any], org_id: UUID, standing: Standing, balance: Balance, now: datetime
) -> tuple[Burn, Forecast, bool] | None:
    """The drawing of a window, its forecast, and whether only the simulated provider answered."""
    first, after = standing.starts_at.astimezone(UTC).date(), standing.ends_at.astimezone(UTC)
    days = (after - standing.starts_at) // _DAY
    dim = _DIMS.get(standing.scope.kind)
    if dim is None or not 1 < days <= _LONGEST:
        return None
    question = (org_id, standing.scope.kind, balance.value, first)
    known = _kept.get(question, lambda: _spent(connection, org_id, dim, balance.value, first, now))
    burnt = forecast(
        starts_at=standing.starts_at,
        ends_at=standing.ends_at,
        now=now,
        zone=_UTC,
        cap_nusd=standing.cap_nusd,
        spent_nusd=balance.spent_nusd,
        daily=known.spent,
    )
    assert burnt is not None  # a window of so few days has an end
    window = _utc_days(standing.starts_at, standing.ends_at)
    sums_nusd, passed = [], balance.spent_nusd
    for day in reversed([one for one in window if one <= now.date()]):
        sums_nusd.append(max(0, passed))
        passed -= known.spent.get(day, 0)
    labels = [f"{day.day} {day:%b}" if place % 7 == 0 else "" for place, day in enumerate(window)]
    said = (
        f"{standing.scope}: {cents(balance.spent_nusd)} of {cents(standing.cap_nusd)} USD spent, "
        f"likely {cents(burnt.forecast_nusd)} at the end, between {cents(burnt.low_nusd)} and {cents(burnt.high_nusd)}"
    )
    likely = Outlook(burnt.forecast_nusd, burnt.low_nusd, burnt.high_nusd)
    return burn(said, sums_nusd[::-1], labels, standing.cap_nusd, likely), burnt, known.is_simulated


def _utc_days(starts_at: datetime, ends_at: datetime) -> list[date]:
    """The UTC days that a window has a part of: a month of another zone, or one that loses an hour, has more than it has days."""
    first, last = (moment.astimezone(UTC).date() for moment in (starts_at, ends_at - timedelta.resolution))
    return [first + _DAY * number for number in range((last - first).days + 1)]


def selectors(scope: Scope, driven_by: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What a hint against the first driver of each dimension is for; nothing where nobody is named."""
    found = {"project": scope.value} if scope.kind == "project" else {}
    for dimension, value in driven_by:
        name = _SELECTORS.get(dimension)
        if name and value and value != "none":
            found.setdefault(name, value)
    if scope.kind == "agent":
        found["agent"] = scope.value
    return found if len(found) > (scope.kind == "project") else {}


def _spent(
    connection: psycopg.Connection[Any], org_id: UUID, dim: Dim, value: str, first: date, now: datetime
) -> _Days:
    """What each day spent, of the window and of the weeks before it.

    What the simulated provider answered counts where nobody else answered anything, as on a first day.
    """
    found = _Days({}, is_simulated=False)
    for simulated in (False, True) if plane().sandbox else (False,):
        lines = daily(
            connection,
            org_id,
            dim,
            first - BEFORE,
            now.date() + _DAY,
            keys=None if dim in ("all", "model") else [value],
            keys2=[value] if dim == "model" else None,
            simulated=simulated,
        )
        spent: dict[date, int] = {}
        for line in lines:
            if line.day is not None and line.currency == CURRENCY:
                spent[line.day] = spent.get(line.day, 0) + line.cost_nusd
        found = _Days(spent, simulated)
        if spent:
            break
    return found


def driven_by(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    standing: Standing,
    balance: Balance,
    now: datetime,
    *,
    is_simulated: bool,
) -> Sequence[Driver]:
    """Who spent it, against the same stretch of the period before."""
    first, today = standing.starts_at.astimezone(UTC).date(), now.date()
    length = _DAY * ((standing.ends_at - standing.starts_at) // _DAY)
    keys = None if standing.scope.kind == ORGANISATION else [balance.value]
    wanted = dict(_DRIVERS.get(standing.scope.kind, ()))
    if not wanted:
        return ()
    gone = today + _DAY - first
    spend: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in wanted}
    for is_now, start in ((True, first), (False, first - length)):
        found = sums_by(
            connection,
            org_id,
            [*wanted.values()],
            start,
            min(start + gone, start + length),
            keys=keys,
            simulated=is_simulated,
        )
        for name, dim in wanted.items():
            for line in found[dim]:
                if line.currency == CURRENCY:
                    spent, before = spend[name].get(value := _name(line, dim), (0, 0))
                    moved = (line.cost_nusd * is_now, line.cost_nusd * (not is_now))
                    spend[name][value] = (spent + moved[0], before + moved[1])
    return drivers(spend)


def _name(line: Sum, dim: Dim) -> str:
    """The part of a key that names the driver."""
    return ((line.key2 if "_" in dim and dim != "task_class" else line.key) or "") or "none"


def _driven(one: Driver) -> Driven:
    return Driven(
        _WORDS[one.dimension],
        one.value,
        amount(one.spent_nusd),
        amount(one.before_nusd),
        percent(one.share_percent, 100),
    )
