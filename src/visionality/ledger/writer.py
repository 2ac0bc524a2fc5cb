"""The ledger writer: one task, one direct connection, one transaction a batch.

Work queues in memory. A flush starts as soon as the last one is done, and takes all that waits: at low load a
batch is one row, under load it grows by itself (window 0). Holds and rows share the batch, so that a hold is given
back in the very transaction that writes its row.

What a batch guarantees:
* a row that claims a hold is written only when this writer still had that hold, so that a call is never written up
  twice, here and by the reaper;
* `(writer_no, wseq)` has no gap: numbers are given when a batch is composed, one batch is in flight, and a batch
  whose outcome is unknown is sent again unchanged;
* a row that the database will not take leaves a placeholder in its number and itself in the dead-letter file.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import msgspec
import structlog

from visionality.core.canonical import leaf_hash
from visionality.core.row import Row, values
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.runtime.sql import statements

log = structlog.get_logger()

BATCH = 500
"""Works in one transaction: past that the server's planning and our encoding stop getting cheaper."""
QUEUE = 20_000
"""Works that may wait; more means that the database cannot follow, and new calls are refused."""
BEATS = 10
"""Heartbeats in the time after which a silent writer is fenced."""
DEAD_LETTERS = "dead-letters.jsonl"
"""In the data directory: rows that the database refused for what is in them."""
RECONNECT = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between tries; the last repeats."""

_SQL = statements("visionality.ledger.sql", "writer.sql")
_JSON_COLUMNS = frozenset({"usage", "rates", "pii", "tags"})
_json = msgspec.json.Encoder(order="sorted").encode

EventKind = Literal["settle", "release", "expire"]


class LedgerAway(Exception):
    """The ledger cannot take this now: the database is away or cannot follow."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Money reserved for one attempt, in nano-USD, with the draft of the row that will settle it."""

    org_id: UUID
    hold_id: UUID
    request_id: UUID
    amount_nusd: int
    expires_at: datetime
    draft: str | None = None


@dataclass(slots=True, eq=False)
class Work:
    """One thing to be made durable: a hold to make, a hold to take, a row to append, or several of these at once."""

    done: asyncio.Future[None]
    make: Hold | None = None
    take: Hold | None = None
    taken_as: EventKind = "settle"
    row: Row | None = None


@dataclass(slots=True)
class _Batch:
    """Works with their numbers. Sent again unchanged while its outcome is unknown."""

    works: list[Work]
    takes: list[Hold] = field(default_factory=list)
    makes: list[Hold] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    arguments: tuple[Any, ...] = ()


class LedgerWriter:
    """Give it holds and rows; it says when they are durable.

    After `settings.fence_after` seconds without a heartbeat a reaper takes over its holds.
    """

    def __init__(self, dsn: str, process: str, clock: Clock, settings: Settings) -> None:
        self._dsn = dsn
        self._process = process
        self._clock = clock
        self._dead_letters = settings.data_dir / DEAD_LETTERS
        self._commit_wait = settings.commit_wait
        self._heartbeat = settings.fence_after / BEATS
        self._waiting: list[Work] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._closing = False
        self.connected = False
        self.writer_no = 0
        self._row_seq = 0
        self._event_seq = 0

    async def start(self) -> None:
        """Connect, take a writer number and begin. Raises what the driver raises when the database is away."""
        await self._connect()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="ledger-writer")

    async def close(self, patience: float = 10.0) -> int:
        """Flush what waits, for at most `patience` seconds, and stop. Returns how many works were left behind."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._task, patience)
        if self._connection is not None:
            self._connection.terminate()
        return len(self._waiting)

    async def reserve(self, hold: Hold) -> None:
        """Make a hold durable. Raises LedgerAway, and then the hold does not stand or will be released."""
        if not self.connected:
            raise LedgerAway("the ledger's database is away")
        work = self._submit(Work(self._future(), make=hold))
        try:
            async with asyncio.timeout(self._commit_wait):
                await work.done
        except TimeoutError:
            raise LedgerAway(f"the hold was not durable within {self._commit_wait:g} s") from None
        finally:
            self._forget_or_release(work)

    def settle(self, row: Row, hold: Hold | None, rest: Hold | None = None) -> Awaitable[None]:
        """Queue a row, with the hold it settles and a hold for what stays uncertain. Await it to know it is durable.

        The row is written whatever the awaiting caller does, as soon as the database takes it.
        """
        return asyncio.shield(self._submit(Work(self._future(), make=rest, take=hold, row=row)).done)

    def release(self, hold: Hold) -> Awaitable[None]:
        """Give a hold back: its call never left."""
        return asyncio.shield(self._submit(Work(self._future(), take=hold, taken_as="release")).done)

    def expire(self, hold: Hold, row: Row | None) -> Awaitable[None]:
        """Charge an orphan's worst case with this row, or let the rest of an estimate go with None."""
        return asyncio.shield(self._submit(Work(self._future(), take=hold, taken_as="expire", row=row)).done)

    async def orphans(self, fence_after: float, limit: int) -> list[Hold]:
        """Fence silent writers and return holds that nobody will settle. The connection is shared with the flush."""
        async with asyncio.timeout(30):
            connection = await asyncpg.connect(self._dsn, timeout=10)
            try:
                for fenced in await connection.fetch(_SQL["fence"], fence_after):
                    log.warning("writer_fenced", writer_no=fenced["writer_no"], process=fenced["process"])
                return [Hold(*record) for record in await connection.fetch(_SQL["orphans"], limit)]
            finally:
                await connection.close()

    # ------------------------------------------------------------------ the queue

    def _future(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def _submit(self, work: Work) -> Work:
        if len(self._waiting) >= QUEUE and work.row is None:
            raise LedgerAway(f"{QUEUE} writes wait for the ledger")
        self._waiting.append(work)
        self._wake.set()
        return work

    def _forget_or_release(self, work: Work) -> None:
        """A hold whose caller gave up: unsent, it is forgotten; sent, it is released once it stands."""
        if work.done.done() and not work.done.cancelled():
            return
        work.done.cancel()
        with contextlib.suppress(ValueError):
            self._waiting.remove(work)

    async def _run(self) -> None:
        last_beat = asyncio.get_running_loop().time()
        while self._waiting or not self._closing:
            self._wake.clear()
            if not self._waiting:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._heartbeat):
                        await self._wake.wait()
            if asyncio.get_running_loop().time() - last_beat >= self._heartbeat:
                await self._beat()
                last_beat = asyncio.get_running_loop().time()
            works, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            if works:
                await self._flush(works)

    async def _beat(self) -> None:
        try:
            standing = await self._live_connection().fetchval(_SQL["heartbeat"], self.writer_no)
        except Exception as error:  # noqa: BLE001 -- whatever it was, a fresh connection is the answer
            await self._reconnect(error)
            return
        if standing is None:
            log.error("writer_was_fenced", writer_no=self.writer_no)
            await self._register()

    # ------------------------------------------------------------------ one batch

    async def _flush(self, works: list[Work]) -> None:
        batch = self._compose(works)
        while True:
            try:
                await self._live_connection().execute(_SQL["commit_batch"], *batch.arguments)
                break
            except asyncpg.PostgresError as error:
                if error.sqlstate == "VH001":
                    if await self._was_committed(batch):
                        break
                    works = await self._without_lost_claims(works)
                    if not works:
                        return
                    batch = self._compose(works)
                elif _is_poison(error):
                    await self._isolate(works, error)
                    return
                else:
                    await self._reconnect(error)
            except (asyncpg.DataError, ValueError, TypeError, OverflowError) as error:
                await self._isolate(works, error)
                return
            except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
                await self._reconnect(error)
        self._row_seq += len(batch.rows)
        self._event_seq += len(batch.events)
        for work in works:
            self._finished(work)

    def _finished(self, work: Work) -> None:
        if not work.done.done():
            work.done.set_result(None)
        elif work.done.cancelled() and work.make is not None and work.row is None:
            self._submit(Work(self._future(), take=work.make, taken_as="release"))

    def _compose(self, works: list[Work]) -> _Batch:
        batch = _Batch(works)
        now = self._clock()
        for work in works:
            if work.make is not None:
                batch.makes.append(work.make)
                batch.events.append(self._event(batch, now, "reserve", work.make, None))
            if work.take is not None:
                actual = (work.row.cost_nusd if work.row else 0) if work.taken_as != "release" else None
                batch.takes.append(work.take)
                batch.events.append(self._event(batch, now, work.taken_as, work.take, actual))
            if work.row is not None:
                work.row.writer_no = self.writer_no
                work.row.wseq = self._row_seq + len(batch.rows) + 1
                batch.rows.append(work.row)
        batch.arguments = (
            [hold.org_id for hold in batch.takes],
            [hold.hold_id for hold in batch.takes],
            [self._hold_record(hold) for hold in batch.makes],
            [_event_record(event) for event in batch.events],
            [_row_record(row) for row in batch.rows],
        )
        return batch

    def _hold_record(self, hold: Hold) -> tuple[Any, ...]:
        return (
            hold.org_id,
            hold.hold_id,
            hold.request_id,
            [],
            hold.amount_nusd,
            self.writer_no,
            hold.expires_at,
            hold.draft,
        )

    def _event(
        self, batch: _Batch, now: datetime, kind: str, hold: Hold, actual: int | None
    ) -> dict[str, Any]:
        return {
            "org_id": hold.org_id,
            "created_at": now,
            "id": uuid7(),
            "writer_no": self.writer_no,
            "wseq": self._event_seq + len(batch.events) + 1,
            "kind": kind,
            "hold_id": hold.hold_id,
            "request_id": hold.request_id,
            "windows": [],
            "amount_nusd": hold.amount_nusd,
            "actual_nusd": actual,
            "actor": None,
        }

    async def _was_committed(self, batch: _Batch) -> bool:
        """Whether an earlier try of this very batch went through before its answer was lost."""
        if batch.events:
            first = batch.events[0]
            query, key = "event_exists", (first["org_id"], first["created_at"], first["id"])
        else:
            query, key = "row_exists", (batch.rows[0].org_id, batch.rows[0].created_at, batch.rows[0].id)
        while True:
            try:
                return bool(await self._live_connection().fetchval(_SQL[query], *key))
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                await self._reconnect(error)

    async def _without_lost_claims(self, works: list[Work]) -> list[Work]:
        """The reaper took some of these holds: their calls stand already, so what we know becomes a true-up."""
        takes = [work.take for work in works if work.take is not None]
        standing = {
            record["hold_id"]
            for record in await self._live_connection().fetch(
                _SQL["standing"], [hold.org_id for hold in takes], [hold.hold_id for hold in takes]
            )
        }
        kept = []
        for work in works:
            if work.take is None or work.take.hold_id in standing:
                kept.append(work)
                continue
            log.error("hold_was_taken", hold_id=str(work.take.hold_id), request_id=str(work.take.request_id))
            if work.taken_as == "settle" and work.row is not None:
                await self._become_true_up(work.row)
                work.take = work.make = None
                kept.append(work)
            else:
                self._finished(work)
        return kept

    async def _become_true_up(self, row: Row) -> None:
        charged = await self._live_connection().fetchrow(
            _SQL["call_row"], row.org_id, row.request_id, datetime.fromtimestamp(0, row.created_at.tzinfo)
        )
        if charged is None:
            return
        row.entry = "true_up"
        row.corrects = charged["id"]
        row.cost_nusd -= charged["cost_nusd"]
        row.billed_nusd -= charged["billed_nusd"]
        row.reason = "settled after it was charged at its worst case"

    async def _isolate(self, works: Sequence[Work], error: Exception) -> None:
        """The database refuses a batch for what is in it: one by one, and the culprit is set aside."""
        if len(works) > 1:
            for work in works:
                await self._flush([work])
            return
        work = works[0]
        self._bury(work, error)
        if work.row is not None:
            placeholder = _placeholder(work.row)
            if work.row == placeholder:
                raise error
            work.row = placeholder
            await self._flush([work])
        elif not work.done.done():
            work.done.set_exception(LedgerAway("the ledger refused the hold"))

    def _bury(self, work: Work, error: Exception) -> None:
        log.error("row_refused_by_database", error=str(error), error_type=type(error).__name__)
        letter = {
            "error": str(error),
            "at": self._clock(),
            "row": repr(work.row),
            "take": repr(work.take),
            "make": repr(work.make),
        }
        self._dead_letters.parent.mkdir(parents=True, exist_ok=True)
        with self._dead_letters.open("ab") as file:
            file.write(_json(letter) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    # ------------------------------------------------------------------ the connection

    def _live_connection(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            raise ConnectionResetError("the ledger's connection is closed")
        return self._connection

    async def _connect(self) -> None:
        self._connection = await asyncpg.connect(
            self._dsn,
            timeout=10,
            command_timeout=30,
            server_settings={
                "application_name": f"vis-{self._process}",
                "jit": "off",
                "plan_cache_mode": "force_generic_plan",
            },
        )
        if self.writer_no == 0:
            await self._register()
        self.connected = True

    async def _register(self) -> None:
        while True:
            try:
                self.writer_no = await self._live_connection().fetchval(_SQL["register"], self._process)
                break
            except asyncpg.UniqueViolationError:
                continue
        self._row_seq = self._event_seq = 0

    async def _reconnect(self, cause: Exception) -> None:
        """Until the database is back. What waits stays in memory; new calls are refused meanwhile."""
        self.connected = False
        log.error(
            "ledger_away", error=str(cause), error_type=type(cause).__name__, waiting=len(self._waiting)
        )
        if self._connection is not None:
            self._connection.terminate()
        tries = 0
        while True:
            await asyncio.sleep(RECONNECT[min(tries, len(RECONNECT) - 1)])
            tries += 1
            try:
                await self._connect()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                continue
            log.warning("ledger_back", tries=tries)
            return


def _is_poison(error: asyncpg.PostgresError) -> bool:
    """Whether the database objects to the content. A missing partition is no fault of the row: it waits for one."""
    if isinstance(error, asyncpg.CheckViolationError) and error.constraint_name is None:
        return False
    return isinstance(
        error,
        asyncpg.DataError | asyncpg.IntegrityConstraintViolationError | asyncpg.ProgramLimitExceededError,
    )


def _placeholder(row: Row) -> Row:
    """What stands in for a row that the database refuses: its number, its call, and the reason."""
    return Row(
        org_id=row.org_id,
        created_at=row.created_at,
        id=row.id,
        request_id=row.request_id,
        provider="unknown",
        dialect="unknown",
        entry=row.entry if row.entry in {"call", "attempt", "import"} else "call",
        decision="failed",
        reason="the row could not be stored; see the dead-letter file",
        price_state="unknown",
    )


def _event_record(event: dict[str, Any]) -> tuple[Any, ...]:
    return (*event.values(), leaf_hash(event))


def _row_record(row: Row) -> tuple[Any, ...]:
    columns = values(row)
    leaf = leaf_hash(columns)
    for name in _JSON_COLUMNS:
        if columns[name] is not None:
            columns[name] = _json(columns[name]).decode()
    return (*columns.values(), leaf)
