"""Promise L4 for batches: gateways that are killed while they collect, and gateways that collect at once, leave each line
with one row and no money held."""

import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import anthropic
import openai
import pytest

from gateway.batches import (
    CHAT_COST,
    CLAUDE_COST,
    collected,
    ended,
    line,
    line_rows,
    message_batch,
    request,
    submit,
)
from gateway.calls import Caller, new_id
from product import PATIENCE, VIS, Product, running, set_up

NAMES = [f"line-{number}" for number in range(60)]
PACE = {"chunk_delay_ms": 25}
"""What the results come with: slowly, so that a kill falls amid them."""


@pytest.fixture(scope="module")
def watchful() -> Iterator[Caller]:
    """A product whose gateway looks at its batches all the time, and whose dead writers are fenced soon."""
    with running(batch_poll="0.2", fence_after="2") as product:
        set_up(product)
        yield Caller(product, product.issue())


@contextmanager
def second_gateway(product: Product) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Another gateway process on the same ledger: its address, once it serves, and the process."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        (product.data_dir / "second.log").open("ab") as log,
    ):
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        words = ["gateway", "--data-dir", str(product.data_dir), "--sandbox-url", product.sandbox]
        environment = product.environment | {"VIS_SOCKET_FD": str(listener.fileno())}
        process = subprocess.Popen(
            [*VIS, *words], env=environment, pass_fds=[listener.fileno()], stdout=log, stderr=log
        )
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=PATIENCE) as ready:
                assert ready.status == 200
            yield address, process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def begin(gateway: str, key: str, vendor: str, call_id: str, **plan: object) -> str:
    """Submit a batch and go; returns its id."""
    plan = PACE | {"batch": {"shuffled": True} | plan}
    if vendor == "openai":
        with openai.OpenAI(base_url=f"{gateway}/v1", api_key=key) as client:
            return submit(client, call_id, *map(line, NAMES), **plan).id
    with anthropic.Anthropic(base_url=gateway, api_key=key) as client:
        return str(message_batch(client, call_id, *map(request, NAMES), **plan).id)


def check(product: Product, call_id: str, batch_id: str, vendor: str) -> None:
    rows = collected(product, call_id, batch_id)
    assert rows.keys() == set(NAMES)
    assert {row["cost_nusd"] for row in rows.values()} == {CHAT_COST if vendor == "openai" else CLAUDE_COST}


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_gateway_that_is_killed_amid_collecting_leaves_each_line_with_one_row(watchful, vendor):
    product = watchful.product
    batch_id = begin(product.gateway, watchful.key, vendor, call_id := new_id())
    for reached in (3, 20, 40):
        product.until(lambda reached=reached: len(line_rows(product, batch_id)) >= reached)
        with suppress(ProcessLookupError):
            os.kill(product.pid("gateway"), signal.SIGKILL)
    check(product, call_id, batch_id, vendor)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_two_gateways_that_collect_one_batch_charge_each_line_once(watchful, vendor):
    product, key = watchful.product, watchful.key
    with second_gateway(product) as (second, _):
        batch_id = begin(second, key, vendor, call_id := new_id())
        for gateway in (product.gateway, second):
            if vendor == "openai":
                with openai.OpenAI(base_url=f"{gateway}/v1", api_key=key) as client:
                    ended(client, client.batches.retrieve(batch_id))
            else:
                with anthropic.Anthropic(base_url=gateway, api_key=key) as other:
                    assert other.messages.batches.retrieve(batch_id).processing_status == "ended"
        check(product, call_id, batch_id, vendor)


def test_the_gateway_that_is_left_collects_what_the_other_began(watchful):
    product = watchful.product
    with second_gateway(product) as (second, process):
        call_ids = [new_id() for _ in range(4)]
        begun = [begin(second, watchful.key, "openai", call_id, polls=3) for call_id in call_ids]
        product.until(lambda: sum(len(line_rows(product, batch_id)) for batch_id in begun) >= 10)
        process.kill()
        os.kill(product.pid("gateway"), signal.SIGKILL)
        for call_id, batch_id in zip(call_ids, begun, strict=True):
            check(product, call_id, batch_id, "openai")


@pytest.mark.parametrize("table", ["request_logs", "budget_events"])
def test_no_writer_has_a_gap_in_its_numbers(watchful, table):
    gaps = watchful.product.query(
        f"""select writer_no from vis.{table} group by 1
             having count(*) <> max(wseq) or count(distinct wseq) <> count(*) or min(wseq) <> 1"""
    )
    assert gaps == []
