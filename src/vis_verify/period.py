"""A period of days as the organisation reckons them, and the moments it lies between."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

from vis_verify import shape
from vis_verify.spelling import day, moment
from vis_verify.verdict import Code, Refused

Days = tuple[str, str]
_FARTHEST = timedelta(hours=15)
"""No place's clock is farther from UTC."""


@dataclass(frozen=True)
class Period:
    """From the first day to the last; rows of `ends_at` are no longer within."""

    first: str
    last: str
    starts_at: str
    ends_at: str

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def read_period(value: Any) -> Period:
    """The period of a statement. Raises Refused, also when days and moments do not belong together."""
    said = shape.fields(value, {"ends_at", "from", "starts_at", "to"}, "the period")
    first, last = shape.a_day(said["from"], "the first day"), shape.a_day(said["to"], "the last day")
    starts_at, ends_at = (
        shape.time(said["starts_at"], "its beginning"),
        shape.time(said["ends_at"], "its end"),
    )
    near_start = abs(moment(starts_at) - _midnight(day(first))) <= _FARTHEST
    near_end = abs(moment(ends_at) - _midnight(day(last)) - timedelta(days=1)) <= _FARTHEST
    if first > last or not starts_at < ends_at or not near_start or not near_end:
        came = f"they are {first} to {last}, {starts_at} to {ends_at}"
        raise Refused(Code.SCOPE, "a period whose days are those of its moments", came, "refuse it")
    return Period(first, last, starts_at, ends_at)


def days_of(asked: str) -> Days:
    """The days that a person means by 2026-11 or 2026-11-01..2026-11-15. Raises ValueError."""
    month = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", asked, re.ASCII)
    if month:
        first = date(int(month[1]), int(month[2]), 1)
        return first.isoformat(), first.replace(day=monthrange(first.year, first.month)[1]).isoformat()
    first_text, _, last_text = asked.partition("..")
    if day(first_text) > day(last_text):
        raise ValueError("a period that ends before it begins")
    return first_text, last_text


def _midnight(of: date) -> datetime:
    return datetime(of.year, of.month, of.day, tzinfo=timezone.utc)
