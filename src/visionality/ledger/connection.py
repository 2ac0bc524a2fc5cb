"""The writer's own connection: lost and found again, without anything that waits being lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

from visionality.runtime.pooling import connect

log = structlog.get_logger()

RECONNECT = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between tries; the last repeats."""

AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke between two messages is left in an odd state
)
"""What a driver raises when the database is away, or answers in a way that a fresh connection may mend."""

_OF_CONNECTIONS = frozenset({"08", "57"})
"""Classes of SQLSTATE that a fresh connection mends: connection exceptions, and what an operator did to the server."""

_T = TypeVar("_T")


class WriterConnection:
    """One connection. `connected` says whether the database was there when it was last used."""

    def __init__(self, dsn: str, application_name: str) -> None:
        self._dsn = dsn
        self._name = application_name
        self._connection: asyncpg.Connection | None = None
        self.connected = False
        self.cause: Exception | None = None
        """What the database objected to, until it does what it is asked again."""

    async def open(self) -> None:
        """Connect. Raises one of AWAY."""
        self._connection = await connect(
            self._dsn,
            opens_within=10,
            answers_within=30,
            name=self._name,
            jit="off",
            enable_seqscan="off",
            plan_cache_mode="force_generic_plan",
        )
        self.connected = True

    def close(self) -> None:
        self.connected = False
        if self._connection is not None:
            self._connection.terminate()

    @property
    def live(self) -> asyncpg.Connection:
        """The connection. Raises ConnectionResetError when it is closed."""
        if self._connection is None or self._connection.is_closed():
            raise ConnectionResetError("the ledger's connection is closed")
        return self._connection

    async def ask(self, question: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        """The answer to a question that may be asked again, however long the database is away."""
        while True:
            try:
                answer = await question(self.live)
            except AWAY as error:
                await self.renew(error)
            else:
                self.cause = None
                return answer

    async def renew(self, cause: Exception) -> None:
        """Return with a fresh connection, once the database takes one."""
        self.close()
        self.cause = cause
        log.error("ledger_away", error=str(cause), error_type=type(cause).__name__)
        tries = 0
        while True:
            await asyncio.sleep(RECONNECT[min(tries, len(RECONNECT) - 1)])
            tries += 1
            try:
                await self.open()
            except AWAY as error:
                self.cause = error
                continue
            log.warning("ledger_back", tries=tries)
            if isinstance(cause, asyncpg.PostgresError) and str(cause.sqlstate)[:2] not in _OF_CONNECTIONS:
                self.cause = cause  # it is there, but may object again
            else:
                self.cause = None
            return
