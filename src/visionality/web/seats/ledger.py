"""The ledger page: the newest rows of an organisation, live, narrowed by what the address says, and what they add up to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.ledger import reader
from visionality.ledger.filter import COLUMNS, BadFilter, Filter
from visionality.ledger.reader import Mark, Record
from visionality.ledger.sums import Dim, midnight, sums_by
from visionality.web.accounts.members import Member, for_roles, member_of
from visionality.web.accounts.roles import Role, may
from visionality.web.house import house_of
from visionality.web.page import simulated
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.sandboxed import unkeyed
from visionality.web.seats.figures import Amount, amount, counted
from visionality.web.seats.lines import Line, line, places
from visionality.web.seats.remembered import Remembered
from visionality.web.seats.totals import Totals, totals

PAGE = 50
FILE_ROLES = frozenset({Role.FINANCE})
"""For whom the rows are as a file (ledger_file.py)."""
ORIGINAL = "original"
"""What `booked` says in an address where corrections are left out."""
CHOICES_BACK = timedelta(days=31)
"""A project or an agent is offered as a filter when it had a row since this long before the month began."""
TITLES = {
    "customer": "Customer",
    "team": "Team",
    "owner": "Owner",
    "person": "Person",
    "task": "Task",
    "epic": "Epic",
    "class": "Task class",
    "model": "Model",
    "family": "Model family",
    "provider": "Provider",
    "key": "Key",
    "decision": "Decision",
    "reason": "Reason",
    "status": "Status",
    "binding": "Binding status",
    "entry": "Entry",
    "source": "Source",
    "repo": "Repo",
    "branch": "Branch",
    "cost_center": "Cost center",
    "gl": "GL code",
    "level": "Evidence level",
}
"""The selectors behind "More filters", as a person reads them."""

_totals: Remembered[Totals] = Remembered(least=0, times=20)
_choices: Remembered[tuple[list[str], list[str]]] = Remembered(least=5, times=50)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; `first` and `last` are UTC days, the last one included."""

    wanted: Filter
    first: date | None
    last: date | None
    before: Mark | None
    after: Mark | None
    live: bool

    def query(self, **more: str) -> str:
        """The query string of this filter, and more."""
        days = {"from": self.first, "to": self.last}
        given = {
            **dict(self.wanted.named),
            **{name: day.isoformat() for name, day in days.items() if day},
            "booked": ORIGINAL if self.wanted.original else "",
            **more,
        }
        return urlencode({name: value for name, value in given.items() if value})

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is a page below the newest."""
        return bool(self.before or self.after)


@dataclass(frozen=True, slots=True)
class Month:
    """What the rows of a month, or of the days that were chosen, add up to, with how sure that is."""

    name: str
    is_chosen: bool
    calls: str
    served: str
    cost: Amount
    final: Amount
    estimated: Amount
    simulated: Amount
    unpriced: str
    unattributed: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter that is in force, and the address without it."""

    title: str
    value: str
    without: str


@for_roles()
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page; it shows the newest without a script as well."""
    member, asked = member_of(request), asked_in(request.GET)
    with reading(member.org_id) as connection:
        context = _context(connection, request, asked, None)
        projects, agents = _offered(connection, member, asked.wanted)
    context |= {"projects": projects, "agents": agents, "wanted": asked.wanted, "asked": asked}
    context["project"], context["agent"] = asked.wanted.get("project"), asked.wanted.get("agent")
    context["fields"] = [(name, title, asked.wanted.get(name) or "") for name, title in TITLES.items()]
    context["chosen"] = _chosen(asked)
    context["first_run"] = not (
        context["lines"] or asked.is_elsewhere or context["filtered"] or projects or agents
    )
    return render(request, "ledger.html", context)


@for_roles()
@require_safe
def changes(request: HttpRequest) -> HttpResponse:
    """The parts of the page that changed since the state that `seen` names; 204 when none did."""
    member, asked = member_of(request), asked_in(request.GET)
    with reading(member.org_id) as connection:
        context = _context(connection, request, asked, _uuid(request.GET.get("newest")))
    if context["seen"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    return render(request, "ledger_changes.html", context)


def _context(
    connection: psycopg.Connection[Record], request: HttpRequest, asked: Asked, seen_up_to: UUID | None
) -> dict[str, Any]:
    member = member_of(request)
    records = reader.newest(connection, member.org_id, asked.wanted, PAGE + 1, asked.before, asked.after)
    has_more = len(records) > PAGE
    records = records[1:] if has_more and asked.after else records[:PAGE]
    lines = [line(record, seen_up_to) for record in records]
    has_older, has_newer = (True, has_more) if asked.after else (has_more, bool(asked.before))
    month = _month(connection, member, asked)
    providers = unkeyed(house_of(request, member.org_id).providers)
    seen = _fingerprint(lines, month, providers)
    newest = str(max((one.id for one in lines), default=""))
    return {
        "room": "ledger",
        "lines": lines,
        "places": places(lines),
        "month": month,
        "simulated": simulated(providers),
        "seen": seen,
        "live": asked.live and not asked.is_elsewhere,
        "older": asked.query(before=_mark(lines[-1])) if lines and has_older else "",
        "newer": asked.query(after=_mark(lines[0])) if lines and has_newer else "",
        "is_older": asked.is_elsewhere,
        "newest_query": asked.query(),
        "may_download": may(member.roles, FILE_ROLES, "GET"),
        "paused_query": asked.query(live="off"),
        "poll_query": asked.query(seen=seen, newest=newest),
        "filtered": asked.wanted != Filter(),
    }


def _chosen(asked: Asked) -> list[Chosen]:
    """The filters behind "More filters" that are in force."""
    return [
        Chosen(TITLES[name], value, replace(asked, wanted=asked.wanted.without(name)).query())
        for name, value in asked.wanted.named
        if name in TITLES
    ]


def _fingerprint(*parts: object) -> str:
    """Names a state of the page: rows never change, so their ids stand for them."""
    lines, *rest = parts
    assert isinstance(lines, list)
    text = repr(([str(one.id) for one in lines], rest))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _month(connection: psycopg.Connection[Record], member: Member, asked: Asked) -> Month:
    now = plane().clock()
    start, end = span_of(asked, now)
    is_chosen = bool(asked.first or asked.last)
    found = _totals.get(
        (member.org_id, start, end, asked.wanted),
        lambda: totals(connection, member.org_id, asked.wanted, start, end),
    )
    return Month(
        name=_named(start, end - timedelta(days=1)) if is_chosen else f"{start:%B %Y}",
        is_chosen=is_chosen,
        calls=counted(found.calls),
        served=counted(found.served),
        cost=amount(found.cost_nusd),
        final=amount(found.final_nusd),
        estimated=amount(found.cost_nusd - found.final_nusd),
        simulated=amount(found.simulated_nusd),
        unpriced=counted(found.unpriced),
        unattributed=counted(found.unattributed),
        others=found.others,
    )


def span_of(asked: Asked, now: datetime) -> tuple[date, date]:
    """The UTC days that the page adds up, half open: those that were chosen, else the month."""
    if asked.first or asked.last:
        return asked.first or date.min, (asked.last or now.date()) + timedelta(days=1)
    return _month_of(now)


def _named(first: date, last: date) -> str:
    ends = f"{last.day} {last:%B %Y}"
    if first == date.min:
        return f"Until {ends}"
    return ends if first == last else f"{first.day} {first:%B %Y} to {ends}"


def _offered(
    connection: psycopg.Connection[Record], member: Member, wanted: Filter
) -> tuple[list[str], list[str]]:
    """The projects and agents to filter by; what is filtered by now is always among them."""
    start, end = _month_of(plane().clock())
    projects, agents = _choices.get(
        (member.org_id, start), lambda: _seen(connection, member.org_id, start - CHOICES_BACK, end)
    )
    return _with(projects, wanted.get("project")), _with(agents, wanted.get("agent"))


def _seen(
    connection: psycopg.Connection[Record], org_id: UUID, start: date, end: date
) -> tuple[list[str], list[str]]:
    """The projects and the agents that have rows."""
    dims: tuple[Dim, ...] = ("project", "agent")
    found = [
        sums_by(connection, org_id, dims, start, end, simulated=simulated) for simulated in (False, True)
    ]
    projects, agents = (sorted({one.key for its in found for one in its[dim] if one.key}) for dim in dims)
    return projects, agents


def _with(offered: list[str], chosen: str | None) -> list[str]:
    return offered if chosen is None or chosen in offered else sorted([*offered, chosen])


def _month_of(moment: datetime) -> tuple[date, date]:
    """The UTC month that a moment is in, half open."""
    start = moment.date().replace(day=1)
    return start, (start + CHOICES_BACK).replace(day=1)


def asked_in(given: Mapping[str, str]) -> Asked:
    """Raises BadRequest for what no link of ours says."""
    first, last = _day(given, "from"), _day(given, "to")
    try:
        wanted = Filter.of(
            {name: given.get(name, "").strip() for name in COLUMNS},
            midnight(first) if first else None,
            midnight(last + timedelta(days=1)) if last else None,
            original=given.get("booked") == ORIGINAL,
        )
    except BadFilter as mistake:
        raise BadRequest(str(mistake)) from None
    return Asked(
        wanted,
        first,
        last,
        _parsed_mark(given, "before"),
        _parsed_mark(given, "after"),
        given.get("live") != "off",
    )


def _day(given: Mapping[str, str], name: str) -> date | None:
    text = given.get(name)
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise BadRequest(f"expected {name}=YYYY-MM-DD") from None
    if day and not 2000 <= day.year <= 2999:
        raise BadRequest(f"expected {name}=YYYY-MM-DD of this millennium")
    return day


def _mark(last: Line) -> str:
    return f"{last.at.isoformat()},{last.id}"


def _parsed_mark(given: Mapping[str, str], name: str) -> Mark | None:
    text = given.get(name)
    if not text:
        return None
    at, _, row_id = text.partition(",")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise BadRequest(f"expected {name}=time,id") from None
    found = _uuid(row_id)
    if found is None or moment.tzinfo is None:
        raise BadRequest(f"expected {name}=time,id")
    return moment, found


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise BadRequest("expected an id") from None
