"""What the rows that a reader looks at add up to: from the daily rollup where it has such a sum, else from the rows."""

import json
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import psycopg

from visionality.ledger import reader
from visionality.ledger.filter import NOTHING, Filter
from visionality.ledger.sums import Dim, Sum, midnight, sums

_PARTS: tuple[tuple[Dim, str, str], ...] = (
    ("all", "", ""),
    ("project", "project", ""),
    ("customer", "customer", ""),
    ("team", "team", ""),
    ("agent", "agent", ""),
    ("person", "person", ""),
    ("person", "", "owner"),
    ("person", "person", "owner"),
    ("task", "task", ""),
    ("epic", "epic", ""),
    ("task_class", "class", ""),
    ("model", "model", ""),
    ("model", "", "family"),
    ("model", "model", "family"),
    ("provider", "provider", ""),
    ("key", "key", ""),
    ("cost_center", "cost_center", ""),
    ("gl_code", "gl", ""),
    ("level", "level", ""),
    ("place", "repo", ""),
    ("place", "", "branch"),
    ("place", "repo", "branch"),
    ("project_agent", "project", "agent"),
    ("project_person", "project", "person"),
    ("project_model", "project", "model"),
    ("project_task_class", "project", "class"),
    ("project_customer", "project", "customer"),
    ("project_task", "project", "task"),
    ("project_epic", "project", "epic"),
    ("agent_model", "agent", "model"),
    ("agent_task_class", "agent", "class"),
    ("person_agent", "person", "agent"),
    ("project_repo", "project", "repo"),
)
"""A dimension with the selectors of its key and of its second part."""
_BY_SELECTORS = {frozenset({one, two} - {""}): (dim, one, two) for dim, one, two in _PARTS}
_OUTCOME = ("entry", "source", "decision", "reason", "status", "binding")
"""The selectors of what a key of the dimension project_outcome lists, in its order."""
_CURRENCY = "USD"


@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts in nano-USD, of rows in US dollars; `simulated_nusd` is not in the cost."""

    calls: int
    """All that were asked for."""
    served: int
    """Of them those that the cost is of, as the finance seat counts them."""
    cost_nusd: int
    final_nusd: int
    simulated_nusd: int
    unpriced: int
    unattributed: int
    others: tuple[str, ...]
    """The other currencies, which are in none of the amounts."""


def totals(
    connection: psycopg.Connection[Any], org_id: UUID, wanted: Filter, since: date, until: date
) -> Totals:
    """Of the UTC days from `since` until before `until`."""
    names = frozenset(name for name, _ in wanted.named)
    by_outcome = bool(names) and names <= {"project", *_OUTCOME}
    parts = _BY_SELECTORS.get(names, ("project_outcome", "project", "") if by_outcome else None)
    if parts is None or wanted.original:
        bounded = Filter(wanted.named, midnight(since), midnight(until), wanted.original)
        return _of_rows(reader.totals(connection, org_id, bounded))
    dim, *selectors = parts
    keys, keys2 = ([_key(wanted, one)] if one in names else None for one in selectors)
    real, simulated = (
        [
            one
            for one in sums(
                connection, org_id, dim, since, until, keys=keys, keys2=keys2, simulated=of_sandbox
            )
            if dim != "project_outcome" or _came_out(one, wanted)
        ]
        for of_sandbox in (False, True)
    )
    both = [*real, *simulated]
    dollars = [one for one in real if one.currency == _CURRENCY]
    return Totals(
        calls=sum(one.asked for one in both),
        served=sum(one.calls for one in dollars),
        cost_nusd=sum(one.cost_nusd for one in dollars),
        final_nusd=sum(one.final_nusd for one in dollars),
        simulated_nusd=sum(one.cost_nusd for one in simulated if one.currency == _CURRENCY),
        unpriced=sum(one.unpriced for one in both),
        unattributed=sum(one.unattributed for one in both),
        others=tuple(sorted({one.currency for one in both} - {_CURRENCY})),
    )


def _came_out(one: Sum, wanted: Filter) -> bool:
    """Whether rows came out as a filter wants it."""
    found = dict(zip(_OUTCOME, json.loads(one.key2 or "[]"), strict=True))
    return all(
        found[name] is None if value == NOTHING else str(found[name]) == value
        for name, value in wanted.named
        if name in found
    )


def _of_rows(found: reader.Record) -> Totals:
    return Totals(
        found["calls"],
        found["served"],
        found["cost_nusd"],
        found["final_nusd"],
        found["sandbox_nusd"],
        found["unpriced"],
        found["unattributed"],
        tuple(found["others"]),
    )


def _key(wanted: Filter, selector: str) -> str:
    value = wanted.get(selector) or ""
    return "" if value == NOTHING else value
