"""Rate limits, model hints, allocation and floors."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Query
from pydantic import Field

from visionality.core.allocation import Part
from visionality.core.scope import scope_of
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import page_of, the_one
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import (
    Done,
    Given,
    Level,
    Listed,
    Moment,
    Page,
    Reason,
    Removing,
    Rule,
    ScopeName,
    Text80,
    Text200,
    Text255,
    Told,
)
from visionality.web.policy import allocation, floors, hints, limits, lists
from visionality.web.policy.models import FloorRequest

Code = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f=:]*$")]


class RateLimit(Told):
    scope: str
    requests_per_minute: int | None
    tokens_per_minute: int | None


class NewRates(Given):
    """What is left out stays as it was; null does not limit."""

    requests_per_minute: Rule | None = Field(None, examples=[60])
    tokens_per_minute: Rule | None = None


class LimitSet(Done):
    limit: RateLimit


class Hint(Told):
    id: UUID
    agent: str
    project: str
    task_class: str
    instead_of: str
    prefer: str


class NewHint(Given):
    """Which calls get another model; what is left out is any."""

    agent: Text255 = ""
    project: Text80 = ""
    task_class: Annotated[str, Field(max_length=40)] = ""
    instead_of: Text200 = ""
    prefer: Annotated[str, Field(min_length=1, max_length=200, examples=["claude-haiku-4-5"])]


class HintAdded(Done):
    hint: Hint


class SplitPart(Told):
    cost_center: str
    gl_code: str = ""
    share: str


class Allocation(Told):
    scope: str
    state: Literal["in force", "to come", "past"]
    since: str
    markup: str | None
    parts: list[SplitPart] | None


class Allocations(Told):
    items: list[Allocation]


class NewMarkup(Given):
    scope: ScopeName = Field(examples=["customer:acme"])
    multiplier: Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,6})?$", examples=["1.25"])]
    effective_from: Moment | None = Field(None, description="Now when it is left out.")
    reason: Reason | None = None


class NewPart(Given):
    cost_center: Code = Field(examples=["CC-410"])
    gl_code: Text80 = ""
    share: Annotated[str, Field(pattern=r"^[01](\.[0-9]{1,9})?$", examples=["1"])]


class NewSplit(Given):
    scope: ScopeName = Field(examples=["project:HPC"])
    parts: Annotated[list[NewPart], Field(max_length=100, description="None ends the split.")]
    effective_from: Moment | None = None
    reason: Reason | None = None


class Floor(Told):
    scope: str
    level: int


class Lowering(Told):
    """A lower floor that one person asked for, and that another decides on."""

    id: UUID
    scope: str
    from_level: int
    to_level: int
    requested_by: str
    requested_at: Moment
    approved: bool | None


class Floors(Told):
    floors: list[Floor]
    waiting: list[Lowering]


class NewFloor(Given):
    level: Level


class FloorSet(Told):
    waits: Lowering | None = Field(description="What another person must approve; null where it is raised.")


@API.on("GET", "limits", *READ_POLICY, answer=Listed[RateLimit])
def list_limits(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "limit", "scope", page)


@API.on("GET", "limits/{path:scope}", *READ_POLICY, answer=RateLimit)
def limit(ask: Ask, scope: ScopeName) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "limit"), "limit of", scope=str(scope_of(scope)))


@API.on("PUT", "limits/{path:scope}", *WRITE_POLICY, answer=LimitSet)
def set_limit(ask: Ask, scope: ScopeName, body: NewRates) -> dict[str, Any]:
    rates: Any = body.model_dump(include=body.model_fields_set)
    _, warnings = limits.set_limit(ask.act, scope_of(scope), rates)
    return {"limit": limit(ask, scope), "warnings": warnings}


@API.on("DELETE", "limits/{path:scope}", *WRITE_POLICY, answer=Done)
def remove_limit(ask: Ask, scope: ScopeName, asked: Query[Removing]) -> dict[str, Any]:
    limits.remove_limit(replace(ask.act, reason=asked.reason or ""), scope_of(scope))
    return {}


@API.on("GET", "hints", *READ_POLICY, answer=Listed[Hint])
def list_hints(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "hint", "id", page)


@API.on("POST", "hints", *WRITE_POLICY, answer=HintAdded, status=201)
def add_hint(ask: Ask, body: NewHint) -> dict[str, Any]:
    """An earlier hint for the same calls is retired in the same act."""
    calls = hints.Selectors(body.agent, body.project, body.task_class, body.instead_of)
    made, warnings = hints.add_hint(ask.act, calls, body.prefer)
    return {"hint": hint(ask, made.id), "warnings": warnings}


@API.on("GET", "hints/{hint_id}", *READ_POLICY, answer=Hint)
def hint(ask: Ask, hint_id: UUID) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "hint"), "hint", id=hint_id)


@API.on("DELETE", "hints/{hint_id}", *WRITE_POLICY, answer=Done)
def remove_hint(ask: Ask, hint_id: UUID, asked: Query[Removing]) -> dict[str, Any]:
    hints.remove_hint(replace(ask.act, reason=asked.reason or ""), str(hint_id))
    return {}


@API.on("GET", "allocations", *READ_POLICY, answer=Allocations)
def allocations(ask: Ask) -> dict[str, Any]:
    """Markups, then splits, the newest of each scope first: all that ever held and will hold."""
    items = [
        {
            "scope": one["scope"],
            "state": one["state"],
            "since": one["from"],
            "markup": one.get("markup"),
            "parts": one.get("parts"),
        }
        for one in lists.records(ask.act, "allocation")
    ]
    return {"items": items}


@API.on("POST", "allocations/markups", *WRITE_POLICY, answer=Done, status=201)
def set_markup(ask: Ask, body: NewMarkup) -> dict[str, Any]:
    """From this moment on, what a customer's or a project's rows are billed is their cost times this."""
    act = replace(ask.act, reason=body.reason or "")
    allocation.set_markup(act, scope_of(body.scope), Decimal(body.multiplier), body.effective_from or act.now)
    return {}


@API.on("POST", "allocations/splits", *WRITE_POLICY, answer=Done, status=201)
def set_split(ask: Ask, body: NewSplit) -> dict[str, Any]:
    """From this moment on, reports divide the cost of a project's, a team's or a customer's rows so."""
    act = replace(ask.act, reason=body.reason or "")
    parts = [Part(one.cost_center, one.gl_code, Decimal(one.share)) for one in body.parts]
    allocation.set_split(act, scope_of(body.scope), parts, body.effective_from or act.now)
    return {}


@API.on("GET", "floors", *READ_POLICY, answer=Floors)
def list_floors(ask: Ask) -> dict[str, Any]:
    """The organisation's floor, those of its projects, and what waits for a second person."""
    found = [{"scope": str(scope), "level": level} for scope, level in floors.floors(ask.act)]
    return {"floors": found, "waiting": [_lowering(one) for one in floors.waiting(ask.act)]}


@API.on("PUT", "floors/{path:scope}", *WRITE_POLICY, answer=FloorSet)
def set_floor(ask: Ask, scope: ScopeName, body: NewFloor) -> dict[str, Any]:
    """Raising one holds at once; a lower one waits until another person approves it."""
    asked = floors.set_floor(ask.act, scope_of(scope, floors.FLOORED), body.level)
    return {"waits": _lowering(asked) if asked else None}


@API.on("POST", "floor-requests/{floor_request_id}/decline", *WRITE_POLICY, answer=Lowering)
def decline_floor(ask: Ask, floor_request_id: UUID) -> dict[str, Any]:
    """Leave the floor as it is. Approving is a person's: no token lowers a floor."""
    return _lowering(floors.decline(ask.act, floor_request_id))


def _lowering(one: FloorRequest) -> dict[str, Any]:
    names = ("id", "from_level", "to_level", "requested_by", "requested_at", "approved")
    return {name: getattr(one, name) for name in names} | {"scope": str(floors.scope_of(one))}
