"""The chargeback CSV: nine columns in a fixed order, a total line at the bottom, equal to the ledger (promise F1).

Lines and total come from one snapshot of the database. A line is a row; corrections and true-ups are lines of their own.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.chargeback.filter import rows_of
from visionality.core.money import usd
from visionality.runtime.sql import statements

COLUMNS = (
    "created_at",
    "project_id",
    "model_family",
    "model_used",
    "task_class",
    "agent_sub",
    "agent_owner",
    "currency",
    "cost_usd",
)
_GUARDED = ("project_id", "model_family", "model_used", "task_class", "agent_sub", "agent_owner")
_SQL = statements("visionality.chargeback.sql", "chargeback.sql")


@dataclass(frozen=True, slots=True)
class Total:
    """What a file adds up to, per currency."""

    currency: str
    lines: int
    cost_nusd: int


def write(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    start: datetime,
    end: datetime,
    wanted: dict[str, str],
    out: BinaryIO,
    progress: Callable[[int, int], None],
    *,
    include_sandbox: bool = False,
    original: bool = False,
) -> list[Total]:
    """Write the CSV of a half-open range into `out`.

    `wanted` maps a selector to its value; `progress` is told (lines written, lines in all); `original` leaves
    corrections out.
    """
    where = rows_of(org_id, start, end, wanted, include_sandbox=include_sandbox, original=original)
    totals = [
        Total(row["currency"], row["lines"], row["cost_nusd"])
        for row in connection.execute(sql.SQL(_SQL["total"]).format(filter=where))
    ]
    in_all = sum(total.lines for total in totals)
    guarded = sql.SQL(", ").join(
        sql.SQL(_SQL["guard"]).format(column=sql.Identifier(name)) for name in _GUARDED
    )
    written = -1
    with connection.cursor().copy(sql.SQL(_SQL["lines"]).format(filter=where, guarded=guarded)) as copy:
        for block in copy:
            out.write(block)
            written += bytes(block).count(b"\n")
            progress(max(0, min(written, in_all)), in_all)
    out.writelines(_total_line(total) for total in totals or [Total("USD", 0, 0)])
    return totals


def write_all(
    connection: psycopg.Connection[Any], org_id: UUID, start: datetime, end: datetime, out: BinaryIO
) -> int:
    """Write every column of every row of a half-open range as CSV, for a machine. Returns the number of rows."""
    query = sql.SQL(_SQL["everything"]).format(org_id, start, end)
    with connection.cursor() as cursor:
        with cursor.copy(query) as copy:
            out.writelines(copy)
        return cursor.rowcount


def _total_line(total: Total) -> bytes:
    line = io.StringIO()
    cells = ["TOTAL", *[""] * 6, total.currency, usd(total.cost_nusd)]
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
