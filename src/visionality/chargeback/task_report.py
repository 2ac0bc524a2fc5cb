"""What a task or an epic cost: in all, by person and model, and over which repos, branches and commits (promise P1).

All of it comes from one snapshot of the rows that a chargeback of the task has, so every part adds up to its total.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.chargeback.filter import asked_of, rows_of
from visionality.runtime.sql import statements

_SQL = statements("visionality.chargeback.sql", "reports.sql")

Record = dict[str, Any]
"""What a line is about, its `currency`, and its sums: `calls`, four counts of tokens, `cost_nusd`, `first_call`, `last_call`."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """Calls that were asked for and cost nothing because nothing was served."""

    refused: int
    failed: int

    def __bool__(self) -> bool:
        return bool(self.refused or self.failed)


@dataclass(frozen=True, slots=True)
class TaskReport:
    """The rows of one task or epic in a half-open range, as a reading transaction sees them."""

    connection: psycopg.Connection[Any]
    org_id: UUID
    start: datetime
    end: datetime
    wanted: dict[str, str]
    """A selector of chargeback/filter.py to its value."""
    include_sandbox: bool = False
    original: bool = False
    """Whether corrections are left out."""

    def totals(self) -> list[Record]:
        """One for each currency."""
        return list(self._lines("totals"))

    def people(self) -> Iterator[Record]:
        """`agent_owner`, `agent_sub` and `model`, the dearest first."""
        return self._lines("people")

    def places(self) -> Iterator[Record]:
        """`task`, `repo`, `branch`, `commit_sha` and `pr_url`, in the order in which they were first worked on."""
        return self._lines("places")

    def pulls(self) -> Iterator[Record]:
        """`pr_url`, `title` and `state` (open, merged, declined) of each pull request that came of it, the dearest first.

        Title and state are None for one that only the rows know.
        """
        return self._lines("pulls")

    def unserved(self) -> Unserved:
        row = self.connection.execute(composed("unserved", self._where(asked_of))).fetchone()
        assert row is not None
        return Unserved(row["refused"], row["failed"])

    def _lines(self, name: LiteralString) -> Iterator[Record]:
        with self.connection.cursor() as cursor:
            yield from cursor.stream(composed(name, self._where(rows_of)))

    def _where(self, which: Callable[..., sql.Composed]) -> sql.Composed:
        only = {"include_sandbox": self.include_sandbox, "original": self.original}
        return which(self.org_id, self.start, self.end, self.wanted, **only)


def composed(
    name: LiteralString, where: sql.Composed, **given: sql.Composable | str | datetime
) -> sql.Composed:
    """A statement of reports.sql over the rows of a condition, with what else it is given."""
    counted = {part: sql.SQL(_SQL[part]) for part in ("calls", "called_at")}
    larger = {part: sql.SQL(_SQL[part]).format(**counted) for part in ("sums", "is_left")}
    named = {part: sql.Identifier(part) for part in counted}
    larger |= {f"linked_{part}": sql.SQL(_SQL[part]).format(**named) for part in ("sums", "is_left")}
    asked = {"filter": where, "pull_requests": pull_requests_of("served")}
    larger["linked"] = sql.SQL(_SQL["linked"]).format(**asked, **counted)
    return sql.SQL(_SQL[name]).format(filter=where, **counted, **larger, **given)


def pull_requests_of(named: str) -> sql.Composed:
    """The pull requests of the repos in the part of a statement that is called so: its parts `by_commit` and `by_branch`."""
    return sql.SQL(_SQL["pull_requests"]).format(named=sql.Identifier(named))
