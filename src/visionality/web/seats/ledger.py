"""The ledger page: the newest rows of an organisation, live, and what the month adds up to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.ledger import reader
from visionality.ledger.reader import Filter, Record
from visionality.web.accounts.members import Member, member_of
from visionality.web.page import simulated
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.sandboxed import sandboxed
from visionality.web.seats.figures import Amount, amount, counted
from visionality.web.seats.lines import Line, line, places
from visionality.web.seats.remembered import Remembered

PAGE = 50
ORIGINAL = "original"
"""What `booked` says in an address where corrections are left out."""
CHOICES_BACK = timedelta(days=31)
"""A project or an agent is offered as a filter when it had a row since this long before the month began."""

_totals: Remembered[Record] = Remembered(least=0, times=20)
_choices: Remembered[tuple[list[str], list[str]]] = Remembered(least=5, times=50)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for."""

    wanted: Filter
    before: tuple[datetime, UUID] | None
    live: bool

    def query(self, **more: str) -> str:
        """The query string of this filter, and more."""
        booked = ORIGINAL if self.wanted.original else None
        given = {"project": self.wanted.project_id, "agent": self.wanted.agent_sub, "booked": booked, **more}
        return urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class Month:
    """What this month's rows add up to, with how sure that is."""

    name: str
    calls: str
    cost: Amount
    final: Amount
    estimated: Amount
    simulated: Amount
    unpriced: str
    unattributed: str


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page; it shows the newest without a script as well."""
    member, asked = member_of(request), _asked(request.GET)
    with reading(member.org_id) as connection:
        context = _context(connection, member, asked, None)
        projects, agents = _offered(connection, member, asked.wanted)
        context |= {"projects": projects, "agents": agents, "wanted": asked.wanted}
        context["first_run"] = not context["lines"] and not (asked.before or projects or agents)
    return render(request, "ledger.html", context)


@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """The parts of the page that changed since the state that `seen` names; 204 when none did."""
    member, asked = member_of(request), _asked(request.GET)
    with reading(member.org_id) as connection:
        context = _context(connection, member, asked, _uuid(request.GET.get("newest")))
    if context["seen"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render(request, "ledger_changes.html", context)


def _context(
    connection: psycopg.Connection[Record], member: Member, asked: Asked, seen_up_to: UUID | None
) -> dict[str, Any]:
    records = reader.newest(connection, member.org_id, asked.wanted, PAGE + 1, asked.before)
    lines = [line(record, seen_up_to) for record in records[:PAGE]]
    month = _month(connection, member, asked.wanted)
    providers = sandboxed(member.org_id)
    seen = _fingerprint(lines, month, providers)
    newest = str(max((one.id for one in lines), default=""))
    return {
        "room": "ledger",
        "lines": lines,
        "places": places(lines),
        "month": month,
        "simulated": simulated(providers),
        "seen": seen,
        "live": asked.live and asked.before is None,
        "older": asked.query(before=_mark(lines[-1])) if len(records) > PAGE else "",
        "is_older": asked.before is not None,
        "newest_query": asked.query(),
        "paused_query": asked.query(live="off"),
        "poll_query": asked.query(seen=seen, newest=newest),
        "filtered": asked.wanted != Filter(),
    }


def _fingerprint(*parts: object) -> str:
    """Names a state of the page: rows never change, so their ids stand for them."""
    lines, *rest = parts
    assert isinstance(lines, list)
    text = repr(([str(one.id) for one in lines], rest))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _month(connection: psycopg.Connection[Record], member: Member, wanted: Filter) -> Month:
    start, end = _month_of(plane().clock())
    sums = _totals.get(
        (member.org_id, start, wanted), lambda: reader.totals(connection, member.org_id, start, end, wanted)
    )
    return Month(
        name=f"{start:%B %Y}",
        calls=counted(sums["calls"]),
        cost=amount(sums["cost_nusd"]),
        final=amount(sums["final_nusd"]),
        estimated=amount(sums["cost_nusd"] - sums["final_nusd"]),
        simulated=amount(sums["sandbox_nusd"]),
        unpriced=counted(sums["unpriced"]),
        unattributed=counted(sums["unattributed"]),
    )


def _offered(
    connection: psycopg.Connection[Record], member: Member, wanted: Filter
) -> tuple[list[str], list[str]]:
    """The projects and agents to filter by; what is filtered by now is always among them."""
    start, _ = _month_of(plane().clock())
    projects, agents = _choices.get(
        (member.org_id, start), lambda: reader.choices(connection, member.org_id, start - CHOICES_BACK)
    )
    return _with(projects, wanted.project_id), _with(agents, wanted.agent_sub)


def _with(offered: list[str], chosen: str | None) -> list[str]:
    return offered if chosen is None or chosen in offered else sorted([*offered, chosen])


def _month_of(moment: datetime) -> tuple[datetime, datetime]:
    """The UTC month that a moment is in, half open."""
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + CHOICES_BACK).replace(day=1)


def _asked(given: Mapping[str, str]) -> Asked:
    """Raises BadRequest for what no link of ours says."""
    project, agent = (_text(given.get(name)) for name in ("project", "agent"))
    wanted = Filter(project, agent, given.get("booked") == ORIGINAL)
    return Asked(wanted, _parsed_mark(given.get("before")), given.get("live") != "off")


def _text(value: str | None) -> str | None:
    if value and "\0" in value:
        raise BadRequest("a filter cannot hold NUL")
    return value or None


def _mark(last: Line) -> str:
    return f"{last.at.isoformat()},{last.id}"


def _parsed_mark(text: str | None) -> tuple[datetime, UUID] | None:
    if not text:
        return None
    at, _, row_id = text.partition(",")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BadRequest("expected before=time,id") from None
    found = _uuid(row_id)
    if found is None or moment.tzinfo is None:
        raise BadRequest("expected before=time,id")
    return moment, found


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadRequest("expected an id") from None
