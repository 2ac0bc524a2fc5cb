"""A connection for what is asked now and then, beside the writer's: opened when needed, dropped when it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

from visionality.runtime.pooling import connect

_T = TypeVar("_T")

ANSWERS_WITHIN = 2.0
"""Seconds that a question may take."""


class Desk:
    """One question at a time. `opened` is told each fresh connection before it is asked anything."""

    def __init__(
        self, dsn: str, name: str, opened: Callable[[asyncpg.Connection], Awaitable[None]] | None = None
    ) -> None:
        self._dsn = dsn
        self._name = name
        self._opened = opened
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def ask(self, question: Callable[[asyncpg.Connection], Awaitable[_T]]) -> _T:
        """The answer. Raises one of ledger.connection.AWAY; whether the database acted is then unknown."""
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connect()
                return await question(self._connection)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> asyncpg.Connection:
        made = await connect(
            self._dsn, opens_within=ANSWERS_WITHIN, answers_within=ANSWERS_WITHIN, name=self._name, jit="off"
        )
        try:
            if self._opened is not None:
                await self._opened(made)
        except BaseException:
            made.terminate()
            raise
        return made
