"""What budgets cost: four of them on a call, a refusal, and one that four processes draw on at once."""

import asyncio
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from bench.rows import a_row
from visionality.core.row import draft_text
from visionality.ledger.writer import Hold, LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings

PROCESSES = 4
WAITING = 16


def on_one_window(dsn: str, data_dir: Path, org_id: UUID, window_id: UUID, calls: int) -> float:
    """Whole calls a second that four processes make on one budget altogether, by the time of the slowest."""
    given = [dsn, str(data_dir), str(org_id), str(window_id), str(calls)]
    children = [
        subprocess.Popen([sys.executable, "-m", "bench.budgets", *given], stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    seconds = [float(child.communicate()[0]) for child in children]
    return PROCESSES * calls / max(seconds)


async def _calls(dsn: str, data_dir: Path, org_id: UUID, window_id: UUID, calls: int) -> float:
    writer = LedgerWriter(dsn, "bench", utc_now, Settings(data_dir=data_dir))
    await writer.start()

    async def one() -> None:
        for _ in range(calls // WAITING):
            row, expires = a_row(org_id), utc_now() + timedelta(hours=1)
            draft = draft_text(row)
            hold = Hold(org_id, uuid7(), row.request_id, 5_000_000, expires, draft, [window_id])
            await writer.reserve(hold)
            await writer.settle(row, hold)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(WAITING)))
    took = time.perf_counter() - began
    await writer.close()
    return took


if __name__ == "__main__":
    _, _dsn, _data_dir, _org, _window, _count = sys.argv
    print(asyncio.run(_calls(_dsn, Path(_data_dir), UUID(_org), UUID(_window), int(_count))))
