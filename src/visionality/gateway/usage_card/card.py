"""A usage card as a value: what is said of one scope in one window, in what the customer is billed."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from visionality.core.burn import Burn, forecast
from visionality.core.money import usd
from visionality.core.window import EVER, Period

NEAR_PERCENT = 80
"""Of the cap; from there on a card says that the limit is near."""
MODELS = 8
"""Lines of the list of models; the others are one line together."""


class Spent(NamedTuple):
    """What one model cost on one day; `is_inside` is false for what was before the window."""

    day: date
    model: str
    is_inside: bool
    billed_nusd: int
    cost_nusd: int
    calls: int


class Limits(NamedTuple):
    """What the budget's window says: cost in nano-USD."""

    cap_nusd: int
    spent_nusd: int
    reserved_nusd: int


class Scope(NamedTuple):
    """Whose card it is, and for which time."""

    kind: str
    value: str
    period: Period
    starts_at: datetime
    ends_at: datetime
    zone: ZoneInfo
    multiplier: Decimal


class Day(msgspec.Struct):
    day: date
    spent_usd: str


class Model(msgspec.Struct):
    model: str
    spent_usd: str
    calls: int


class Forecast(msgspec.Struct):
    """At the end of the window; between low and high four times out of five."""

    expected_usd: str
    low_usd: str
    high_usd: str
    cap_reached_on: date | None


class Card(msgspec.Struct):
    """Money as exact decimal strings. `state` is ok, near or blocked; blocked asks for an upgrade."""

    scope: str
    name: str
    period: str
    starts_at: datetime | None
    resets_at: datetime | None
    time_zone: str
    """In which the period and its days are."""
    currency: str
    spent_usd: str
    held_usd: str
    cap_usd: str | None
    remaining_usd: str | None
    used_percent: int | None
    state: str
    blocked_at: datetime | None
    forecast: Forecast | None
    by_day: list[Day]
    by_model: list[Model]
    as_of: datetime


def card(
    scope: Scope,
    limits: Limits | None,
    lines: Sequence[Spent],
    blocked_at: datetime | None,
    now: datetime,
) -> Card:
    """The card of a scope. A cap is a cost: it is shown as what the customer would be billed for it."""
    inside = [line for line in lines if line.is_inside]
    spent_nusd = sum(line.billed_nusd for line in inside)
    cap = held = remaining = percent = None
    if limits is not None:
        left = max(0, limits.cap_nusd - limits.spent_nusd - limits.reserved_nusd)
        cap, held, remaining = (
            _billed(amount, scope.multiplier) for amount in (limits.cap_nusd, limits.reserved_nusd, left)
        )
        percent = 100 * (limits.cap_nusd - left) // limits.cap_nusd if limits.cap_nusd else 100
    is_for_ever = (scope.starts_at, scope.ends_at) == EVER
    return Card(
        scope=scope.kind,
        name=scope.value,
        period=scope.period,
        starts_at=None if is_for_ever else scope.starts_at,
        resets_at=None if is_for_ever else scope.ends_at,
        time_zone=str(scope.zone),
        currency="USD",
        spent_usd=usd(spent_nusd),
        held_usd=usd(held or 0),
        cap_usd=None if cap is None else usd(cap),
        remaining_usd=None if remaining is None else usd(remaining),
        used_percent=percent,
        state=_state(percent, remaining, blocked_at),
        blocked_at=blocked_at,
        forecast=_forecast(scope, spent_nusd, cap, lines, now),
        by_day=[Day(day, usd(nusd)) for day, nusd in sorted(_by_day(inside).items())],
        by_model=_models(inside),
        as_of=now,
    )


def _billed(nusd: int, multiplier: Decimal) -> int:
    """Rounded down: a card never promises more than there is."""
    return int(nusd * multiplier)


def _state(percent: int | None, remaining: int | None, blocked_at: datetime | None) -> str:
    if remaining == 0 or blocked_at is not None:
        return "blocked"
    return "near" if percent is not None and percent >= NEAR_PERCENT else "ok"


def _by_day(lines: Sequence[Spent]) -> dict[date, int]:
    days: dict[date, int] = {}
    for line in lines:
        days[line.day] = days.get(line.day, 0) + line.billed_nusd
    return days


def _models(lines: Sequence[Spent]) -> list[Model]:
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        nusd, calls = sums.get(line.model, (0, 0))
        sums[line.model] = nusd + line.billed_nusd, calls + line.calls
    ordered = sorted(sums.items(), key=lambda entry: (-entry[1][0], entry[0]))
    first, others = ordered[:MODELS], ordered[MODELS:]
    if others:
        first.append(
            ("others", (sum(nusd for _, (nusd, _) in others), sum(calls for _, (_, calls) in others)))
        )
    return [Model(model, usd(nusd), calls) for model, (nusd, calls) in first]


def _forecast(
    scope: Scope, spent_nusd: int, cap_nusd: int | None, lines: Sequence[Spent], now: datetime
) -> Forecast | None:
    burn: Burn | None = forecast(
        starts_at=scope.starts_at,
        ends_at=scope.ends_at,
        now=now,
        zone=scope.zone,
        cap_nusd=cap_nusd or 0,
        spent_nusd=spent_nusd,
        daily=_by_day(lines),
    )
    if burn is None:
        return None
    reached_on = burn.reached_on if cap_nusd is not None else None
    return Forecast(usd(burn.forecast_nusd), usd(burn.low_nusd), usd(burn.high_nusd), reached_on)
