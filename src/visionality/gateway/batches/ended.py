"""Batches that clients of this process have seen ended: they are collected at once."""

import asyncio
from contextlib import suppress
from uuid import UUID


class Ended:
    """Their ids, which are those of their first holds, until somebody takes them."""

    def __init__(self) -> None:
        self._ids: set[UUID] = set()
        self._any = asyncio.Event()

    def add(self, first: UUID) -> None:
        self._ids.add(first)
        self._any.set()

    async def take(self, seconds: float) -> set[UUID]:
        """Those that were seen, as soon as there are any; none when so many seconds bring none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._any.wait()
        self._any.clear()
        taken, self._ids = self._ids, set()
        return taken
