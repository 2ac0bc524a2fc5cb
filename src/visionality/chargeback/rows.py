"""The rows that a filter of the ledger page finds, as a CSV for people: a line a row, refused ones too, and totals at the bottom.

Lines and totals come from one snapshot of the database. What the simulated provider answered has a total of its own.
"""

from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.core.csv_line import csv_line
from visionality.core.money import usd
from visionality.ledger.filter import Filter
from visionality.runtime.sql import statements

_GUARDED = (
    *("project_id", "customer_id", "task_id", "team_id", "agent_sub", "agent_owner"),
    *("model_family", "model_used", "task_class"),
)
COLUMNS = (
    *("created_at", "id", *_GUARDED, "entry", "decision", "status_code", "usage_source", "provider"),
    *("currency", "cost_usd"),
)
_SQL = statements("visionality.chargeback.sql", "chargeback.sql")


def write(connection: psycopg.Connection[Any], org_id: UUID, wanted: Filter, out: BinaryIO) -> None:
    """Write the CSV into `out`, the oldest row first."""
    where = wanted.condition(org_id)
    totals = connection.execute(sql.SQL(_SQL["rows_total"]).format(filter=where)).fetchall()
    guarded = sql.SQL(", ").join(
        sql.SQL(_SQL["guard"]).format(column=sql.Identifier(name)) for name in _GUARDED
    )
    with connection.cursor().copy(sql.SQL(_SQL["rows"]).format(filter=where, guarded=guarded)) as copy:
        out.writelines(copy)
    counted = [one for one in totals if not one["is_simulated"]] or [{"currency": "USD", "cost_nusd": 0}]
    out.writelines(_total("TOTAL", one) for one in counted)
    out.writelines(_total("SIMULATED", one) for one in totals if one["is_simulated"])


def _total(name: str, one: dict[str, Any]) -> bytes:
    return csv_line(name, *[""] * (len(COLUMNS) - 3), one["currency"], usd(one["cost_nusd"]))
