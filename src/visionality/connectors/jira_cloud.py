"""Jira Cloud, REST v3 (Atlassian's specification, August 2026).

Issues come from `/search/jql`, page by page behind a token, without a total; `/search` was removed (CHANGE-2046). Issues that
an account may not browse are left out in silence.
"""

from collections.abc import Iterator

from msgspec import Struct

from visionality.connectors.http import Answer, Api, within_reason
from visionality.connectors.jira import IssueWire, ProjectWire, Searched
from visionality.connectors.model import ConnectorFault

PATH = "/rest/api/3"
AT_ONCE = 500
"""Issues of a page; Jira may give fewer."""
PROJECTS_AT_ONCE = 50


class Projects(Struct, rename="camel"):
    values: list[ProjectWire]
    is_last: bool
    start_at: int = 0


class Search(Struct, rename="camel"):
    issues: list[IssueWire]
    next_page_token: str | None = None


def listed(api: Api) -> Iterator[ProjectWire]:
    first = api.get("/project/search", (("startAt", 0), ("maxResults", PROJECTS_AT_ONCE), ("status", "live")))
    for answer in api.follow(first, _next_projects):
        yield from answer.read(Projects).values


def _next_projects(answer: Answer) -> str | None:
    page = answer.read(Projects)
    if page.is_last or not page.values:
        return None
    return str(answer.url.copy_set_param("startAt", page.start_at + len(page.values)))


def searched(api: Api, question: str, fields: list[str]) -> Iterator[Searched]:
    """Raises ConnectorFault, also when the pages go round in a circle."""
    asked = {"jql": question, "fields": fields, "maxResults": AT_ONCE}
    seen: set[str] = set()
    token: str | None = None
    while True:
        page = api.post("/search/jql", asked | ({"nextPageToken": token} if token else {})).read(Search)
        yield Searched(page.issues)
        token = page.next_page_token
        if not token:
            return
        if token in seen:
            raise ConnectorFault(
                f"{api.service} gave the same page of issues twice: nothing was taken as complete, and the sync is "
                "tried again later."
            )
        seen.add(token)
        within_reason(api.service, len(seen) + 1)
