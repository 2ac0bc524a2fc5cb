"""Promises L4, B1: beyond one machine. Three gateways in processes of their own share one PostgreSQL behind a pgbouncer that
pools transactions; one of them is killed under load, then the database, and nothing is lost, doubled or left held."""

import asyncio
import os
import signal
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg.rows import dict_row

from gateway.budgets import Gateway, gateways, price_house, question, said
from gateway.calls import CHAT, new_id
from pooler import SERVERS, pooled, program
from product import Product, running_in, set_up
from visionality.core.money import NANO
from visionality.postgres import Cluster, Endpoint, find_binaries
from visionality.postgres.access import access
from visionality.runtime.settings import Settings

DEBIAN = Path("/usr/lib/postgresql/15/bin")
DATABASE = "spend"
MASTER_KEY = b64encode(bytes(range(32))).decode()
CALLERS = 9
BETWEEN = 30
"""Answers of each gateway that are waited for between two blows."""
ALWAYS = ("--from", "2020-01-01", "--to", "2199-12-31")


@dataclass
class Load:
    """Callers that go round the gateways, whatever happens, in a thread of their own."""

    product: Product
    key: str
    addresses: Sequence[str]
    answered: dict[str, int] = field(default_factory=dict)
    """The status of every call that was answered to its end."""
    by_gateway: Counter[str] = field(default_factory=Counter)
    seen: list[str] = field(default_factory=list)
    stop: bool = False

    def run(self) -> None:
        asyncio.run(self._all())

    async def _all(self) -> None:
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            await asyncio.gather(*(self._caller(session, number) for number in range(CALLERS)))
            async with session.get(f"{self.product.sandbox}/sandbox/seen") as answer:
                self.seen = (await answer.json())["ids"]

    async def _caller(self, session: aiohttp.ClientSession, number: int) -> None:
        addresses = cycle(self.addresses[number % 3 :] + self.addresses[: number % 3])
        while not self.stop:
            call_id, address = new_id(), next(addresses)
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                status, is_whole = await self._call(session, address, call_id, streamed=number % 2 == 0)
                if is_whole:
                    self.answered[call_id] = status
                    self.by_gateway[address] += status == 200

    async def _call(
        self, session: aiohttp.ClientSession, address: str, call_id: str, *, streamed: bool
    ) -> tuple[int, bool]:
        headers = {"authorization": f"Bearer {self.key}", "x-client-request-id": call_id}
        headers["x-sandbox-plan"] = '{"first_delay_ms":3,"chunk_delay_ms":2,"chunks":5}'
        async with session.post(address + CHAT, data=question(stream=streamed), headers=headers) as answer:
            text = await answer.read()
            return answer.status, not streamed or answer.status != 200 or b"data: [DONE]" in text

    def more(self) -> None:
        """Wait until each gateway has answered so many more calls."""
        goal = {address: self.by_gateway[address] + BETWEEN for address in self.addresses}
        self.product.until(lambda: all(self.by_gateway[one] >= goal[one] for one in goal), within=60)


@dataclass(frozen=True)
class Place:
    """One PostgreSQL that all share, and the product that its jobs are of."""

    cluster: Cluster
    endpoint: Endpoint
    product: Product

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Rows as the superuser sees them, past the pooler."""
        with psycopg.connect(self.endpoint.dsn(DATABASE), row_factory=dict_row) as connection:
            return connection.execute(sql).fetchall()

    def kill_database(self) -> None:
        """As the machine's power would, and on again."""
        assert self.cluster.pid is not None
        os.kill(self.cluster.pid, signal.SIGKILL)
        while self.cluster.poll() is None:
            pass
        self.cluster.start()


@contextmanager
def placed(stack: ExitStack) -> Iterator[Place]:
    program()
    home = Path(stack.enter_context(TemporaryDirectory(prefix="vis-")))
    home.chmod(0o755)
    cluster = Cluster(home / "outside", find_binaries(DEBIAN if DEBIAN.exists() else None), lambda _: None)
    endpoint = cluster.start()
    stack.callback(cluster.stop)
    with psycopg.connect(endpoint.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {DATABASE}")
    url, data_dir = endpoint.dsn(DATABASE), home / "data"
    passwords = access(Settings(data_dir=data_dir, database_url=url)).passwords(["vis_writer"])
    pooler = stack.enter_context(pooled(endpoint, DATABASE, passwords))
    settings = {"master_key": MASTER_KEY, "pooler_url": pooler, "fence_after": "3", "commit_wait": "5"}
    product = stack.enter_context(running_in(data_dir, "--database-url", url, **settings))
    product.environment["VIS_DATABASE_URL"] = url
    yield Place(cluster, endpoint, product)


def play(place: Place, load: Load, three: Sequence[Gateway]) -> None:
    """Each blow falls while calls are on their way, and all three answer again before the next."""
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        load.more()
        three[0].kill()
        three[0].start()
        load.more()
        place.kill_database()
        load.more()
        three[1].kill()
        place.kill_database()
        three[1].start()
        load.more()
    finally:
        load.stop = True
        thread.join()


@dataclass(frozen=True)
class After:
    place: Place
    load: Load
    sessions: list[dict[str, Any]]


@pytest.fixture(scope="module")
def after() -> Iterator[After]:
    with ExitStack() as stack:
        place = stack.enter_context(placed(stack))
        product = place.product
        set_up(product)
        price_house(product)
        said(product, "project:HPC", 100 * NANO, "--hard", period="month")
        said(product, "agent:*", 100 * NANO, "--hard", period="total")
        said(product, "org", 100 * NANO, period="quarter")
        key = product.issue()
        three = stack.enter_context(gateways(product, 3))
        load = Load(product, key, [one.address for one in three])
        play(place, load, three)
        sessions = place.query(
            "select usename, application_name from pg_stat_activity where usename = 'vis_writer'"
        )
        product.until(lambda: place.query("select 1 from vis.budget_holds limit 1") == [], within=60)
        print(f"\n{Counter(load.answered.values())} answered, {len(load.seen)} reached the provider")
        yield After(place, load, sessions)


def test_each_gateway_answered_before_and_after_every_blow(after):
    assert min(after.load.by_gateway.values()) >= 4 * BETWEEN


def test_every_answered_call_has_exactly_one_row(after):
    """And so has each that the provider saw, answered or not."""
    found = _rows(after.place)
    load = after.load
    good = [call_id for call_id, status in load.answered.items() if status == 200]
    assert {call_id: found[call_id] for call_id in {*good, *load.seen} if found[call_id] != 1} == {}
    assert max(found.values()) == 1


def _rows(place: Place) -> Counter[str]:
    rows = place.query("select tags->>'client_request_id' as id from vis.request_logs where entry = 'call'")
    return Counter(row["id"] for row in rows)


def test_what_is_spent_of_each_budget_is_what_its_rows_cost(after):
    place = after.place
    (cost,) = place.query("select sum(cost_nusd)::bigint as nusd from vis.request_logs where cost_nusd <> 0")
    windows = place.query("select * from vis.budget_windows where window_id <> budget_id")
    assert [one["spent_nusd"] for one in windows] == [cost["nusd"]] * 3


def test_nothing_stays_held(after):
    place = after.place
    assert place.query("select 1 from vis.budget_holds") == []
    assert place.query("select 1 from vis.budget_windows where reserved_nusd <> 0") == []


@pytest.mark.parametrize("table", ["request_logs", "budget_events"])
def test_no_writer_has_a_gap_in_its_numbers(after, table):
    gaps = after.place.query(
        f"""select writer_no from vis.{table} group by 1
             having count(*) <> max(wseq) or count(distinct wseq) <> count(*) or min(wseq) <> 1"""
    )
    assert gaps == []


def test_the_proof_of_the_budgets_agrees(after):
    after.place.product.run("budget", "prove", *ALWAYS)


def test_the_gateways_share_few_sessions_of_the_server(after):
    """Four of the pooler's for all; beside them each gateway and the jobs have their own for what is of a session."""
    names = Counter(session["application_name"] for session in after.sessions)
    assert names["vis-gateway"] <= SERVERS
