"""The people seat (H3): who can reach a model now, with what, and who no longer can."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, cast, get_args
from urllib.parse import urlencode
from uuid import UUID

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.core.period import Period
from visionality.ledger.sums import sums
from visionality.ledger.uses import SinceEnd, last_uses, since_ends
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.doing import doing
from visionality.web.issuing import holders
from visionality.web.issuing.holders import Holder, Leaver, Life, Only
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, counted
from visionality.web.seats.period import chooser, period_of, query
from visionality.web.seats.remembered import Remembered

PAGE = 50
MOST_LEAVERS = 200
"""Of a page; a shorter period shows the others."""
LONGEST_SEARCH = 100

_used: Remembered[frozenset[UUID]] = Remembered(least=60, times=50)


@dataclass(frozen=True, slots=True)
class Line:
    """A person of the table."""

    id: UUID
    name: str
    sso_sub: str
    teams: str
    live: int
    ends_at: datetime | None
    projects: str
    models: str
    last_at: datetime | None
    cost_nusd: int
    left_at: datetime | None

    @property
    def cost(self) -> Amount:
        return amount(self.cost_nusd)


@dataclass(frozen=True, slots=True)
class Left:
    """A leaver with what came after. `last_refused` is how long after the act, in words."""

    of: Leaver
    keys: int
    live: int
    """Keys that were issued to them afterwards and work."""
    last_before: datetime | None
    served: int
    under_way: int
    refused: int
    last_refused: str

    @property
    def refusals(self) -> str:
        return counted(self.refused)


@for_roles(Role.PEOPLE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    member, now = member_of(request), plane().clock()
    only, search, after = asked_in(request.GET)
    with reading(member.org_id) as connection:
        used = used_keys(connection, member.org_id, now.date())
        with doing(request) as act:
            whole, found = holders.page(act, used, search=search, only=only, after=after, limit=PAGE + 1)
        shown = found[:PAGE]
        lines = lines_of(connection, member.org_id, shown, now)
    kept = {"only": only, "search": search}
    context = {
        "room": "people",
        "whole": whole,
        "lines": lines,
        "only": only,
        "search": search,
        "choices": CHOICES,
        "filtered": bool(only or search or after),
        "file_query": _query(**kept),
        "further": _query(**kept, after=shown[-1].sso_sub) if len(found) > PAGE else "",
        "first": _query(**kept) if after else "",
        "is_further": bool(after),
        "month": now,
    }
    return render(request, "people.html", context)


CHOICES: tuple[tuple[Only, str], ...] = (
    ("", "everybody"),
    ("with", "with access"),
    ("without", "without access"),
    ("unused", "with access, unused for 30 days"),
    ("leavers", "leavers of the last 30 days"),
)


@for_roles(Role.PEOPLE)
@require_safe
def leavers(request: HttpRequest) -> HttpResponse:
    """Whose access ended in a period, and whether anything came after."""
    now = plane().clock()
    period = period_of(request.GET, now.date())
    with doing(request) as act:
        lines, refused, has_more = left_in(act, period)
    context = {
        "room": "people",
        "period": chooser(period, now.date()),
        "lines": lines,
        "more": has_more,
        "period_query": query(period),
        "served": counted(sum(one.served for one in lines)),
        "refused": counted(refused),
        "again": sum(one.live > 0 for one in lines),
    }
    return render(request, "leavers.html", context)


def left_in(act: Act, period: Period) -> tuple[list[Left], int, bool]:
    """The leavers of a period, the newest first, with all their attempts that were refused since, and whether there are more."""
    found = holders.leavers(act, period.start, period.end, MOST_LEAVERS + 1)
    shown = found[:MOST_LEAVERS]
    lived = holders.lives(act, [one.id for one in shown])
    ends = [
        (held.key.id, held.key.agent.sub, held.end.at)
        for life in lived.values()
        for held in life.keys
        if held.end
    ]
    with reading(act.org_id) as connection:
        since = since_ends(connection, act.org_id, ends)
    lines = [_left(one, lived[one.id], since) for one in shown]
    return lines, sum(one.refused for one in since.values()), len(found) > MOST_LEAVERS


def asked_in(given: Mapping[str, str]) -> tuple[Only, str, str]:
    """Raises BadRequest for a filter that no link of ours has."""
    only, search, after = (given.get(name, "").strip() for name in ("only", "search", "after"))
    if only not in get_args(Only) or "\0" in search + after:
        raise BadRequest("expected only=with, without, unused or leavers")
    return cast("Only", only), search[:LONGEST_SEARCH], after


def _query(**given: str) -> str:
    return urlencode({name: value for name, value in given.items() if value})


def lines_of(
    connection: psycopg.Connection[Any], org_id: UUID, shown: list[Holder], now: datetime
) -> list[Line]:
    """These people with what they spent this month and when they last called."""
    spent = _spent(connection, org_id, shown, now.date())
    lasts = last_uses(connection, org_id, [sub for one in shown for sub in one.agents], now)
    return [_line(one, lasts, spent.get(one.sso_sub, 0)) for one in shown]


def used_keys(connection: psycopg.Connection[Any], org_id: UUID, today: date) -> frozenset[UUID]:
    """The keys that something was served for within IDLE, as of a minute ago at most."""
    return _used.get((org_id, today), lambda: _used_keys(connection, org_id, today))


def _used_keys(connection: psycopg.Connection[Any], org_id: UUID, today: date) -> frozenset[UUID]:
    """The keys that something was served for within IDLE."""
    lines = sums(connection, org_id, "key", today - holders.IDLE, today + timedelta(days=1))
    return frozenset(UUID(one.key) for one in lines if one.key and one.calls > 0)


def _spent(
    connection: psycopg.Connection[Any], org_id: UUID, shown: list[Holder], today: date
) -> dict[str, int]:
    """What these people cost this month, in nano-dollars; other currencies are no dollars."""
    subs = [one.sso_sub for one in shown]
    spent: dict[str, int] = {}
    for one in sums(connection, org_id, "person", today.replace(day=1), today + timedelta(days=1), keys=subs):
        if one.currency == "USD" and one.key is not None:
            spent[one.key] = spent.get(one.key, 0) + one.cost_nusd
    return spent


def _line(one: Holder, lasts: Mapping[str, datetime], nusd: int) -> Line:
    used = [lasts[sub] for sub in one.agents if sub in lasts]
    return Line(
        id=one.id,
        name=one.name,
        sso_sub=one.sso_sub,
        teams=", ".join(sorted(one.teams)),
        live=one.live,
        ends_at=one.ends_at,
        projects=_words(one.projects, is_any=one.any_project),
        models=_words(one.models, is_any=one.any_model),
        last_at=max(used, default=None),
        cost_nusd=nusd,
        left_at=one.left_at,
    )


def _words(names: frozenset[str], *, is_any: bool) -> str:
    """Names of what may be used; one key for anything makes it anything."""
    return "any" if is_any else ", ".join(sorted(names))


def _left(one: Leaver, life: Life, since: Mapping[UUID, SinceEnd]) -> Left:
    known = [since[held.key.id] for held in life.keys if held.key.id in since]
    ended = [held for held in life.keys if held.end]
    last_refused = max((its.last_refused for its in known if its.last_refused), default=None)
    return Left(
        of=one,
        keys=len(ended),
        live=len(life.keys) - len(ended),
        last_before=max((its.last_before for its in known if its.last_before), default=None),
        served=sum(its.served for its in known),
        under_way=sum(its.under_way + its.served_in_grace for its in known),
        refused=sum(its.refused for its in known),
        last_refused=span(last_refused - one.ended_at) if last_refused else "",
    )


def span(length: timedelta) -> str:
    """How long something took, in the words of a person: "40 s", "12 min", "3 h", "5 days"."""
    seconds = int(length.total_seconds())
    for least, unit, name in ((172_800, 86_400, "days"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"
