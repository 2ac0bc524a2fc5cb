"""How much of what was spent is attributed: calls and money by client, and by the level that found the project (A6).

The levels are those of docs/reference/attribution.md. Only served work counts, as in a chargeback.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.chargeback.filter import asked_of, rows_of
from visionality.chargeback.task_report import composed
from visionality.core.attribution import (
    BOUND,
    ENVIRONMENT,
    EXPLICIT,
    HELPER,
    INHERITED,
    METADATA,
    UNATTRIBUTED,
)
from visionality.core.money import rounded_quotient

LEVELS = {
    BOUND: "bound into the key",
    EXPLICIT: "declared",
    METADATA: "metadata",
    ENVIRONMENT: "environment",
    INHERITED: "session",
    HELPER: "credential helper",
    UNATTRIBUTED: "nobody, or an operator",
}


@dataclass(slots=True)
class Sum:
    """How many calls, and what they cost in nano-dollars."""

    calls: int = 0
    cost_nusd: int = 0

    def add(self, calls: int, cost_nusd: int) -> None:
        self.calls += calls
        self.cost_nusd += cost_nusd


@dataclass(frozen=True, slots=True)
class Share:
    """A part of what was spent in one currency, and what it is a part of."""

    part: str
    """`total`, `unattributed` (rows without a project), `level`, `client`, or `client_level`."""
    currency: str
    client: str | None
    """None for those that did not say which client they are."""
    level: int | None
    """None for rows that have none."""
    sum: Sum
    whole: Sum


@dataclass(frozen=True, slots=True)
class Period:
    """What was spent in one currency in a day, a week or a month, by the level that found the project."""

    begins: date
    currency: str
    levels: dict[int | None, Sum]
    whole: Sum


@dataclass(frozen=True, slots=True)
class Flagged:
    """Calls, served or not, on whose project something is to be looked at, as no correction has settled it."""

    conflicts: int
    """Whose evidence disagrees."""
    denied: int
    """Whose evidence leads to a project that the key may not claim."""


def coverage(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    start: datetime,
    end: datetime,
    *,
    include_sandbox: bool = False,
    original: bool = False,
) -> tuple[list[Share], Flagged]:
    """The shares of a half-open range, those of a currency and of a client together."""
    served = rows_of(org_id, start, end, {}, include_sandbox=include_sandbox, original=original)
    asked = asked_of(org_id, start, end, {}, include_sandbox=include_sandbox)
    found = _shares(connection.execute(composed("coverage", served)).fetchall())
    flagged = connection.execute(composed("flagged", asked, original=sql.Literal(original))).fetchone()
    assert flagged is not None
    return found, Flagged(flagged["conflicts"], flagged["denied"])


def coverage_by(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    start: datetime,
    end: datetime,
    unit: Literal["day", "week", "month"],
    *,
    include_sandbox: bool = False,
    original: bool = False,
) -> list[Period]:
    """The days, weeks or months of a half-open range that have rows, UTC; those of a currency together."""
    served = rows_of(org_id, start, end, {}, include_sandbox=include_sandbox, original=original)
    rows = connection.execute(composed("coverage_by", served, unit=unit)).fetchall()
    return [
        _period(begins, currency, list(its))
        for (currency, begins), its in groupby(rows, itemgetter("currency", "begins"))
    ]


def _period(begins: date, currency: str, rows: list[dict[str, Any]]) -> Period:
    whole = Sum()
    for row in rows:
        whole.add(row["calls"], row["cost_nusd"])
    return Period(
        begins, currency, {row["level"]: Sum(row["calls"], row["cost_nusd"]) for row in rows}, whole
    )


def percent(part: int, whole: int) -> str | None:
    """The share with one decimal, rounded half even: 1 of 3 is "33.3". None of nothing."""
    if whole <= 0:
        return None
    tenths = rounded_quotient(part * 1000, whole)
    sign = "-" if tenths < 0 else ""
    return f"{sign}{abs(tenths) // 10}.{abs(tenths) % 10}"


def _shares(rows: list[dict[str, Any]]) -> list[Share]:
    found: list[Share] = []
    for currency, of in groupby(rows, itemgetter("currency")):
        found += _of_currency(currency, list(of))
    return found


def _of_currency(currency: str, rows: list[dict[str, Any]]) -> Iterator[Share]:
    total, unattributed = Sum(), Sum()
    levels: defaultdict[int | None, Sum] = defaultdict(Sum)
    clients: defaultdict[str | None, Sum] = defaultdict(Sum)
    for row in rows:
        unattributed.add(row["unattributed_calls"], row["unattributed_nusd"])
        for its in (total, levels[row["level"]], clients[row["client"]]):
            its.add(row["calls"], row["cost_nusd"])
    yield Share("total", currency, None, None, total, total)
    yield Share("unattributed", currency, None, None, unattributed, total)
    for level in sorted(levels, key=lambda level: level or 0):
        yield Share("level", currency, None, level, levels[level], total)
    for client, its_rows in groupby(rows, itemgetter("client")):
        yield Share("client", currency, client, None, clients[client], total)
        for row in its_rows:
            its = Sum(row["calls"], row["cost_nusd"])
            yield Share("client_level", currency, client, row["level"], its, clients[client])
