"""The leaf that a row of the database ought to have: its columns hashed again, whoever stored what beside them.

The sealer does this for samples, the nightly verification for all rows.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal
from uuid import UUID

import psycopg
from msgspec import structs
from psycopg import sql
from psycopg.rows import dict_row

from visionality.core.budget_event import Event
from visionality.core.canonical import leaf_hash
from visionality.core.row import COLUMNS as ROW_COLUMNS
from visionality.runtime.sql import statements

RowLog = Literal["request_logs", "budget_events", "key_events", "admin_events"]
ROW_LOGS: tuple[RowLog, ...] = ("request_logs", "budget_events", "key_events", "admin_events")

_EVENT = ("org_id", "created_at", "id", "seq", "kind")
COLUMNS: dict[RowLog, tuple[str, ...]] = {
    "request_logs": ROW_COLUMNS,
    "budget_events": tuple(one.name for one in structs.fields(Event)),
    "key_events": (*_EVENT, "key_id", "subject", "actor", "detail"),
    "admin_events": (*_EVENT, "actor", "source_ip", "detail"),
}
"""The columns of each log that its rows' bytes hold, in the table's order."""

_SQL = statements("visionality.evidence.sql", "rows.sql")


def selected(log: RowLog, alias: str) -> sql.Composed:
    """The columns from which a row of this log is hashed again, and its stored leaf, for a query that names the table so."""
    names = (*COLUMNS[log], "leaf_hash")
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)


def rebuilt_leaf(log: RowLog, record: Mapping[str, Any]) -> bytes | None:
    """The leaf of a row by its columns; None where they hold what no row's bytes can."""
    try:
        return leaf_hash({name: record[name] for name in COLUMNS[log]})
    except TypeError:
        return None


def not_as_hashed(
    connection: psycopg.Connection[Any], log: RowLog, marks: Iterable[tuple[UUID, Any, bytes, bytes]]
) -> list[tuple[UUID, UUID]]:
    """Which of these rows, by organisation, `created_at`, packed id and the leaf that was sealed, are another's or gone.

    Returns organisations and ids.
    """
    wanted = list(marks)
    if not wanted:
        return []
    orgs, times, ids, _ = zip(*wanted, strict=True)
    query = sql.SQL(_SQL["these"]).format(columns=selected(log, "r"), log=sql.Identifier("vis", log))
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            query, {"orgs": list(orgs), "times": list(times), "ids": [UUID(bytes=one) for one in ids]}
        )
        leaves = {(one["org_id"], one["id"].bytes): rebuilt_leaf(log, one) for one in found}
    return [
        (org_id, UUID(bytes=row_id))
        for org_id, _, row_id, leaf in wanted
        if leaves.get((org_id, row_id)) != leaf
    ]
