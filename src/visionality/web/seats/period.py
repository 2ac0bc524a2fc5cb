"""Which days a page is about, out of its address: `?month=2026-11`, `?quarter=2026-Q4` or `?from=2026-11-01&to=2026-11-22`.

UTC days, the last one included; without any, this month.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.core.exceptions import BadRequest

from visionality.core import period as core
from visionality.core.period import BadPeriod, Period

LONGEST = 366
"""Days of one page: a year. A download may ask for more."""


@dataclass(frozen=True, slots=True)
class Chooser:
    """What templates/period.html draws: the period, and the addresses of those around it. Empty queries are not offered."""

    period: Period
    running: bool
    """Whether today is one of its days, so that it has only begun."""
    previous: str
    following: str
    month: str
    quarter: str
    kept: dict[str, str]


def period_of(given: Mapping[str, str], today: date) -> Period:
    """The period of a page. Raises BadRequest."""
    period = any_period_of(given, today)
    if period.days > LONGEST:
        raise BadRequest(f"a page is about {LONGEST} days at most, and {period.days} were asked for")
    return period


def any_period_of(given: Mapping[str, str], today: date) -> Period:
    """The same, however long. Raises BadRequest."""
    said = {name: given[name] for name in ("month", "quarter", "from", "to") if given.get(name)}
    try:
        match said:
            case {"month": month, **rest} if not rest:
                return core.month(month)
            case {"quarter": quarter, **rest} if not rest:
                return core.quarter(quarter)
            case {"from": first, "to": last, **rest} if not rest:
                return core.between(core.day(first), core.day(last))
    except BadPeriod as error:
        raise BadRequest(str(error)) from None
    if said:
        raise BadRequest(
            "say the period once: month=2026-11, quarter=2026-Q4, or from=2026-11-01 and to=2026-11-22"
        )
    return core.month_of(today)


def query(period: Period, **more: str) -> str:
    """The query string that asks for a period, and more."""
    return urlencode({name: value for name, value in {**period.said, **more}.items() if value})


def days_query(period: Period, **more: str) -> str:
    """The same in days, as the ledger page is asked, whatever the period is called."""
    return query(Period(period.first, period.last), **more)


def chooser(period: Period, today: date, **kept: str) -> Chooser:
    """`kept` is what the page was asked for beside its period; its addresses keep it."""

    def address(of: Period | None) -> str:
        return query(of, **kept) if of else ""

    following = core.following(period)
    month = core.month_of(period.last if period.last <= today else max(today, period.first))
    quarter = core.quarter_of(month.first)
    return Chooser(
        period=period,
        running=period.has(today),
        previous=address(core.previous(period)),
        following=address(following if following and following.first <= today else None),
        month=address(month if period.kind != "month" else None),
        quarter=address(quarter if period.kind != "quarter" else None),
        kept={name: value for name, value in kept.items() if value},
    )
