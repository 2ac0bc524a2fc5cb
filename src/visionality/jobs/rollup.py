"""The roller of the daily sums: it adds what was written since its last look, and once a day compares days that are over."""

import asyncio
import threading
from datetime import date, timedelta

import psycopg
import structlog

from visionality.ledger.rollup import Gap, differences, roll
from visionality.runtime.clock import Clock

log = structlog.get_logger()

EVERY = 1.0
ALL_EVERY = 600
"""Looks between two that take in writers which have been silent for an hour."""
COMPARED = 7
"""How many days that are over are compared with their rows every day."""


class Roller:
    """One loop. `dsn` reaches the ledger as `vis_sealer`."""

    def __init__(self, dsn: str, clock: Clock) -> None:
        self._dsn = dsn
        self._clock = clock
        self._connection: psycopg.Connection | None = None
        self._busy = threading.Lock()
        self._looks = 0
        self._gaps: set[Gap] = set()
        self._compared_on: date | None = None
        self.rolled = 0
        self.gaps = 0
        self.differences = 0

    async def run(self) -> None:
        """Roll for ever, once a second, and at once again where more waits."""
        while True:
            rows = 0
            try:
                rows = await asyncio.to_thread(self.step)
            except psycopg.OperationalError as error:
                log.warning("rollup_waits", error=str(error), error_type=type(error).__name__)
                self.close()
            except Exception:
                log.exception("rollup_failed")
                self.close()
            if not rows:
                await asyncio.sleep(EVERY)

    def step(self) -> int:
        """Add the next rows; when there are none, compare once a day. Returns how many. Raises what psycopg raises."""
        with self._busy:
            return self._step()

    def close(self) -> None:
        """Break off what the loop does in its thread."""
        if self._connection is not None:
            self._connection.cancel()
            with self._busy:
                self._connection.close()
                self._connection = None

    def _step(self) -> int:
        if self._connection is None:
            self._connection = psycopg.connect(self._dsn, autocommit=True, connect_timeout=5)
        rows, gaps = roll(self._connection, silent_too=self._looks % ALL_EVERY == 0)
        self._looks += 1
        self.rolled += rows
        self._tell(set(gaps))
        today = self._clock().date()
        if not rows and self._compared_on != today:
            self._compare(self._connection, today)
            self._compared_on = today
        return rows

    def _tell(self, gaps: set[Gap]) -> None:
        for gap in gaps - self._gaps:
            log.error("ledger_gap", writer_no=gap.writer_no, missing_wseq=gap.after + 1)
        self.gaps += len(gaps - self._gaps)
        self._gaps |= gaps

    def _compare(self, connection: psycopg.Connection, today: date) -> None:
        for back in range(COMPARED, 0, -1):
            for found in differences(connection, today - timedelta(days=back)):
                self.differences += 1
                log.error(
                    "rollup_differs",
                    org_id=str(found.org_id),
                    day=found.day.isoformat(),
                    dim=found.dim,
                    key=found.key,
                    key2=found.key2,
                    summed_nusd=found.summed_nusd,
                    ledger_nusd=found.ledger_nusd,
                    act="run `vis rollup rebuild`",
                )
