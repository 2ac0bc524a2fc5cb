"""Rows as the gateway makes them, through the ledger's own writer."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
from psycopg.conninfo import conninfo_to_dict

from visionality.core.family import model_family
from visionality.core.pricing import RateCard, cost
from visionality.core.row import NIL, UNSET_TIME, Row
from visionality.core.usage import Usage
from visionality.ledger.writer import LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings

SONNET = RateCard(
    {
        "in_text": Decimal(3),
        "cache_read": Decimal("0.3"),
        "cache_write_5m": Decimal("3.75"),
        "out_text": Decimal(15),
        "out_reasoning": Decimal(15),
    },
    1,
    "genai-prices 0.2.3",
)
ALICE = Usage(in_text=300, cache_read=1000, out_text=147)
"""0.0009 + 0.0003 + 0.002205 = 0.003405 USD at SONNET."""


def call(consumed: Usage | None = ALICE, card: RateCard | None = SONNET, **given: Any) -> Row:
    """Alice's call on branch HPC-1234, or what `given` makes of it."""
    model = given.get("model_used", "claude-sonnet-4-6")
    row = Row(
        org_id=NIL,
        request_id=uuid7(),
        agent_sub="alice@arctrade",
        agent_owner="Alice K.",
        sso_sub="alice@arctrade.example",
        project_id="HPC",
        task_id="HPC-1234",
        task_class="code_completion",
        provider="anthropic",
        dialect="messages",
        model_requested=model,
        model_used=model,
        model_family=model_family(model),
        status_code=200,
        latency_ms=840,
        usage_source="provider_final",
        price_state="known",
    )
    if consumed is not None:
        priced = cost(consumed, card)
        row.usage = consumed.counts()
        row.input_tokens, row.output_tokens = consumed.input_tokens, consumed.output_tokens
        row.cache_read_tokens, row.cache_write_tokens = consumed.cache_read, consumed.cache_write_tokens
        row.cost_nusd = row.billed_nusd = priced.cost_nusd
        row.price_state, row.price_version = priced.state, priced.version
        row.rates = dict(priced.rates) if priced.rates else None
    return msgspec.structs.replace(row, **given)


def refused(**given: Any) -> Row:
    return call(
        None,
        decision="refused",
        status_code=402,
        usage_source="none",
        model_used=None,
        model_family=None,
        **given,
    )


def write(dsn: str, data_dir: Path, org_id: UUID, rows: Sequence[Row]) -> list[Row]:
    """Append rows, the newest last; those without a time get one a millisecond apart."""
    stamped = [
        _stamped(row, org_id, utc_now() - timedelta(milliseconds=len(rows) - place))
        for place, row in enumerate(rows)
    ]
    with ThreadPoolExecutor(
        1
    ) as aside:  # a browser of Playwright keeps a loop running in the test's own thread
        aside.submit(asyncio.run, _write(_address(dsn), Settings(data_dir=data_dir), stamped)).result()
    assert not list(data_dir.iterdir()), "the database did not take a row"
    return stamped


def _stamped(row: Row, org_id: UUID, at: datetime) -> Row:
    at = row.created_at if row.created_at != UNSET_TIME else at
    return msgspec.structs.replace(row, org_id=org_id, id=uuid7(), created_at=at)


def _address(dsn: str) -> str:
    """The address as asyncpg takes it, where the fixture gives libpq's keywords."""
    given = {name: str(value) for name, value in conninfo_to_dict(dsn).items()}
    name = quote(given.pop("dbname"), safe="")
    return f"postgresql:///{name}?{urlencode(given)}"


async def _write(dsn: str, settings: Settings, rows: Sequence[Row]) -> None:
    writer = LedgerWriter(dsn, "test", utc_now, settings)
    await writer.start()
    await asyncio.gather(*[writer.settle(row, None) for row in rows])
    assert await writer.close() == 0
