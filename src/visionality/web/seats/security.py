"""The security seat: what was refused and why, the keys to look at, and whether history can still not be changed.

It answers a Monday's question: a key leaked; was anything sent to a provider, and did the bill move?
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from visionality.core.canonical import timestamp
from visionality.core.period import Period
from visionality.evidence.verifications import standing
from visionality.ledger.privileges import Checked
from visionality.ledger.refusals import Counted, Refusals, refusals
from visionality.ledger.sums import sums
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.charts.columns import Column, Columns, Part, columns
from visionality.web.doing import doing
from visionality.web.issuing.access import LiveKey, access_live_and_named, access_live_keys
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading
from visionality.web.seats.csv_file import csv_file
from visionality.web.seats.figures import amount, counted
from visionality.web.seats.ledger_check import ledger_check
from visionality.web.seats.period import chooser, period_of
from visionality.web.seats.remembered import Remembered

STATUSES = {
    401: "not who they say",
    402: "over a budget",
    403: "not allowed",
    429: "too fast",
}
"""The statuses that have a figure of their own; the rest is one."""
LISTED_KEYS = 20
UNUSED = timedelta(days=30)
"""A key that made no call for so long is shown as unused; what the simulated provider answered does not count."""
KEYS = ("agent_sub", "project", "key_id", "shown", "why", "last_call_at", "ends_at", "generated_at")
"""Columns of the file of keys to look at."""
LATE = timedelta(minutes=15)
"""A check that is older than this has stopped; it is made every five minutes."""
LABEL_EVERY = 5
"""Days between two labels of the drawing."""

_refusals: Remembered[Refusals] = Remembered(least=5, times=50)
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Status:
    status: str
    words: str
    calls: str
    series: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Refusals of one status, reason and state of the proof, and the way to their rows."""

    status: int
    reason: str
    binding_status: str
    calls: str
    last_at: datetime
    query: str


@dataclass(frozen=True, slots=True)
class Risk:
    """A key to look at, and why."""

    key: LiveKey
    why: str
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Check:
    """The append-only check: `state` is good, bad or mind."""

    state: str
    words: str
    checked: Checked | None


@for_roles(Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """One page for a period; keys and the check are as they are now."""
    member, now = member_of(request), plane().clock()
    today = now.date()
    period = period_of(request.GET, today)
    with reading(member.org_id) as connection:
        found = _refusals.get(
            (member.org_id, period.first, period.last),
            lambda: refusals(connection, member.org_id, period.start, period.end),
        )
        used = _last_uses(connection, member.org_id, today)
        known = standing(connection, member.org_id)
    refused = {str(one.key_id) for one in found.keys if one.key_id}
    keys, names = access_live_and_named(member.org_id, now, refused)
    risks = _risks(keys, used, now)
    context = {
        "room": "security",
        "chooser": chooser(period, today),
        "period": period,
        "check": _check(known.append_only, now),
        "ledger": ledger_check(known, now),
        "live_keys": counted(len(keys)),
        "below_floor": sum(key.is_below_floor for key in keys),
        "unused": sum(_is_unused(key, used, now) for key in keys),
        "ownerless": sum(key.is_ownerless for key in keys),
        "risks": risks[:LISTED_KEYS],
        "more_risks": max(0, len(risks) - LISTED_KEYS),
        "strangers": [(one, counted(one.times)) for one in found.strangers],
        "stranger_calls": counted(sum(one.times for one in found.strangers)),
        **_refused(found, period, names),
    }
    return render(request, "security.html", context)


@for_roles(Role.SECURITY)
@require_GET
def keys_file(request: HttpRequest) -> HttpResponse:
    """All keys to look at, as they are now. That it was taken is an event of the audit log."""
    with doing(request) as act:
        lines = key_lines(act)
    return csv_file(f"keys-{act.now:%Y-%m-%d}", KEYS, lines)


def key_lines(act: Act) -> list[tuple[str, ...]]:
    """The lines of the file, and the event that it was taken."""
    act.record("keys_exported", {"asked": "keys to look at"})
    return [
        (
            *(one.key.agent_sub, one.key.project or "", str(one.key.id), one.key.shown, one.why),
            *(timestamp(one.last_at) if one.last_at else "", timestamp(one.key.expires_at)),
            timestamp(act.now),
        )
        for one in keys_to_look_at(act.org_id, act.now)
    ]


def keys_to_look_at(org_id: UUID, now: datetime) -> list[Risk]:
    """Every live key that something is to be said of, those below their floor first."""
    keys = access_live_keys(org_id, now)
    with reading(org_id) as connection:
        used = _last_uses(connection, org_id, now.date())
    return _risks(keys, used, now)


def _last_uses(
    connection: psycopg.Connection[Any], org_id: UUID, today: date
) -> dict[str | None, datetime | None]:
    since, until = today - UNUSED, today + timedelta(days=1)
    return {one.key: one.last_at for one in sums(connection, org_id, "key", since, until)}


def _refused(found: Refusals, period: Period, names: Mapping[str, str]) -> dict[str, object]:
    days = {"from": period.first.isoformat(), "to": period.last.isoformat()}
    by_status = _added(found.counted, lambda one: one.status)
    other = sum(calls for status, calls in by_status.items() if status not in STATUSES)
    statuses = [
        Status(str(status), words, counted(by_status.get(status, 0)), series)
        for series, (status, words) in enumerate(STATUSES.items())
    ]
    statuses.append(Status("other", "malformed, too large, …", counted(other), len(STATUSES)))
    total = sum(one.calls for one in found.counted)
    return {
        "calls": counted(total),
        "cost": amount(sum(one.cost_nusd for one in found.counted)),
        "answered": counted(sum(one.answered for one in found.counted)),
        "statuses": statuses,
        "reasons": _reasons(found.counted, days),
        "keys": [
            (
                one,
                names.get(str(one.key_id), str(one.key_id)).partition(",")[0],
                counted(one.calls),
                urlencode({"decision": "refused", "key": one.key_id or "", **days}),
            )
            for one in found.keys
        ],
        "clients": [(one, counted(one.calls)) for one in found.clients],
        "newest": [(one, counted(one.calls)) for one in found.newest],
        "all_query": urlencode({"decision": "refused", **days}),
        "drawing": _drawing(found.counted, period) if total else None,
        "by_day": _by_day(found.counted),
    }


def _reasons(lines: Iterable[Counted], days: dict[str, str]) -> list[Reason]:
    grouped: dict[tuple[int, str, str], list[Counted]] = defaultdict(list)
    for one in lines:
        grouped[one.status, one.reason, one.binding_status].append(one)
    ordered = sorted(grouped.items(), key=lambda item: (-sum(one.calls for one in item[1]), item[0]))
    return [
        Reason(
            status,
            reason,
            binding,
            counted(sum(one.calls for one in of)),
            max(one.last_at for one in of),
            urlencode({"decision": "refused", "status": status, "binding": binding, **days}),
        )
        for (status, reason, binding), of in ordered
    ]


def _by_day(lines: Iterable[Counted]) -> list[tuple[date, str, list[str]]]:
    """Each day that had refusals: how many, and how many of each status."""
    by_day: dict[date, list[Counted]] = defaultdict(list)
    for one in lines:
        by_day[one.day].append(one)
    return [
        (day, counted(sum(one.calls for one in of)), [counted(calls) for calls in _of_each(of)])
        for day, of in sorted(by_day.items())
    ]


def _of_each(lines: Iterable[Counted]) -> list[int]:
    """Calls by the statuses that have a figure, then the rest."""
    by_status = _added(lines, lambda one: one.status)
    shown = [by_status.pop(status, 0) for status in STATUSES]
    return [*shown, sum(by_status.values())]


def _drawing(lines: Iterable[Counted], period: Period) -> Columns:
    by_day: dict[date, list[Counted]] = defaultdict(list)
    for one in lines:
        by_day[one.day].append(one)
    names = [*map(str, STATUSES), "other"]
    given = []
    for place in range(period.days):
        day = period.first + timedelta(days=place)
        parts = [
            Part(series, calls, f"{day.day} {day:%b}, {names[series]}: {calls:,}")
            for series, calls in enumerate(_of_each(by_day.get(day, [])))
        ]
        given.append(Column(str(day.day) if place % LABEL_EVERY == 0 else "", parts))
    said = f"Refused calls by day and status, {period.title}; the table below has the figures"
    return columns(said, given, counted)


def _added(lines: Iterable[Counted], of: Callable[[Counted], _Key]) -> dict[_Key, int]:
    found: dict[_Key, int] = defaultdict(int)
    for one in lines:
        found[of(one)] += one.calls
    return found


def _risks(keys: Iterable[LiveKey], used: Mapping[str | None, datetime | None], now: datetime) -> list[Risk]:
    found = []
    for key in keys:
        why = [
            f"made at level {key.level}, the floor is {key.floor}" if key.is_below_floor else "",
            "nobody owns its agent" if key.is_ownerless else "",
            f"no call for {UNUSED.days} days" if _is_unused(key, used, now) else "",
        ]
        if any(why):
            found.append(Risk(key, "; ".join(filter(None, why)), used.get(str(key.id))))
    return sorted(found, key=lambda risk: (not risk.key.is_below_floor, not risk.key.is_ownerless))


def _is_unused(key: LiveKey, used: Mapping[str | None, datetime | None], now: datetime) -> bool:
    return str(key.id) not in used and now - key.since > UNUSED


def _check(checked: Checked | None, now: datetime) -> Check:
    if checked is None:
        return Check("mind", "not checked yet", None)
    if checked.findings:
        return Check("bad", f"{len(checked.findings)} found", checked)
    if now - checked.checked_at > LATE:
        return Check("mind", "held when last checked", checked)
    return Check("good", "holds", checked)
