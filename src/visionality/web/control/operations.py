"""`/operations`, the operator's seat: what burns against its cap, what warns, and what waits to be settled."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from visionality.core.scope import KINDS, ORGANISATION, BadScope, scope_of
from visionality.core.vendors import TITLES
from visionality.evidence.verifications import STANDING, STANDING_COLUMNS, standing_of
from visionality.evidence.verifications import Standing as LedgerStanding
from visionality.ledger.sums import Sum, sums
from visionality.runtime.sql import statements
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.charts.burn import Burn
from visionality.web.control.acting import may_change
from visionality.web.control.book import Book, Cell, Line, heads
from visionality.web.control.budgets import used_cell
from visionality.web.control.called import called, key_names
from visionality.web.control.outlook import CURRENCY, curve, selectors
from visionality.web.doing import doing
from visionality.web.page import simulated
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.policy.alerts import warnings
from visionality.web.policy.budgets import Balance, Standing, standings
from visionality.web.policy.standing import per
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, cents, counted, percent
from visionality.web.seats.ledger_check import ledger_check

WARNINGS = 5
"""Alerts that are shown; the inbox has all."""
HOTTEST = 3
"""Budgets that are drawn."""
LISTED = 8
"""Budgets in the table."""
KEYS_END_SOON = timedelta(days=7)
CREDENTIALS_END_SOON = timedelta(days=14)
SIGNING_KEY_IS_OLD = timedelta(days=90)

_SQL = statements("visionality.web.control", "operations.sql")
_MATTERS = f"select * from ({_SQL['matters'].rstrip(';')}\n) m cross join ({STANDING.rstrip(';')}\n) ledger"  # noqa: S608 -- both are ours
_DAY = timedelta(days=1)
_Burning = tuple[Standing, Balance]


@dataclass(frozen=True, slots=True)
class Warned:
    """An alert that waits, and the hint that would answer it; `hint` is empty where none would."""

    alert_id: UUID
    title: str
    told: list[str]
    hint: str
    driven_by: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """One of the hottest budgets."""

    title: str
    link: str
    told: str
    is_hot: bool
    chart: Burn


@dataclass(frozen=True, slots=True)
class Month:
    """The UTC month so far, without what was simulated."""

    spent: Amount
    attributed: str
    nobody_calls: int
    nobody: Amount
    calls: str
    refused: str
    has_nobody: bool


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    now, org_id = plane().clock(), member_of(request).org_id
    with doing(request) as act:
        found, waiting = standings(act), warnings(act, WARNINGS)
        matters, ledger = _matters(act)
    burning = sorted(_burning(found), key=_heat, reverse=True)
    names = key_names(org_id, found)
    with reading(org_id) as reader:
        month = _month(reader, org_id, now)
        drawn = list(_drawn(reader, org_id, burning, names, now))
    whole = next((one for one in found if one.scope.kind == ORGANISATION and one.period == "month"), None)
    shown = {
        "room": "operations",
        "now": now,
        "month": month,
        "whole": whole and _whole(whole, now),
        "warned": [_warned(one) for one in waiting],
        "more_alerts": max(0, matters["alerts"] - len(waiting)),
        "drawn": drawn,
        "ledger": ledger_check(ledger, now),
        "burn": _book(burning, names),
        "settle": _settle(matters, month, now),
        "can_change": may_change(request),
        "organisation": {"name": matters["organisation"]},
        "simulated": simulated(tuple(_without(matters)) if plane().sandbox else ()),
    }
    return render(request, "control/operations.html", shown)


def _burning(found: Sequence[Standing]) -> Iterator[_Burning]:
    for standing in found:
        for balance in standing.balances:
            yield standing, balance


def _heat(one: _Burning) -> tuple[int, int]:
    standing, balance = one
    spent = max(0, balance.spent_nusd)
    return (spent * 1000 // standing.cap_nusd if standing.cap_nusd else 1000, spent)


def _matters(act: Act) -> tuple[dict[str, Any], LedgerStanding]:
    """What is to be settled, and what is known of the ledger itself."""
    asked: dict[str, Any] = {
        "org_id": act.org_id,
        "now": act.now,
        "keys_until": act.now + KEYS_END_SOON,
        "credentials_until": act.now + CREDENTIALS_END_SOON,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MATTERS, asked)
        names = [column.name for column in cursor.description or ()][:-STANDING_COLUMNS]
        found = cursor.fetchone()
    assert found is not None
    matters = dict(zip(names, found[:-STANDING_COLUMNS], strict=True))
    return matters, standing_of(found[-STANDING_COLUMNS:])


def _month(reader: psycopg.Connection[Any], org_id: UUID, now: datetime) -> Month:
    today = now.astimezone(UTC).date()
    lines = [
        line
        for line in sums(reader, org_id, "project", today.replace(day=1), today + _DAY)
        if line.currency == CURRENCY
    ]
    spent = sum(line.cost_nusd for line in lines)
    nobody: Sum | None = next((line for line in lines if line.key == ""), None)
    nobody_nusd, nobody_calls = (nobody.cost_nusd, nobody.calls) if nobody else (0, 0)
    return Month(
        spent=cents(spent),
        attributed=percent(spent - nobody_nusd, spent),
        nobody_calls=nobody_calls,
        nobody=amount(nobody_nusd),
        calls=counted(sum(line.calls for line in lines)),
        refused=counted(sum(line.refused for line in lines)),
        has_nobody=bool(nobody_calls or nobody_nusd),
    )


def _drawn(
    reader: psycopg.Connection[Any],
    org_id: UUID,
    burning: Sequence[_Burning],
    names: Mapping[str, str],
    now: datetime,
) -> Iterator[Drawn]:
    for standing, balance in burning[:HOTTEST]:
        chart = curve(reader, org_id, standing, balance, now)
        if chart is None:
            continue
        course, burnt, _ = chart
        reached = (
            f" Used up on {burnt.reached_on.day} {burnt.reached_on:%B}."
            if burnt.reached_on and burnt.reached_on >= now.date()
            else ""
        )
        told = (
            f"{percent(balance.spent_nusd, standing.cap_nusd)} of {cents(standing.cap_nusd)} USD after {burnt.elapsed_percent} % of "
            f"the time; likely {cents(burnt.forecast_nusd)} at the end ({cents(burnt.low_nusd)} to {cents(burnt.high_nusd)}).{reached}"
        )
        yield Drawn(_name(standing, balance, names), _link(standing, balance), told, burnt.is_hot, course)


def _book(burning: Sequence[_Burning], names: Mapping[str, str]) -> Book:
    return Book(
        title="Burn against caps",
        heads=heads("Budget", "Spent, USD", "Cap", "Left", "Used", numbers=("Spent, USD", "Cap", "Left")),
        lines=[
            Line(
                [
                    Cell(
                        _name(standing, balance, names),
                        small=f"{per(standing)}{', hard' if standing.hard else ', counts only'}",
                        link=_link(standing, balance),
                    ),
                    Cell(str(amount(balance.spent_nusd))),
                    Cell(str(amount(standing.cap_nusd))),
                    Cell(str(amount(standing.left_nusd(balance)))),
                    used_cell(standing, balance),
                ]
            )
            for standing, balance in burning[:LISTED]
        ],
        empty="No budget has anything to show yet. Set one to be told what burns before the month ends.",
        command="vis budget set org --cap 20000/month --soft 60% --soft 80%",
        more=f"The {LISTED} hottest of {len(burning)}; Budgets has all." if len(burning) > LISTED else "",
    )


def _name(standing: Standing, balance: Balance, names: Mapping[str, str]) -> str:
    each = f", {names.get(balance.value, balance.value)}" if standing.scope.is_each else ""
    return f"{called(standing, names)}{each}"


def _link(standing: Standing, balance: Balance) -> str:
    value = f"?{urlencode({'value': balance.value})}" if standing.scope.is_each else ""
    return reverse("budget", args=[standing.budget_id]) + value


def _whole(standing: Standing, now: datetime) -> dict[str, Any]:
    """The organisation's own budget of the month, beside the lead figure."""
    gone, length = now - standing.starts_at, standing.ends_at - standing.starts_at
    return {
        "link": reverse("budget", args=[standing.budget_id]),
        "used": percent(standing.balances[0].spent_nusd, standing.cap_nusd),
        "cap": cents(standing.cap_nusd),
        "elapsed": 100 * gone // length,
    }


def _warned(alert: Mapping[str, Any]) -> Warned:
    drivers = [(one["dimension"], one["value"]) for one in alert["detail"].get("drivers", ())]
    try:
        found = selectors(scope_of(alert["scope"], KINDS), drivers)
    except BadScope:  # an alert of a connector names what it is of, and no scope
        found = {}
    first = {dimension: value for dimension, value in reversed(drivers) if value and value != "none"}
    return Warned(
        alert_id=alert["alert_id"],
        title=alert["title"],
        told=alert["body"].partition("\nDriven by:")[0].splitlines(),
        hint=f"{reverse('hint_add')}?{urlencode(found)}" if found else "",
        driven_by=", ".join(
            first[name] for name in ("agent_sub", "model_used", "task_class") if name in first
        ),
    )


def _without(matters: Mapping[str, Any]) -> list[str]:
    """The providers that have no key."""
    return [name for name in TITLES if name not in (matters["providers"] or [])]


def _settle(matters: Mapping[str, Any], month: Month, now: datetime) -> Book:
    """What is to be settled, each with the page where that is done; what is well comes last."""
    nobody = f"{counted(month.nobody_calls)} calls, {month.nobody} USD on no project this month"
    failing, ending = matters["connectors_failing"] or [], matters["credentials_ending"] or []
    without = [TITLES[name] for name in _without(matters)]
    since, keys = matters["signing_since"], matters["keys_ending"]
    age = f"{(now - since).days} days old" if since else "none yet: the first envelope makes it"
    connectors = (
        f"{', '.join(failing)} cannot be read"
        if failing
        else f"{matters['connectors']} in use, all read"
        if matters["connectors"]
        else "none: tasks and epics are not checked against a tracker"
    )
    found = [
        ("Attribution queue", "queue", nobody if month.has_nobody else "nothing waits", month.has_nobody),
        ("Connectors", "connectors", connectors, bool(failing)),
        (
            "Connector credentials",
            "connectors",
            f"{', '.join(ending)}: the credential ends within {CREDENTIALS_END_SOON.days} days"
            if ending
            else "none ends soon",
            bool(ending),
        ),
        (
            "Keys that end",
            "keys",
            f"{keys} within {KEYS_END_SOON.days} days" if keys else f"none within {KEYS_END_SOON.days} days",
            bool(keys),
        ),
        (
            "Provider keys",
            "providers",
            f"none for {', '.join(without)}" if without else "one for each provider",
            not matters["providers"],
        ),
        ("Signing key", "keys", age, bool(since and now - since > SIGNING_KEY_IS_OLD)),
    ]
    lines = [
        Line(
            [
                Cell(what, link=reverse(room)),
                Cell("look" if is_open else "well", tag="mind" if is_open else ""),
                Cell(told),
            ]
        )
        for what, room, told, is_open in sorted(found, key=lambda one: not one[3])
    ]
    return Book(title="To settle", heads=heads("What", "Look", "How it stands"), lines=lines, empty="")
