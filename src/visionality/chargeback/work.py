"""What the work of a project came to, or that of a task or an epic of it, over whole UTC days (promise P1).

The figures are those of task_report.py, in US dollars, from the daily sums and in one statement; that one reads the rows, of any moments.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from visionality.chargeback.task_report import Record, Unserved, pull_requests_of
from visionality.ledger.sums import Dim, midnight, sums
from visionality.ledger.work import PARTS, TAIL
from visionality.runtime.sql import statements

_SQL = statements("visionality.chargeback.sql", "work.sql")
_READ = sql.SQL(_SQL["read"]).format(
    narrowed=sql.SQL(_SQL["narrowed"]), pull_requests=pull_requests_of("worked"), tail=TAIL, **PARTS
)
_CURRENCY = "USD"
_COUNTED = (
    "calls",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_nusd",
)
_OF_A_PROJECT: Dim = "project"
_DIMS: dict[str, Dim] = {"task": "project_task", "epic": "project_epic"}


@dataclass(frozen=True, slots=True)
class Work:
    """Records as those of a TaskReport, of rows in US dollars."""

    total: Record | None
    """None when there is no such work."""
    others: list[str]
    """The other currencies, which are in none of the figures."""
    people: list[Record]
    """By `agent_owner` and `model`."""
    places: list[Record]
    """By `task`, `repo`, `branch`, `commit_sha` and `pr_url`, in the order in which they were first worked on."""
    pulls: list[Record]
    """By `pr_url`, with `title` and `state`, the dearest first."""
    unserved: Unserved


def work_of(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    project: str,
    since: date,
    until: date,
    wanted: dict[str, str],
) -> Work:
    """The UTC days from `since` until before `until`; `wanted` may name a task or an epic. What was simulated is left out."""
    lines = _read(connection, org_id, project, since, until, wanted)
    dollars = [one for one in lines if one["currency"] == _CURRENCY]
    dim = next((_DIMS[name] for name in wanted), _OF_A_PROJECT)
    asked = sums(connection, org_id, dim, since, until, keys=[project], keys2=list(wanted.values()) or None)
    return Work(
        total=next(iter(_grouped(dollars, ("currency",))), None),
        others=sorted({one["currency"] for one in _grouped(lines, ("currency",))} - {_CURRENCY}),
        people=_grouped(dollars, ("agent_owner", "model")),
        places=sorted(
            _grouped(dollars, ("task", "repo", "branch", "commit_sha", "pr_url")), key=_first_worked_on
        ),
        pulls=sorted(
            _grouped([one for one in dollars if one["pr_url"] is not None], ("pr_url",)),
            key=lambda one: (-one["cost_nusd"], one["pr_url"]),
        ),
        unserved=Unserved(sum(one.refused for one in asked), sum(one.failed for one in asked)),
    )


def _read(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    project: str,
    since: date,
    until: date,
    wanted: dict[str, str],
) -> list[Record]:
    days = {"since": since, "until": until, "start": midnight(since), "end": midnight(until)}
    named = {"project": project, "task": wanted.get("task"), "epic": wanted.get("epic")}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_READ, {"org_id": org_id, **named, **days}).fetchall()


def _grouped(lines: Iterable[Record], names: tuple[str, ...]) -> list[Record]:
    """Lines with the same names as one, but for those that everything was booked away from."""
    found: dict[tuple[object, ...], Record] = {}
    for one in lines:
        key = tuple(one[name] for name in names)
        its = found.get(key)
        if its is None:
            found[key] = dict(one)
            continue
        for name in _COUNTED:
            its[name] += one[name]
        its["first_call"] = min(_said(its["first_call"], one["first_call"]), default=None)
        its["last_call"] = max(_said(its["last_call"], one["last_call"]), default=None)
        for name in ("title", "state"):
            its[name] = max(_said(its[name], one[name]), default=None)
    return [its for its in found.values() if any(its[name] for name in _COUNTED)]


def _said(*values: Any) -> list[Any]:
    return [value for value in values if value is not None]


def _first_worked_on(place: Record) -> tuple[object, ...]:
    """What was never called is last."""
    first: datetime | None = place["first_call"]
    names = [place[name] for name in ("task", "repo", "branch", "commit_sha", "pr_url")]
    return first is None, first and first.timestamp(), *((name is None, name or "") for name in names)
