"""Periods of a calendar, and the windows that budgets have in them.

A window is one budget in one period, for one value of its scope. Its id follows from those three, so that every
gateway names the same window without asking, and a period that begins is a new window: nothing is ever reset.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

Period = Literal["day", "week", "month", "quarter", "total"]
PERIODS: tuple[Period, ...] = get_args(Period)

EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""The one period of a budget that is for the total; drivers can read both in any time zone."""


def bounds(period: Period, zone: ZoneInfo, at: datetime) -> tuple[datetime, datetime]:
    """The start of the period that `at` lies in, and its end, which belongs to the next; both in UTC.

    A period begins at midnight in the zone; where the clocks leave midnight out, with the first moment of the day.
    """
    if period == "total":
        return EVER
    day = at.astimezone(zone).date()
    if period == "day":
        first, after = day, day + timedelta(days=1)
    elif period == "week":
        first = day - timedelta(days=day.weekday())
        after = first + timedelta(days=7)
    else:
        months = 1 if period == "month" else 3
        first = day.replace(month=day.month - (day.month - 1) % months, day=1)
        after = (first + timedelta(days=31 * months)).replace(day=1)
    return _midnight(first, zone), _midnight(after, zone)


def window_id(budget_id: UUID, starts_at: datetime, value: str) -> UUID:
    """The id of a budget's window that begins at `starts_at`, for one value of its scope."""
    return uuid5(budget_id, f"{starts_at.isoformat()}/{value}")


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
