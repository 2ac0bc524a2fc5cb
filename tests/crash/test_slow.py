"""What happens when something does not die but stalls: the gateway, or the ledger's connection."""

import asyncio
import json
import os
import signal
from contextlib import contextmanager
from uuid import uuid4

import aiohttp
import pytest

from product import Product, running, set_up

HEADERS = {"anthropic-version": "2023-06-01"}
WITHIN = 30


@pytest.fixture(scope="module")
def product():
    with running(fence_after="2", commit_wait="1", snapshot_max_age="2") as product:
        set_up(product)
        yield product


@pytest.fixture(scope="module")
def key(product) -> str:
    return product.issue()


@contextmanager
def stopped(pid: int):
    """A process that hangs, as one on a stalled disk would."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def post(
    product: Product, key: str, call_id: str, *, stream: bool = False, **plan: object
) -> tuple[int, str]:
    body = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 64,
        "stream": stream,
        "messages": [{"role": "user", "content": "hi"}],
    }
    headers = HEADERS | {"x-api-key": key, "x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{product.gateway}/v1/messages", json=body, headers=headers) as answer,
    ):
        return answer.status, (await answer.read()).decode()


async def until(condition) -> None:
    async with asyncio.timeout(WITHIN):
        while not await asyncio.to_thread(condition):
            pass


def writer_backend(product: Product) -> int:
    (found,) = product.query("select pid from pg_stat_activity where application_name = 'vis-gateway'")
    return found["pid"]


async def test_a_gateway_that_was_only_slow_trues_up_what_the_reaper_charged(product, key):
    call_id = str(uuid4())
    call = asyncio.ensure_future(post(product, key, call_id, stream=True, chunks=10, chunk_delay_ms=150))
    await until(lambda: product.query("select 1 from vis.budget_holds where draft like %s", f"%{call_id}%"))
    with stopped(product.pid("gateway")):
        await until(lambda: product.rows_of(call_id))
    status, text = await call
    assert (status, "message_stop" in text) == (200, True)
    in_doubt, true_up = product.rows_of(call_id)
    assert (in_doubt["entry"], in_doubt["reason"]) == ("call", "in_doubt")
    assert (true_up["entry"], true_up["corrects"]) == ("true_up", in_doubt["id"])
    assert true_up["cost_nusd"] < 0
    actual = true_up["input_tokens"] * 3_000 + true_up["output_tokens"] * 15_000
    assert in_doubt["cost_nusd"] + true_up["cost_nusd"] == actual
    assert (await post(product, key, str(uuid4())))[0] == 200


async def test_without_its_ledger_a_new_call_is_refused_before_any_provider_is_called(product, key):
    call_id = str(uuid4())
    with stopped(writer_backend(product)):
        status, text = await post(product, key, call_id)
        async with aiohttp.ClientSession() as session, session.get(f"{product.sandbox}/sandbox/seen") as seen:
            assert call_id not in (await seen.json())["ids"]
    assert status == 503
    assert json.loads(text)["error"]["code"] == "ledger_unavailable"
    await until(
        lambda: product.query(
            "select 1 where not exists (select from vis.budget_holds where draft is not null)"
        )
    )
    await until(lambda: product.rows_of(call_id))
    (row,) = product.rows_of(call_id)
    assert (row["decision"], row["reason"], row["cost_nusd"]) == ("refused", "ledger_unavailable", 0)


async def test_a_stream_in_flight_ends_with_an_error_when_its_row_cannot_be_written_and_the_row_comes_later(
    product, key
):
    call_id = str(uuid4())
    call = asyncio.ensure_future(post(product, key, call_id, stream=True, chunks=4, chunk_delay_ms=200))
    await until(lambda: product.query("select 1 from vis.budget_holds where draft like %s", f"%{call_id}%"))
    with stopped(writer_backend(product)):
        status, text = await call
    assert status == 200
    assert "message_stop" not in text
    assert "ledger_unavailable" in text
    await until(lambda: product.rows_of(call_id))
    rows = product.rows_of(call_id)
    assert [row["usage_source"] for row in rows][-1] == "provider_final"
    assert (
        sum(row["cost_nusd"] for row in rows)
        == rows[-1]["input_tokens"] * 3_000 + rows[-1]["output_tokens"] * 15_000
    )
