"""Promise L4: a call that reached a provider has its row, whatever crashes. And no row twice, and no number missing."""

import asyncio
import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp
import psycopg
import pytest

from product import Product, running, set_up
from visionality.postgres import PostgresFault

ROUNDS = int(os.environ.get("VIS_CRASH_ROUNDS", "3"))
CALLERS = 12
SETTLED_WITHIN = 60
SEED = int(os.environ.get("VIS_CRASH_SEED", "20261121"))


@dataclass
class Load:
    """Callers that go on whatever happens, and what they saw."""

    product: Product
    key: str
    sent: int = 0
    answered: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    stop: bool = False
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def caller(self, session: aiohttp.ClientSession, chance: random.Random) -> None:
        while not self.stop:
            call_id = str(uuid4())
            self.sent += 1
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                if await self._call(session, call_id, streamed=chance.random() < 0.5):
                    self.answered.add(call_id)
            self.progress.set()

    async def _call(self, session: aiohttp.ClientSession, call_id: str, *, streamed: bool) -> bool:
        headers = {"x-api-key": self.key, "anthropic-version": "2023-06-01", "x-client-request-id": call_id}
        headers["x-sandbox-plan"] = (
            '{"first_delay_ms":3,"chunk_delay_ms":2,"chunks":6}' if streamed else '{"first_delay_ms":5}'
        )
        body = {
            "model": "claude-sonnet-4-6",
            "max_tokens": 64,
            "stream": streamed,
            "messages": [{"role": "user", "content": "one two three"}],
        }
        async with session.post(f"{self.product.gateway}/v1/messages", json=body, headers=headers) as answer:
            text = await answer.read()
            return answer.status == 200 and (not streamed or b"message_stop" in text)

    async def more(self, calls: int) -> None:
        """Wait until so many more calls have ended, one way or the other."""
        goal = self.sent + calls
        while self.sent < goal:
            self.progress.clear()
            await self.progress.wait()


def kill(product: Product, name: str) -> None:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(product.pid(name), signal.SIGKILL)


async def play(product: Product, key: str, chance: random.Random) -> Load:
    load = Load(product, key)
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        callers = [
            asyncio.ensure_future(load.caller(session, random.Random(chance.random())))
            for _ in range(CALLERS)
        ]
        for _ in range(ROUNDS):
            await load.more(chance.randint(20, 150))
            for name in chance.choice(
                [["gateway"], ["postgres"], ["gateway", "postgres"], ["postgres", "gateway"]]
            ):
                kill(product, name)
        await load.more(200)
        load.stop = True
        await asyncio.gather(*callers)
        await settled(product)
        async with session.get(f"{product.sandbox}/sandbox/seen") as answer:
            load.seen = (await answer.json())["ids"]
    return load


async def settled(product: Product) -> None:
    """Until no hold waits for its row. The last kill may still be on its way."""
    async with asyncio.timeout(SETTLED_WITHIN):
        while True:
            with suppress(PostgresFault, psycopg.OperationalError):
                query = "select count(*) as n from vis.budget_holds where draft is not null"
                (left,) = await asyncio.to_thread(product.query, query)
                if left["n"] == 0:
                    return


@pytest.fixture(scope="module")
def after() -> tuple[Product, Load]:
    with running(fence_after="3", commit_wait="5") as product:
        set_up(product)
        key = product.issue()
        load = asyncio.run(play(product, key, random.Random(SEED)))
        print(
            f"\n{ROUNDS} kills: {load.sent} calls sent, {len(load.seen)} reached the provider, {len(load.answered)} answered whole"
        )
        yield product, load


def test_every_call_that_the_provider_saw_has_exactly_one_row(after):
    product, load = after
    rows = product.query(
        "select tags->>'client_request_id' as id, count(*) as n from vis.request_logs where entry = 'call' group by 1"
    )
    found = {row["id"]: row["n"] for row in rows}
    assert len(load.seen) > 100
    assert {call_id: found.get(call_id, 0) for call_id in load.seen if found.get(call_id, 0) != 1} == {}


def test_no_call_is_written_up_twice(after):
    product, _ = after
    doubled = product.query(
        "select request_id, count(*) from vis.request_logs where entry = 'call' group by 1 having count(*) > 1"
    )
    assert doubled == []


@pytest.mark.parametrize("table", ["request_logs", "budget_events"])
def test_no_writer_has_a_gap_in_its_numbers(after, table):
    product, _ = after
    gaps = product.query(
        f"""select writer_no, count(*) as n, count(distinct wseq) as different, min(wseq) as first, max(wseq) as last
              from vis.{table} group by 1 having count(*) <> max(wseq) or count(distinct wseq) <> count(*) or min(wseq) <> 1"""
    )
    assert gaps == []


def test_an_answer_that_was_whole_has_its_final_row(after):
    product, load = after
    rows = product.query(
        "select tags->>'client_request_id' as id from vis.request_logs where decision = 'allowed' and usage_source = 'provider_final'"
    )
    assert load.answered - {row["id"] for row in rows} == set()


def test_what_nobody_finished_is_charged_at_its_worst_case_and_says_so(after):
    product, _ = after
    rows = product.query("select * from vis.request_logs where reason = 'in_doubt'")
    assert all(row["usage_source"] == "reservation_ceiling" and row["cost_nusd"] > 0 for row in rows)
    events = product.query("select * from vis.budget_events where kind = 'expire' and actual_nusd > 0")
    assert sorted(row["request_id"] for row in rows) == sorted(event["request_id"] for event in events)


def test_every_hold_was_taken_once(after):
    product, _ = after
    open_ends = product.query(
        """select hold_id from vis.budget_events group by 1
           having count(*) filter (where kind = 'reserve') <> 1
               or count(*) filter (where kind in ('settle', 'release', 'expire')) > 1
               or (count(*) filter (where kind in ('settle', 'release', 'expire')) = 0
                   and hold_id not in (select hold_id from vis.budget_holds))"""
    )
    assert open_ends == []
