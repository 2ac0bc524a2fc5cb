"""The month of the story: which one it is, its working days, and the moments at which things happen. UTC throughout.

The reference month is the current one from its 14th on, because that is where budgets, their burn and the pages of the moment
look, and by then the days are over that the story tells of: the 12th, at whose end SOCE stands at 60 %, and the 13th, whose
cost is 70 % less. All rows then lie between the first of the month and now, so the month is the whole one of the story from the
first day on. Earlier in a month it is the last one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

TOLD_FROM = 14
"""The day of a month from which its story can be told."""
OPENS, CLOSES = 13, 23
"""Hours between which people work: seven in the morning to five in the afternoon, in Houston."""
AT_WEEKENDS = 0.08
"""How much is done on a Saturday or Sunday, of what is done on another day."""
_FRIDAY = 4


class NotTold(Exception):
    """A month whose story cannot be told."""


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the story, told until a moment in it."""

    first: date
    until: datetime

    @property
    def name(self) -> str:
        return f"{self.first:%Y-%m}"

    @property
    def days(self) -> list[date]:
        """From the first working day on, until the last day that is told of."""
        found = [self.first + timedelta(days=day) for day in range(self.until.day)]
        return [day for day in found if day >= self.begins]

    @property
    def begins(self) -> date:
        """The first working day."""
        return next(day for n in range(7) if (day := self.first + timedelta(days=n)).weekday() <= _FRIDAY)

    @property
    def set_up_at(self) -> datetime:
        """The afternoon of the working day before."""
        before = self.begins - timedelta(days=1)
        while before.weekday() > _FRIDAY:
            before -= timedelta(days=1)
        return datetime.combine(before, time(20), UTC)

    @property
    def leaked_on(self) -> date:
        return self.first.replace(day=9)

    @property
    def resigned_at(self) -> datetime:
        """The last Friday whose afternoon is told of, at five in Houston."""
        ends = (
            datetime.combine(day, time(CLOSES), UTC)
            for day in reversed(self.days)
            if day.weekday() == _FRIDAY
        )
        return next(end for end in ends if end < self.until)

    def day(self, number: int) -> date:
        return self.first.replace(day=number)

    def hours_of(self, day: date) -> tuple[datetime, datetime]:
        """When work of a day begins and ends; it is over before it begins on a day of which only the night is told."""
        opens, closes = (datetime.combine(day, time(hour), UTC) for hour in (OPENS, CLOSES))
        return opens, min(closes, self.until)

    def weight(self, day: date) -> float:
        """How much is done on a day, of what a working day brings."""
        opens, closes = self.hours_of(day)
        told = max((closes - opens) / timedelta(hours=CLOSES - OPENS), 0.0)
        return told if day.weekday() <= _FRIDAY else told * AT_WEEKENDS


def month_of(name: str | None, now: datetime) -> Month:
    """The month of this name, or the one to tell now. Raises NotTold for one that is not far enough."""
    current = now.date().replace(day=1)
    last = (current - timedelta(days=1)).replace(day=1)
    if name is None:
        first = current if now.day >= TOLD_FROM else last
    else:
        try:
            first = date.fromisoformat(f"{name}-01")
        except ValueError:
            raise NotTold(f"{name!r} is no month: expected one such as {last:%Y-%m}") from None
    if first > current or (first == current and now.day < TOLD_FROM):
        raise NotTold(
            f"{first:%Y-%m} has not got far enough: a month can be told from its {TOLD_FROM}th on, the last one that can is {last:%Y-%m}"
        )
    after = (first + timedelta(days=31)).replace(day=1)
    ended = datetime.combine(after, time(), UTC) - timedelta(microseconds=1)
    return Month(first, min(now, ended))


def spread(total: int, weights: Sequence[float]) -> list[int]:
    """Whole numbers that add up to the total and are as the weights are. One weight at least is above zero."""
    whole = sum(weights)
    bounds, passed, before = [], 0.0, 0
    for weight in weights:
        passed += weight
        upto = round(total * passed / whole)
        bounds.append(upto - before)
        before = upto
    return bounds
