"""Jira Cloud, REST v3 (Atlassian's specification, August 2026).

Issues come from `/search/jql`, page by page behind a token, without a total; `/search` was removed (CHANGE-2046). Issues that
an account may not browse are left out in silence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from msgspec import Struct

from visionality.connectors.http import Answer, Api, within_reason
from visionality.connectors.jira import (
    FIELDS,
    EpicFields,
    Field,
    IssueWire,
    Myself,
    ProjectWire,
    is_gone,
    jql,
    parse_epic_fields,
    parse_issue,
    shown,
    wanted,
)
from visionality.connectors.model import ConnectorFault, Issue, Page, TrackerProject

PATH = "/rest/api/3"
AT_ONCE = 500
"""Issues of a page; Jira may give fewer."""
PROJECTS_AT_ONCE = 50


class Projects(Struct):
    values: list[ProjectWire]
    isLast: bool  # noqa: N815
    startAt: int = 0  # noqa: N815


class Search(Struct):
    issues: list[IssueWire]
    nextPageToken: str | None = None  # noqa: N815


@dataclass(frozen=True, slots=True)
class JiraCloud:
    """A connector (model.Connector)."""

    open: Callable[[], Api] = field(repr=False)
    scope: tuple[str, ...]

    def check(self) -> str:
        with self.open() as api:
            return shown(api, self._projects(api))

    def gone(self, kind: type, external_id: str) -> bool:
        with self.open() as api:
            return is_gone(api, kind, external_id)

    def changes(self, since: datetime | None) -> Iterator[Page]:
        with self.open() as api:
            zone = api.get("/myself").read(Myself).timeZone
            projects = self._projects(api)
            yield Page(projects, "projects", frozenset({TrackerProject}))
            epic = parse_epic_fields(api.get("/field").read(list[Field]))
            for project in projects:
                question = jql(project.key, since, zone)
                for found in _issues(api, question, epic):
                    yield Page(found, f"issues of {project.key}")
        if since is None:
            yield Page((), "every issue was read", frozenset({Issue}))

    def _projects(self, api: Api) -> tuple[TrackerProject, ...]:
        first = api.get(
            "/project/search", (("startAt", 0), ("maxResults", PROJECTS_AT_ONCE), ("status", "live"))
        )
        found = [one for answer in api.follow(first, _next_projects) for one in answer.read(Projects).values]
        return wanted(api, self.scope, found)


def _next_projects(answer: Answer) -> str | None:
    page = answer.read(Projects)
    if page.isLast or not page.values:
        return None
    return str(answer.url.copy_set_param("startAt", page.startAt + len(page.values)))


def _issues(api: Api, question: str, epic: EpicFields) -> Iterator[tuple[Issue, ...]]:
    """Raises ConnectorFault, also when the pages go round in a circle."""
    asked = {"jql": question, "fields": [*FIELDS, *epic.ids], "maxResults": AT_ONCE}
    seen: set[str] = set()
    token: str | None = None
    while True:
        page = api.post("/search/jql", asked | ({"nextPageToken": token} if token else {})).read(Search)
        yield tuple(parse_issue(one, epic) for one in page.issues)
        token = page.nextPageToken
        if not token:
            return
        if token in seen:
            raise ConnectorFault(
                f"{api.service} gave the same page of issues twice: nothing was taken as complete, and the sync is "
                "tried again later."
            )
        seen.add(token)
        within_reason(api.service, len(seen) + 1)
