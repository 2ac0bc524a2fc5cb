"""How many rows the ledger writer of one process makes durable in a second, without the HTTP around it."""

import asyncio
import os
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from bench.process import used
from visionality.core.row import Row, draft_text
from visionality.ledger.writer import Hold, LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Written:
    """`calls` are whole lives: a hold made durable, then the row with its events in the hold's place."""

    waiting: int
    rows_per_second: float
    calls_per_second: float
    cpu_us_per_row: float


async def measure(dsn: str, data_dir: Path, org_id: UUID, waiting: int, rows: int) -> Written:
    """`waiting` callers write `rows` rows altogether, then as many whole calls."""
    writer = LedgerWriter(dsn, "bench", utc_now, Settings(data_dir=data_dir))
    await writer.start()
    try:
        cpu, began = _cpu(), time.perf_counter()
        await asyncio.gather(*(_rows(writer, org_id, rows // waiting) for _ in range(waiting)))
        took, spent = time.perf_counter() - began, _cpu() - cpu
        began = time.perf_counter()
        await asyncio.gather(*(_calls(writer, org_id, rows // waiting) for _ in range(waiting)))
        whole = time.perf_counter() - began
    finally:
        await writer.close()
    return Written(waiting, rows / took, rows / whole, spent / rows * 1e6)


def _cpu() -> float:
    return used(os.getpid()).cpu_s


async def _rows(writer: LedgerWriter, org_id: UUID, count: int) -> None:
    for _ in range(count):
        await writer.settle(_row(org_id), None)


async def _calls(writer: LedgerWriter, org_id: UUID, count: int) -> None:
    for _ in range(count):
        row = _row(org_id)
        expires = utc_now() + timedelta(hours=1)
        hold = Hold(org_id, uuid7(), row.request_id, 5_000_000, expires, draft_text(row))
        await writer.reserve(hold)
        await writer.settle(row, hold)


def _row(org_id: UUID) -> Row:
    row = Row(
        org_id=org_id,
        request_id=uuid7(),
        agent_sub="bench@localhost",
        agent_owner="Bench",
        key_id=org_id,
        project_id="BENCH",
        task_class="chat",
        provider="sandbox",
        dialect="chat_completions",
        model_family="gpt-4o",
        model_requested="gpt-4o",
        model_used="gpt-4o",
        usage={"in_text": 90, "out_text": 17},
        rates={"in_text": "2.5", "out_text": "10", "source": "bench"},
        raw_usage='{"prompt_tokens":90,"completion_tokens":17,"total_tokens":107}',
        usage_source="provider_final",
        input_tokens=90,
        output_tokens=17,
        cost_nusd=395_000,
        billed_nusd=395_000,
        price_state="known",
        price_version=1,
        status_code=200,
        finish="stop",
        latency_ms=5,
        request_sha256=bytes(32),
    )
    row.id, row.created_at = uuid7(), utc_now()
    return row
