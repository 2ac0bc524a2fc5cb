"""Who can reach a model, who no longer can, and the evidence of it (promise H3): what the people seat has."""

from typing import Annotated, Any, Literal

import msgspec
from django.http import HttpResponse
from ninja import Query
from pydantic import BaseModel, Field

from visionality.core.canonical import timestamp
from visionality.core.money import usd
from visionality.ledger.uses import last_uses
from visionality.web.api.bearer import Ask
from visionality.web.api.cursor import not_ours, read
from visionality.web.api.operations.reports import CSV, Days
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_PEOPLE
from visionality.web.api.shapes import Moment, Page, Told
from visionality.web.issuing import holders
from visionality.web.issuing.holders import KeyOf, Known
from visionality.web.reading import reading
from visionality.web.seats import offboarding as receipts
from visionality.web.seats.csv_file import csv_file
from visionality.web.seats.people import LONGEST_SEARCH, left_in, lines_of, used_keys
from visionality.web.seats.people_files import LEAVERS, PEOPLE, leaver_lines, people_lines

Only = Literal["", "with", "without", "unused", "leavers"]
Search = Annotated[str, Field(max_length=LONGEST_SEARCH)]


class Whole(Told):
    """Counts of everybody, whatever is asked for."""

    people: int
    with_access: int
    live_keys: int
    of_nobody: int = Field(description="Keys whose agent is no person's.")
    expiring: int = Field(description="Keys that end within 14 days.")
    idle: int = Field(description="Keys that nothing was served for in 30 days.")
    leavers: int = Field(description="Of the last 30 days.")


class Holder(Told):
    sso_sub: str
    name: str
    agents: list[str]
    teams: list[str]
    live_keys: int
    first_key_ends_at: Moment | None
    projects: list[str] | None = Field(description="That their live keys may be used for; null is any.")
    models: list[str] | None = Field(description="Null is any.")
    last_call_at: Moment | None
    cost_usd_this_month: str
    access_ended_at: Moment | None = Field(description="Within the last 30 days.")


class Holders(Told):
    whole: Whole
    items: list[Holder]
    next: str | None


class AskedPeople(BaseModel):
    only: Only = Field("", description="With or without access, with an unused key, or who left in 30 days.")
    search: Search = Field("", description="A part of the name or the subject.")


class PeoplePage(Page, AskedPeople):
    pass


class AgentOf(Told):
    agent_sub: str
    team: str
    last_call_at: Moment | None


class KeyTold(Told):
    id: str
    shown: str
    agent: str
    projects: list[str] | None
    models: list[str] | None
    level: int
    issued_at: Moment
    expires_at: Moment
    ended_at: Moment | None
    ended_how: str
    ended_by: str
    reason: str


class StepTold(Told):
    at: Moment
    kind: str
    key_id: str
    actor: str
    reason: str


class Access(Told):
    sso_sub: str
    name: str
    agents: list[AgentOf]
    keys: list[KeyTold]
    steps: list[StepTold] = Field(description="What was done with the keys, the newest first.")


class LeaverTold(Told):
    sso_sub: str
    name: str
    access_ended_at: Moment
    ended_by: str
    reason: str
    keys_ended: int
    live_keys: int = Field(description="Issued to them afterwards.")
    last_served_before: Moment | None
    served_after: int
    under_way: int
    refused_after: int


class Leavers(Told):
    items: list[LeaverTold]
    refused_after: int = Field(description="Attempts of all of them since.")
    is_whole: bool = Field(description="False when there are more than 200: ask for fewer days.")


class KeyEvidence(Told):
    key_id: str
    shown: str
    agent: str
    issued_at: str
    ended_at: str
    how: str
    ended_by: str
    reason: str
    last_served_before: str
    served_after: int
    served_within_grace: int
    under_way: int
    refused_after: int
    last_refused: str


class OffboardingEvidence(Told):
    """Times are RFC 3339 in UTC; empty is what did not happen."""

    document: str
    organisation: str
    sso_sub: str
    name: str
    generated_at: str
    generated_by: str
    access_ended_at: str
    ended_by: str
    reason: str
    live_keys: int
    calls_served_after: int
    calls_served_within_grace: int
    grace_seconds: int
    calls_under_way: int
    attempts_refused_after: int
    last_served_before: str
    is_shown: bool = Field(
        description="Whether it shows that access ended and nothing was served afterwards."
    )
    keys: list[KeyEvidence]
    covers: list[str]
    does_not_cover: list[str]


@API.on("GET", "access", *READ_PEOPLE, answer=Holders)
def access(ask: Ask, page: Query[PeoplePage]) -> dict[str, Any]:
    """Who can reach a model now and with what, by their subjects."""
    place = read(page.after)
    if place is not None and len(place) != 1:
        raise not_ours()
    after, org_id = place[0] if place else "", ask.act.org_id
    with reading(org_id) as connection:
        used = used_keys(connection, org_id, ask.act.now.date())
        asked: Any = {"search": page.search.strip(), "only": page.only, "after": after}
        whole, found = holders.page(ask.act, used, **asked, limit=page.limit + 1)
        shown = found[: page.limit]
        lines = lines_of(connection, org_id, shown, ask.act.now)
    items = [
        {
            "sso_sub": one.sso_sub,
            "name": one.name,
            "agents": sorted(one.agents),
            "teams": sorted(one.teams),
            "live_keys": one.live,
            "first_key_ends_at": one.ends_at,
            "projects": None if one.any_project else sorted(one.projects),
            "models": None if one.any_model else sorted(one.models),
            "last_call_at": line.last_at,
            "cost_usd_this_month": usd(line.cost_nusd),
            "access_ended_at": one.left_at,
        }
        for one, line in zip(shown, lines, strict=True)
    ]
    told = {name: getattr(whole, name) for name in Whole.model_fields}
    following = ask.next(shown[-1].sso_sub) if len(found) > page.limit else None
    return {"whole": told, "items": items, "next": following}


@API.on("GET", "access.csv", *READ_PEOPLE, answer=None, extra=CSV)
def access_file(ask: Ask, asked: Query[AskedPeople]) -> HttpResponse:
    """The same of everybody who is asked for. That it was taken is in the audit."""
    lines = people_lines(ask.act, asked.only, asked.search.strip())
    return csv_file(f"people-{ask.act.now:%Y-%m-%d}", PEOPLE, lines)


@API.on("GET", "access/{path:sso_sub}", *READ_PEOPLE, answer=Access)
def access_of_person(ask: Ask, sso_sub: str) -> dict[str, Any]:
    """One person's agents and keys, how each key ended, and what was done with them."""
    known = _known(ask, sso_sub)
    life = holders.lives(ask.act, [known.id])[known.id]
    with reading(ask.act.org_id) as connection:
        lasts = last_uses(connection, ask.act.org_id, list(known.agents), ask.act.now)
    return {
        "sso_sub": known.sso_sub,
        "name": known.name,
        "agents": [
            {"agent_sub": sub, "team": team, "last_call_at": lasts.get(sub)}
            for sub, team in known.agents.items()
        ],
        "keys": [_key(one) for one in life.keys],
        "steps": [
            {
                "at": one["created_at"],
                "kind": one["kind"],
                "key_id": str(one["key_id"] or ""),
                "actor": one["actor"],
                "reason": str(one["detail"].get("reason", "")),
            }
            for one in life.steps
        ],
    }


@API.on("GET", "leavers", *READ_PEOPLE, answer=Leavers)
def leavers(ask: Ask, asked: Query[Days]) -> dict[str, Any]:
    """Whose access ended in these days, the newest first, and what came after."""
    found, refused, has_more = left_in(ask.act, asked.period())
    items = [
        {
            "sso_sub": one.of.sso_sub,
            "name": one.of.name,
            "access_ended_at": one.of.ended_at,
            "ended_by": one.of.actor,
            "reason": one.of.reason,
            "keys_ended": one.keys,
            "live_keys": one.live,
            "last_served_before": one.last_before,
            "served_after": one.served,
            "under_way": one.under_way,
            "refused_after": one.refused,
        }
        for one in found
    ]
    return {"items": items, "refused_after": refused, "is_whole": not has_more}


@API.on("GET", "leavers.csv", *READ_PEOPLE, answer=None, extra=CSV)
def leavers_file(ask: Ask, asked: Query[Days]) -> HttpResponse:
    """The same as a file. That it was taken is in the audit."""
    return csv_file(f"leavers-{ask.act.now:%Y-%m-%d}", LEAVERS, leaver_lines(ask.act, asked.period()))


@API.on("GET", "offboarding/{path:sso_sub}", *READ_PEOPLE, answer=OffboardingEvidence)
def offboarding(ask: Ask, sso_sub: str) -> Any:
    """The evidence that a person's access ended, key by key. That it was taken is in the audit."""
    found = _evidence(ask, sso_sub)
    receipts.note_export(ask.act, found, "json")
    return msgspec.to_builtins(found)


@API.on("GET", "offboarding.csv/{path:sso_sub}", *READ_PEOPLE, answer=None, extra=CSV)
def offboarding_file(ask: Ask, sso_sub: str) -> HttpResponse:
    """The same, a line a key."""
    found = _evidence(ask, sso_sub)
    receipts.note_export(ask.act, found, "csv")
    name = f"offboarding-{timestamp(ask.act.now)[:10]}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(receipts.csv_of(found), content_type="text/csv; charset=utf-8", headers=headers)


def _evidence(ask: Ask, sso_sub: str) -> receipts.Evidence:
    found = receipts.evidence(ask.act, _known(ask, sso_sub).id)
    assert found is not None
    return found


def _known(ask: Ask, sso_sub: str) -> Known:
    person_id = holders.access_person_id(ask.act, sso_sub)
    known = holders.access_person(ask.act, person_id) if person_id else None
    if known is None:
        raise Problem(404, f"there is no person {sso_sub}")
    return known


def _key(one: KeyOf) -> dict[str, Any]:
    key, end = one.key, one.end
    return {
        "id": str(key.id),
        "shown": key.shown,
        "agent": key.agent.sub,
        "projects": [str(key.project)] if key.project else key.projects or None,
        "models": key.model_globs or None,
        "level": key.level,
        "issued_at": key.issued_at,
        "expires_at": key.expires_at,
        "ended_at": end.at if end else None,
        "ended_how": end.how if end else "",
        "ended_by": end.actor if end else "",
        "reason": end.reason if end else "",
    }
