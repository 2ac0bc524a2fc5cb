"""The writer's own direct connection: lost and found again, without anything that waits being lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog

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

_T = TypeVar("_T")


class WriterConnection:
    """One connection. `connected` says whether the database was there when it was last used."""

    def __init__(self, dsn: str, application_name: str) -> None:
        self._dsn = dsn
        self._name = application_name
        self._connection: asyncpg.Connection | None = None
        self.connected = False

    async def open(self) -> None:
        """Connect. Raises one of AWAY."""
        self._connection = await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=30,
            server_settings={
                "application_name": self._name,
                "jit": "off",
                "enable_seqscan": "off",
                "plan_cache_mode": "force_generic_plan",
            },
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
                return await question(self.live)
            except AWAY as error:
                await self.renew(error)

    async def renew(self, cause: Exception) -> None:
        """Return with a fresh connection, once the database takes one."""
        self.close()
        log.error("ledger_away", error=str(cause), error_type=type(cause).__name__)
        tries = 0
        while True:
            await asyncio.sleep(RECONNECT[min(tries, len(RECONNECT) - 1)])
            tries += 1
            try:
                await self.open()
            except AWAY:
                continue
            log.warning("ledger_back", tries=tries)
            return
