"""The identity table for programs (promise A4): read by pages, replaced for the agents that a request names."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from ninja import Query
from pydantic import BaseModel, Field

from visionality.core.identity_table import BadTable, read_list, read_table
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.mapping import Change
from visionality.web.api.problem import Problem, of_mistakes
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_IDENTITIES, WRITE_IDENTITIES
from visionality.web.api.shapes import Day, Given, Moment, Told
from visionality.web.policy.acts import BadName, Unknown, alone
from visionality.web.policy.identities import (
    Numbered,
    Plan,
    apply_rows,
    identities,
    identity_of,
    periods_of,
    plan_of_rows,
    set_identity,
)

_FORMATS = {"application/json": ("item", read_list), "text/csv": ("line", read_table)}
Flag = Literal["0", "1"]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "items": {"type": "object", "required": ["agent_sub", "owner"]},
                    "examples": [[{"agent_sub": "alice@arctrade", "owner": "Alice K."}]],
                }
            },
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


class Identity(Told):
    agent_sub: str
    owner: str
    sso_sub: str
    team: str
    cost_center: str
    gl_code: str


class Identities(Told):
    items: list[Identity]
    next: str | None


class Period(Told):
    """What was said of an agent from a moment on."""

    valid_from: Moment
    owner: str
    team: str
    cost_center: str
    gl_code: str
    made_at: Moment


class Agent(Identity):
    periods: list[Period]


class Replaced(Told):
    dry_run: bool
    valid_from: Moment
    agents: int = Field(description="How many are new or change.")
    changes: list[Change]


class IdentityChange(Given):
    """What is left out stays as it is; empty text is none."""

    owner: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    sso_sub: Annotated[str, Field(max_length=255)] | None = None
    team: Annotated[str, Field(max_length=80)] | None = Field(None, examples=["desk-tools"])
    cost_center: Annotated[str, Field(max_length=80)] | None = None
    gl_code: Annotated[str, Field(max_length=80)] | None = None
    valid_from: Day | None = None


class AskedPage(BaseModel):
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[str, Field(max_length=255)] = Field("", description="A subject: those behind it.")
    at: Day | None = Field(None, description="As it was, or will be, at the end of this day.")


class AskedChange(BaseModel):
    create: Flag = Field("0", description="Make teams and people that are not there.")
    dry_run: Flag = "0"
    first_day: Day | None = Field(None, alias="from")


@API.on("GET", "identities", *READ_IDENTITIES, answer=Identities)
def list_identities(ask: Ask, page: Query[AskedPage]) -> dict[str, Any]:
    """All agents by their subject, a page at a time."""
    at = _start(page.at) + timedelta(days=1, microseconds=-1) if page.at else ask.act.now
    found = list(identities(ask.act, at, after=page.after, limit=page.limit + 1).values())
    following = None
    if len(found) > page.limit:
        query = ask.request.GET.dict() | {"after": found[page.limit - 1].agent_sub}
        following = f"{ask.request.path}?{urlencode(query)}"
    return {"items": [asdict(one) for one in found[: page.limit]], "next": following}


@API.on("PUT", "identities", *WRITE_IDENTITIES, answer=Replaced, extra=_BODY)
def replace_identities(ask: Ask, asked: Query[AskedChange]) -> dict[str, Any]:
    """What is said of the agents that the body names; others stay as they are. Whole, or not at all."""
    place, rows = _rows(ask)
    first_day = _start(asked.first_day) if asked.first_day else None
    is_dry = asked.dry_run == "1"
    alone(ask.act)
    try:
        plan = plan_of_rows(ask.act, rows, first_day)
        _refuse_missing(plan, may_create=asked.create == "1")
        if not is_dry:
            apply_rows(ask.act, rows, first_day, plan.changes)
    except BadTable as bad:
        raise of_mistakes(bad.mistakes, place) from None
    except BadName as bad:
        raise Problem(422, str(bad), [{"field": "from", "detail": str(bad)}]) from None
    changes = [{"kind": one.kind, "words": one.words} for one in plan.changes]
    return {"dry_run": is_dry, "valid_from": plan.valid_from, "agents": len(plan.moved), "changes": changes}


@API.on("GET", "identities/{path:agent_sub}", *READ_IDENTITIES, answer=Agent)
def identity(ask: Ask, agent_sub: str) -> dict[str, Any]:
    """One agent as it is now, and what was said of it from when on."""
    try:
        now, periods = identity_of(ask.act, agent_sub), periods_of(ask.act, agent_sub)
    except Unknown:
        raise Problem(404, f"there is no agent {agent_sub}") from None
    told = [
        {
            "valid_from": one.valid_from,
            "owner": one.owner,
            "team": str(one.team or ""),
            "cost_center": one.cost_center,
            "gl_code": one.gl_code,
            "made_at": one.made_at,
        }
        for one in periods
    ]
    return asdict(now) | {"periods": told}


@API.on("PATCH", "identities/{path:agent_sub}", *WRITE_IDENTITIES, answer=Agent)
def change_identity(ask: Ask, agent_sub: str, body: IdentityChange) -> dict[str, Any]:
    """Change what is said of one agent, from now on or from a day that comes."""
    said = body.model_dump(exclude_none=True, exclude={"valid_from"})
    set_identity(ask.act, agent_sub, said, _start(body.valid_from) if body.valid_from else None)
    return identity(ask, agent_sub)


def _rows(ask: Ask) -> tuple[str, list[Numbered]]:
    """What a body says, and what its lines are called."""
    given = ask.request.content_type
    if given not in _FORMATS:
        raise Problem(415, f"expected {' or '.join(_FORMATS)}, and {given or 'nothing'} came")
    place, read = _FORMATS[given]
    try:
        return place, read(ask.request.body)
    except BadTable as bad:
        raise of_mistakes(bad.mistakes, place) from None


def _refuse_missing(plan: Plan, *, may_create: bool) -> None:
    """Teams and people are made only where that is asked for."""
    if may_create or not (plan.new_teams or plan.new_people):
        return
    told = (
        "nothing was applied, since teams or people are not there: add them, or say create=1 to create them"
    )
    raise Problem(422, told, _missing(plan))


def _missing(plan: Plan) -> Iterator[dict[str, str]]:
    for key in plan.new_teams:
        yield {"field": "team", "detail": f"there is no team {key}"}
    for sub in plan.new_people:
        yield {"field": "sso_sub", "detail": f"there is no person {sub}"}


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
