"""The work of projects by day, of the same rows as the daily sums: what was spent at which places, by whom, with which model."""

from typing import LiteralString

from psycopg import sql

from visionality.ledger.sums import SUMS
from visionality.runtime.sql import statements

_SQL = statements("visionality.ledger.sql", "work.sql")

PARTS = {
    **{name: sql.SQL(SUMS[name]) for name in ("call", "is_served")},
    **{name: sql.SQL(_SQL[name]) for name in ("called_at", "made_at")},
}
"""What a row r counts for."""


def worked(rows: str) -> sql.Composed:
    """The rows of a fragment as vis.work_day has them, without a digest."""
    return sql.SQL(_SQL["worked"]).format(rows=sql.SQL(rows), **PARTS)


def work_statement(name: LiteralString, rows: str) -> sql.Composed:
    """A statement of work.sql over the rows of a fragment."""
    return sql.SQL(_SQL[name]).format(worked=worked(rows), digested=sql.SQL(_SQL["digested"]))


TAIL = worked(SUMS["tail"])
"""The rows of an organisation's range that vis.work_day has not got yet."""
