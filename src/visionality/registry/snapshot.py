"""The policy snapshot: what the control plane decided, in memory, replaced whole and never edited.

A gateway polls the organisations' revisions and reloads those that moved. An admission on a snapshot older than
`max_age` waits for one poll and is refused when that fails, so a revoked key is refused within that bound.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from visionality.runtime.sql import statements

log = structlog.get_logger()

POLL = 0.5
"""Seconds between polls; a change is in force after one."""

_UNREADABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke between two messages is left in an odd state
)

_SQL = statements("visionality.registry.sql", "snapshot.sql")


class SnapshotStale(Exception):
    """The control data could not be read recently enough to decide on it."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A virtual key with its bindings, as `vis.keys_v1` has them."""

    org_id: UUID
    key_id: UUID
    handle_hmac: bytes
    expires_at: datetime
    revoked_at: datetime | None
    agent_sub: str
    agent_owner: str
    sso_sub: str | None
    team_id: str | None
    cost_center: str | None
    project_id: str | None
    gl_code: str | None
    customer_id: str | None
    task_id: str | None
    task_class: str | None
    memo: str | None
    url: str | None
    passthrough: str | None
    """The providers to which calls without a meter may go, as JSON text: each with the US dollars of a request or null."""


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """Where a provider's calls go; the credential is still sealed."""

    provider: str
    base_url: str
    on_abort: str
    credential_id: UUID
    sealed: bytes
    kek_id: UUID
    generation: int
    wrapped: bytes
    options: str
    """What only this provider has, as JSON text."""


@dataclass(frozen=True, slots=True)
class PriceRecord:
    """An override; `rates` is the stored JSON text."""

    version: int
    provider: str
    model: str
    rates: str
    effective_from: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """One organisation's policy at one revision."""

    org_id: UUID
    revision: int
    grants: tuple[Grant, ...]
    providers: Mapping[str, ProviderRecord]
    prices: tuple[PriceRecord, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All organisations, and their grants by keyed hash of the handle."""

    organisations: Mapping[UUID, Organisation] = field(default_factory=dict)
    grants: Mapping[bytes, Grant] = field(default_factory=dict)


class SnapshotKeeper:
    """Keeps the newest snapshot. `changed` is told each organisation that was reloaded."""

    def __init__(self, dsn: str, max_age: float, changed: Callable[[Organisation], None]) -> None:
        self._dsn = dsn
        self._max_age = max_age
        self._changed = changed
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._polled = asyncio.Event()
        self._polled_at = float("-inf")
        self._wanted = asyncio.Event()
        self._snapshot = Snapshot()

    async def start(self) -> None:
        await self._poll()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="snapshot")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._connection is not None:
            self._connection.terminate()

    @property
    def is_fresh(self) -> bool:
        return asyncio.get_running_loop().time() - self._polled_at <= self._max_age

    async def current(self) -> Snapshot:
        """The snapshot to decide on. Raises SnapshotStale when the database cannot be asked within a second."""
        if not self.is_fresh:
            self._polled.clear()
            self._wanted.set()
            try:
                async with asyncio.timeout(1.0):
                    await self._polled.wait()
            except TimeoutError:
                raise SnapshotStale(
                    "the control data is older than it may be and could not be read again"
                ) from None
        return self._snapshot

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._poll()
            except _UNREADABLE as error:
                if self._connection is not None:
                    self._connection.terminate()
                    log.warning("control_data_unreadable", error=str(error), error_type=type(error).__name__)
                self._connection = None

    async def _poll(self) -> None:
        started = asyncio.get_running_loop().time()
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._dsn, timeout=2, command_timeout=2)
        known = self._snapshot.organisations
        moved = [
            (record["org_id"], record["revision"])
            for record in await self._connection.fetch(_SQL["revisions"])
            if record["org_id"] not in known or known[record["org_id"]].revision != record["revision"]
        ]
        if moved:
            organisations = dict(known)
            for org_id, revision in moved:
                organisations[org_id] = await _load(self._connection, org_id, revision)
                self._changed(organisations[org_id])
            self._snapshot = Snapshot(
                MappingProxyType(organisations),
                MappingProxyType(
                    {grant.handle_hmac: grant for org in organisations.values() for grant in org.grants}
                ),
            )
        self._polled_at = started
        self._polled.set()


async def _load(connection: asyncpg.Connection, org_id: UUID, revision: int) -> Organisation:
    async def fetch(name: str) -> list[Any]:
        return list(await connection.fetch(_SQL[name], org_id))

    return Organisation(
        org_id,
        revision,
        tuple(Grant(*record) for record in await fetch("keys")),
        {record["provider"]: ProviderRecord(*record) for record in await fetch("providers")},
        tuple(PriceRecord(*record) for record in await fetch("prices")),
    )
