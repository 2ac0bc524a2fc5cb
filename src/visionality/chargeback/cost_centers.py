"""The chargeback by cost center: a line for each cost center, general-ledger code and project (promise B3).

A row's cost, and what is billed for it, go to the cost centers of the split that is in force at its moment, each by largest
remainder; without a split they go to the row's own cost center and code. A correction is divided as the row that it
corrects. The totals are the ledger's to the last nano-dollar.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.chargeback.filter import rows_of
from visionality.core.allocation import CostSplit, Dated, Part, billionths, split_at, split_by_billionths
from visionality.core.csv_line import csv_line, guarded
from visionality.core.money import usd
from visionality.runtime.sql import statements

COLUMNS = ("cost_center", "gl_code", "project_id", "currency", "cost_usd", "billed_usd", "rows")

_BEFORE_ANY_RULE = datetime.min.replace(tzinfo=UTC)
_ALL_OF_IT = (Decimal(1),)
_SQL = statements("visionality.chargeback.sql", "chargeback.sql")


@dataclass(slots=True)
class Sum:
    """Nano-dollars of cost, nano-dollars billed, and of how many rows."""

    cost_nusd: int = 0
    billed_nusd: int = 0
    rows: int = 0

    def add(self, cost_nusd: int, billed_nusd: int, rows: int) -> None:
        self.cost_nusd += cost_nusd
        self.billed_nusd += billed_nusd
        self.rows += rows


@dataclass(frozen=True, slots=True)
class Total:
    """What a file adds up to, per currency. A row that is split stands in several lines and counts once."""

    currency: str
    lines: int
    sum: Sum


_Line = tuple[str, str, str, str]
"""Cost center, general-ledger code, project, currency."""


class _Report:
    """The lines, and the ledger's sum of each currency, as they grow."""

    def __init__(self, rules: list[CostSplit], moments: list[datetime]) -> None:
        self.lines: defaultdict[_Line, Sum] = defaultdict(Sum)
        self.ledger: defaultdict[str, Sum] = defaultdict(Sum)
        self._rules = Dated(rules)
        self._moments = moments
        self._payers: dict[tuple[str, ...], tuple[list[Sum], tuple[int, ...]]] = {}

    def add(self, kind: tuple[str, ...], cost_nusd: int, billed_nusd: int, rows: int) -> None:
        """Divide an amount. `kind` is all that decides who pays: the row's own line, team, customer and moment."""
        payers = self._payers.get(kind)
        if payers is None:
            payers = self._payers[kind] = self._who_pays(*kind)
        sums, weights = payers
        costs = split_by_billionths(cost_nusd, weights)
        billed = costs if billed_nusd == cost_nusd else split_by_billionths(billed_nusd, weights)
        for its, cost, bill in zip(sums, costs, billed, strict=True):
            its.add(cost, bill, rows)
        self.ledger[kind[3]].add(cost_nusd, billed_nusd, rows)

    def _who_pays(
        self,
        cost_center: str,
        gl_code: str,
        project_id: str,
        currency: str,
        team_id: str,
        customer_id: str,
        moment: str,
    ) -> tuple[list[Sum], tuple[int, ...]]:
        at = self._moments[int(moment)]
        found = split_at(self._rules, project_id=project_id, team_id=team_id, customer_id=customer_id, at=at)
        if found is None:
            return [self.lines[cost_center, gl_code, project_id, currency]], billionths(_ALL_OF_IT)
        sums = [self.lines[part.cost_center, part.gl_code, project_id, currency] for part in found.parts]
        return sums, billionths([part.share for part in found.parts])

    def totals(self) -> list[Total]:
        """What the lines add up to, which is what the ledger does."""
        return [self._total(currency) for currency in sorted(self.ledger)]

    def _total(self, currency: str) -> Total:
        ledger = self.ledger[currency]
        its_own = [line for (*_, of), line in self.lines.items() if of == currency]
        assert sum(line.cost_nusd for line in its_own) == ledger.cost_nusd
        assert sum(line.billed_nusd for line in its_own) == ledger.billed_nusd
        return Total(currency, len(its_own), ledger)


def write(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    start: datetime,
    end: datetime,
    wanted: dict[str, str],
    out: BinaryIO,
    *,
    include_sandbox: bool = False,
    original: bool = False,
) -> list[Total]:
    """Write the CSV of a half-open range into `out`; `wanted` maps a selector to its value.

    `original` leaves corrections out.
    """
    rules = splits_of(connection, org_id)
    where = rows_of(org_id, start, end, wanted, include_sandbox=include_sandbox, original=original)
    report = _Report(rules, _moments(rules, end))
    amounts = sql.SQL(_SQL["amounts"]).format(kinds=_kinds(rules, end, where))
    with connection.cursor().copy(amounts) as copy:
        for row in copy.rows():
            report.add(row[:7], int(row[7]), int(row[8]), int(row[9]))
    totals = report.totals()
    out.write(csv_line(*COLUMNS))
    out.writelines(
        csv_line(*map(guarded, line), *_amounts(report.lines[line])) for line in sorted(report.lines)
    )
    out.writelines(
        csv_line("TOTAL", "", "", total.currency, *_amounts(total.sum))
        for total in totals or [Total("USD", 0, Sum())]
    )
    return totals


def _kinds(rules: list[CostSplit], end: datetime, where: sql.Composed) -> sql.Composed:
    changes = sql.Literal(_moments(rules, end)[1:])
    return sql.SQL(_SQL["kinds"]).format(filter=where, changes=changes, **_scopes(rules))


def _moments(rules: list[CostSplit], end: datetime) -> list[datetime]:
    """From when on each set of rules is in force."""
    return [_BEFORE_ANY_RULE, *sorted({rule.effective_from for rule in rules if rule.effective_from < end})]


def _scopes(rules: list[CostSplit]) -> dict[str, list[str]]:
    return {
        kind: [rule.scope_value for rule in rules if rule.scope_kind == kind]
        for kind in ("project", "team", "customer")
    }


def splits_of(connection: psycopg.Connection[Any], org_id: UUID) -> list[CostSplit]:
    """Every rule, the oldest first."""
    return [
        CostSplit(
            row["scope_kind"],
            row["scope_value"],
            tuple(
                Part(part["cost_center"], part["gl_code"], Decimal(part["share"])) for part in row["parts"]
            ),
            row["effective_from"],
        )
        for row in connection.execute(_SQL["splits"], {"org_id": org_id})
    ]


def _amounts(of: Sum) -> tuple[str, str, str]:
    return usd(of.cost_nusd), usd(of.billed_nusd), str(of.rows)
