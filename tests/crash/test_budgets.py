"""Promises B1, L4: over three gateways on one database, with any of them killed under load and the database too, no window
is ever spent beyond its cap, and when the dust has settled its books agree with every event and every row."""

import asyncio
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg
import pytest

from gateway.budgets import (
    LIMIT,
    SMALL,
    SMALL_NUSD,
    WORST,
    Gateway,
    Spender,
    cap,
    check_books,
    gateways,
    in_force,
    price_house,
    question,
    said,
    somebody,
    spender,
    usage_at_worst,
    window,
)
from gateway.calls import CHAT, body_of, new_id
from product import Product, running, set_up
from visionality.core.money import NANO, usd
from visionality.postgres import PostgresFault, read_endpoint

ROUNDS = int(os.environ.get("VIS_CRASH_ROUNDS", "2"))
SEED = int(os.environ.get("VIS_CRASH_SEED", "20261122"))
CALLERS = 16
AGENTS = ("ann", "bob")
FIRST_CAP, MORE = 40 * WORST, 200 * WORST
"""What all may spend at first, and how much more in each round."""
PASSED = 100
"""Calls that are let in at least. The caps have room for four times as many, with every call that a kill leaves in doubt
charged at its worst."""
SETTLED_WITHIN = 120


@contextmanager
def short_of_patience() -> Iterator[Product]:
    with running(fence_after="3", commit_wait="5") as product:
        set_up(product)
        price_house(product)
        yield product


# ---------------------------------------------------------------- who looks


@dataclass
class Sampler:
    """Looks at all windows all the time, and keeps what should never be seen."""

    product: Product
    looks: int = 0
    seen: list[Any] = field(default_factory=list)
    at_cap: int = 0
    """How often some window had not enough left for one more call."""
    stop: bool = False
    pause: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop:
            with suppress(psycopg.OperationalError, PostgresFault, OSError):
                dsn = read_endpoint(self.product.data_dir).dsn("vis")
                with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as connection:
                    while not self.stop:
                        self.look(connection)
                        self.pause.wait(0.002)  # the callers need the machine too

    def look(self, connection: psycopg.Connection) -> None:
        found = connection.execute(
            """select window_id, scope_value, cap_nusd, spent_nusd, reserved_nusd from vis.budget_windows
                where window_id <> budget_id and hard"""
        ).fetchall()
        self.looks += 1
        for one in found:
            _, _, cap_nusd, spent_nusd, reserved_nusd = one
            if spent_nusd + reserved_nusd > cap_nusd or reserved_nusd < 0:
                self.seen.append(one)
        self.at_cap += any(cap - spent - reserved < WORST for _, _, cap, spent, reserved in found)


@contextmanager
def watched(product: Product) -> Iterator[Sampler]:
    sampler = Sampler(product)
    thread = threading.Thread(target=sampler.run)
    thread.start()
    try:
        yield sampler
    finally:
        sampler.stop = True
        thread.join()


# ---------------------------------------------------------------- who spends, and who kills


@dataclass
class Load:
    """Callers that go on whatever happens, each call at another gateway."""

    callers: Sequence[Spender]
    addresses: Sequence[str]
    chance: random.Random
    ended: Counter[int] = field(default_factory=Counter)
    """How many calls ended with a status; 0 stands for none."""
    stop: bool = False
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def caller(self, session: aiohttp.ClientSession, who: Spender) -> None:
        while not self.stop:
            status = 0
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                status = await self.call(session, who)
            self.ended[status] += 1
            self.progress.set()

    async def call(self, session: aiohttp.ClientSession, who: Spender) -> int:
        streamed = self.chance.random() < 0.5
        usage = self.chance.choice([SMALL, usage_at_worst()])
        plan = {"first_delay_ms": self.chance.randint(0, 8), "chunk_delay_ms": 2, "chunks": 5, "usage": usage}
        headers = dict(who.headers(CHAT, new_id(), **plan))
        address = self.chance.choice(self.addresses) + CHAT
        body = question(LIMIT, stream=True) if streamed else question()
        async with session.post(address, data=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def more(self, calls: int, passed: int = 0) -> None:
        """Wait until the budgets have decided so many more, and let in so many in all: what finds no database decides nothing."""
        goal = self.decided + calls
        async with asyncio.timeout(SETTLED_WITHIN):
            while self.decided < goal or self.ended[200] < passed:
                self.progress.clear()
                await self.progress.wait()

    @property
    def decided(self) -> int:
        return self.ended[200] + self.ended[402]


VICTIMS = [
    ["gateway"],
    ["other"],
    ["postgres"],
    ["other", "postgres"],
    ["postgres", "gateway"],
    ["gateway", "other"],
]


def kill(product: Product, others: Sequence[Gateway], name: str, chance: random.Random) -> None:
    if name == "other":
        chance.choice(others).kill()
    else:
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(product.pid(name), signal.SIGKILL)


async def raised(product: Product, cap_nusd: int) -> None:
    """Raise the cap of the project, as soon as the database is there."""
    command = ("budget", "set", "project:HPC", "--cap", usd(cap_nusd))
    while (await asyncio.to_thread(product.try_run, *command)).returncode:
        pass


async def kept_running(others: Sequence[Gateway]) -> None:
    """What a process manager does: one that finds no database ends, and is started again."""
    while True:
        for other in others:
            if other.has_ended():
                other.start()
        await asyncio.sleep(0.1)


async def play(product: Product, others: Sequence[Gateway], callers: Sequence[Spender]) -> Load:
    chance = random.Random(SEED)
    load = Load(callers, [product.gateway, *(other.address for other in others)], chance)
    timeout, connector = aiohttp.ClientTimeout(total=20), aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        tasks = [
            asyncio.ensure_future(load.caller(session, callers[number % len(callers)]))
            for number in range(CALLERS)
        ]
        keeper = asyncio.ensure_future(kept_running(others))
        for number in range(ROUNDS):
            await load.more(chance.randint(20, 150))
            await raised(product, FIRST_CAP + (number + 1) * MORE)
            await load.more(chance.randint(20, 150))
            for name in chance.choice(VICTIMS):
                kill(product, others, name, chance)
        await load.more(200, passed=PASSED)
        load.stop = True
        await asyncio.gather(*tasks)
        keeper.cancel()
    return load


@dataclass(frozen=True)
class After:
    product: Product
    load: Load
    sampler: Sampler
    project: str
    agents: str


@pytest.fixture(scope="module")
def after() -> Iterator[After]:
    print(f"\nseed {SEED}, {ROUNDS} rounds")
    with short_of_patience() as product:
        yield played(product)


def played(product: Product) -> After:
    for agent in AGENTS:
        product.run("agent", "add", agent, "--owner", agent)
    callers = [spender(product, agent=agent, project="HPC") for agent in AGENTS]
    project = said(product, "project:HPC", FIRST_CAP, "--hard", period="total")
    agents = said(product, "agent:*", FIRST_CAP + ROUNDS * MORE, "--hard", period="month")
    said(product, "org", 100 * NANO, "--hard", period="quarter")
    with gateways(product, 2) as others:
        in_force(callers[0], product.gateway, *(other.address for other in others))
        with watched(product) as sampler:
            load = asyncio.run(play(product, others, callers))
            product.until(lambda: nothing_held(product), within=SETTLED_WITHIN)
        ended = ", ".join(f"{count} of {status or 'none'}" for status, count in sorted(load.ended.items()))
        print(f"calls by status: {ended}; {sampler.looks} looks, {sampler.at_cap} at the cap")
    return After(product, load, sampler, project, agents)


def nothing_held(product: Product) -> bool:
    with suppress(PostgresFault, psycopg.OperationalError):
        return product.query("select 1 from vis.budget_holds limit 1") == []
    return False


def test_no_window_was_ever_beyond_its_cap(after):
    assert after.sampler.seen == []
    assert after.sampler.looks > 100
    assert after.sampler.at_cap > 0
    assert after.load.ended[200] >= PASSED
    assert after.load.ended[402] > 0


def test_nothing_stays_held_and_every_window_is_what_its_events_and_rows_add_up_to(after):
    check_books(after.product)
    assert after.product.query("select 1 from vis.budget_windows where reserved_nusd <> 0") == []


def test_what_is_spent_is_what_all_rows_cost(after):
    product = after.product
    cost = product.query(
        """select sum(cost_nusd) filter (where project_id = 'HPC') as project,
                  sum(cost_nusd) filter (where agent_sub = 'ann') as ann, sum(cost_nusd) filter (where agent_sub = 'bob') as bob
             from vis.request_logs"""
    )[0]
    assert window(product, after.project) == (cost["project"], 0)
    spent = product.query(
        "select scope_value, spent_nusd from vis.budget_windows where budget_id = %s and window_id <> budget_id",
        after.agents,
    )
    assert {one["scope_value"]: one["spent_nusd"] for one in spent} == {
        "ann": cost["ann"],
        "bob": cost["bob"],
    }


def test_no_call_overran_what_was_held_for_it(after):
    assert after.product.query("select * from vis.budget_events where kind = 'overage'") == []


@pytest.mark.parametrize("table", ["request_logs", "budget_events"])
def test_no_writer_has_a_gap_in_its_numbers(after, table):
    gaps = after.product.query(
        f"""select writer_no from vis.{table} group by 1
             having count(*) <> max(wseq) or count(distinct wseq) <> count(*) or min(wseq) <> 1"""
    )
    assert gaps == []


def test_every_hold_was_begun_and_ended_once_or_refused(after):
    """A call that was charged in doubt may be trued up by a gateway that was only slow."""
    lives = after.product.query(
        """select kinds, count(*) as n from (
             select string_agg(kind, ' ' order by kind) as kinds from vis.budget_events group by hold_id) lives
            group by 1"""
    )
    told = {life["kinds"]: life["n"] for life in lives}
    print(f"lives of holds: {told}")
    usual = {"deny", "reserve settle", "release reserve", "expire reserve", "expire reserve settle"}
    assert told.keys() <= usual


# ---------------------------------------------------------------- who was only slow

CEILING = NANO // 2


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that hangs, as one on a stalled disk would."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def asked(who: Spender, body: bytes, call_id: str, **plan: object) -> int:
    headers = dict(who.headers(CHAT, call_id, **plan))
    async with (
        aiohttp.ClientSession() as session,
        session.post(who.product.gateway + CHAT, data=body, headers=headers) as answer,
    ):
        await answer.read()
        return answer.status


@pytest.fixture(scope="module")
def quiet() -> Iterator[Product]:
    with short_of_patience() as product:
        yield product
        check_books(product)


@pytest.mark.parametrize("model", ["known", "unknown"])
async def test_a_gateway_that_was_only_slow_leaves_its_windows_with_what_the_call_counts_for(quiet, model):
    """Charged at its worst case by the reaper, then trued up. What nobody knows the price of counts with the ceiling."""
    product, who = quiet, somebody(quiet)
    budget = cap(who, NANO, "--unknown-price-ceiling", usd(CEILING))
    known = model == "known"
    body = question(stream=True) if known else body_of(CHAT, model="model-of-nobody", stream=True)
    plan = {"chunks": 10, "chunk_delay_ms": 150, "usage": SMALL}
    call = asyncio.ensure_future(asked(who, body, call_id := new_id(), **plan))
    await asyncio.to_thread(product.until, lambda: window(product, budget)[1])
    (_, held) = window(product, budget)
    with stopped(product.pid("gateway")):
        await asyncio.to_thread(product.until, lambda: product.rows_of(call_id))
        assert window(product, budget) == (held, 0)
    assert await call == 200
    in_doubt, true_up = product.rows_of(call_id)
    assert (in_doubt["reason"], true_up["entry"]) == ("in_doubt", "true_up")
    spent = in_doubt["cost_nusd"] + true_up["cost_nusd"]
    assert spent == (SMALL_NUSD if known else 0)
    assert window(product, budget) == (spent if known else CEILING, 0)
