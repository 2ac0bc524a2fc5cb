"""What the coverage page shows of the last weeks (promise A6): by day, by tool, and what is attributed to nobody.

All of it comes from the daily sums, so it is the ledger's at every moment.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import psycopg

from visionality.chargeback.coverage import Sum
from visionality.ledger import sums

Levels = dict[int | None, Sum]
_CURRENCY = "USD"


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
    """Calls that are not in US dollars, whose amounts are left out."""


def lately(
    connection: psycopg.Connection[Any], org_id: UUID, since: date, until: date, recent: date
) -> Lately:
    """The UTC days from `since` until before `until`; tools are counted from `recent` on. What was simulated is left out."""
    days: defaultdict[date, Levels] = defaultdict(dict)
    levels: defaultdict[int | None, Sum] = defaultdict(Sum)
    whole, others = Sum(), 0
    for one in sums.daily(connection, org_id, "level", since, until):
        assert one.day is not None
        level = int(one.key) if one.key else None
        for its in (whole, levels[level], days[one.day].setdefault(level, Sum())):
            its.add(one.calls, _dollars(one))
        others += one.calls if one.currency != _CURRENCY else 0
    nobodys = sums.sums_by(
        connection, org_id, ("project", "project_agent", "project_repo"), since, until, keys=[""]
    )
    unattributed = Sum()
    for one in nobodys["project"]:
        unattributed.add(one.calls, _dollars(one))
    return Lately(
        days=dict(days),
        levels=dict(
            sorted(
                ((level, its) for level, its in levels.items() if its != Sum()), key=lambda one: one[0] or 0
            )
        ),
        whole=whole,
        unattributed=unattributed,
        tools=_tools(sums.sums(connection, org_id, "client", recent, until)),
        agents=_largest(nobodys["project_agent"]),
        repos=_largest(nobodys["project_repo"]),
        other_currencies=others,
    )


def _dollars(one: sums.Sum) -> int:
    return one.cost_nusd if one.currency == _CURRENCY else 0


def _tools(found: Iterable[sums.Sum]) -> list[Tool]:
    tools: dict[str, Tool] = {}
    for one in found:
        name, cost = one.key or "", _dollars(one)
        if not one.calls and not cost:
            continue
        tool = tools.setdefault(name, Tool(name or None))
        level, _, nobodys = (one.key2 or "").partition(" ")
        tool.levels.setdefault(int(level) if level.isdigit() else None, Sum()).add(one.calls, cost)
        tool.whole.add(one.calls, cost)
        if nobodys:
            tool.unattributed.add(one.calls, cost)
            tool.unplaced_calls += one.calls if nobodys == "unplaced" else 0
    return sorted(
        tools.values(), key=lambda tool: (-tool.whole.cost_nusd, -tool.whole.calls, tool.name or "")
    )


def _largest(found: Iterable[sums.Sum]) -> list[tuple[str | None, Sum]]:
    """By the second part of their key."""
    by_name: defaultdict[str | None, Sum] = defaultdict(Sum)
    for one in found:
        by_name[one.key2 or None].add(one.calls, _dollars(one))
    left = [(name, its) for name, its in by_name.items() if its != Sum()]
    return sorted(left, key=lambda one: (-one[1].cost_nusd, -one[1].calls, one[0] or ""))
