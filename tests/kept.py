"""Connections that wait for their next use: one takes ten milliseconds to make, and the tests ask tens of thousands of times."""

import select
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.rows import tuple_row


class Kept:
    """Connections by their address. Whoever takes one finds it as new: nothing of the session before is left."""

    def __init__(self) -> None:
        self._idle: defaultdict[str, list[psycopg.Connection]] = defaultdict(list)
        self._keeps = True

    @contextmanager
    def connection(self, dsn: str) -> Iterator[psycopg.Connection]:
        """One transaction, committed at the end, or given up with whatever is raised."""
        connection = self._waiting(dsn) or _pooled(dsn)
        try:
            yield connection
            if not connection.closed:
                connection.commit()
                _forget(connection)
                self._idle[dsn].append(connection)
                if not self._keeps:
                    self.let_go()
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Close them all, and from now on each as soon as it was used."""
        self._keeps = False
        self.let_go()

    def let_go(self) -> None:
        """Close those that wait."""
        while self._idle:
            for connection in self._idle.popitem()[1]:
                connection.close()

    def _waiting(self, dsn: str) -> psycopg.Connection | None:
        while self._idle[dsn]:
            connection = self._idle[dsn].pop()
            if not select.select([connection], [], [], 0)[0]:
                return connection
            connection.close()  # what the server says unasked is a farewell
        return None


def _pooled(dsn: str) -> psycopg.Connection:
    """A connection that may end with the program, as one of psycopg's own pools may."""
    made = psycopg.connect(dsn, prepare_threshold=None)
    made._pool = None  # type: ignore[attr-defined]
    return made


def _forget(connection: psycopg.Connection) -> None:
    connection.autocommit = True
    connection.execute("discard all")
    connection.autocommit = False
    connection.row_factory = tuple_row
