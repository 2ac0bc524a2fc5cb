"""The finance seat: what was spent in a period, how sure that is, where it is going, and what it is made of (F1, F2).

All sums are the daily rollup's, which are the ledger's; days and months are UTC, as in the chargeback.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.chargeback.filter import SELECTORS
from visionality.core.burn import METHOD, Burn, forecast
from visionality.core.period import Period, same_days_before
from visionality.ledger.sums import Sum, daily, sums
from visionality.web.accounts.members import Member, for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.charts.burn import Outlook, burn
from visionality.web.charts.columns import Column, Part, columns
from visionality.web.charts.shares import shares
from visionality.web.plane import plane
from visionality.web.policy.access import access_cost_centers, access_project_names
from visionality.web.reading import reading
from visionality.web.seats.figures import amount, cents, counted, percent
from visionality.web.seats.finance_tables import CURRENCY, NOTHING, WAYS, By, table
from visionality.web.seats.period import chooser, days_query, period_of, query

SERIES = 6
"""Projects that have a colour of their own; the others share one."""
LONGEST_BY_WEEK = 45
"""Days of an axis that names days."""
SEEN_BEFORE = timedelta(days=56)
"""From how long before a month its forecast learns what a usual day is."""

_ADDED = ("calls", "asked", "refused", "cost_nusd", "billed_nusd", "final_nusd", "unpriced", "unattributed")
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Figures:
    """What the page is made of, out of one moment of the ledger. Days are whole UTC days; only `CURRENCY` is added up."""

    days: list[Sum]
    """Of the period, of what it is compared with and of the weeks before."""
    projects: list[Sum]
    """Of the period, by day."""
    simulated_nusd: int
    others: dict[str, int]
    """Spend in other currencies, in billionths."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the rows of a period in US dollars come to."""

    asked: int
    calls: int
    refused: int
    unpriced: int
    unattributed: int
    cost_nusd: int
    billed_nusd: int
    final_nusd: int
    estimated_nusd: int
    unattributed_nusd: int
    """Of no project."""
    simulated_nusd: int
    """In none of the others."""
    others: dict[str, int]
    """Spend in other currencies, in billionths."""
    compared: Period | None
    """The days before, as many of them as have passed of these."""
    compared_nusd: int
    outlook: Burn | None
    """Where the running month ends; None for other days."""


@for_roles(Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page; `by` says which table."""
    member, now = member_of(request), plane().clock()
    today = now.date()
    period, by = period_of(request.GET, today), _by(request.GET.get("by", ""))
    about = _about(member, by)
    with reading(member.org_id) as connection:
        spent, figures = spent_in(connection, member.org_id, period, now)
        made_of = table(connection, member.org_id, by, period, about, figures.projects)
    context = _head(spent) | _drawings(figures, period, spent.outlook, now)
    context |= {
        "room": "finance",
        "chosen": chooser(period, today, by=request.GET.get("by", "")),
        "period": period,
        "table": made_of,
        "ways": [(one.column, query(period, by=one.name), one.name == by.name) for one in WAYS.values()],
        "selectors": SELECTORS,
        "period_query": query(period),
        "ledger_query": days_query(period),
    }
    return render(request, "finance.html", context)


def _by(name: str) -> By:
    if name and name not in WAYS:
        raise BadRequest(f"expected by to be one of {', '.join(WAYS)}")
    return WAYS[name or "project"]


def _about(member: Member, by: By) -> dict[str, str]:
    """What is said beside a key of the table."""
    if by.name == "project":
        return access_project_names(member.org_id)
    if by.name == "team":
        return access_cost_centers(member.org_id)
    return {}


def _figures(
    connection: psycopg.Connection[Any], org_id: UUID, period: Period, compared: Period | None
) -> Figures:
    since = min(compared.first if compared else period.first, _before(period.first))
    everything = daily(connection, org_id, "project", since, period.after)
    simulated = sums(connection, org_id, "all", period.first, period.after, simulated=True)
    others: dict[str, int] = {}
    for one in _within(everything, period):
        if one.currency != CURRENCY:
            others[one.currency] = others.get(one.currency, 0) + one.cost_nusd
    return Figures(
        days=_whole_days(_in_currency(everything)),
        projects=_within(_in_currency(everything), period),
        simulated_nusd=sum(one.cost_nusd for one in _in_currency(simulated)),
        others=others,
    )


def _whole_days(projects: list[Sum]) -> list[Sum]:
    """Every row is of one project or of none, so the projects of a day are all of it."""
    found: dict[date | None, Sum] = {}
    for one in projects:
        before = found.get(one.day)
        more = {name: getattr(one, name) + getattr(before, name) for name in _ADDED} if before else {}
        found[one.day] = replace(one, **more)
    return list(found.values())


def _in_currency(of: list[Sum]) -> list[Sum]:
    return [one for one in of if one.currency == CURRENCY]


def _before(first: date) -> date:
    return first - SEEN_BEFORE if first - date.min > SEEN_BEFORE else date.min


def spent_in(
    connection: psycopg.Connection[Any], org_id: UUID, period: Period, now: datetime
) -> tuple[Spent, Figures]:
    """What a period comes to, and the days that it is made of."""
    compared = same_days_before(period, now.date())
    figures = _figures(connection, org_id, period, compared)
    days = _within(figures.days, period)
    cost, final = sum(one.cost_nusd for one in days), sum(one.final_nusd for one in days)
    spent = Spent(
        asked=sum(one.asked for one in days),
        calls=sum(one.calls for one in days),
        refused=sum(one.refused for one in days),
        unpriced=sum(one.unpriced for one in days),
        unattributed=sum(one.unattributed for one in days),
        cost_nusd=cost,
        billed_nusd=sum(one.billed_nusd for one in days),
        final_nusd=final,
        estimated_nusd=cost - final,
        unattributed_nusd=sum(one.cost_nusd for one in figures.projects if one.key == ""),
        simulated_nusd=figures.simulated_nusd,
        others=figures.others,
        compared=compared,
        compared_nusd=sum(one.cost_nusd for one in _within(figures.days, compared)) if compared else 0,
        outlook=_outlook(figures, period, now),
    )
    return spent, figures


def _head(spent: Spent) -> dict[str, object]:
    """The lead figure, what it is compared with, and the facts beside it."""
    outlook = spent.outlook
    return {
        "is_empty": not (spent.asked or spent.cost_nusd),
        "cost": cents(spent.cost_nusd),
        "cost_exact": amount(spent.cost_nusd),
        "billed": cents(spent.billed_nusd),
        "calls": counted(spent.calls),
        "final": cents(spent.final_nusd),
        "estimated": cents(spent.estimated_nusd),
        "unpriced": counted(spent.unpriced),
        "unattributed": counted(spent.unattributed),
        "unattributed_cost": cents(spent.unattributed_nusd),
        "simulated_cost": cents(spent.simulated_nusd),
        "refused": counted(spent.refused),
        "nothing": NOTHING,
        "compared": _compared(spent),
        "others": [(currency, amount(cost)) for currency, cost in sorted(spent.others.items())],
        "likely": outlook
        and (cents(outlook.forecast_nusd), cents(outlook.low_nusd), cents(outlook.high_nusd)),
        "method": METHOD,
    }


def _within(days: Iterable[Sum], period: Period) -> list[Sum]:
    return [one for one in days if one.day and period.has(one.day)]


def _compared(spent: Spent) -> str:
    """Such as "12.5 % above 1 to 22 October 2026: 3,201.20 USD"; nothing where there is nothing to compare with."""
    compared, before = spent.compared, spent.compared_nusd
    if compared is None or before <= 0:
        return ""
    change = spent.cost_nusd - before
    said = (
        "as much as" if not change else f"{percent(abs(change), before)} {'above' if change > 0 else 'below'}"
    )
    return f"{said} {compared.title}: {cents(before)} {CURRENCY}"


def _outlook(figures: Figures, period: Period, now: datetime) -> Burn | None:
    """Where the running month ends; a period of other days has no forecast."""
    if period.kind != "month" or not period.has(now.date()):
        return None
    by_day = {one.day: one.cost_nusd for one in figures.days if one.day and one.day <= now.date()}
    return forecast(
        starts_at=period.start,
        ends_at=period.end,
        now=now,
        zone=_UTC,
        cap_nusd=0,
        spent_nusd=sum(one.cost_nusd for one in _within(figures.days, period)),
        daily=by_day,
    )


def _drawings(figures: Figures, period: Period, outlook: Burn | None, now: datetime) -> dict[str, object]:
    """By day and project, and the sum as it grew; each stands for the figures of the table below it."""
    by_project: dict[str, int] = {}
    for one in figures.projects:
        by_project[one.key or ""] = by_project.get(one.key or "", 0) + one.cost_nusd
    dearest = sorted((key for key, nusd in by_project.items() if nusd > 0), key=lambda key: -by_project[key])
    series = {key: place for place, key in enumerate(dearest[:SERIES])}
    names = [key or WAYS["project"].nobody for key in series] + ["others"] * (len(dearest) > SERIES)
    rest = sum(by_project[key] for key in dearest[SERIES:])
    parts = [*zip(names, [by_project[key] for key in series] + [rest] * (len(dearest) > SERIES), strict=True)]
    days = [period.first + timedelta(days=passed) for passed in range(period.days)]
    spent = {one.day: one.cost_nusd for one in _within(figures.days, period)}
    stacks = _stacks(figures.projects, series)
    running, grown = 0, []
    for day in days:
        if day <= now.date():
            running += spent.get(day, 0)
            grown.append(running)
    labels = [_label(day, period) for day in days]
    return {
        "share": shares(parts),
        "legend": list(enumerate(names)),
        "by_day": columns(
            f"Spend of each day of {period.title} by project; the table of days has the figures",
            [
                Column(
                    label,
                    [_part(day, place, nusd, names) for place, nusd in sorted(stacks.get(day, {}).items())],
                )
                for day, label in zip(days, labels, strict=True)
            ],
        ),
        "grown": burn(
            f"Spend of {period.title} added up day by day; the table of days has the figures",
            grown,
            labels,
            outlook=Outlook(outlook.forecast_nusd, outlook.low_nusd, outlook.high_nusd) if outlook else None,
        ),
        "days": [
            (
                f"{one.day:%a} {one.day.day} {one.day:%b}",
                days_query(Period(one.day, one.day)),
                counted(one.calls),
                amount(one.cost_nusd),
            )
            for one in _within(figures.days, period)
            if one.day
        ],
    }


def _stacks(projects: list[Sum], series: dict[str, int]) -> dict[date, dict[int, int]]:
    """Day -> series -> nano-USD."""
    found: dict[date, dict[int, int]] = {}
    for one in projects:
        if one.day:
            stack = found.setdefault(one.day, {})
            place = series.get(one.key or "", SERIES)
            stack[place] = stack.get(place, 0) + one.cost_nusd
    return found


def _part(day: date, place: int, nusd: int, names: list[str]) -> Part:
    name = names[place] if place < len(names) else "others"
    return Part(place, nusd, f"{day.day} {day:%b}, {name}: {cents(nusd)} {CURRENCY}")


def _label(day: date, period: Period) -> str:
    """On an axis of a month every week has its day, on a longer one every month its name."""
    if period.days > LONGEST_BY_WEEK:
        return f"{day:%b}" if day.day == 1 else ""
    return str(day.day) if (day - period.first).days % 7 == 0 else ""
