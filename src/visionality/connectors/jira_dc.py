"""Jira Data Center, REST v2 (general knowledge of version 9 and later, tried against no live server).

Issues come from `/search` by offset. Where their number changes while they are read, one may have slipped through between two
pages: then everything found is said, and nothing is called complete.
"""

from collections.abc import Iterator
from itertools import count

from msgspec import Struct

from visionality.connectors.http import Api, within_reason
from visionality.connectors.jira import IssueWire, ProjectWire, Searched

PATH = "/rest/api/2"
AT_ONCE = 200
"""Issues of a page; Jira may be set to give fewer."""


class Search(Struct):
    issues: list[IssueWire]
    total: int


def listed(api: Api) -> list[ProjectWire]:
    return api.get("/project").read(list[ProjectWire])


def searched(api: Api, question: str, fields: list[str]) -> Iterator[Searched]:
    start = 0
    for pages in count(1):
        within_reason(api.service, pages)
        page = api.post(
            "/search",
            {"jql": question, "fields": fields, "startAt": start, "maxResults": AT_ONCE},
        ).read(Search)
        yield Searched(page.issues, page.total)
        start += len(page.issues)
        if start >= page.total or not page.issues:
            return
