"""What Jira Cloud and Jira Data Center have in common: the shape of an issue, and the language that asks for it.

The level of an issue is its type's `hierarchyLevel`; Data Center has none, so there an issue with an epic's name is an epic.
The parent is `parent`, or else the older Epic Link field, which each installation numbers for itself (`/field`).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from visionality.connectors.http import Api
from visionality.connectors.model import ConnectorFault, Issue, Page, TrackerProject

OVERLAP = timedelta(minutes=5)
"""What is asked again: the language knows whole minutes, and the search lags behind."""
UNKNOWN_ZONE = timedelta(days=1)
"""What is asked again when Jira does not say in which time zone it reads our times."""
EPIC_LINK = "com.pyxis.greenhopper.jira:gh-epic-link"
EPIC_NAME = "com.pyxis.greenhopper.jira:gh-epic-label"
FIELDS = ("summary", "issuetype", "status", "parent", "project", "updated")


class Myself(Struct, rename="camel"):
    """Who is asking. The names may be hidden."""

    display_name: str = ""
    email_address: str = ""
    time_zone: str = ""

    def named(self) -> str:
        return " ".join(
            part for part in (self.display_name, self.email_address and f"({self.email_address})") if part
        )


class Kind(Struct):
    """What a field is, of a custom one."""

    custom: str = ""


class Field(Struct):
    id: str
    schema: Kind | None = None


class ProjectWire(Struct):
    id: str
    key: str
    name: str


class IssueType(Struct, rename="camel"):
    hierarchy_level: int | None = None
    subtask: bool = False
    name: str = ""


class StatusCategory(Struct):
    key: str = ""


class Status(Struct, rename="camel"):
    name: str
    status_category: StatusCategory


class Keyed(Struct):
    key: str


class Fields(Struct):
    summary: str
    issuetype: IssueType
    status: Status
    project: Keyed
    updated: str
    parent: Keyed | None = None


class IssueWire(Struct):
    id: str
    key: str
    fields: msgspec.Raw


@dataclass(frozen=True, slots=True)
class EpicFields:
    """The ids of the two custom fields, where the installation has them."""

    link: str | None = None
    name: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(one for one in (self.link, self.name) if one)


def parse_epic_fields(fields: Iterable[Field]) -> EpicFields:
    ids = {one.schema.custom: one.id for one in fields if one.schema and one.schema.custom}
    return EpicFields(ids.get(EPIC_LINK), ids.get(EPIC_NAME))


def parse_project(wire: ProjectWire) -> TrackerProject:
    return TrackerProject(wire.id, wire.key, wire.name)


def parse_issue(wire: IssueWire, epic: EpicFields) -> Issue:
    """Raises ConnectorFault when a field is missing that was asked for."""
    try:
        fields = msgspec.json.decode(wire.fields, type=Fields)
        updated_at = datetime.fromisoformat(fields.updated).astimezone(UTC)
    except (msgspec.ValidationError, ValueError, OverflowError) as error:
        raise ConnectorFault(
            f"Issue {wire.key} is not of the documented shape ({error}): check the version of Jira, and that "
            "no field is hidden from the account."
        ) from None
    custom = msgspec.json.decode(wire.fields, type=dict[str, Any]) if epic.ids else {}
    link = custom.get(epic.link or "")
    return Issue(
        id=wire.id,
        key=wire.key,
        project_key=fields.project.key,
        level=_level(fields.issuetype, bool(custom.get(epic.name or ""))),
        parent_key=fields.parent.key if fields.parent else link if isinstance(link, str) and link else None,
        summary=fields.summary,
        status=fields.status.name,
        is_done=fields.status.status_category.key == "done",
        updated_at=updated_at,
    )


def jql(project_key: str, since: datetime | None, zone: str) -> str:
    """The issues of a project that changed since, all of them when it is None, in an order that holds while they are read."""
    touched = f' AND updated >= "{jql_time(since, zone)}"' if since else ""
    return f'project = "{project_key}"{touched} ORDER BY key ASC'


def jql_time(since: datetime, zone: str) -> str:
    """A minute in the zone of whoever asks, never later than `since`, however the clocks changed."""
    try:
        local = (since - OVERLAP).astimezone(ZoneInfo(zone))
    except (ValueError, OSError, LookupError):
        local = (since - OVERLAP - UNKNOWN_ZONE).astimezone(UTC)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        local = local.replace(tzinfo=None) - timedelta(hours=2)  # it happens twice: take one before either
    return f"{local:%Y-%m-%d %H:%M}"


def wanted(api: Api, scope: tuple[str, ...], found: Iterable[ProjectWire]) -> tuple[TrackerProject, ...]:
    """The projects of the scope, all when it is empty.

    Raises ConnectorFault when one is not shown: Jira leaves out in silence what an account may not see, and what was not
    said would be taken for gone.
    """
    projects = tuple(parse_project(one) for one in found)
    hidden = sorted(set(scope) - {one.key for one in projects})
    if hidden:
        raise ConnectorFault(
            f"{api.service} shows no project {', '.join(hidden)}: give the account the right to browse it, or take "
            "it out of the connection's scope if it was archived, deleted or renamed."
        )
    return tuple(one for one in projects if not scope or one.key in scope)


def shown(api: Api, projects: tuple[TrackerProject, ...]) -> str:
    """The sentence of a check. Raises ConnectorFault where there is nothing to read."""
    whom = api.get("/myself").read(Myself).named() or "an account without a public name"
    if not projects:
        raise ConnectorFault(
            f"{api.service} takes us for {whom} and shows no project: give the account the right to browse some."
        )
    keys = ", ".join(one.key for one in projects[:10]) + (", …" if len(projects) > 10 else "")
    count = "1 project" if len(projects) == 1 else f"{len(projects)} projects"
    return f"{api.service} takes us for {whom} and shows us {count}: {keys}."


def _level(kind: IssueType, has_epic_name: bool) -> int:
    if kind.hierarchy_level is not None:
        return kind.hierarchy_level
    if kind.subtask:
        return -1
    return 1 if has_epic_name or kind.name == "Epic" else 0


class Searched(NamedTuple):
    """A page of a search; `total` is how many issues there are in all, where Jira says it."""

    issues: list[IssueWire]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Jira:
    """A connector (model.Connector), by the two calls in which Cloud and Data Center differ."""

    open: Callable[[], Api] = field(repr=False)
    scope: tuple[str, ...]
    listed: Callable[[Api], Iterable[ProjectWire]]
    """All projects that the account may see."""
    searched: Callable[[Api, str, list[str]], Iterator[Searched]]
    """The pages of a question, with these fields of each issue."""

    def check(self) -> str:
        with self.open() as api:
            return shown(api, wanted(api, self.scope, self.listed(api)))

    def changes(self, since: datetime | None) -> Iterator[Page]:
        is_whole = True
        with self.open() as api:
            zone = api.get("/myself").read(Myself).time_zone
            projects = wanted(api, self.scope, self.listed(api))
            yield Page(projects, "projects", frozenset({TrackerProject}))
            epic = parse_epic_fields(api.get("/field").read(list[Field]))
            for project in projects:
                totals = set()
                for page in self.searched(api, jql(project.key, since, zone), [*FIELDS, *epic.ids]):
                    totals.add(page.total)
                    issues = tuple(parse_issue(one, epic) for one in page.issues)
                    yield Page(issues, f"issues of {project.key}")
                is_whole = is_whole and len(totals) == 1
        if since is None and is_whole:
            yield Page((), "every issue was read", frozenset({Issue}))
