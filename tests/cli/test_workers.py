"""Gateway workers: some processes behind one port, renewed without a dropped stream, each a writer of its own (L4, B1)."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.budgets import (
    WORST,
    Spender,
    at_worst,
    cap,
    check_books,
    price_house,
    spender,
    window,
)
from gateway.calls import CHAT, MESSAGES, Caller, ask, body_of, new_id, opened
from product import PATIENCE, VIS, Product, running, set_up

WORKERS = 2


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with running("--workers", str(WORKERS), fence_after="3") as product:
        set_up(product)
        price_house(product)
        yield product


@pytest.fixture(scope="module")
def caller(product) -> Spender:
    who = spender(product, agent="alice@arctrade", project="HPC")
    both(product, who)
    return who


def workers(product: Product) -> set[int]:
    """The gateway processes that the supervisor has now."""
    found = set()
    for child in psutil.Process(product.process.pid).children():
        with suppress(psutil.Error):
            if "gateway" in child.cmdline():
                found.add(child.pid)
    return found


def renew(product: Product) -> None:
    product.process.send_signal(signal.SIGHUP)


def is_renewed(product: Product, before: set[int]) -> bool:
    now = workers(product)
    return len(now) == WORKERS and not now & before


@contextmanager
def kept(address: str) -> Iterator[HTTPConnection]:
    where = urlsplit(address)
    connection = HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
    try:
        yield connection
    finally:
        connection.close()


def writers_of(product: Product, key: str) -> set[int]:
    rows = product.query("select distinct writer_no from vis.request_logs where key_id = %s", key)
    return {row["writer_no"] for row in rows}


def both(product: Product, caller: Spender) -> None:
    """Call, on a connection each time, until every worker has answered this key."""
    product.until(
        lambda: (
            caller.post(CHAT, new_id()).status == 200 and len(writers_of(product, caller.key_id)) >= WORKERS
        )
    )


def all_know_of_it(caller: Spender) -> bool:
    """Whether each worker has decided something for this key by what was set last."""
    caller.product.status(caller.key)
    found = caller.product.query(
        """select distinct l.writer_no from vis.request_logs l join vis.org_revisions r using (org_id)
            where l.key_id = %s and l.policy_revision >= r.revision""",
        caller.key_id,
    )
    return len(found) == WORKERS


def test_each_worker_is_a_process_and_a_writer_of_its_own(product, caller):
    told = {pid for name, pid in product.summary["pids"].items() if name.startswith("gateway")}
    assert told == workers(product)
    assert len(told) == WORKERS
    assert len(writers_of(product, caller.key_id)) == WORKERS


def test_a_worker_keeps_nothing_of_what_it_was_checked_with_before_it_served(product):
    """The driver of those checks, with a TLS library of its own, would be a tenth of its memory."""
    for pid in workers(product):
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert "asyncpg" in mapped
        assert "psycopg" not in mapped


def test_a_budget_over_all_workers_is_exact(product):
    who = spender(product, agent="alice@arctrade", project="HPC")
    passes = 10
    budget = cap(who, passes * WORST)
    product.until(lambda: all_know_of_it(who))
    with ThreadPoolExecutor(8) as pool:
        statuses = [reply.status for reply in pool.map(lambda _: at_worst(who), range(4 * passes))]
    assert statuses.count(200) == passes
    assert statuses.count(402) == 3 * passes
    product.until(lambda: at_worst(who).status == 402 and len(writers_of(product, who.key_id)) == WORKERS)
    assert window(product, budget) == (passes * WORST, 0)
    check_books(product)


def test_a_rate_limit_counts_the_calls_of_all_workers_and_one_connection_has_all_of_it(product):
    product.run("project", "add", "slow")
    for several in (False, True):
        who = spender(product, agent="alice@arctrade", project="slow")
        product.run("limit", "set", f"key:{who.key_id}", "--requests-per-minute", "6")
        product.until(lambda who=who: all_know_of_it(who))
        with ExitStack() as stack:
            ways = [stack.enter_context(kept(product.gateway)) for _ in range(2 if several else 1)]
            statuses = []
            for number in range(10):
                way = ways[number % len(ways)]
                way.request("POST", CHAT, body_of(CHAT), dict(who.headers(CHAT, new_id())))
                with way.getresponse() as answer:
                    answer.read()
                    statuses.append(answer.status)
        assert statuses == [200] * 6 + [429] * 4


def test_connections_that_are_kept_are_spread_over_the_workers(product):
    with ExitStack() as stack:
        for _ in range(24):
            connection = stack.enter_context(kept(product.gateway))
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b"ok\n"
        port = urlsplit(product.gateway).port
        held = [
            sum(
                one.status == "ESTABLISHED" and one.laddr.port == port
                for one in psutil.Process(pid).net_connections()
            )
            for pid in workers(product)
        ]
    assert sum(held) >= 24
    assert min(held) >= 6


def test_streams_that_are_open_when_the_workers_are_renewed_end_whole_and_every_call_has_its_row(
    product, caller
):
    before = workers(product)
    streamed = [new_id() for _ in range(6)]
    begun = threading.Barrier(len(streamed) + 1)

    def stream(call_id: str) -> bytes:
        headers = caller.headers(MESSAGES, call_id, chunks=40, chunk_delay_ms=100)
        body = body_of(MESSAGES, stream=True)
        with opened(product.gateway, "POST", MESSAGES, headers, body) as answer:
            first = answer.read1()
            begun.wait(PATIENCE)
            return first + answer.read()

    done = threading.Event()
    asked: list[tuple[str, int]] = []

    def ask_on() -> None:
        """One client after another on kept connections, as SDKs have them; it comes back when it is told to leave."""
        while not done.is_set():
            with kept(product.gateway) as connection:
                while not done.is_set():
                    call_id = new_id()
                    connection.request("POST", CHAT, body_of(CHAT), dict(caller.headers(CHAT, call_id)))
                    with connection.getresponse() as answer:
                        answer.read()
                        asked.append((call_id, answer.status))
                        if answer.will_close:
                            break

    with ThreadPoolExecutor(len(streamed) + 2) as pool:
        answers = [pool.submit(stream, call_id) for call_id in streamed]
        others = [pool.submit(ask_on) for _ in range(2)]
        begun.wait(PATIENCE)
        renew(product)
        product.until(lambda: is_renewed(product, before))
        done.set()
        for other in others:
            other.result()
        for answer in answers:
            assert b'"message_stop"' in answer.result()
    assert {status for _, status in asked} == {200}
    for call_id in streamed:
        row = caller.row(call_id)
        assert (row["usage_source"], row["output_tokens"]) == ("provider_final", 40)
    found = product.query(
        "select count(*) as n from vis.request_logs where tags->>'client_request_id' = any(%s) and decision = 'allowed'",
        [call_id for call_id, _ in asked],
    )
    assert found == [{"n": len(asked)}]
    assert all(not psutil.pid_exists(pid) for pid in before)
    assert "killed" not in (product.data_dir.parent / "up.log").read_text()


def test_a_worker_that_is_killed_leaves_the_port_to_the_others_and_its_calls_are_settled(product, caller):
    before = workers(product)
    call_ids = [new_id() for _ in range(8)]
    begun = threading.Barrier(len(call_ids) + 1)

    def stream(call_id: str) -> bool:
        headers = caller.headers(MESSAGES, call_id, chunks=30, chunk_delay_ms=100)
        body = body_of(MESSAGES, stream=True)
        with opened(product.gateway, "POST", MESSAGES, headers, body) as answer:
            answer.read1()
            begun.wait(PATIENCE)
            with suppress(Exception):
                return b'"message_stop"' in answer.read()
        return False

    with ThreadPoolExecutor(len(call_ids)) as pool:
        answers = [pool.submit(stream, call_id) for call_id in call_ids]
        begun.wait(PATIENCE)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        assert [caller.post(CHAT, new_id()).status for _ in range(10)] == [200] * 10
        whole = {call_id for call_id, answer in zip(call_ids, answers, strict=True) if answer.result()}
    product.until(lambda: len(workers(product)) == WORKERS and victim not in workers(product))
    product.until(lambda: all(len(product.rows_of(call_id)) == 1 for call_id in call_ids))
    for call_id in call_ids:
        (row,) = product.rows_of(call_id)
        assert (row["reason"] == "in_doubt") == (call_id not in whole)
    check_books(product)
    writers = product.query(
        "select writer_no, count(*) <> max(wseq) as gap from vis.request_logs group by writer_no"
    )
    assert not any(writer["gap"] for writer in writers)


def test_a_renewal_that_is_asked_for_amid_another_comes_after_it(product, caller):
    log = product.data_dir.parent / "up.log"
    before, renewed = workers(product), log.read_text().count("every gateway worker is a new one")
    renew(product)
    product.until(lambda: workers(product) - before)
    renew(product)
    product.until(lambda: log.read_text().count("every gateway worker is a new one") == renewed + 2)
    product.until(lambda: is_renewed(product, before))
    assert caller.post(CHAT, new_id()).status == 200


def test_metrics_tell_of_every_worker_whichever_is_asked(product, caller):
    both(product, caller)

    def counted() -> dict[str, int]:
        told = ask(product.gateway, "GET", "/metrics", []).body.decode()
        calls: dict[str, int] = {}
        ready = set()
        for family in text_string_to_metric_families(told):
            for sample in family.samples:
                worker = sample.labels["worker"]
                if sample.name == "visionality_calls_total":
                    calls[worker] = calls.get(worker, 0) + int(sample.value)
                elif sample.name == "visionality_ready" and sample.value == 1:
                    ready.add(int(worker))
        assert told.count("# TYPE visionality_calls_total counter") == 1
        return calls if ready == workers(product) else {}

    before = {}
    product.until(lambda: before.update(counted()) or before)
    for _ in range(12):
        assert caller.post(CHAT, new_id()).status == 200
    product.until(lambda: sum(counted().values()) == sum(before.values()) + 12)


def test_workers_without_the_supervisor_of_a_whole_product_are_renewed_and_stop_as_well(product, caller):
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    words = ["gateway", "--data-dir", str(product.data_dir), "--gateway-port", str(port), "--workers", "2"]
    words += ["--sandbox-url", product.sandbox]
    with subprocess.Popen(
        [*VIS, *words], stderr=subprocess.PIPE, text=True, env=product.environment
    ) as alone:
        assert alone.stderr is not None
        address = f"http://127.0.0.1:{port}"
        while "2 gateway workers are ready" not in (line := alone.stderr.readline()):
            assert line
        before = {child.pid for child in psutil.Process(alone.pid).children()}
        assert len(before) == 2
        here = Caller(
            replace(product, process=alone, summary={**product.summary, "gateway": address}), caller.key
        )
        assert here.post(CHAT, new_id()).status == 200
        alone.send_signal(signal.SIGHUP)
        while "every gateway worker is a new one" not in (line := alone.stderr.readline()):
            assert line
        after = {child.pid for child in psutil.Process(alone.pid).children()}
        assert len(after) == 2
        assert not after & before
        assert here.post(CHAT, new_id()).status == 200
        alone.send_signal(signal.SIGTERM)
        _, said = alone.communicate(timeout=PATIENCE)
    assert alone.returncode == 0, said
    assert "Traceback" not in said
    assert not any(psutil.pid_exists(pid) for pid in after)
