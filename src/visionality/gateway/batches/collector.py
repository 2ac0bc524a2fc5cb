"""The collector: each batch is charged when it has ended, whether its client comes back or not.

One process of an installation looks at all of them by itself, at growing intervals; any process looks at those that its
own clients have seen ended, at once. Which of them charges a line makes no difference (batches/chain.py).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

import structlog

from visionality.core.call import Refusal
from visionality.gateway.admit import Upstream, upstream_for
from visionality.gateway.batches.chain import Chain, ChargedElsewhere
from visionality.gateway.batches.endpoints import BY_DIALECT
from visionality.gateway.batches.lines import Lines
from visionality.gateway.batches.results import Reader, reader_of
from visionality.gateway.batches.standing import Standing, StandingBatches
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Answer, UpstreamBroke, UpstreamUnreachable
from visionality.ledger.connection import AWAY
from visionality.ledger.writer import LedgerAway
from visionality.registry.snapshot import SnapshotStale

log = structlog.get_logger()

AT_ONCE = 4
"""Batches that one process collects at the same time."""
GROWTH = 20
"""A batch is looked at whenever a tenth more of its age has passed, but not more rarely than so many polls: 10 minutes."""
READ_AGAIN = 3600.0
"""Seconds until results that do not tell all are read once more."""
STATE_LIMIT = 1024 * 1024
LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of what a provider says of a batch, and of one line of its results."""

_WAITS = (Refusal, SnapshotStale, UpstreamUnreachable, UpstreamBroke, LedgerAway, *AWAY)

Asked: TypeAlias = tuple[Target, Upstream, Reader]


class NotNow(Exception):
    """A batch cannot be collected at present; the message says why."""


@dataclass(slots=True)
class _Watched:
    """What one process remembers of a batch."""

    due: float = 0.0
    """When to look next, by the loop's clock."""
    trouble: str | None = None
    was_read: bool = False
    """Whether its results were read to their end, and do not tell all."""
    is_wanted: bool = False
    """Whether a client has seen it ended while it was being looked at."""
    task: asyncio.Task[None] | None = None


class Collector:
    """Every batch of every organisation. `dsn` reaches the ledger as `vis_writer`."""

    def __init__(self, gateway: Gateway, dsn: str) -> None:
        self._gateway = gateway
        self._standing = StandingBatches(dsn)
        self._poll = gateway.settings.batch_poll
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._watched: dict[UUID, _Watched] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="batch-collector")

    async def close(self) -> None:
        tasks = [one.task for one in self._watched.values()]
        live = [task for task in (self._task, *tasks) if task is not None]
        for task in live:
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)
        self._standing.close()

    async def _run(self) -> None:
        """Look for ever."""
        seen: set[UUID] = set()
        while True:
            try:
                await self.look(seen)
                seen = set()
            except AWAY as error:
                log.warning("batches_wait", error=str(error), error_type=type(error).__name__)
                self._standing.close()
            except Exception:
                log.exception("batches_not_looked_at")
            seen |= await self._gateway.ended.take(self._poll)

    async def look(self, seen: set[UUID]) -> None:
        """Begin to look at the batches that are due, and at those that were seen ended. Raises one of AWAY."""
        leads = await self._standing.lead()
        if not (leads or seen):
            return
        now = asyncio.get_running_loop().time()
        batches = await self._standing.all()
        self._forget_all_but({batch.first for batch in batches})
        for batch in batches:
            watched = self._watched.setdefault(batch.first, _Watched())
            is_seen = batch.first in seen and not watched.was_read
            if watched.task is not None and not watched.task.done():
                watched.is_wanted |= is_seen
            elif is_seen or (leads and watched.due <= now):
                looking = self._look_at(batch, watched)
                watched.task = asyncio.get_running_loop().create_task(looking, name="batch")

    def _forget_all_but(self, standing: set[UUID]) -> None:
        for first, watched in list(self._watched.items()):
            if first not in standing and (watched.task is None or watched.task.done()):
                del self._watched[first]

    async def _look_at(self, batch: Standing, watched: _Watched) -> None:
        """Collect a batch if it has ended; whatever keeps it from that is logged once, and it waits."""
        why, wait = None, self._wait(batch)
        watched.was_read = False
        try:
            async with self._slots, asyncio.timeout(self._gateway.settings.call_timeout):
                watched.was_read = not await self._collected(batch)
        except ChargedElsewhere:
            pass
        except NotNow as reason:
            why = str(reason)
        except _WAITS as error:
            why = str(error) or type(error).__name__
        except Exception as error:
            why = f"a fault of the gateway: {type(error).__name__}"
            log.exception("batch_not_collected", batch_id=batch.batch_id)
        if watched.was_read:
            why, wait = "its results do not tell all: what is left stays held, and is charged", READ_AGAIN
        if why is not None and why != watched.trouble:
            log.warning("batch_waits", batch_id=batch.batch_id, why=why)
        watched.trouble = why
        watched.due = asyncio.get_running_loop().time() + wait
        if watched.is_wanted:
            watched.is_wanted = False
            self._gateway.ended.add(batch.first)

    def _wait(self, batch: Standing) -> float:
        age = (self._gateway.clock() - batch.draft.created_at) / timedelta(seconds=10)
        return min(max(age, self._poll), GROWTH * self._poll)

    async def _collected(self, batch: Standing) -> bool:
        """Charge a batch if it has ended. False when its results do not tell all. Raises NotNow, or one of _WAITS."""
        target, upstream, reader = asked = await self._asked(batch)
        answer = await self._ask(asked, reader.path(batch.batch_id))
        state = reader.state(await _whole(answer))
        if state is None:
            raise NotNow("what the provider says of it is no batch")
        if not state.has_ended:
            return True
        settled = set()
        if batch.is_begun:
            settled = await self._standing.settled(batch, batch.draft.created_at)
        chain = Chain(self._gateway, target, upstream, batch, settled)
        for path in state.results:
            async with aclosing(self._lines(asked, path)) as lines:
                async for text in lines:
                    line = None if text is None else reader.line(text, target.route.dialect)
                    await chain.charge(line)
        is_whole = await chain.end(state.succeeded)
        found = {"answered": chain.answered, "of": state.succeeded, "unreadable": chain.unreadable}
        log.info("batch_collected", batch_id=batch.batch_id, is_whole=is_whole, **found)
        return is_whole

    async def _asked(self, batch: Standing) -> Asked:
        """Whom to ask about a batch, and how: the provider that it was submitted to, with the organisation's present key."""
        gateway, draft = self._gateway, batch.draft
        organisation = (await gateway.snapshots.current()).organisations.get(draft.org_id)
        if organisation is None:
            raise NotNow("its organisation is not there any more")
        target = BY_DIALECT[draft.dialect]
        upstream = await upstream_for(gateway, organisation, target)
        if upstream.name != draft.provider:
            raise NotNow(f"it was submitted to {draft.provider}, and calls now go to {upstream.name}")
        return target, upstream, reader_of(target)

    async def _ask(self, asked: Asked, path: str) -> Answer:
        """An answer that is a success. Raises NotNow, UpstreamUnreachable or UpstreamBroke."""
        _, upstream, reader = asked
        answer = await self._gateway.upstream.send(
            upstream.base_url, upstream.credential, "GET", path, reader.headers, b""
        )
        if answer.status != 200:
            answer.close()
            raise NotNow(f"the provider answered {answer.status} for {path}")
        return answer

    async def _lines(self, asked: Asked, path: str) -> AsyncGenerator[bytes | None]:
        """The lines of a file that are not blank, as they come; None for one that is too long. Raises as `_ask`."""
        answer = await self._ask(asked, path)
        lines = Lines(LINE_LIMIT)
        try:
            while chunk := await answer.read():
                for line in lines.feed(chunk):
                    if line is None or line.strip():
                        yield line
                await asyncio.sleep(0)  # lines that are charged already are read without a pause
            for line in lines.finish():
                if line is None or line.strip():
                    yield line
            answer.release()
        finally:
            answer.close()


async def _whole(answer: Answer) -> bytes:
    try:
        body = await answer.whole(STATE_LIMIT)
        answer.release()
    finally:
        answer.close()
    return body
