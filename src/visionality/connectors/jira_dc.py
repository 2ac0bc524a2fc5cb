"""Jira Data Center, REST v2 (general knowledge of version 9 and later, tried against no live server).

Issues come from `/search` by offset. Where their number changes while they are read, one may have slipped through between two
pages: then everything found is said, and nothing is called complete.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from msgspec import Struct

from visionality.connectors.http import Api, within_reason
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
from visionality.connectors.model import Issue, Page, TrackerProject

PATH = "/rest/api/2"
AT_ONCE = 200
"""Issues of a page; Jira may be set to give fewer."""


class Search(Struct):
    issues: list[IssueWire]
    total: int


@dataclass(frozen=True, slots=True)
class JiraDataCenter:
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
        is_whole = True
        with self.open() as api:
            zone = api.get("/myself").read(Myself).timeZone
            projects = self._projects(api)
            yield Page(projects, "projects", frozenset({TrackerProject}))
            epic = parse_epic_fields(api.get("/field").read(list[Field]))
            for project in projects:
                totals: set[int] = set()
                for page in _searches(api, jql(project.key, since, zone), epic):
                    totals.add(page.total)
                    yield Page(
                        tuple(parse_issue(one, epic) for one in page.issues), f"issues of {project.key}"
                    )
                is_whole = is_whole and len(totals) == 1
        if since is None and is_whole:
            yield Page((), "every issue was read", frozenset({Issue}))

    def _projects(self, api: Api) -> tuple[TrackerProject, ...]:
        return wanted(api, self.scope, api.get("/project").read(list[ProjectWire]))


def _searches(api: Api, question: str, epic: EpicFields) -> Iterator[Search]:
    start = 0
    for pages in count(1):
        within_reason(api.service, pages)
        page = api.post(
            "/search",
            {"jql": question, "fields": [*FIELDS, *epic.ids], "startAt": start, "maxResults": AT_ONCE},
        ).read(Search)
        yield page
        start += len(page.issues)
        if start >= page.total or not page.issues:
            return
