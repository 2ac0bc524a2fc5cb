"""What a service said becomes rows: the same thing said twice is one row, and nothing is ever deleted."""

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from visionality.connectors.model import (
    Branch,
    Found,
    Issue,
    Page,
    PullRequest,
    Repository,
    TrackerProject,
)
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

KINDS: dict[type, str] = {
    TrackerProject: "projects",
    Issue: "issues",
    Repository: "repositories",
    Branch: "branches",
    PullRequest: "pull requests",
}
"""In the order in which they are stored, and what people call them."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SQL = statements("visionality.jobs", "sync.sql")
_STATEMENTS: dict[type, str] = {
    TrackerProject: _SQL["project"],
    Issue: _SQL["issue"],
    Repository: _SQL["repository"],
    Branch: _SQL["branch"],
    PullRequest: _SQL["pull_request"],
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one connector."""

    org_id: UUID
    connector_id: UUID
    number: int
    is_full: bool


def store(connection: psycopg.Connection[Any], run: Run, page: Page, now: datetime) -> dict[str, int]:
    """Keep a page, in the transaction that is open. Returns how much of each kind it said. Raises psycopg.Error."""
    said: dict[str, int] = {}
    common = {**asdict(run), "now": now}
    with connection.cursor() as cursor:
        for kind, words in KINDS.items():
            found = [one for one in page.found if isinstance(one, kind)]
            if found:
                said[words] = len(found)
                cursor.executemany(_STATEMENTS[kind], [common | _columns(one) for one in found])
            if kind is PullRequest and found:
                cursor.executemany(_SQL["commits"], [common | _columns(one) for one in found])
    for kind in page.complete if run.is_full else ():
        connection.execute(_SQL[f"{KINDS[kind]}_gone"], common)
    return said


def _columns(one: Found) -> dict[str, Any]:
    """Parameters of the statement that stores it, with an id in case it is new."""
    columns = {name: _plain(value) for name, value in asdict(one).items()}
    if isinstance(one, PullRequest):
        columns["pr_number"] = columns.pop("number")
    elif not isinstance(one, Branch):
        columns["external_id"] = columns.pop("id")
    return {**columns, "id": uuid7()}


def _plain(value: Any) -> Any:
    """Text as PostgreSQL and a terminal take it: a service's may hold a zero, codes of a terminal, or half of a pair."""
    if isinstance(value, str):
        return _CONTROL.sub("", value).encode(errors="replace").decode()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value
