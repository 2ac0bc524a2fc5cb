"""What a gateway writes up of minting: each spend token and each refusal is one row of `key_events`, and a token its budget.

Events that wait together go together: their numbers are taken, and they are appended, in one transaction, so the log has
no gap. A token's hard limit is one window that lasts for ever; it stands before the token is handed out.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import structlog

from visionality.core.canonical import leaf_hash
from visionality.core.window import EVER, window_id
from visionality.ledger.connection import AWAY
from visionality.ledger.desk import Desk
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

log = structlog.get_logger()

AT_ONCE = 200

_SQL = statements("visionality.ledger.sql", "minting.sql")
_json = msgspec.json.Encoder(order="sorted").encode


class NotRecorded(Exception):
    """An event could not be made durable, or nobody knows whether it was."""


class Event(NamedTuple):
    """One step in the life of a key, as the gateway takes it. With a cap it makes the budget of a spend token."""

    org_id: UUID
    at: datetime
    kind: str
    key_id: UUID
    subject: str
    actor: str
    detail: Mapping[str, str]
    token_id: UUID | None = None
    cap_nusd: int = 0


class MintingDesk:
    """The events of one gateway."""

    def __init__(self, dsn: str) -> None:
        self._desk = Desk(dsn, "visionality minting")
        self._waiting: list[tuple[Event, asyncio.Future[None]]] = []
        self._flush: asyncio.Task[None] | None = None

    async def record(self, event: Event) -> None:
        """Return when the event is durable. Raises NotRecorded."""
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, told))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.get_running_loop().create_task(self._record_waiting(), name="minting")
        await told

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        for _, told in self._waiting:
            told.cancel()
        self._desk.close()

    async def _record_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            failure = NotRecorded("the log of keys is away")
            durable = False
            try:
                await self._desk.ask(partial(_append, events=[event for event, _ in batch]))
                durable = True
            except AWAY as error:
                log.warning("minting_not_recorded", error=str(error), error_type=type(error).__name__)
            except Exception:
                log.exception("minting_not_recorded")
            for _, told in batch:
                if not told.done():
                    told.set_result(None) if durable else told.set_exception(failure)


async def _append(connection: asyncpg.Connection, *, events: list[Event]) -> None:
    rows: list[dict[str, Any]] = []
    async with connection.transaction():
        for org_id, group in groupby(sorted(events, key=attrgetter("org_id")), attrgetter("org_id")):
            ours = list(group)
            last = await connection.fetchval(_SQL["next_seqs"], org_id, len(ours))
            rows += [_row(event, last - len(ours) + at) for at, event in enumerate(ours, 1)]
        await connection.executemany(_SQL["key_event"], [_values(row) for row in rows])
        windows = [
            _window(event.org_id, event.token_id, event.cap_nusd) for event in events if event.token_id
        ]
        if windows:
            await connection.executemany(_SQL["token_window"], windows)


def _window(org_id: UUID, token_id: UUID, cap_nusd: int) -> tuple[Any, ...]:
    value = str(token_id)
    return org_id, window_id(token_id, EVER[0], value), token_id, value, *EVER, cap_nusd


def _row(event: Event, seq: int) -> dict[str, Any]:
    row = {"org_id": event.org_id, "created_at": event.at, "id": uuid7(), "seq": seq, "kind": event.kind}
    row |= {"key_id": event.key_id, "subject": event.subject, "actor": event.actor}
    row["detail"] = dict(event.detail)
    return row | {"leaf_hash": leaf_hash(row)}


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple((row | {"detail": _json(row["detail"]).decode()}).values())
