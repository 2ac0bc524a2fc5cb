"""The mapping file: looked at, applied whole, and kept (promise A2)."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from ninja import Query
from pydantic import Field

from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import listed, numbered
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import Given, Listed, Moment, Page, Reason, Told
from visionality.web.policy import mapping as policy
from visionality.web.policy.models import MappingFile


class Version(Told):
    version: int
    sha256: str
    applied_by: str
    applied_at: Moment


class Mapping(Told):
    version: int = Field(description="0 before the first file.")
    sha256: str | None
    content: str = Field(description="The file as it was applied: YAML.")


class NewMapping(Given):
    content: Annotated[str, Field(max_length=1024 * 1024, examples=["version: 1\nrepos: {}\n"])]
    create: bool = Field(False, description="Make projects that are not there.")
    reason: Reason | None = None


class Change(Told):
    kind: Literal["added", "changed", "removed"]
    words: str


class Planned(Told):
    is_in_force: bool = Field(description="Whether this very file is the newest that was applied.")
    new_projects: list[str]
    changes: list[Change]


class Applied(Version):
    changes: list[Change]


@API.on("GET", "mapping", *READ_POLICY, answer=Mapping)
def mapping(ask: Ask) -> dict[str, Any]:
    """The file in force; its ETag is what a change of it must name."""
    found = policy.history(ask.act)
    return _content(found[0]) if found else {"version": 0, "sha256": None, "content": ""}


@API.on("POST", "mapping/plan", *READ_POLICY, answer=Planned)
def plan_mapping(ask: Ask, body: NewMapping) -> dict[str, Any]:
    """What applying this file would change. Nothing is changed."""
    found = policy.plan(ask.act, body.content.encode())
    return {
        "is_in_force": found.is_in_force,
        "new_projects": found.new_projects,
        "changes": [{"kind": one.kind, "words": one.words} for one in found.changes],
    }


@API.on("PUT", "mapping", *WRITE_POLICY, answer=Applied)
def apply_mapping(ask: Ask, body: NewMapping) -> dict[str, Any]:
    """Make the map say what this file says: what it does not name is taken out. Needs If-Match, since it replaces a whole."""
    if "if-match" not in ask.request.headers:
        raise Problem(428, "expected If-Match with the ETag of the mapping that you read: GET it first")
    content = body.content.encode()
    found = policy.plan(ask.act, content)
    if found.new_projects and not body.create:
        names = ", ".join(found.new_projects)
        raise Problem(
            422, f"nothing was applied, since projects are not there: {names}. Add them, or say create"
        )
    made = policy.apply(replace(ask.act, reason=body.reason or ""), content, found.changes)
    return _version(made) | {"changes": [{"kind": one.kind, "words": one.words} for one in found.changes]}


@API.on("GET", "mapping/versions", *READ_POLICY, answer=Listed[Version])
def mapping_versions(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """Every file that was applied, the newest first."""
    return listed(ask, map(_version, policy.history(ask.act)), numbered, page, newest_first=True)


@API.on("GET", "mapping/versions/{version}", *READ_POLICY, answer=Mapping)
def mapping_version(ask: Ask, version: Annotated[int, Field(ge=1, le=2**31 - 1)]) -> dict[str, Any]:
    return _content(policy.applied(ask.act, version))


def _version(one: MappingFile) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("version", "applied_by", "applied_at")}
    return told | {"sha256": bytes(one.sha256).hex()}


def _content(one: MappingFile) -> dict[str, Any]:
    content = bytes(one.content).decode(errors="replace")
    return {"version": one.version, "sha256": bytes(one.sha256).hex(), "content": content}
