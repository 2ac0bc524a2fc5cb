"""The sealer's loop: it seals what was written since its last look, once a second, and says what it cannot seal.

A number that is missing or doubled, and a row that is not the one that was written, is an alert of the organisation that it is of.
"""

import asyncio
import contextlib
import threading
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import psycopg
import structlog

from visionality.core.alert import Told
from visionality.evidence.due import Break
from visionality.evidence.sealing import Altered, Step, leave, step
from visionality.jobs.tell import tell
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders._core import KeyProvider

log = structlog.get_logger()

EVERY = 1.0
"""Seconds from the beginning of one step to that of the next."""
ALL_EVERY = 600
"""Steps between two that take in writers which have been silent for an hour."""
KIND = "evidence"
SCOPE = "ledger"


class Sealer:
    """One loop. `dsn` reaches the ledger as `vis_sealer`, `jobs_dsn` as `vis_jobs`, who tells."""

    def __init__(self, dsn: str, jobs_dsn: str, keys: KeyProvider, clock: Clock) -> None:
        self._dsn = dsn
        self._jobs_dsn = jobs_dsn
        self._keys = keys
        self._clock = clock
        self._holder = uuid7()
        self._connection: psycopg.Connection | None = None
        self._busy = threading.Lock()
        self._looks = 0
        self._known: set[Break | Altered] = set()
        self.sealed = 0
        self.breaks = 0
        self.altered = 0
        self.leads = False
        self.sealed_at: datetime | None = None
        """When the last step ended."""

    async def run(self) -> None:
        """Seal for ever, once a second, and at once again where more waits."""
        loop = asyncio.get_running_loop()
        while True:
            began, is_all = loop.time(), True
            try:
                is_all = (await asyncio.to_thread(self.step)).is_all
            except psycopg.OperationalError as error:
                log.warning("sealing_waits", error=str(error), error_type=type(error).__name__)
                self._drop()
            except Exception:
                log.exception("sealing_failed")
                self._drop()
            if is_all:
                await asyncio.sleep(max(0.0, EVERY - (loop.time() - began)))

    def step(self) -> Step:
        """Seal what waits, and tell what is wrong. Raises what psycopg raises."""
        with self._busy:
            return self._step()

    def close(self) -> None:
        """Break off what the loop does in its thread, and let another sealer take over."""
        if self._connection is not None:
            self._connection.cancel()
            with self._busy, contextlib.suppress(psycopg.Error):
                leave(self._connection, self._holder)
        self._drop()

    def _drop(self) -> None:
        with self._busy:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self.leads = False

    def _step(self) -> Step:
        if self._connection is None:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
            self._looks = 0
        silent_too = not self.leads or self._looks % ALL_EVERY == 0
        done = step(self._connection, self._keys, self._holder, self._clock(), silent_too=silent_too)
        self.leads = done.leads
        self._looks += 1
        self.sealed += done.leaves
        self.sealed_at = self._clock()
        self._tell(done)
        return done

    def _tell(self, done: Step) -> None:
        found: list[Break | Altered] = [*done.breaks, *done.altered]
        new = [one for one in found if one not in self._known]
        if not new:
            return
        with psycopg.connect(self._jobs_dsn, connect_timeout=5) as connection:
            for one in new:
                self._tell_one(connection, one)
        self._known.update(new)

    def _tell_one(self, connection: psycopg.Connection[Any], one: Break | Altered) -> None:
        if isinstance(one, Break):
            self.breaks += 1
            told, detail = told_of_break(one), one._asdict()
            log.error("ledger_break", **{name: str(value) for name, value in detail.items()})
        else:
            self.altered += 1
            told = told_of_altered(one)
            log.error("ledger_row_altered", log_name=one.log, org_id=str(one.org_id), row_id=str(one.row_id))
        subject = uuid5(NAMESPACE_URL, repr(one))
        tell(connection, one.org_id, self._clock(), KIND, subject, 0, SCOPE, told)


def told_of_break(one: Break) -> Told:
    """What an operator is told of a stream that stopped."""
    whose = f"the organisation {one.org_id}" if one.writer_no is None else f"writer {one.writer_no}"
    if one.what == "missing":
        title = f"Row {one.number} of {whose} is missing from {one.log}"
        meaning = (
            "Numbers are given without a gap in the transaction that writes the row, so this row was deleted."
        )
    else:
        title = f"Row {one.number} of {whose} stands twice in {one.log}"
        meaning = (
            "A number is given once, so one of these rows was put there by other means than the writer's."
        )
    body = (
        f"{meaning} Nothing behind it in this stream is sealed until it is settled; the other streams go on. "
        f"Organisation {one.org_id}, log {one.log}, {whose}, number {one.number}."
    )
    return Told(title, body, {name: str(value) for name, value in one._asdict().items()})


def told_of_altered(one: Altered) -> Told:
    """What an operator is told of a row that is not what was written."""
    body = (
        f"Its columns do not give the hash that its writer stored beside them: somebody who is above the rules of the "
        f"database changed it, or deleted it. Organisation {one.org_id}, log {one.log}, row {one.row_id}. What was sealed is "
        f"the writer's hash, so any copy of the row from before can be told from this one."
    )
    detail: dict[str, object] = {"log": one.log, "org_id": str(one.org_id), "row_id": str(one.row_id)}
    return Told(f"A row of {one.log} is not the one that was written", body, detail)
