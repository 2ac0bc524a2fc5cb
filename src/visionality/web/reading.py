"""One read-only connection as `vis_reader` for each thread; each use is a transaction of one organisation.

A page that is asked for every second would otherwise spend most of its time on signing in to the database.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from visionality.ledger.reader import Record, scope
from visionality.web.plane import plane

_mine = threading.local()


@contextmanager
def reading(org_id: UUID) -> Iterator[psycopg.Connection[Record]]:
    """A transaction that sees this organisation's rows and no other's; all its queries see one moment."""
    connection = _begun(org_id)
    try:
        yield connection
    finally:
        if not connection.closed:
            connection.rollback()


@contextmanager
def reading_alone(org_id: UUID) -> Iterator[psycopg.Connection[Record]]:
    """The same on a connection that is this user's only, for a reader who takes long."""
    connection = _connected()
    try:
        scope(connection, org_id)
        yield connection
    finally:
        connection.close()


def close() -> None:
    """Close the calling thread's connection."""
    kept: psycopg.Connection[Record] | None = getattr(_mine, "connection", None)
    if kept is not None:
        kept.close()


def _begun(org_id: UUID) -> psycopg.Connection[Record]:
    """The thread's connection inside a new transaction; a new connection where the old one has gone."""
    kept: psycopg.Connection[Record] | None = getattr(_mine, "connection", None)
    if kept is not None and not kept.closed:
        try:
            scope(kept, org_id)
        except psycopg.OperationalError:
            kept.close()
        else:
            return kept
    _mine.connection = fresh = _connected()
    scope(fresh, org_id)
    return fresh


def _connected() -> psycopg.Connection[Record]:
    fresh = psycopg.connect(plane().reader_dsn, row_factory=dict_row)
    fresh.read_only = True
    fresh.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    return fresh
