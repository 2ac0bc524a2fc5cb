"""The ledger writer: one task, one connection, one transaction a batch.

Work queues in memory. A flush starts as soon as the last one is done, and takes all that waits: at low load a
batch is one row, under load it grows by itself (window 0). Holds and rows share the batch, so that a hold is given
back in the very transaction that writes its row.

What a batch guarantees:
* a row that claims a hold is written only when this writer still had that hold, so that a call is never written up
  twice, here and by the reaper;
* a hold stands in all of its windows or in none, and in none beyond its cap;
* `(writer_no, wseq)` has no gap: numbers are given when a batch is composed, one batch is in flight, and a batch
  whose outcome is unknown is sent again unchanged;
* a row that the database will not take leaves a placeholder in its number and itself in the dead-letter file;
* rows that follow from what stands (`append`) are one transaction with the reading of it.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from math import inf
from typing import Protocol
from uuid import UUID

import asyncpg
import msgspec
import structlog
from msgspec.structs import replace

from visionality.core.row import Row
from visionality.ledger.batch import (
    Addition,
    Batch,
    Denial,
    Hold,
    Look,
    Numbers,
    Window,
    Work,
    compose,
    placeholder,
    true_up,
)
from visionality.ledger.connection import AWAY, WriterConnection
from visionality.ledger.ids import uuid7
from visionality.runtime.away import why
from visionality.runtime.clock import Clock
from visionality.runtime.settings import Settings
from visionality.runtime.sql import statements

__all__ = ["Blocked", "Denial", "Hold", "LedgerAway", "LedgerWriter", "Window"]

log = structlog.get_logger()

BATCH = 500
"""Works in one transaction: past that the server's planning and our encoding stop getting cheaper."""
QUEUE = 20_000
"""Works that may wait; more means that the database cannot follow, and new calls are refused."""
SWEEP = 0.05
"""Seconds between two looks for callers that have waited long enough, at least."""
BEATS = 10
"""Heartbeats in the time after which a silent writer is fenced."""
DEAD_LETTERS = "dead-letters.jsonl"
"""In the data directory: rows that the database refused for what is in them."""
CLAIM_LOST = "VH001"
COMMITTED_BEFORE = "VH002"
DENIAL_MISSING = "VH003"
HOLD_STANDS = "VH004"
TIGHT = 1.0
"""Seconds after a refusal for which every batch comes with its denials prepared; else they are made when one is needed."""
WINDOWS_KNOWN = 100_000
"""Windows of which a writer remembers that they are made."""
_EVER = datetime(1970, 1, 1, tzinfo=UTC)

_SQL = statements("visionality.ledger.sql", "writer.sql")


class LedgerAway(Exception):
    """The ledger cannot take this now: the database is away or cannot follow."""


class Blocked(Exception):
    """A window has not enough left for a hold."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(f"window {denial.window_id} has not enough left")
        self.denial = denial


class Witness(Protocol):
    """Somebody who counts what becomes durable. Called between batches: it has to be quick, and raises nothing."""

    def committed(self, rows: Sequence[Row], seconds: float) -> None:
        """Rows that are durable now, and how long their batch took."""

    def held(self, seconds: float) -> None:
        """How long a caller waited for a hold that stands, or was refused."""


class LedgerWriter:
    """Give it holds and rows; it says when they are durable.

    After `settings.fence_after` seconds without a heartbeat a reaper takes over its holds.
    """

    def __init__(
        self,
        dsn: str,
        process: str,
        clock: Clock,
        settings: Settings,
        witness: Witness | None = None,
    ) -> None:
        self._witness = witness
        self._process = process
        self._clock = clock
        self._dead_letters = settings.data_dir / DEAD_LETTERS
        self._commit_wait = settings.commit_wait
        self._heartbeat = settings.fence_after / BEATS
        self._link = WriterConnection(dsn, f"vis-{process}")
        self._numbers = Numbers()
        self._waiting: list[Work] = []
        self._looks: list[Look] = []
        self._additions: list[Addition] = []
        self._windows: set[UUID] = set()
        self._new_windows: dict[UUID, Window] = {}
        self._tight_until = -inf
        self._sent: list[Work] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._beating = False

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The loop that all of this writer's work is in: to ask for the running one is a system call (Python 3.11)."""
        return asyncio.get_running_loop()

    @property
    def connected(self) -> bool:
        """Whether rows become durable now: the database was there when last asked, and somebody flushes."""
        return self._link.connected and self._task is not None and not self._task.done()

    @property
    def trouble(self) -> str | None:
        """Why rows do not become durable now, as a sentence; None while they do."""
        if self._task is not None and self._task.done():
            return "the ledger's writer has stopped: restart this process"
        if self._link.cause is not None or not self._link.connected:
            return why(self._link.cause)
        if len(self._waiting) >= QUEUE:
            return "more writes wait for the ledger than may wait"
        return None

    @property
    def waiting(self) -> int:
        """Holds and rows that no batch has taken up yet."""
        return len(self._waiting)

    @property
    def writer_no(self) -> int:
        return self._numbers.writer_no

    async def start(self) -> None:
        """Connect, take a writer number and begin. Raises what the driver raises when the database is away."""
        await self._link.open()
        await self._register()
        self._task = self._loop.create_task(self._run(), name="ledger-writer")

    async def close(self, patience: float = 10.0) -> int:
        """Flush what waits, for at most `patience` seconds, and stop. Returns how many works were left behind."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._task, patience)
        self._link.close()
        return len(self._waiting)

    def will_use(self, windows: Iterable[Window]) -> None:
        """See to it that these windows are there for the holds that are given from now on."""
        for window in windows:
            if window.window_id not in self._windows:
                self._new_windows[window.window_id] = window

    async def reserve(self, hold: Hold) -> None:
        """Make a hold durable. Raises Blocked, or LedgerAway: then the hold does not stand or will be released."""
        if not self.connected:
            raise LedgerAway("the ledger's database is away")
        began = self._loop.time()
        work = self._submit(Work(self._future(), make=hold, due=self._due()))
        try:
            await work.done
        except asyncio.CancelledError:
            self._abandon(work)
            raise
        if self._witness is not None:
            self._witness.held(self._loop.time() - began)
        if work.denial is not None:
            raise Blocked(work.denial)

    async def standing(self, org_id: UUID, hold_id: UUID) -> Hold | None:
        """The hold of this id, if it stands. Raises LedgerAway."""
        if not self.connected:
            raise LedgerAway("the ledger's database is away")
        look = Look(self._loop.create_future(), org_id, hold_id)
        self._looks.append(look)
        self._wake.set()
        try:
            return await asyncio.wait_for(look.found, self._commit_wait)
        except TimeoutError:
            raise LedgerAway(f"the ledger did not answer within {self._commit_wait:g} s") from None

    def settle(self, row: Row, hold: Hold | None, rest: Hold | None = None) -> Awaitable[None]:
        """Queue a row, with the hold it settles and a hold for what of it stays uncertain. Await it to know it is durable.

        The row is written whatever the awaiting caller does, as soon as the database takes it. Raises LedgerAway
        for a row without a hold, when more waits than may wait.
        """
        return self._submit(Work(self._future(), make=rest, granted=True, take=hold, row=row)).done

    async def settle_within(self, row: Row, hold: Hold | None, rest: Hold | None = None) -> Row | None:
        """Settle, and answer the row that stands; None when none was durable within `settings.commit_wait` seconds.

        It is the row that was given, with its numbers, or what the database took in its place. When none was durable, it is
        written later, except a row without a hold when more waits than may wait.
        """
        work = Work(self._future(), make=rest, granted=True, take=hold, row=row, due=self._due())
        try:
            await self._submit(work).done
        except LedgerAway:
            return None
        return work.row

    async def settle_once(self, row: Row, hold: Hold, rest: Hold | None) -> bool:
        """Write a true-up for a hold that others may take too, however long it takes. False when one of them did."""
        work = self._submit(Work(self._future(), make=rest, granted=True, take=hold, row=row))
        await work.done
        return not work.was_lost

    def release(self, hold: Hold) -> Awaitable[None]:
        """Give a hold back: its call never left."""
        return self._submit(Work(self._future(), take=hold, taken_as="release")).done

    def expire(self, hold: Hold, row: Row | None) -> Awaitable[None]:
        """Charge an orphan's worst case with this row, or let the rest of an estimate go with None."""
        return self._submit(Work(self._future(), take=hold, taken_as="expire", row=row)).done

    async def append(self, make: Callable[[asyncpg.Connection], Awaitable[list[Row]]]) -> int:
        """Append the rows that `make` answers, in the transaction in which it reads what they follow from.

        Returns how many. Raises what `make` raises, and one of AWAY: then nothing was appended as far as is known, and
        `make` has to see for itself, under a lock of its own, whether it was. Batches wait meanwhile.
        """
        addition = Addition(self._loop.create_future(), make)
        self._additions.append(addition)
        self._wake.set()
        return await addition.done

    # ------------------------------------------------------------------ the queue

    def _future(self) -> asyncio.Future[None]:
        return self._loop.create_future()

    def _submit(self, work: Work) -> Work:
        if len(self._waiting) >= QUEUE and work.take is None:
            raise LedgerAway(f"{QUEUE} writes wait for the ledger")
        self._waiting.append(work)
        self._wake.set()
        return work

    def _due(self) -> float:
        """When a caller that comes now has waited long enough. One timer looks after all of them."""
        due = self._loop.time() + self._commit_wait
        if self._sweep is None:
            self._sweep = self._loop.call_at(due, self._turn_away)
        return due

    def _turn_away(self) -> None:
        """Tell those who have waited long enough, and come back when the next one has."""
        now = self._loop.time()
        awaited = [work for work in (*self._sent, *self._waiting) if work.due < inf and not work.done.done()]
        for work in awaited:
            if work.due <= now:
                self._give_up(work)
        later = [work.due for work in awaited if work.due > now]
        self._sweep = self._loop.call_at(max(min(later), now + SWEEP), self._turn_away) if later else None

    def _give_up(self, work: Work) -> None:
        what = "hold" if work.row is None else "row"
        work.done.set_exception(LedgerAway(f"the {what} was not durable within {self._commit_wait:g} s"))
        if work.row is None:
            self._forget(work)

    def _abandon(self, work: Work) -> None:
        """A hold whose caller is gone is as good as given up; one that stands already is released now."""
        if work.done.cancelled():
            self._forget(work)
        elif work.done.exception() is None and work.make is not None and work.denial is None:
            self.release(work.make)

    def _forget(self, work: Work) -> None:
        """A hold that nobody waits for: unsent, it is forgotten; sent, it is released once it stands."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(work)

    async def _run(self) -> None:
        beat = self._loop.call_later(self._heartbeat, self._beat_is_due)
        while self._waiting or not self._closing:
            self._wake.clear()
            if not (self._waiting or self._beating or self._looks or self._additions):
                await self._wake.wait()
            if self._looks:
                await self._look()
            if self._additions:
                await self._add(self._additions.pop(0))
            if self._beating:
                self._beating = False
                await self._beat()
                beat = self._loop.call_later(self._heartbeat, self._beat_is_due)
            size = self._fitting()
            self._sent, self._waiting = self._waiting[:size], self._waiting[size:]
            if self._sent:
                await self._flush(self._sent)
                self._sent = []
        beat.cancel()

    def _fitting(self) -> int:
        """How many of those who wait fit into one transaction: none sees a hold that it has yet to make."""
        made = set()
        for size, work in enumerate(self._waiting[:BATCH]):
            if work.take is not None and work.take.hold_id in made:
                return size
            if work.make is not None:
                made.add(work.make.hold_id)
        return min(len(self._waiting), BATCH)

    def _beat_is_due(self) -> None:
        self._beating = True
        self._wake.set()

    async def _beat(self) -> None:
        standing = await self._link.ask(lambda live: live.fetchval(_SQL["heartbeat"], self.writer_no))
        if standing is None:
            log.error("writer_was_fenced", writer_no=self.writer_no)
            await self._register()

    async def _look(self) -> None:
        looks, self._looks = self._looks, []
        orgs, holds = [look.org_id for look in looks], [look.hold_id for look in looks]
        found = await self._link.ask(lambda live: live.fetch(_SQL["standing"], orgs, holds))
        standing = {(record["org_id"], record["hold_id"]): Hold(*record) for record in found}
        for look in looks:
            if not look.found.done():
                look.found.set_result(standing.get((look.org_id, look.hold_id)))

    async def _add(self, addition: Addition) -> None:
        """Where it is not known whether rows were written, their numbers are not used again: this writer takes a new one."""
        try:
            async with self._link.live.transaction():
                rows = await addition.make(self._link.live)
                batch = self._composed([Work(self._future(), row=row) for row in rows])
                if rows:
                    await self._link.live.fetch(_SQL["commit_batch"], *batch.arguments())
        except AWAY as error:
            await self._link.renew(error)
            await self._register()
            _tell(addition, error)
        except Exception as error:  # noqa: BLE001 -- it is told to whoever asked; the others' rows go on
            _tell(addition, error)
        else:
            self._link.cause = None
            self._numbers = batch.after
            if not addition.done.done():
                addition.done.set_result(len(rows))

    async def _register(self) -> None:
        while True:
            try:
                number = await self._link.live.fetchval(_SQL["register"], self._process)
            except asyncpg.UniqueViolationError:
                continue
            except AWAY as error:
                await self._link.renew(error)
                continue
            self._link.cause = None
            self._numbers = Numbers(number)
            return

    # ------------------------------------------------------------------ one batch

    async def _flush(self, works: list[Work]) -> None:
        """Make these works durable, whatever it takes, or set aside what the database cannot take."""
        batch = self._composed(works)
        if self._new_windows:
            await self._make_windows()
        began = self._loop.time()
        while works:
            try:
                await self._commit(batch)
            except asyncpg.PostgresError as error:
                if error.sqlstate in {CLAIM_LOST, HOLD_STANDS}:
                    is_lost = error.sqlstate == CLAIM_LOST
                    works = await (self._without_lost_claims if is_lost else self._named_anew)(works)
                    batch = self._composed(works)
                elif error.sqlstate == DENIAL_MISSING:
                    batch.may_refuse = True
                    self._tight_until = self._loop.time() + TIGHT
                elif _is_poison(error):
                    await self._isolate(works, error)
                    return
                else:
                    await self._link.renew(error)
                continue
            except AWAY as error:
                await self._link.renew(error)
                continue
            except Exception as error:  # noqa: BLE001 -- a row that cannot even be encoded must not stop the others
                await self._isolate(works, error)
                return
            self._stands(batch, began)
            return

    def _stands(self, batch: Batch, began: float) -> None:
        """It is durable: whoever waits for it goes on."""
        self._link.cause = None
        self._numbers = batch.after
        for work in batch.works:
            self._finished(work)
        if self._witness is not None:
            self._witness.committed(batch.rows, self._loop.time() - began)

    def _composed(self, works: list[Work]) -> Batch:
        batch = compose(works, self._numbers, self._clock())
        batch.may_refuse = self._loop.time() < self._tight_until
        return batch

    async def _commit(self, batch: Batch) -> None:
        """Send a batch, and tell its works which holds were refused. Raises what the driver raises when it is not committed."""
        try:
            (answer,) = await self._link.live.fetch(_SQL["commit_batch"], *batch.arguments())
        except asyncpg.PostgresError as error:
            is_committed = error.sqlstate == COMMITTED_BEFORE or (
                error.sqlstate in {CLAIM_LOST, HOLD_STANDS} and await self._was_committed(batch)
            )
            if not is_committed:
                raise
            await self._learn_denials(batch)
        else:
            batch.denials(answer["refused"], answer["left_nusd"])

    def _finished(self, work: Work) -> None:
        if not work.done.done():
            work.done.set_result(None)
        elif work.make is not None and work.row is None and work.denial is None:
            self.release(work.make)

    async def _make_windows(self) -> None:
        made, self._new_windows = list(self._new_windows.values()), {}
        columns = [[getattr(window, name) for window in made] for name in Window.__struct_fields__]
        await self._link.ask(lambda live: live.execute(_SQL["make_windows"], *columns))
        if len(self._windows) > WINDOWS_KNOWN:
            self._windows.clear()
        self._windows.update(window.window_id for window in made)

    async def _learn_denials(self, batch: Batch) -> None:
        """Which holds of a batch were refused whose answer was lost."""
        orgs, holds = [hold.org_id for hold in batch.makes], [hold.hold_id for hold in batch.makes]
        found = await self._link.ask(lambda live: live.fetch(_SQL["denied"], orgs, holds))
        denied = {record["hold_id"] for record in found}
        for work in batch.works:
            if work.make is not None and work.make.hold_id in denied:
                work.denial = Denial(None, {})

    async def _was_committed(self, batch: Batch) -> bool:
        """Whether an earlier try of this very batch went through before its answer was lost."""
        query, key = batch.witness()
        return bool(await self._link.ask(lambda live: live.fetchval(_SQL[query], *key)))

    async def _named_anew(self, works: list[Work]) -> list[Work]:
        """Two answers with one id would share a hold: the later one is held under an id of its own, until it expires."""
        makes = [work.make for work in works if work.make is not None]
        orgs, holds = [hold.org_id for hold in makes], [hold.hold_id for hold in makes]
        found = await self._link.ask(lambda live: live.fetch(_SQL["standing"], orgs, holds))
        standing = {record["hold_id"] for record in found}
        for work in works:
            if work.make is not None and work.make.hold_id in standing:
                log.warning("hold_stands_already", hold_id=str(work.make.hold_id))
                work.make = replace(work.make, hold_id=uuid7())
            elif work.make is not None:
                standing.add(work.make.hold_id)
        return works

    async def _without_lost_claims(self, works: list[Work]) -> list[Work]:
        """The reaper took some of these holds: their calls stand already, so what we know becomes a true-up."""
        takes = [work.take for work in works if work.take is not None]
        orgs, holds = [hold.org_id for hold in takes], [hold.hold_id for hold in takes]
        found = await self._link.ask(lambda live: live.fetch(_SQL["standing"], orgs, holds))
        standing = {(record["hold_id"], record["request_id"]) for record in found}
        kept = []
        for work in works:
            if work.take is None or (work.take.hold_id, work.take.request_id) in standing:
                if work.take is not None:  # of two that want the same hold, the first has it
                    standing.remove((work.take.hold_id, work.take.request_id))
                kept.append(work)
                continue
            if work.row is not None and work.row.entry == "true_up":  # another who knew it has written it
                work.was_lost = True
                self._finished(work)
                continue
            log.error("hold_was_taken", hold_id=str(work.take.hold_id), request_id=str(work.take.request_id))
            if work.taken_as == "settle" and work.row is not None:
                await self._true_up(work.row)
                work.take, work.late = (
                    None,
                    work.take,
                )  # what it makes stands all the same: the call may go on under it
                kept.append(work)
            else:
                self._finished(work)
        return kept

    async def _true_up(self, row: Row) -> None:
        key = (row.org_id, row.request_id, _EVER, row.attempt)
        charged = await self._link.ask(lambda live: live.fetchrow(_SQL["call_row"], *key))
        if charged is not None:
            true_up(row, tuple(charged))

    async def _isolate(self, works: list[Work], error: Exception) -> None:
        """The database refuses a batch for what is in it: one by one, and the culprit is set aside."""
        if len(works) > 1:
            for work in works:
                await self._flush([work])
            return
        work = works[0]
        self._bury(work, error)
        if work.row is not None and work.row.provider != "unknown":
            work.row, work.make = placeholder(work.row), None
            await self._flush([work])
        elif not work.done.done():
            work.done.set_exception(LedgerAway("the ledger refused this for what is in it"))

    def _bury(self, work: Work, error: Exception) -> None:
        """Keep what the database would not, where an operator finds it."""
        log.error("row_refused_by_database", error=str(error), error_type=type(error).__name__)
        letter = {"at": self._clock(), "error": str(error)}
        letter |= {"row": repr(work.row), "take": repr(work.take), "make": repr(work.make)}
        self._dead_letters.parent.mkdir(parents=True, exist_ok=True)
        with self._dead_letters.open("ab") as file:
            file.write(msgspec.json.encode(letter) + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _tell(addition: Addition, error: Exception) -> None:
    if not addition.done.done():
        addition.done.set_exception(error)


def _is_poison(error: asyncpg.PostgresError) -> bool:
    """Whether the database objects to the content. A missing partition is no fault of the row: it waits for one."""
    if isinstance(error, asyncpg.CheckViolationError) and error.constraint_name is None:
        return False
    content = (
        asyncpg.DataError,
        asyncpg.IntegrityConstraintViolationError,
        asyncpg.ProgramLimitExceededError,
    )
    return isinstance(error, content)
