"""The organisation itself."""

from dataclasses import replace
from typing import Literal

from pydantic import Field

from visionality.web.api.bearer import Ask
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_KEYS, WRITE_POLICY
from visionality.web.api.shapes import Given, Reason, Reasoned, Text80, Text200, Told
from visionality.web.issuing.revocation import revoke_all
from visionality.web.policy import organisation as policy


class Organisation(Told):
    slug: str
    name: str
    time_zone: str = Field(description="In which budgets' days, weeks, months and quarters begin.")
    denied_project: Literal["queue", "refuse"]
    level_floor: int


class OrganisationChange(Given):
    """What is left out stays as it is."""

    name: Text200 | None = Field(None, examples=["ArcTrade"], description="For people; the slug stays.")
    time_zone: Text80 | None = Field(None, examples=["Europe/Berlin"])
    denied_project: Literal["queue", "refuse"] | None = None
    reason: Reason | None = None


class Epoch(Told):
    epoch: int


@API.on("GET", "organisation", *READ_POLICY, answer=Organisation)
def organisation(ask: Ask) -> dict[str, object]:
    found = policy.organisation(ask.act)
    return {name: getattr(found, name) for name in Organisation.model_fields}


@API.on("PATCH", "organisation", *WRITE_POLICY, answer=Organisation)
def change_organisation(ask: Ask, body: OrganisationChange) -> dict[str, object]:
    """Another time zone lets budgets begin again, with what their rows cost since their periods began there."""
    act = replace(ask.act, reason=body.reason or "")
    if body.name is not None:
        policy.set_name(act, body.name)
    if body.time_zone is not None:
        policy.set_time_zone(act, body.time_zone)
    if body.denied_project is not None:
        policy.set_denied_project(act, body.denied_project)
    return organisation(ask)


@API.on("POST", "organisation/revoke-keys", *WRITE_KEYS, answer=Epoch)
def revoke_all_keys(ask: Ask, body: Reasoned) -> dict[str, int]:
    """End every key and token of the organisation; those issued after it work."""
    return {"epoch": revoke_all(replace(ask.act, reason=body.reason), body.reason)}
