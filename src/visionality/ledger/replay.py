"""The replay store: a proof counts once, over all gateways, also after a crash (docs/adr/0018).

A claim is one row that is inserted or was there; whoever inserted it won. Claims that wait together go together, in the
order of their key, in one durable statement. What was claimed here is remembered here too, so that a plain replay is
told from memory; memory alone never says that a proof is new.

A database that went on after a promotion or a restore has another timeline. It may not know the last proofs that the one
before it took, so proofs signed before it was first seen, or within the clocks' allowance after, are not decided on.
"""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog

from visionality.ledger.connection import AWAY
from visionality.ledger.desk import Desk
from visionality.runtime.pooling import Pooled
from visionality.runtime.sql import statements

log = structlog.get_logger()

REMEMBERED = 100_000
AT_ONCE = 256

_SQL = statements("visionality.ledger.sql", "replay.sql")


class ReplayUnknown(Exception):
    """Nobody can say now whether a proof was used."""


class Nonce(NamedTuple):
    """What makes a proof itself, in the order in which everybody inserts."""

    org_id: UUID
    signed_at: datetime
    digest: bytes


class ReplayStore:
    """The claims of one gateway. `skew` is how far a proof's time may be off.

    `dsn` has no pooler behind it: the timeline is looked at when a connection is made, and one of a pooler's outlives the server.
    """

    def __init__(self, dsn: str, skew: timedelta) -> None:
        assert not isinstance(dsn, Pooled), "the timeline is known for as long as a session lasts"
        self._desk = Desk(dsn, "visionality replay", self._look)
        self._skew = skew
        self._waiting: dict[Nonce, asyncio.Future[bool]] = {}
        self._taken: OrderedDict[Nonce, None] = OrderedDict()
        self._flush: asyncio.Task[None] | None = None
        self._since: datetime | None = None

    async def claim(self, nonce: Nonce) -> bool:
        """Whether this call is the first with the proof. Raises ReplayUnknown."""
        if nonce in self._taken or nonce in self._waiting:
            return False
        told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[nonce] = told
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_task(self._claim_waiting(), name="replay")
        is_first = await told
        if self._since is None or nonce.signed_at <= self._since + self._skew:
            raise ReplayUnknown("the replay store has begun anew and does not know older proofs")
        return is_first

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        for told in self._waiting.values():
            told.cancel()
        self._desk.close()

    async def _claim_waiting(self) -> None:
        while self._waiting:
            batch = sorted(self._waiting)[:AT_ONCE]
            won: set[Nonce] | None = None
            try:
                won = await self._desk.ask(partial(_inserted, batch=batch))
            except AWAY as error:
                log.warning("replay_store_away", error=str(error), error_type=type(error).__name__)
            except Exception:
                log.exception("replay_store_failed")
            for nonce in batch:
                if won is None:
                    self._tell(nonce, ReplayUnknown("the replay store is away"))
                else:
                    self._taken[nonce] = None
                    self._tell(nonce, nonce in won)
            while len(self._taken) > REMEMBERED:
                self._taken.popitem(last=False)

    def _tell(self, nonce: Nonce, answer: bool | ReplayUnknown) -> None:
        told = self._waiting.pop(nonce)
        if told.done():
            return
        if isinstance(answer, ReplayUnknown):
            told.set_exception(answer)
        else:
            told.set_result(answer)

    async def _look(self, connection: asyncpg.Connection) -> None:
        """Learn which timeline the database is on, and since when."""
        self._since = await connection.fetchval(_SQL["timeline"])


async def _inserted(connection: asyncpg.Connection, *, batch: list[Nonce]) -> set[Nonce]:
    columns = [list(column) for column in zip(*batch, strict=True)]
    return {Nonce(*record) for record in await connection.fetch(_SQL["claim"], *columns)}
