"""How many rows the ledger writer of one process makes durable in a second, without the HTTP around it."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

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
    cpu_us_per_call: float


async def measure(dsn: str, data_dir: Path, org_id: UUID, waiting: int, rows: int) -> Written:
    """`waiting` callers write `rows` rows altogether, then as many whole calls."""
    writer = LedgerWriter(dsn, "bench", utc_now, Settings(data_dir=data_dir))
    await writer.start()
    try:
        row_s, row_cpu_s = await _spent(_rows(writer, org_id, rows // waiting) for _ in range(waiting))
        call_s, call_cpu_s = await _spent(_calls(writer, org_id, rows // waiting) for _ in range(waiting))
    finally:
        await writer.close()
    return Written(waiting, rows / row_s, rows / call_s, row_cpu_s / rows * 1e6, call_cpu_s / rows * 1e6)


async def _spent(work: Iterable[Coroutine[Any, Any, None]]) -> tuple[float, float]:
    """Seconds, and CPU seconds of this process, that the work takes."""
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*work)
    return time.perf_counter() - began, time.process_time() - cpu


async def _rows(writer: LedgerWriter, org_id: UUID, count: int) -> None:
    for _ in range(count):
        await writer.settle(a_row(org_id), None)


async def _calls(writer: LedgerWriter, org_id: UUID, count: int) -> None:
    for _ in range(count):
        row = a_row(org_id)
        expires = utc_now() + timedelta(hours=1)
        hold = Hold(org_id, uuid7(), row.request_id, 5_000_000, expires, draft_text(row))
        await writer.reserve(hold)
        await writer.settle(row, hold)


def a_row(org_id: UUID) -> Row:
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
