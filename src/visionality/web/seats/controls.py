"""`/evidence/controls`: six SOC 2 controls, judged by everything that the product itself has of a period."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_safe

from visionality.core.canonical import timestamp
from visionality.core.control import Control, Failed
from visionality.core.period import Period
from visionality.evidence.controls import collect
from visionality.evidence.controls.mappings import mappings
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.doing import doing
from visionality.web.issuing.access import access_key_names
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.seats.csv_file import csv_file
from visionality.web.seats.figures import counted
from visionality.web.seats.period import chooser, period_of, query
from visionality.web.seats.remembered import Remembered

LISTED = 20
"""Exceptions of a control that are shown; the file has all."""
HEAD = ("control", "title", "status", "subject", "detail", "period_from", "period_to", "generated_at")
STATUS = {
    "satisfied": ("good", "satisfied"),
    "not_satisfied": ("bad", "not satisfied"),
    "not_operating": ("mind", "not operating"),
}
"""How a status looks, and its words."""

_ROOMS = {
    "key": "key",
    "leaver": "audit_event",
    "change of access": "audit_event",
    "change": "audit_event",
    "shut off": "audit_event",
}
"""Where an exception's subject is seen, by its kind."""

_found: Remembered[list[Control]] = Remembered(least=5, times=50)


@dataclass(frozen=True, slots=True)
class Shown:
    """An exception: what it is of in words, where that is seen, and why."""

    kind: str
    name: str
    link: str
    detail: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A control as the page has it."""

    of: Control
    look: str
    words: str
    population: str
    passed: str
    failed: str
    not_judged: str
    exceptions: list[Shown]
    more: int
    supports: Mapping[str, Sequence[str]]


@for_roles(Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    member, today = member_of(request), plane().clock().date()
    period = period_of(request.GET, today)
    found = _controls(member.org_id, period)
    subjects = (_parts(one.subject) for control in found for one in control.exceptions[:LISTED])
    names = access_key_names(member.org_id, [name for kind, name in subjects if kind == "key"])
    by_status = Counter(one.status for one in found)
    context = {
        "room": "controls",
        "chooser": chooser(period, today),
        "period": period,
        "asked": query(period),
        "controls": [_judgement(one, names) for one in found],
        "satisfied": by_status["satisfied"],
        "not_satisfied": by_status["not_satisfied"],
        "not_operating": by_status["not_operating"],
        "population": counted(sum(one.population for one in found)),
        "failed": counted(sum(len(one.exceptions) for one in found)),
        "not_judged": counted(sum(one.not_judged for one in found)),
        "mappings": mappings(),
    }
    return render(request, "controls.html", context)


@for_roles(Role.SECURITY)
@require_GET
def exceptions_file(request: HttpRequest) -> HttpResponse:
    """Every exception of a period. That it was taken is an event of the audit log."""
    member, now = member_of(request), plane().clock()
    period = period_of(request.GET, now.date())
    lines = [
        (
            *(one.control, one.title, one.status, failed.subject, failed.detail),
            *(period.first.isoformat(), period.last.isoformat(), timestamp(now)),
        )
        for one in _controls(member.org_id, period)
        for failed in one.exceptions
    ]
    with doing(request) as act:
        act.record("exceptions_exported", {"asked": query(period)})
    return csv_file(f"exceptions-{period.first}-{period.last}", HEAD, lines)


def _controls(org_id: UUID, period: Period) -> list[Control]:
    def judge() -> list[Control]:
        with reading(org_id) as connection:
            return collect(connection, org_id, period, plane().clock())

    return _found.get((org_id, period.first, period.last), judge)


def _judgement(one: Control, names: Mapping[str, str]) -> Judgement:
    look, words = STATUS[one.status]
    return Judgement(
        of=one,
        look=look,
        words=words,
        population=counted(one.population),
        passed=counted(one.passed),
        failed=counted(len(one.exceptions)),
        not_judged=counted(one.not_judged),
        exceptions=list(_shown(one.exceptions[:LISTED], names)),
        more=max(0, len(one.exceptions) - LISTED),
        supports=mappings().entries[one.control],
    )


def _shown(exceptions: Sequence[Failed], names: Mapping[str, str]) -> Iterator[Shown]:
    for one in exceptions:
        kind, name = _parts(one.subject)
        room = _ROOMS.get(kind)
        link = reverse(room, args=[name]) if room and _is_id(name) else ""
        yield Shown(kind, names.get(name, name), link, one.detail)


def _parts(subject: str) -> tuple[str, str]:
    """A subject's kind, which may be several words, and its id."""
    kind, _, name = subject.rpartition(" ")
    return kind, name


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
