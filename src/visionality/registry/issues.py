"""The issues that an organisation's trackers know, in memory, so that a branch's key is looked up without a question (A4).

They are many and change often, so they are no part of an organisation's policy: they are read when its trackers moved, beside
the polls of the policy, which wait for nothing here, and few at a time, so that calls go on meanwhile.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from uuid import UUID

import asyncpg
import structlog

from visionality.core.attribution import Tracked
from visionality.runtime.pooling import connect
from visionality.runtime.sql import statements

log = structlog.get_logger()

APART = 5.0
"""Seconds between two readings at least, however fast a tracker changes."""
AT_A_TIME = 200
WITHIN = 60.0
"""Seconds for each step of a reading: one that a network swallowed is begun again."""

UNREADABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that broke between two messages is left in an odd state
)

_SQL = statements("visionality.registry.sql", "snapshot.sql")


class IssueKeeper:
    """Keeps the newest issues."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._revisions: dict[UUID, str] = {}
        self._task: asyncio.Task[None] | None = None
        self._begun_at = float("-inf")
        self.by_organisation: dict[UUID, Tracked] = {}
        """Only organisations with a tracker that was read whole; what is known is replaced and never edited."""

    def follow(self, revisions: Mapping[UUID, str]) -> None:
        """Go by these revisions of the organisations' trackers; what moved is read from now on."""
        for org_id in self._revisions.keys() - revisions.keys():
            del self._revisions[org_id], self.by_organisation[org_id]
        moved = {
            org_id: revision
            for org_id, revision in revisions.items()
            if self._revisions.get(org_id) != revision
        }
        loop = asyncio.get_running_loop()
        is_idle = self._task is None or self._task.done()
        if moved and is_idle and loop.time() - self._begun_at >= APART:
            self._begun_at = loop.time()
            self._task = loop.create_task(self._read(moved), name="issues")

    async def settle(self) -> None:
        """Wait for what is being read."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self, moved: Mapping[UUID, str]) -> None:
        try:
            connection = await connect(self._dsn, opens_within=2, answers_within=WITHIN)
            try:
                for org_id, revision in moved.items():
                    self.by_organisation[org_id] = await _issues(connection, org_id)
                    self._revisions[org_id] = revision
            finally:
                connection.terminate()
        except UNREADABLE as error:
            log.warning("issues_unreadable", error=str(error), error_type=type(error).__name__)


async def _issues(connection: asyncpg.Connection, org_id: UUID) -> Tracked:
    """Later ones win: a key that is an issue's now goes before one that it had."""
    found: dict[str, str | None] = {}
    epics: dict[str, str] = {}
    projects: set[str] = set()
    async with connection.transaction(readonly=True):
        async for key, epic, is_current in connection.cursor(_SQL["issues"], org_id, prefetch=AT_A_TIME):
            found[key.upper()] = epics.setdefault(epic, epic) if epic else None
            if is_current:
                projects.add(key.upper().rpartition("-")[0])
    return Tracked(found, frozenset(projects))
