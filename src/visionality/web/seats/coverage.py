"""The coverage page: how much of the spend of thirty days is attributed, on what evidence, and what settles the rest (A6)."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.chargeback.coverage import LEVELS, Sum, percent
from visionality.chargeback.coverage_lately import Lately, Levels, Tool, lately
from visionality.core.attribution import BOUND, UNATTRIBUTED
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, counted

DAYS = 30
RECENT_DAYS = 7
"""Tools are judged by their last days: an update may have changed their wording."""
LARGEST = 10
"""Agents and repos that are shown."""
FULL = 1000
"""How long a whole bar is, in the units that bars are drawn in."""

_MAP = "Guide, Attribution: The mapping file"
_KEYS = "Guide, Attribution: Keys of an engineer"
_IDE = "Guide, Coding assistants: --at"


@dataclass(frozen=True, slots=True)
class Piece:
    """One level of a bar: where it begins and how long it is, of FULL."""

    level: int
    start: int
    length: int
    name: str
    percent: str


@dataclass(frozen=True, slots=True)
class Day:
    """One column of the chart."""

    name: str
    place: int
    pieces: list[Piece]
    cost: Amount
    calls: str


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a table: what, and which part of the whole it is."""

    name: str
    level: int
    calls: str
    cost: Amount
    percent: str


@dataclass(frozen=True, slots=True)
class Told:
    """A tool: what it sends and what is to be done."""

    name: str
    calls: str
    cost: Amount
    attributed: str
    pieces: list[Piece]
    evidence: str
    advice: str
    address: str
    guide: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """An agent or a repo with spend of no project, and the agent that needs a key, or the line that the map needs."""

    name: str
    calls: str
    cost: Amount
    line: str


@for_roles()
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The whole page, which does without a script."""
    member, today = member_of(request), plane().clock().date()
    start, recent = today - timedelta(days=DAYS - 1), today - timedelta(days=RECENT_DAYS - 1)
    with reading(member.org_id) as connection:
        found = lately(connection, member.org_id, start, today + timedelta(days=1), recent)
    return render(request, "coverage.html", _context(found, start, today) | {"room": "coverage"})


def _context(found: Lately, start: date, today: date) -> dict[str, object]:
    whole, unattributed = found.whole, found.unattributed
    attributed = whole.cost_nusd - unattributed.cost_nusd
    dates = [start + timedelta(days=number) for number in range(DAYS)]
    return {
        "since": start,
        "until": today,
        "recent_days": RECENT_DAYS,
        "is_empty": not whole.calls and not whole.cost_nusd,
        "cost": amount(whole.cost_nusd),
        "calls": counted(whole.calls),
        "attributed_percent": _percent(attributed, whole.cost_nusd),
        "unattributed": amount(unattributed.cost_nusd),
        "unattributed_calls": counted(unattributed.calls),
        "other_currencies": found.other_currencies,
        "pieces": _pieces(found.levels, whole),
        "levels": [_share(level, its, whole) for level, its in found.levels.items()],
        "days": [_day(place, one, found.days.get(one, {})) for place, one in enumerate(dates)],
        "tools": [_told(tool) for tool in found.tools],
        "agents": [_agent(name, its) for name, its in found.agents[:LARGEST]],
        "more_agents": max(0, len(found.agents) - LARGEST),
        "repos": [_repo(name, its) for name, its in found.repos if name][:LARGEST],
        "more_repos": max(0, sum(name is not None for name, _ in found.repos) - LARGEST),
    }


def _pieces(levels: Levels, whole: Sum) -> list[Piece]:
    """The bar of a whole, its most trusted level first. What corrections took below zero has no length."""
    total = sum(max(0, its.cost_nusd) for its in levels.values())
    pieces: list[Piece] = []
    passed = 0
    for level, its in sorted(levels.items(), key=lambda one: one[0] or 0):
        if its.cost_nusd > 0:
            begin, end = passed * FULL // total, (passed + its.cost_nusd) * FULL // total
            share = _percent(its.cost_nusd, whole.cost_nusd)
            pieces.append(Piece(level or 0, begin, max(1, end - begin), _level(level), share))
            passed += its.cost_nusd
    return pieces


def _share(level: int | None, its: Sum, whole: Sum) -> Share:
    share = _percent(its.cost_nusd, whole.cost_nusd)
    return Share(_level(level), level or 0, counted(its.calls), amount(its.cost_nusd), share)


def _day(place: int, day: date, levels: Levels) -> Day:
    whole = Sum()
    for its in levels.values():
        whole.add(its.calls, its.cost_nusd)
    name = f"{day:%a} {day.day} {day:%b}"
    return Day(name, place * 10, _pieces(levels, whole), amount(whole.cost_nusd), counted(whole.calls))


def _level(level: int | None) -> str:
    return LEVELS.get(level or 0, f"level {level}" if level else "no level")


def _told(tool: Tool) -> Told:
    sent = sorted(level for level in tool.levels if level and level not in {BOUND, UNATTRIBUTED})
    places = [_level(level) for level in sent] + (["places in no map"] if tool.unplaced_calls else [])
    advice, address, guide = _advice(tool)
    return Told(
        name=tool.name or "no tool named",
        calls=counted(tool.whole.calls),
        cost=amount(tool.whole.cost_nusd),
        attributed=_percent(tool.whole.cost_nusd - tool.unattributed.cost_nusd, tool.whole.cost_nusd),
        pieces=_pieces(tool.levels, tool.whole),
        evidence=", ".join(places) or "none",
        advice=advice,
        address=address,
        guide=guide,
    )


def _advice(tool: Tool) -> tuple[str, str, str]:
    """What to do about a tool, the address for it, and where that is described."""
    waiting, unplaced = tool.unattributed, tool.unplaced_calls
    if not waiting.calls and not waiting.cost_nusd:
        return "Nothing to do.", "", ""
    if 2 * unplaced >= waiting.calls > 0:
        return "It says where it works, and the map does not know that place: add it to the map.", "", _MAP
    if tool.name is None:
        return "A program that says nothing: give it a key of its project.", "", _KEYS
    address = f"{plane().gateway_url}/at/PROJECT"
    return "It does not say where it works: put the project into its base address.", address, _IDE


def _agent(name: str | None, its: Sum) -> Waiting:
    return Waiting(name or "no agent", counted(its.calls), amount(its.cost_nusd), name or "")


def _repo(name: str | None, its: Sum) -> Waiting:
    return Waiting(name or "no repo", counted(its.calls), amount(its.cost_nusd), f"{name}: PROJECT")


def _percent(part: int, whole: int) -> str:
    found = percent(part, whole)
    return "–" if found is None else f"{found}\N{NO-BREAK SPACE}%"
