"""A month, a quarter or a range, in whole UTC days: what a report is asked for. Pure; how it was asked is the asker's."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Kind = Literal["month", "quarter", "range"]

_MONTHS_OF: dict[Kind, int] = {"month": 1, "quarter": 3}
_DAY = timedelta(days=1)
_YEARS = range(1, 9999)
"""A period and the day after it lie in what a date can be."""


class BadPeriod(ValueError):
    """Words that are no period; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Period:
    """From its `first` day to its `last`, both included, in UTC."""

    first: date
    last: date
    kind: Kind = "range"

    @property
    def after(self) -> date:
        """The day after the last."""
        return self.last + _DAY

    @property
    def days(self) -> int:
        return (self.after - self.first).days

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment that is no longer in it."""
        return datetime.combine(self.after, time(), UTC)

    @property
    def said(self) -> dict[str, str]:
        """The words that ask for it: {"month": "2026-11"}, {"quarter": "2026-Q4"} or {"from": ..., "to": ...}."""
        if self.kind == "month":
            return {"month": self.first.isoformat()[:7]}
        if self.kind == "quarter":
            return {"quarter": f"{self.first.isoformat()[:4]}-Q{_quarter_of(self.first)}"}
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}

    @property
    def title(self) -> str:
        """Such as "November 2026", "Q4 2026", "3 November 2026" or "28 October to 3 November 2026"."""
        if self.kind == "month":
            return f"{self.first:%B %Y}"
        if self.kind == "quarter":
            return f"Q{_quarter_of(self.first)} {self.first:%Y}"
        last = f"{self.last.day} {self.last:%B %Y}"
        if self.first == self.last:
            return last
        if self.first.year != self.last.year:
            return f"{self.first.day} {self.first:%B %Y} to {last}"
        if self.first.month != self.last.month:
            return f"{self.first.day} {self.first:%B} to {last}"
        return f"{self.first.day} to {last}"

    def has(self, day: date) -> bool:
        return self.first <= day <= self.last


def month_of(day: date) -> Period:
    return _whole("month", day.year, day.month)


def quarter_of(day: date) -> Period:
    return _whole("quarter", day.year, _quarter_of(day) * 3 - 2)


def month(text: str) -> Period:
    """Of "2026-11". Raises BadPeriod."""
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise BadPeriod("expected a month such as 2026-11")
    return _whole("month", int(text[:4]), int(text[5:]))


def quarter(text: str) -> Period:
    """Of "2026-Q4" or "2026Q4". Raises BadPeriod."""
    if not re.fullmatch(r"[0-9]{4}-?Q[1-4]", text):
        raise BadPeriod("expected a quarter such as 2026-Q4")
    return _whole("quarter", int(text[:4]), int(text[-1]) * 3 - 2)


def between(first: date, last: date) -> Period:
    """Raises BadPeriod."""
    if last < first:
        raise BadPeriod("the last day is before the first")
    _check_year(first.year)
    _check_year(last.year)
    return Period(first, last)


def day(text: str) -> date:
    """Of "2026-11-22" and of no other spelling. Raises BadPeriod."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text:
        raise BadPeriod("expected a day such as 2026-11-22")
    return found


def previous(period: Period) -> Period | None:
    """The month or quarter before, or as many days; None before the first of all."""
    return _moved(period, -1)


def following(period: Period) -> Period | None:
    return _moved(period, 1)


def same_days_before(period: Period, today: date) -> Period | None:
    """With what a period is compared: the one before, and of a period that still runs only as many days as have begun."""
    before = previous(period)
    if before is None or not period.has(today):
        return before
    last = min(before.last, before.first + (today - period.first))
    return before if last == before.last else Period(before.first, last)


def _moved(period: Period, by: int) -> Period | None:
    try:
        if period.kind == "range":
            shift = timedelta(days=period.days * by)
            return between(period.first + shift, period.last + shift)
        count = period.first.year * 12 + period.first.month - 1 + _MONTHS_OF[period.kind] * by
        return _whole(period.kind, count // 12, count % 12 + 1)
    except (BadPeriod, OverflowError):
        return None


def _whole(kind: Kind, year: int, first_month: int) -> Period:
    _check_year(year)
    passed = first_month - 1 + _MONTHS_OF[kind]
    after = date(year + passed // 12, passed % 12 + 1, 1)
    return Period(date(year, first_month, 1), after - _DAY, kind)


def _check_year(year: int) -> None:
    if year not in _YEARS:
        raise BadPeriod(f"the year {year:04d} is out of range: expected 0001 to 9998")


def _quarter_of(first: date) -> int:
    return (first.month + 2) // 3
