"""The people table and the leavers as CSV. That one was taken is an event of the audit log."""

from collections.abc import Iterator
from datetime import datetime

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from visionality.core.canonical import timestamp
from visionality.core.money import usd
from visionality.core.period import Period
from visionality.ledger.reader import Record
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.doing import doing
from visionality.web.issuing import holders
from visionality.web.issuing.holders import Only
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading
from visionality.web.seats.csv_file import csv_file
from visionality.web.seats.people import Line, asked_in, left_in, lines_of, used_keys
from visionality.web.seats.period import period_of, query

AT_ONCE = 500
"""People that are read in one statement."""
MOST = 10_000
"""People of one file."""
PEOPLE = (
    *("sso_sub", "name", "teams", "live_keys", "first_key_ends_at", "projects", "models", "last_call_at"),
    *("cost_usd_this_month", "access_ended_at", "generated_at"),
)
LEAVERS = (
    *("sso_sub", "name", "access_ended_at", "ended_by", "reason", "keys_ended", "live_keys"),
    *("last_served_before", "served_after", "under_way", "refused_after", "generated_at"),
)


@for_roles(Role.PEOPLE)
@require_GET
def table(request: HttpRequest) -> HttpResponse:
    """Everybody whom the page's filter finds; a list in a cell is divided by commas."""
    only, search, _ = asked_in(request.GET)
    with doing(request) as act:
        lines = people_lines(act, only, search)
    return csv_file(f"people-{plane().clock():%Y-%m-%d}", PEOPLE, lines)


def people_lines(act: Act, only: Only, search: str) -> list[tuple[str, ...]]:
    """The lines of the table, and the event that it was taken. Raises BadRequest for too many people."""
    with reading(act.org_id) as connection:
        found = list(_people(act, connection, only, search))
    act.record("people_exported", {"asked": f"{only} {search}".strip() or "everybody"})
    return [
        (
            *(one.sso_sub, one.name, one.teams, str(one.live), _time(one.ends_at), one.projects, one.models),
            *(_time(one.last_at), usd(one.cost_nusd), _time(one.left_at), timestamp(act.now)),
        )
        for one in found
    ]


@for_roles(Role.PEOPLE)
@require_GET
def leavers(request: HttpRequest) -> HttpResponse:
    """Whose access ended in a period, and what came after."""
    now = plane().clock()
    period = period_of(request.GET, now.date())
    with doing(request) as act:
        lines = leaver_lines(act, period)
    return csv_file(f"leavers-{now:%Y-%m-%d}", LEAVERS, lines)


def leaver_lines(act: Act, period: Period) -> list[tuple[str, ...]]:
    """The lines of the file, and the event that it was taken. Raises BadRequest for too many leavers."""
    found, _, has_more = left_in(act, period)
    if has_more:
        raise BadRequest(f"a file has {len(found)} leavers at most: ask for fewer days")
    act.record("leavers_exported", {"asked": query(period)})
    return [
        (
            *(one.of.sso_sub, one.of.name, timestamp(one.of.ended_at), one.of.actor, one.of.reason),
            *(str(one.keys), str(one.live), _time(one.last_before), str(one.served), str(one.under_way)),
            *(str(one.refused), timestamp(act.now)),
        )
        for one in found
    ]


def _people(act: Act, connection: psycopg.Connection[Record], only: Only, search: str) -> Iterator[Line]:
    used, read, after = used_keys(connection, act.org_id, act.now.date()), 0, ""
    while True:
        _, found = holders.page(act, used, search=search, only=only, after=after, limit=AT_ONCE)
        read += len(found)
        if read > MOST:
            raise BadRequest(f"a file has {MOST:,} people at most: search for some of them")
        yield from lines_of(connection, act.org_id, found, act.now)
        if len(found) < AT_ONCE:
            return
        after = found[-1].sso_sub


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else ""
