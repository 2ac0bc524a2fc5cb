"""The projects seat (P1): what each project spends, on what, and how far that is from its cap."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.core.period import Period
from visionality.ledger.sums import Dim, Sum, daily, sums, sums_by
from visionality.web.accounts.access import access_person_names
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.charts.burn import Burn, burn
from visionality.web.charts.columns import Column, Columns, Part, columns
from visionality.web.charts.shares import Share, shares
from visionality.web.connecting.access import access_summaries
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.project_caps import Cap, Known, access_project, access_projects
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, cents, counted, percent
from visionality.web.seats.period import chooser, days_query, period_of, query
from visionality.web.seats.remembered import Remembered

SERIES = 6
"""Projects that have a colour of their own; the others share one."""
LARGEST = 25
"""Lines of a project's tables; the rest is one more."""
TABLES: tuple[tuple[str, Dim, str, str], ...] = (
    ("Tasks", "project_task", "task", "no task"),
    ("Epics", "project_epic", "epic", "no epic"),
    ("People", "project_person", "person", "nobody: services and builds"),
    ("Models", "project_model", "model", "no model"),
    ("Kinds of work", "project_task_class", "class", "not said"),
)
"""Title, dimension, what the ledger page calls it, and what is said of rows that name none."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a budget is used."""

    used: str
    words: str
    bar: list[Share]
    is_over: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A project of the list. `series` is its colour; counts are of the period."""

    key: str
    name: str
    series: int
    cost: Amount
    percent: str
    bar: list[Share]
    calls: str
    tasks: str
    people: str
    models: str
    standing: Standing | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of one of a project's tables. `work` asks the page of a task's or epic's work, `ledger` that of its rows."""

    name: str
    about: str
    calls: str
    cost: Amount
    percent: str
    bar: list[Share]
    work: str
    ledger: str


@dataclass(frozen=True, slots=True)
class Table:
    """`digits` are those behind the point at most, so that all points stand under each other."""

    title: str
    entries: list[Entry]
    digits: int


Counts = Mapping[str, tuple[int, int, int]]
"""Tasks, people and models by project."""

_counts: Remembered[Counts] = Remembered(least=20, times=50)


@for_roles(Role.PROJECTS)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    member, today = member_of(request), plane().clock().date()
    period = period_of(request.GET, today)
    with doing(request) as act:
        known = access_projects(act)
    with reading(member.org_id) as connection:
        days = daily(connection, member.org_id, "project", period.first, period.after)
        counts = _counts.get((member.org_id, period), lambda: _count(connection, member.org_id, period))
    dollars = in_dollars(days)
    spent = _spent(dollars)
    nobody = spent.get("", 0)
    whole = sum(spent.values()) - nobody
    order = sorted(spent.keys() | known.keys(), key=lambda key: (-spent.get(key, 0), key))
    calls = _calls(dollars)
    lines = [
        _line(key, place, known.get(key), spent.get(key, 0), whole, calls.get(key, 0), counts)
        for place, key in enumerate(key for key in order if key)
    ]
    context = {
        "room": "projects",
        "chosen": chooser(period, today),
        "period": period,
        "period_query": query(period),
        "ledger_query": days_query(period),
        "lines": lines,
        "cost": cents(whole),
        "exact": amount(whole),
        "calls": counted(sum(calls.values()) - calls.get("", 0)),
        "nobody": amount(nobody),
        "has_nobody": bool(nobody or calls.get("")),
        "with_spend": sum(1 for key in spent if key),
        "others": _others(days),
        "by_day": _by_day(dollars, [one.key for one in lines], period, today),
        "legend": [(min(one.series, SERIES), one.key) for one in lines[:SERIES] if spent.get(one.key)],
        "capped": sum(1 for one in lines if one.standing),
        "over": sum(1 for one in lines if one.standing and one.standing.is_over),
    }
    return render(request, "projects.html", context)


@for_roles(Role.PROJECTS)
@require_safe
def one(request: HttpRequest, key: str) -> HttpResponse:
    """One project of a period."""
    member, today = member_of(request), plane().clock().date()
    period = period_of(request.GET, today)
    with reading(member.org_id) as connection:
        days, made_of = _make_up(connection, member.org_id, key, period)
    with doing(request) as act:
        project = access_project(act, key)
        if project is None and not days:
            raise Http404
        work, people = (
            [line.key2 for lines in tables for line in lines if line.key2]
            for tables in (made_of[:2], made_of[2:3])
        )
        about = access_summaries(act, work)
        called = access_person_names(act, people)
    dollars = in_dollars(days)
    cost = sum(day.cost_nusd for day in dollars)
    tightest = project.tightest if project else None
    context = {
        "room": "projects",
        "key": key,
        "project": project,
        "chosen": chooser(period, today),
        "period": period,
        "period_query": query(period),
        "ledger_query": days_query(period, project=key),
        "work_query": query(period),
        "cost": cents(cost),
        "exact": amount(cost),
        "calls": counted(sum(day.calls for day in dollars)),
        "refused": counted(sum(day.refused for day in dollars)),
        "failed": counted(sum(day.failed for day in dollars)),
        "estimated": amount(sum(day.estimated_nusd for day in dollars)),
        "unpriced": counted(sum(day.unpriced for day in dollars)),
        "others": _others(days),
        "standings": [_standing(cap) for cap in project.caps] if project else [],
        "by_day": _by_day(dollars, [key], period, today),
        "grown": _grown(dollars, period, today, _cap_of(tightest, period)),
        "is_capped": _cap_of(tightest, period) is not None,
        "tables": [
            _table(
                title,
                of,
                nobody,
                made,
                cost,
                period,
                key,
                {"task": about, "epic": about, "person": called}.get(of, {}),
            )
            for (title, _, of, nobody), made in zip(TABLES, made_of, strict=True)
        ],
        "is_empty": not any(day.asked or day.cost_nusd for day in days),
    }
    return render(request, "project.html", context)


def in_dollars(lines: Sequence[Sum]) -> list[Sum]:
    return [line for line in lines if line.currency == "USD"]


def _count(connection: psycopg.Connection[Any], org_id: UUID, period: Period) -> Counts:
    found: dict[str, list[set[str]]] = defaultdict(lambda: [set(), set(), set()])
    dims: tuple[Dim, ...] = ("project_task", "project_person", "project_model")
    for place, dim in enumerate(dims):
        for line in sums(connection, org_id, dim, period.first, period.after):
            if line.key and line.key2 and line.calls:
                found[line.key][place].add(line.key2)
    return {key: (len(its[0]), len(its[1]), len(its[2])) for key, its in found.items()}


def _make_up(
    connection: psycopg.Connection[Any], org_id: UUID, key: str, period: Period
) -> tuple[list[Sum], list[list[Sum]]]:
    """A project's days, and the tables' lines in the order of TABLES, which add up to them."""
    dims = [dim for _, dim, _, _ in TABLES]
    found = sums_by(
        connection,
        org_id,
        ["project", *dims],
        period.first,
        period.after,
        keys=[key],
        top=LARGEST,
        by_day=["project"],
    )
    return found["project"], [in_dollars(found[dim]) for dim in dims]


def _spent(days: Sequence[Sum]) -> dict[str, int]:
    spent: dict[str, int] = defaultdict(int)
    for day in days:
        spent[day.key or ""] += day.cost_nusd
    return dict(spent)


def _calls(days: Sequence[Sum]) -> dict[str, int]:
    calls: dict[str, int] = defaultdict(int)
    for day in days:
        calls[day.key or ""] += day.calls
    return dict(calls)


def _others(days: Sequence[Sum]) -> list[str]:
    """The other currencies, which are in none of the figures."""
    return sorted({day.currency for day in days} - {"USD"})


def _line(
    key: str, place: int, known: Known | None, nusd: int, whole: int, calls: int, counts: Counts
) -> Line:
    tasks, people, models = counts.get(key, (0, 0, 0))
    tightest = known.tightest if known else None
    return Line(
        key=key,
        name=known.name if known and known.name != key else "",
        series=place,
        cost=amount(nusd),
        percent=percent(nusd, whole),
        bar=shares([("", nusd)], whole),
        calls=counted(calls),
        tasks=counted(tasks),
        people=counted(people),
        models=counted(models),
        standing=_standing(tightest) if tightest else None,
    )


def _standing(cap: Cap) -> Standing:
    used = cap.spent_nusd + cap.held_nusd
    kind = "hard" if cap.hard else "soft"
    return Standing(
        used=percent(used, cap.cap_nusd),
        words=f"{cents(used)} of {cents(cap.cap_nusd)} USD, {cap.period}, {kind}",
        bar=shares([("", used)], cap.cap_nusd),
        is_over=used >= cap.cap_nusd,
    )


def _by_day(days: Sequence[Sum], order: Sequence[str], period: Period, today: date) -> Columns:
    """Spend by day; a colour for each of the first projects and one for the others."""
    place = {key: number for number, key in enumerate(order)}
    by_day: dict[date, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for day in days:
        if day.day is not None and day.key:
            by_day[day.day][min(place.get(day.key, SERIES), SERIES)] += day.cost_nusd
    given = []
    for number in range(_shown(period, today)):
        moment = period.first + timedelta(days=number)
        parts = [
            Part(
                series,
                nusd,
                f"{moment.day} {moment:%B}, {order[series] if series < SERIES else 'others'}: {amount(nusd)} USD",
            )
            for series, nusd in sorted(by_day.get(moment, {}).items())
        ]
        given.append(Column(_label(moment, number, period), parts))
    return columns("Spend by day; the table has the figures", given)


def _grown(days: Sequence[Sum], period: Period, today: date, cap_nusd: int | None) -> Burn:
    """The sum as it grew, under the cap where a budget is of the same days."""
    spent: dict[date, int] = defaultdict(int)
    for day in days:
        if day.day is not None:
            spent[day.day] += day.cost_nusd
    running, grown = 0, []
    dates = [period.first + timedelta(days=number) for number in range(period.days)]
    for moment in dates:
        if moment <= today:
            running += spent.get(moment, 0)
            grown.append(running)
    labels = [_label(moment, number, period) for number, moment in enumerate(dates)]
    said = f"Spend added up to {cents(running)} USD" + (f" of {cents(cap_nusd)} USD" if cap_nusd else "")
    return burn(said, grown, labels, cap_nusd)


def _cap_of(cap: Cap | None, period: Period) -> int | None:
    """The cap of a budget that is a month's, for a page about a month."""
    return cap.cap_nusd if cap and cap.period == period.kind else None


def _shown(period: Period, today: date) -> int:
    """How many days of the period have columns: those that have begun, all of a month."""
    if period.kind == "month" or period.last <= today:
        return period.days
    return max(1, (today - period.first).days + 1)


def _label(moment: date, number: int, period: Period) -> str:
    apart = max(1, period.days // 6)
    return f"{moment.day} {moment:%b}" if number % apart == 0 else ""


def _called(line: Sum, of: str, nobody: str, about: Mapping[str, str]) -> tuple[str, str]:
    """A line's name and what stands beside it: a person's with the subject, work's key with its title."""
    if line.key2 is None:
        return f"{line.members} others", ""
    beside = about.get(line.key2, "")
    return (beside, line.key2) if of == "person" and beside else (line.key2 or nobody, beside)


def _table(
    title: str,
    of: str,
    nobody: str,
    lines: Sequence[Sum],
    whole: int,
    period: Period,
    key: str,
    about: Mapping[str, str],
) -> Table:
    is_work = of in {"task", "epic"}
    named = [(line, *_called(line, of, nobody, about)) for line in lines]
    entries = [
        Entry(
            name=name,
            about=beside,
            calls=counted(line.calls),
            cost=amount(line.cost_nusd),
            percent=percent(line.cost_nusd, whole),
            bar=shares([("", line.cost_nusd)], whole),
            work=query(period, **{of: line.key2}) if is_work and line.key2 else "",
            ledger=days_query(period, project=key, **{of: line.key2}) if line.key2 else "",
        )
        for line, name, beside in named
    ]
    amounts = [amount(whole), *(entry.cost for entry in entries)]
    return Table(title, entries, max((len(one.part) - 1 for one in amounts if one.part), default=0))
