"""Tells gateways of identity periods that begin (promise A4): nothing changes in a table on that day, so this does."""

import psycopg

from visionality.runtime.sql import statements

_SQL = statements("visionality.jobs", "periods.sql")


def begin(dsn: str) -> int:
    """Let gateways read every period that has begun. Returns how many those were. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(_SQL["begin"]).rowcount
