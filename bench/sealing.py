"""What sealing costs, and how soon a row stands under a signed head.

First the lease is taken from the jobs process, rows pile up, and this process seals them: so the processor time of the sealer and
of the server's process that works for it are known apart from all else. Then jobs seal again while rows come at a steady rate.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg

from bench.process import used
from bench.rows import a_row
from visionality.core.row import Row
from visionality.evidence.sealing import leave, step
from visionality.ledger.writer import LedgerWriter
from visionality.postgres import read_endpoint
from visionality.postgres.access import Access
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.vault.installation import open_keys

PILED_UP = 60_000
RATE = 5_000
SECONDS = 10
TICK = 0.05
PROJECTS = 20
LOOK = 0.02
_TAKE = "update vis.seal_lease set holder = %s, fence = fence + 1, expires_at = now() + %s"
_SIZE = "select coalesce(max(tree_size), 0) from vis.seals where org_id = %s and log = 'request_logs'"


@dataclass(frozen=True, slots=True)
class Sealed:
    """Processor time a row in microseconds, and rows a second of one sealer that does nothing else."""

    rows: int
    per_second: float
    sealer_us: float
    postgres_us: float


@dataclass(frozen=True, slots=True)
class Followed:
    """How jobs keep up: rows a second, their share of a core, seconds until a row stands under a head."""

    per_second: float
    jobs_percent: float
    head_p50_s: float
    head_max_s: float


async def measure(data_dir: Path, jobs_pid: int) -> tuple[Sealed, Followed]:
    access = Access(data_dir, read_endpoint(data_dir), None)
    writer = LedgerWriter(access.dsn("vis_writer"), "bench", utc_now, Settings(data_dir=data_dir))
    await writer.start()
    org_id = uuid7()
    try:
        with psycopg.connect(access.dsn("vis_sealer"), autocommit=True) as connection:
            holder = uuid7()
            connection.execute(_TAKE, [holder, timedelta(hours=1)])
            for _ in range(PILED_UP // RATE):
                await _write(writer, org_id, RATE)
            sealed = await asyncio.to_thread(_sealed, connection, access, data_dir, holder)
            leave(connection, holder)
            followed = await _followed(connection, writer, org_id, jobs_pid)
    finally:
        await writer.close()
    return sealed, followed


async def _write(writer: LedgerWriter, org_id: UUID, count: int) -> None:
    """So many rows at once, over some projects."""
    await asyncio.gather(*(writer.settle(_row(org_id, at), None) for at in range(count)))


def _row(org_id: UUID, at: int) -> Row:
    row = a_row(org_id)
    row.project_id = f"BENCH-{at % PROJECTS}"
    return row


def _sealed(connection: psycopg.Connection, access: Access, data_dir: Path, holder: UUID) -> Sealed:
    keys = open_keys(Settings(data_dir=data_dir), access.dsn("vis_web"), print)
    backend = connection.info.backend_pid
    rows, cpu, postgres, began = 0, time.process_time(), used(backend).cpu_s, time.perf_counter()
    while not (done := step(connection, keys, holder, utc_now(), at_once=RATE)).is_all:
        rows += done.leaves
    rows += done.leaves
    took = time.perf_counter() - began
    spent, served = time.process_time() - cpu, used(backend).cpu_s - postgres
    return Sealed(rows, rows / took, spent / rows * 1e6, served / rows * 1e6)


async def _followed(
    connection: psycopg.Connection, writer: LedgerWriter, org_id: UUID, jobs_pid: int
) -> Followed:
    """Write at a steady rate and watch the heads."""
    (sealed,) = connection.execute(_SIZE, [org_id]).fetchone() or (0,)
    loop, durable, waits = asyncio.get_running_loop(), [(0.0, sealed)], []
    per_tick, began, cpu = int(RATE * TICK), loop.time(), used(jobs_pid).cpu_s

    async def look() -> None:
        while durable:
            size = (await asyncio.to_thread(connection.execute, _SIZE, [org_id])).fetchone()[0]
            while durable and durable[0][1] <= size:
                waits.append(loop.time() - durable.pop(0)[0])
            await asyncio.sleep(LOOK)

    count = sealed
    durable.clear()
    for tick in range(int(SECONDS / TICK)):
        await asyncio.sleep(max(0.0, began + tick * TICK - loop.time()))
        await _write(writer, org_id, per_tick)
        count += per_tick
        durable.append((loop.time(), count))
        if tick == 0:
            watching = loop.create_task(look())
    took = loop.time() - began
    await watching
    jobs = (used(jobs_pid).cpu_s - cpu) / took * 100
    waits.sort()
    return Followed((count - sealed) / took, jobs, waits[len(waits) // 2], waits[-1])
