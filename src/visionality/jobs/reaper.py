"""The reaper: what a dead gateway left in flight becomes rows.

A hold whose writer is silent for too long, or that has outlived any call, is an orphan. Its call may have reached the
provider, so it is charged at its worst case and labelled in doubt; a later settlement by a gateway that was only slow
becomes a true-up against it. A hold without a draft kept the uncertain rest of an estimate: it is let go at expiry.

A reaper that could not see the database cannot tell a silent writer from one that could not reach it either. So it
fences nobody until it has watched for as long as a silent writer is given.
"""

import asyncio

import asyncpg
import structlog

from visionality.core.allocation import bill
from visionality.core.row import Row, from_draft
from visionality.ledger.batch import Hold
from visionality.ledger.connection import AWAY
from visionality.ledger.writer import LedgerWriter
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

log = structlog.get_logger()

EVERY = 1.0
AT_ONCE = 500

_SQL = statements("visionality.jobs", "reaper.sql")


class Reaper:
    """One loop. It writes as an own writer, so two reapers cannot both claim an orphan."""

    def __init__(self, dsn: str, writer: LedgerWriter, clock: Clock, fence_after: float) -> None:
        self._dsn = dsn
        self._writer = writer
        self._clock = clock
        self._fence_after = fence_after
        self._connection: asyncpg.Connection | None = None
        self._watching_since = 0.0
        self.charged = 0
        self.released = 0

    async def run(self) -> None:
        """Reap for ever, once a second."""
        while True:
            try:
                await self.reap()
            except AWAY as error:
                log.warning("reaper_waits", error=str(error), error_type=type(error).__name__)
                self.close()
            await asyncio.sleep(EVERY)

    async def reap(self) -> int:
        """Charge or release every orphan there is now. Returns how many. Raises one of AWAY."""
        connection = await self._connected()
        if asyncio.get_running_loop().time() - self._watching_since >= self._fence_after:
            for fenced in await connection.fetch(_SQL["fence"], self._fence_after):
                log.warning("writer_fenced", writer_no=fenced["writer_no"], process=fenced["process"])
        orphans = [Hold(*record) for record in await connection.fetch(_SQL["orphans"], AT_ONCE)]
        await asyncio.gather(*(self._take(orphan) for orphan in orphans))
        return len(orphans)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn, timeout=10, command_timeout=30)
            self._watching_since = asyncio.get_running_loop().time()
        return self._connection

    async def _take(self, orphan: Hold) -> None:
        if orphan.draft is None:
            await self._writer.expire(orphan, None)
            self.released += 1
            return
        row = in_doubt(orphan)
        row.created_at = self._clock()
        row.id = uuid7()
        await self._writer.expire(orphan, row)
        self.charged += 1
        log.warning("call_in_doubt", request_id=str(row.request_id), cost_nusd=row.cost_nusd)


def in_doubt(orphan: Hold) -> Row:
    """The row of a call that nobody finished, charged at its worst case."""
    assert orphan.draft is not None
    row = from_draft(orphan.draft)
    row.decision, row.reason, row.finish = "failed", "in_doubt", "in_doubt"
    row.usage_source = "reservation_ceiling"
    row.cost_nusd = orphan.amount_nusd
    bill(row)
    return row
