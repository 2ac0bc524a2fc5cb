"""How fast a budget burns: where its window ends if it goes on like this, who drives it, which thresholds it passed.

The forecast is what was spent, and a usual day for each day that is left (`METHOD` is how an alert says it). A window
has few days, so there are two kinds of day and not seven, and the weeks before it help a young one; a new level of
spending is followed within a week or two; one migration on a Tuesday is no trend, but a job that comes again is. The
range comes from how much days differ and how well a usual day is known by now. No chance is drawn: the same rows give
the same alert. What it does not know: holidays, and growth that goes on growing.

Amounts of money are whole nano-USD in and out. A forecast is an estimate and no money, so it is worked out in floats.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from math import inf, sqrt
from typing import NamedTuple
from zoneinfo import ZoneInfo

from visionality.core.window import EVER

METHOD = (
    "Each day that is left counts as a usual workday or weekend day of the days up to now, a day of last week half as "
    "much as one of this week. A single day counts for no more than twice the next dearest of its kind. "
    "The range holds four times out of five if spending varies as it did."
)
"""The forecast in three sentences, for whoever reads an alert."""

HALF_LIFE = 7
"""Days after which a day counts half as much."""
QUIET = 0.25
"""A weekend day against a workday, as long as no weekend was seen."""
ENOUGH = 5
"""Days of a kind from which on one can be told to stand out."""
STANDS_OUT = 2
"""Times the next dearest day that a single day counts for, at most."""

LEAST = 0.5
"""Of a day that must have been seen to tell a usual one; so the first minutes of a first day are no rate."""

_TENTH = 1.2816
_FIFTH = 0.8416
"""Standard deviations below the mean that leave a tenth, and a fifth, of a normal distribution."""

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SATURDAY = 5

EXPLAINED = 80
"""Percent of an excess that its drivers explain together, if so few can."""
FEW = 3


@dataclass(frozen=True, slots=True)
class Burn:
    """How a window stands and where it goes. Days are those of the organisation's calendar."""

    forecast_nusd: int
    """What will have been spent when the window ends."""
    low_nusd: int
    high_nusd: int
    """What is spent is between these two four times out of five."""
    reached_on: date | None
    """The day on which spending reached the cap, or will; None when it does not in this window."""
    used_percent: int
    """Of the cap, rounded down."""
    elapsed_percent: int
    """Of the window's time, rounded down."""
    is_hot: bool
    """The cap is passed with four chances in five; or half of it is gone, one and a half times as fast as the time."""


def forecast(
    *,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    zone: ZoneInfo,
    cap_nusd: int,
    spent_nusd: int,
    daily: Mapping[date, int],
) -> Burn | None:
    """The burn of a window at `now`, which lies in it or after it; None for the total, which has no end.

    `daily` is what each day spent, of this window and of the weeks before if they are known (eight are plenty). Days
    are those of the zone; one that is missing after the first one spent nothing.
    """
    if (starts_at, ends_at) == EVER:
        return None
    here = now.astimezone(zone)
    today = here.date()
    gone = (here - datetime.combine(today, time(), zone)) / _DAY
    workday, weekend = _kinds(_seen(daily, today, gone))
    left = [
        _Left(day, (1 - gone) if day == today else 1.0, weekend if _is_weekend(day) else workday)
        for day in _days(today, ends_at.astimezone(zone).date())
    ]
    expected = sum(part.share * part.usual.mean for part in left)
    deviation = _deviation(left, (workday, weekend))
    elapsed, length = min(now, ends_at) - starts_at, ends_at - starts_at
    runs_ahead = 0 < cap_nusd <= 2 * spent_nusd and (
        2 * spent_nusd * (length // _MICROSECOND) >= 3 * cap_nusd * (elapsed // _MICROSECOND)
    )
    is_likely_passed = max(0.0, expected - _FIFTH * deviation) > cap_nusd - spent_nusd
    return Burn(
        forecast_nusd=spent_nusd + round(expected),
        low_nusd=spent_nusd + round(max(0.0, expected - _TENTH * deviation)),
        high_nusd=spent_nusd + round(expected + _TENTH * deviation),
        reached_on=_reached_on(cap_nusd, spent_nusd, daily, starts_at.astimezone(zone).date(), today, left),
        used_percent=100 * spent_nusd // cap_nusd if cap_nusd else 100,
        elapsed_percent=100 * elapsed // length,
        is_hot=runs_ahead or is_likely_passed,
    )


class _Seen(NamedTuple):
    """A day that was: how much it counts, how much of it there was, and what it spent."""

    weight: float
    share: float
    nusd: int


class _Usual(NamedTuple):
    """A usual day of a kind: what it spends, by how much one differs, and how many days tell so."""

    mean: float
    deviation: float
    days: float


class _Left(NamedTuple):
    """A day to come, or what is left of today."""

    day: date
    share: float
    usual: _Usual


def _days(first: date, after: date) -> list[date]:
    return [first + timedelta(days=ahead) for ahead in range((after - first).days)]


def _is_weekend(day: date) -> bool:
    return day.weekday() >= _SATURDAY


def _seen(daily: Mapping[date, int], today: date, gone: float) -> tuple[list[_Seen], list[_Seen]]:
    """The workdays and the weekend days up to now; of today what has gone of it."""
    kinds: tuple[list[_Seen], list[_Seen]] = ([], [])
    for day in (*_days(min(daily, default=today), today), today):
        weight = 0.5 ** ((today - day).days / HALF_LIFE)
        kinds[_is_weekend(day)].append(_Seen(weight, gone if day == today else 1.0, daily.get(day, 0)))
    return kinds


def _kinds(seen: tuple[list[_Seen], list[_Seen]]) -> tuple[_Usual, _Usual]:
    """A usual workday and a usual weekend day. Without a workday so far, one is as the weekend was."""
    workdays, weekends = seen
    workday = _usual(workdays or weekends, guess=0.0)
    return workday, _usual(weekends, guess=QUIET * workday.mean)


def _usual(seen: list[_Seen], guess: float) -> _Usual:
    """The weighted mean and deviation of days; where less than `LEAST` of a day was seen, a guess fills it up.

    To the deviation a day is added that differs by all of the mean: one day alone does not say that days are equal.
    """
    most = _most(seen)
    days = sum(day.weight * day.share for day in seen)
    missing = max(0.0, LEAST - days)
    cut = sum(day.weight * min(day.nusd, most) for day in seen)
    uncut = sum(day.weight * day.nusd for day in seen)
    mean = max(0.0, (cut + missing * guess) / (days + missing))
    doubt = max(0.0, (uncut + missing * guess) / (days + missing))
    whole = [day for day in seen if day.share == 1.0]
    squares = sum(day.weight * (min(day.nusd, most) - mean) ** 2 for day in whole)
    deviation = sqrt((squares + doubt**2) / (sum(day.weight for day in whole) + 1))
    return _Usual(mean, deviation, days + missing)


def _most(seen: list[_Seen]) -> float:
    """What a single day counts for, at most."""
    if len(seen) < ENOUGH:
        return inf
    return STANDS_OUT * max(0, sorted(day.nusd for day in seen)[-2])


def _deviation(left: list[_Left], kinds: tuple[_Usual, _Usual]) -> float:
    """Of the sum of the days to come: each differs by itself, and all of a kind by what its usual day is off."""
    variance = 0.0
    for usual in kinds:
        days = sum(part.share for part in left if part.usual is usual)
        variance += usual.deviation**2 * (days + days**2 / usual.days)
    return sqrt(variance)


def _reached_on(
    cap_nusd: int, spent_nusd: int, daily: Mapping[date, int], first: date, today: date, left: list[_Left]
) -> date | None:
    if spent_nusd >= cap_nusd:
        return _reached_before(cap_nusd, spent_nusd, daily, first, today)
    more = 0.0
    for part in left:
        more += part.share * part.usual.mean
        if more >= cap_nusd - spent_nusd:
            return part.day
    return None


def _reached_before(
    cap_nusd: int, spent_nusd: int, daily: Mapping[date, int], first: date, today: date
) -> date:
    """The day since which spending has stood at the cap; the first one, if the window opened there."""
    for day in reversed((*_days(first, today), today)):
        spent_nusd -= daily.get(day, 0)
        if spent_nusd < cap_nusd:
            return day
    return first


def crossed(thresholds: Iterable[int], cap_nusd: int, before_nusd: int, after_nusd: int) -> tuple[int, ...]:
    """The thresholds, in percent of the cap, that lie between two sums spent: reached by the second, not by the first.

    In rising order, each once.
    """
    return tuple(
        percent
        for percent in sorted(set(thresholds))
        if before_nusd * 100 < percent * cap_nusd <= after_nusd * 100
    )


@dataclass(frozen=True, slots=True)
class Driver:
    """An agent, a model or a task class that makes a window burn."""

    dimension: str
    value: str
    spent_nusd: int
    before_nusd: int
    """What it spent in the same stretch of the period before."""
    share_percent: int
    """Of what was spent in the window, rounded down."""

    @property
    def change_nusd(self) -> int:
        return self.spent_nusd - self.before_nusd


def drivers(spend: Mapping[str, Mapping[str, tuple[int, int]]]) -> tuple[Driver, ...]:
    """The few of each dimension that explain why more is spent than before.

    `spend` is dimension -> value -> nano-USD in the window and in the same stretch of the period before. They are
    those that grew most, until they explain four fifths of the growth, three at most. Where nothing grew they are
    those that spent most, of what was spent. Dimensions stand in the order given, drivers from the largest down,
    equal ones by name.
    """
    return tuple(driver for dimension, values in spend.items() for driver in _drivers_of(dimension, values))


def _drivers_of(dimension: str, values: Mapping[str, tuple[int, int]]) -> list[Driver]:
    spent = sum(now for now, _ in values.values())
    before = sum(then for _, then in values.values())
    if spent <= 0:
        return []
    parts = {value: now - then if spent > before else now for value, (now, then) in values.items()}
    wanted, explained, found = sum(parts.values()), 0, list[Driver]()
    for value in sorted(parts, key=lambda value: (-parts[value], value)):
        if len(found) == FEW or explained * 100 >= EXPLAINED * wanted:
            break
        explained += parts[value]
        now, then = values[value]
        found.append(Driver(dimension, value, now, then, 100 * now // spent))
    return found
