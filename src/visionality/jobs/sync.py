"""Connectors are read: everything at first and nightly, what changed every ten minutes, at once when somebody asks.

One process at a time reads a connector, by an advisory lock. Each page is stored in one transaction with the progress, so
whoever stops or dies between two pages has lost nothing; the run then begins again. A fault leaves what was read before.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import psycopg
import structlog

from visionality.connectors import services
from visionality.connectors.model import Connector, ConnectorFault, Paused
from visionality.connectors.services import KINDS, Target
from visionality.core.alert import Told
from visionality.core.call import clean
from visionality.core.sync_plan import EVERY, OVERLAP, mode, stopped, wait_after, works_again
from visionality.jobs.connector_secret import opened
from visionality.jobs.sync_store import Run, store
from visionality.jobs.tell import tell
from visionality.runtime.clock import Clock
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyDisabled, KeyProvider, KeysAway
from visionality.vault.sealing import SealBroken

log = structlog.get_logger()

FAILED, WORKS = "connector_failed", "connector_works"
LOOK = 1.0
"""Seconds between two looks for connectors that are due."""
APART = timedelta(seconds=5)
"""Between the beginnings of two runs that webhooks ask for: what comes meanwhile is one."""
AT_ONCE = 16
"""Most of these wait: for an answer, or out the limit of their service, which may be an hour. Others are read meanwhile."""
AFTER_A_FAULT = 10.0
"""Seconds before a run that could not even be written up as failed begins again."""
LONGEST_PAUSE = timedelta(days=1)
LAST_PAGE = 5.0
"""Seconds that a shutdown waits for all the pages that are being stored."""
LONGEST_ERROR, LONGEST_DOING = 1000, 300

Connect = Callable[[Target, str, Clock, Callable[[float], bool]], Connector]

_SQL = statements("visionality.jobs", "sync.sql")
_json = msgspec.json.Encoder().encode


class Standing(NamedTuple):
    """A connector and how its last run ended."""

    org_id: UUID
    name: str
    kind: str
    time_zone: str
    number: int
    watermark: datetime | None
    full_at: datetime | None
    wants_full: bool
    failures: int
    failing_since: datetime | None
    outages: int
    succeeded_at: datetime | None


class Syncs:
    """The loop of one process, and a thread for each connector that it reads."""

    def __init__(
        self, dsn: str, keys: KeyProvider, clock: Clock, connect: Connect = services.connect
    ) -> None:
        self._dsn = dsn
        self._keys = keys
        self._clock = clock
        self._connect = connect
        self._stopping = threading.Event()
        self._loop = threading.Thread(target=self._run, name="syncs", daemon=True)
        self._reading: dict[UUID, threading.Thread] = {}

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Stop between two pages. A service that does not answer is not waited for."""
        self._stopping.set()
        give_up = time.monotonic() + LAST_PAGE
        for thread in (self._loop, *self._reading.values()):
            thread.join(max(0.0, give_up - time.monotonic()))

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except psycopg.Error as error:
                log.warning("syncs_wait", error=str(error), error_type=type(error).__name__)
            except Exception:
                log.exception("syncs_wait")
            self._stopping.wait(LOOK)

    def _look(self) -> None:
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            while not self._stopping.wait(LOOK):
                self._reading = {one: thread for one, thread in self._reading.items() if thread.is_alive()}
                with connection.transaction():
                    due = connection.execute(_SQL["due"], {"now": self._clock(), "apart": APART}).fetchall()
                waiting = [one for (one,) in due if one not in self._reading]
                for connector_id in waiting[: AT_ONCE - len(self._reading)]:
                    self._begin(connector_id)

    def _begin(self, connector_id: UUID) -> None:
        thread = threading.Thread(target=self._read, args=[connector_id], name="sync", daemon=True)
        self._reading[connector_id] = thread
        thread.start()

    def _read(self, connector_id: UUID) -> None:
        try:
            sync(self._dsn, self._keys, self._clock, self._connect, connector_id, self._stopping)
        except psycopg.Error as error:  # the run is unfinished, so it begins again when the database is there
            log.warning("sync_waits", connector_id=str(connector_id), error=str(error))
            self._stopping.wait(AFTER_A_FAULT)
        except Exception:
            log.exception("sync_waits", connector_id=str(connector_id))
            self._stopping.wait(AFTER_A_FAULT)


def sync(
    dsn: str,
    keys: KeyProvider,
    clock: Clock,
    connect: Connect,
    connector_id: UUID,
    stopping: threading.Event,
) -> None:
    """Read one connector now, unless another process does. Raises psycopg.Error when the database is away."""
    with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
        name = {"connector_id": connector_id}
        if not _one(connection, "lock", name)[0]:
            return
        found = connection.execute(_SQL["standing"], name).fetchone()
        if found is not None:
            _Reading(connection, clock, connector_id, Standing(*found), stopping).run(keys, connect)


class _Reading:
    """One run."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        clock: Clock,
        connector_id: UUID,
        standing: Standing,
        stopping: threading.Event,
    ) -> None:
        self.connection, self.clock, self.standing, self.stopping = connection, clock, standing, stopping
        zone = ZoneInfo(standing.time_zone)
        self.mode = mode(standing.full_at, clock(), zone, wants_full=standing.wants_full)
        self.current = Run(standing.org_id, connector_id, standing.number + 1, self.mode == "full")
        self.key = {"connector_id": connector_id}

    def run(self, keys: KeyProvider, connect: Connect) -> None:
        begun = {**self.key, "number": self.current.number, "mode": self.mode, "now": self.clock()}
        self.connection.execute(_SQL["begin"], begun)
        try:
            target, secret = opened(self.connection, keys, self.current.connector_id)
            if self._pages(connect(target, secret, self.clock, self.stopping.wait)):
                self._succeeded()
        except Paused as pause:
            self._paused(pause)
        except (ConnectorFault, SealBroken, KeyDisabled, KeysAway) as fault:
            self._failed(str(fault))
        except Exception as error:
            if self.connection.closed:
                raise
            log.exception("sync_failed", connector=self.standing.name)
            self._failed(f"an unexpected {type(error).__name__}: the log of the jobs says where")

    def _pages(self, connector: Connector) -> bool:
        """Store page by page. Returns whether that was all, and not stopped or removed before."""
        counts: Counter[str] = Counter()
        watermark = self.standing.watermark
        since = None if self.current.is_full or watermark is None else watermark - OVERLAP
        for page in connector.changes(since):
            with self.connection.transaction():
                counts.update(store(self.connection, self.current, page, self.clock()))
                doing = clean(page.doing, LONGEST_DOING) or ""
                progress = {**self.key, "doing": doing, "counts": _json(counts).decode()}
                is_wanted = self.connection.execute(_SQL["progress"], progress).fetchone() is not None
            if self.stopping.is_set() or not is_wanted:
                return False
        return not self.stopping.is_set()

    def _succeeded(self) -> None:
        standing, now = self.standing, self.clock()
        with self.connection.transaction():
            self._publish()
            self.connection.execute(_SQL["succeeded"], {**self.key, "now": now, "next_at": now + EVERY})
            if standing.failures:
                since = standing.failing_since or now
                self._tell(WORKS, standing.outages, works_again(standing.name, KINDS[standing.kind], since))
        log.info("sync_done", connector=standing.name, mode=self.mode)

    def _failed(self, error: str) -> None:
        if self.stopping.is_set():  # what a stop breaks is nobody's outage: the run begins again
            return
        standing, now = self.standing, self.clock()
        failures = standing.failures + 1
        outages = standing.outages + (failures == 1)
        next_at = now + wait_after(failures)
        failed = {
            **self.key,
            "now": now,
            "error": error[:LONGEST_ERROR],
            "failures": failures,
            "failing_since": standing.failing_since or now,
            "outages": outages,
            "next_at": next_at,
        }
        kind = KINDS[standing.kind]
        told = stopped(standing.name, kind, error[:LONGEST_ERROR], standing.succeeded_at, next_at)
        with self.connection.transaction():
            self._publish()
            self.connection.execute(_SQL["failed"], failed)
            self._tell(FAILED, outages, told)
        log.warning("sync_refused", connector=standing.name, error=error, failures=failures)

    def _paused(self, pause: Paused) -> None:
        now = self.clock()
        until = min(max(pause.until, now + timedelta(seconds=1)), now + LONGEST_PAUSE)
        doing = f"waits until {until:%Y-%m-%d %H:%M:%S} UTC: {pause}"
        with self.connection.transaction():
            self._publish()
            self.connection.execute(
                _SQL["paused"], {**self.key, "now": now, "doing": doing, "next_at": until}
            )

    def _publish(self) -> None:
        """Give the issues their epics and have gateways read them, where one of them moved."""
        if _one(self.connection, "is_moved", self.key)[0]:
            self.connection.execute(_SQL["epics"], self.key)
            self.connection.execute(_SQL["publish"], self.key)

    def _tell(self, kind: str, mark: int, told: Told) -> None:
        name = self.standing.name
        tell(
            self.connection,
            self.current.org_id,
            self.clock(),
            kind,
            self.current.connector_id,
            mark,
            f"connector:{name}",
            told,
        )


def _one(connection: psycopg.Connection[Any], query: str, values: dict[str, Any]) -> tuple[Any, ...]:
    found = connection.execute(_SQL[query], values).fetchone()
    assert found is not None
    return tuple(found)
