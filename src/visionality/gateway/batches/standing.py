"""What the database knows of batches that go on: the hold that each one has now, and which of its lines have rows."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from visionality.core.row import Row, from_draft
from visionality.gateway.later import BATCH_ID, hold_id
from visionality.ledger.writer import Hold
from visionality.runtime.pooling import Pooled
from visionality.runtime.sql import statements

CLOCKS_APART = timedelta(minutes=5)
"""How far the clocks of the machines that write may differ."""
PATIENCE = 300.0
"""Seconds for a look at the rows of one batch: they are found by their time, among all others."""

_SQL = statements("visionality.gateway.batches", "standing.sql")


class Standing:
    """A batch that goes on, as its hold has it."""

    def __init__(self, hold: Hold) -> None:
        assert hold.draft is not None
        self.hold = hold
        self.draft: Row = from_draft(hold.draft)
        """The row of a line to come."""
        self.batch_id = (self.draft.tags or {})[BATCH_ID]
        self.first = hold_id(hold.org_id, self.draft.provider, self.batch_id)
        """The id of the first hold of its chain."""

    @property
    def is_begun(self) -> bool:
        """Whether lines of it have rows already."""
        return self.hold.hold_id != self.first


class StandingBatches:
    """A connection of its own, on which one process of all leads. Every method raises one of AWAY."""

    def __init__(self, dsn: str) -> None:
        assert not isinstance(dsn, Pooled), "the lead is a lock of a session"
        self._dsn = dsn
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()
        self._leads = False

    async def lead(self) -> bool:
        """Whether this process is the one that looks at all batches by itself."""
        async with self._one_at_a_time:
            connection = await self._connected()
            self._leads = self._leads or await connection.fetchval(_SQL["lead"])
            return self._leads

    async def all(self) -> list[Standing]:
        async with self._one_at_a_time:
            connection = await self._connected()
            return [Standing(Hold(*record)) for record in await connection.fetch(_SQL["standing"])]

    async def settled(self, batch: Standing, since: datetime) -> set[UUID]:
        """The ids of a batch's lines that have rows since then."""
        key = (batch.hold.org_id, since - CLOCKS_APART, batch.hold.request_id)
        async with self._one_at_a_time:
            connection = await self._connected()
            found = await connection.fetch(_SQL["settled"], *key, timeout=PATIENCE)
        return {record["id"] for record in found}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection, self._leads = None, False

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._leads = False
            self._connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=30)
        return self._connection
