"""What the coverage page shows of the last weeks (promise A6): by day, by tool, and what is attributed to nobody.

One look at the rows of those weeks: older ones are never read, however many there are.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

import psycopg

from visionality.chargeback.coverage import Sum
from visionality.chargeback.filter import rows_of
from visionality.chargeback.task_report import composed

Levels = dict[int | None, Sum]


@dataclass(slots=True)
class Tool:
    """A client in the last days; `name` is None for those that did not say which they are."""

    name: str | None
    levels: Levels = field(default_factory=dict)
    whole: Sum = field(default_factory=Sum)
    unattributed: Sum = field(default_factory=Sum)
    unplaced_calls: int = 0
    """Of the unattributed ones, those that came with evidence: it led to no project."""


@dataclass(frozen=True, slots=True)
class Lately:
    """The weeks in US dollars, in nano-dollars; the largest first in each list."""

    days: dict[date, Levels]
    levels: Levels
    whole: Sum
    unattributed: Sum
    tools: list[Tool]
    agents: list[tuple[str | None, Sum]]
    """Whose rows are of no project; None for rows without an agent."""
    repos: list[tuple[str | None, Sum]]
    """Of rows that are of no project; None for rows without a repo."""
    other_currencies: int
    """Rows that are not in US dollars, whose amounts are left out."""


def lately(
    connection: psycopg.Connection[Any], org_id: UUID, start: datetime, end: datetime, recent: datetime
) -> Lately:
    """The rows of a half-open range; tools are counted from `recent` on. What was simulated is left out."""
    served = rows_of(org_id, start, end, {}, include_sandbox=False)
    rows = connection.execute(composed("coverage_lately", served, recent=recent)).fetchall()
    days: dict[date, Levels] = {}
    levels: defaultdict[int | None, Sum] = defaultdict(Sum)
    whole, unattributed, others = Sum(), Sum(), 0
    for row in _of(rows, "day"):
        days.setdefault(row["day"], {})[row["level"]] = Sum(row["calls"], row["cost_nusd"])
        for its in (whole, levels[row["level"]]):
            its.add(row["calls"], row["cost_nusd"])
        unattributed.add(row["unattributed_calls"], row["unattributed_nusd"])
        others += row["others"]
    return Lately(
        days=dict(sorted(days.items())),
        levels=dict(
            sorted(
                ((level, its) for level, its in levels.items() if its != Sum()), key=lambda one: one[0] or 0
            )
        ),
        whole=whole,
        unattributed=unattributed,
        tools=_tools(_of(rows, "client")),
        agents=_largest(_of(rows, "agent"), "agent_sub"),
        repos=_largest(_of(rows, "repo"), "repo"),
        other_currencies=others,
    )


def _of(rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["of"] == kind]


def _tools(rows: list[dict[str, Any]]) -> list[Tool]:
    found: dict[str | None, Tool] = {}
    for row in rows:
        if not row["recent_calls"] and not row["recent_nusd"]:
            continue
        tool = found.setdefault(row["client"], Tool(row["client"]))
        tool.levels[row["level"]] = Sum(row["recent_calls"], row["recent_nusd"])
        tool.whole.add(row["recent_calls"], row["recent_nusd"])
        tool.unattributed.add(row["recent_unattributed_calls"], row["recent_unattributed_nusd"])
        tool.unplaced_calls += row["recent_unplaced_calls"]
    return sorted(
        found.values(), key=lambda tool: (-tool.whole.cost_nusd, -tool.whole.calls, tool.name or "")
    )


def _largest(rows: list[dict[str, Any]], name: str) -> list[tuple[str | None, Sum]]:
    found = [
        (row[name], Sum(row["calls"], row["cost_nusd"])) for row in rows if row["calls"] or row["cost_nusd"]
    ]
    return sorted(found, key=lambda one: (-one[1].cost_nusd, -one[1].calls, one[0] or ""))
