"""What the splits between cost centers move, by day: kept beside the daily sums, of the same rows (promise B3).

A split divides each row by itself, to the nano-dollar, so the split of a sum is not the sum of the splits. Hence the roller
divides each row once and keeps what that takes from the row's own cost center and gives to others; all of it adds up to nothing.
Where a split was added that the roller has not met yet, readers divide the rows themselves. A split never changes; one that is
dated back has the days from then on divided anew.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from visionality.core.allocation import CostSplit, Dated, Part, billionths, split_at, split_by_billionths
from visionality.ledger.sums import SUMS, midnight
from visionality.runtime.sql import statements

_SQL = statements("visionality.ledger.sql", "splits.sql")
_AT_ONCE = 20
"""Days and scopes whose rows are held in memory at once."""


@dataclass(slots=True)
class Moved:
    """Nano-dollars of cost, nano-dollars billed, and of how many rows: what came less what went."""

    cost_nusd: int = 0
    billed_nusd: int = 0
    rows: int = 0

    def add(self, cost_nusd: int, billed_nusd: int, rows: int) -> None:
        self.cost_nusd += cost_nusd
        self.billed_nusd += billed_nusd
        self.rows += rows


Payer = tuple[str, str, str]
"""Cost center, general-ledger code, currency."""


class _Line(NamedTuple):
    """Where something is moved to or from."""

    org_id: UUID
    day: date
    cost_center: str
    gl_code: str
    currency: str


_Movements = defaultdict[_Line, Moved]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A split as it is stored. `is_known` is whether the sums know it."""

    org_id: UUID
    split_id: UUID
    scope_kind: str
    scope_value: str
    parts: list[dict[str, str]]
    effective_from: datetime
    is_known: bool

    def split(self) -> CostSplit:
        parts = (Part(one["cost_center"], one["gl_code"], Decimal(one["share"])) for one in self.parts)
        return CostSplit(self.scope_kind, self.scope_value, tuple(parts), self.effective_from)


@dataclass(slots=True)
class _Rules:
    """The splits of one organisation."""

    given: list[_Rule]
    dated: Dated[CostSplit] = field(init=False)
    changes: list[datetime] = field(init=False)
    """The moments from which on other rules are in force."""

    def __post_init__(self) -> None:
        self.dated = Dated(rule.split() for rule in self.given)
        self.changes = sorted({rule.effective_from for rule in self.given})

    def of(self, alike: dict[str, Any]) -> CostSplit | None:
        """The split of rows that come behind so many changes."""
        if not alike["change"]:
            return None
        scope = {name: alike[name] for name in ("project_id", "team_id", "customer_id")}
        return split_at(self.dated, **scope, at=self.changes[alike["change"] - 1])


def moved(connection: psycopg.Connection[Any], org_id: UUID, since: date, until: date) -> dict[Payer, Moved]:
    """What the splits move between the cost centers of served rows of the UTC days from `since` until before `until`.

    On top of the sums by the rows' own cost centers it makes those after splits. What the simulated provider answered is left out.
    Read as `vis_reader` in a repeatable-read transaction that has named its organisation (ledger.reader).
    """
    rules = _rules(connection, "own", {"org_id": org_id})
    if not rules:
        return {}
    given = {
        "org_id": org_id,
        "since": since,
        "until": until,
        "start": midnight(since),
        "end": midnight(until),
    }
    found: defaultdict[Payer, Moved] = defaultdict(Moved)
    is_kept = all(rule.is_known for rule in rules[org_id].given)
    if is_kept:
        with connection.cursor(row_factory=dict_row) as cursor:
            for one in cursor.execute(_SQL["moved"], given):
                found[one["cost_center"], one["gl_code"], one["currency"]].add(
                    one["cost_nusd"], one["billed_nusd"], one["rows"]
                )
    rest = _divided(connection, rules, SUMS["tail"] if is_kept else _SQL["range"], given)
    for line, its in rest.items():
        found[line.cost_center, line.gl_code, line.currency].add(its.cost_nusd, its.billed_nusd, its.rows)
    return {payer: its for payer, its in found.items() if its != Moved()}


def meet(connection: psycopg.Connection[Any]) -> Mapping[UUID, _Rules]:
    """All splits, once the rows that are in the sums already are divided by those that are new. For the roller, in its step."""
    rules = _rules(connection, "every", {})
    for org_id, its in rules.items():
        new = [rule for rule in its.given if not rule.is_known]
        if new:
            since = new[0].effective_from.astimezone(UTC).date()
            given = {"org_id": org_id, "since": since, "start": midnight(since)}
            connection.execute(_SQL["forget_since"], given)
            _write(connection, _divided(connection, {org_id: its}, _SQL["rolled_since"], given))
            connection.execute(_SQL["known"], {"org_id": org_id, "splits": [rule.split_id for rule in new]})
    return rules


def add(
    connection: psycopg.Connection[Any], rules: Mapping[UUID, _Rules], rows: str, given: Mapping[str, Any]
) -> None:
    """Divide the rows of a fragment and keep what that moves. For the roller, in its step."""
    if rules:
        _write(connection, _divided(connection, rules, rows, given))


def differing(
    connection: psycopg.Connection[Any], day: date, rows: str, given: Mapping[str, Any]
) -> Iterator[tuple[_Line, int, int]]:
    """Where what is kept of a UTC day is not what its rows make: the costs of both."""
    kept: defaultdict[_Line, Moved] = defaultdict(Moved)
    with connection.cursor(row_factory=dict_row) as cursor:
        for one in cursor.execute(_SQL["of_day"], {"day": day}):
            line = _Line(one["org_id"], one["day"], one["cost_center"], one["gl_code"], one["currency"])
            kept[line].add(one["cost_nusd"], one["billed_nusd"], one["rows"])
    every = _rules(connection, "every", {})
    known = {org_id: _Rules([rule for rule in its.given if rule.is_known]) for org_id, its in every.items()}
    made = _divided(connection, known, rows, given)
    for line in sorted(kept.keys() | made.keys()):
        ours, theirs = kept.get(line, Moved()), made.get(line, Moved())
        if ours != theirs:
            yield line, ours.cost_nusd, theirs.cost_nusd


def _rules(connection: psycopg.Connection[Any], which: str, given: Mapping[str, Any]) -> dict[UUID, _Rules]:
    found: defaultdict[UUID, list[_Rule]] = defaultdict(list)
    with connection.cursor(row_factory=class_row(_Rule)) as cursor:
        for rule in cursor.execute(_SQL[which], given):
            found[rule.org_id].append(rule)
    return {org_id: _Rules(rules) for org_id, rules in found.items()}


def _divided(
    connection: psycopg.Connection[Any], rules: Mapping[UUID, _Rules], rows: str, given: Mapping[str, Any]
) -> _Movements:
    scopes = sorted(
        {(rule.org_id, rule.scope_kind, rule.scope_value) for its in rules.values() for rule in its.given}
    )
    changes = [(org_id, at) for org_id, its in rules.items() for at in its.changes]
    asked = dict(given)
    asked |= {name: [one[n] for one in scopes] for n, name in enumerate(("orgs", "kinds", "values"))}
    asked |= {name: [one[n] for one in changes] for n, name in enumerate(("changing", "changes"))}
    query = sql.SQL(_SQL["in_scope"]).format(rows=sql.SQL(rows), is_served=sql.SQL(SUMS["is_served"]))
    found: defaultdict[_Line, Moved] = defaultdict(Moved)
    with connection.cursor(name="in_scope", row_factory=dict_row) as cursor:
        cursor.itersize = _AT_ONCE
        for alike in cursor.execute(query, asked):
            _divide(rules[alike["org_id"]], alike, found)
    return found


def _divide(rules: _Rules, alike: dict[str, Any], found: _Movements) -> None:
    """Divide each of some rows that are divided alike, and add what that moves to what is found."""
    rule = rules.of(alike)
    if rule is None:
        return
    weights = billionths([part.share for part in rule.parts])
    costs, billed = alike["costs"], alike["billed"]
    parts_of_costs = _parts(costs, weights)
    parts_of_billed = parts_of_costs if billed is None else _parts(billed, weights)

    def add(cost_center: str, gl_code: str, cost_nusd: int, billed_nusd: int, rows: int) -> None:
        line = _Line(alike["org_id"], alike["day"], cost_center, gl_code, alike["currency"])
        found[line].add(cost_nusd, billed_nusd, rows)

    taken = sum(parts_of_costs), sum(parts_of_billed)
    add(alike["cost_center"], alike["gl_code"], -taken[0], -taken[1], -len(costs))
    for part, cost, bill in zip(rule.parts, parts_of_costs, parts_of_billed, strict=True):
        add(part.cost_center, part.gl_code, cost, bill, len(costs))


def _parts(amounts: Iterable[int], weights: tuple[int, ...]) -> list[int]:
    """The sums of each part, every amount split by itself."""
    return [sum(part) for part in zip(*(split_by_billionths(one, weights) for one in amounts), strict=True)]


def _write(connection: psycopg.Connection[Any], found: _Movements) -> None:
    movements = {line: its for line, its in found.items() if its != Moved()}
    if movements:
        orgs, days, cost_centers, gl_codes, currencies = (
            list(column) for column in zip(*movements, strict=True)
        )
        given = {
            "orgs": orgs,
            "days": days,
            "cost_centers": cost_centers,
            "gl_codes": gl_codes,
            "currencies": currencies,
            "costs": [its.cost_nusd for its in movements.values()],
            "billed": [its.billed_nusd for its in movements.values()],
            "rows": [its.rows for its in movements.values()],
        }
        connection.execute(_SQL["add"], given)
