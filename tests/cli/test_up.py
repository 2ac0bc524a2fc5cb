"""`vis up` from its one line to its last process, and the same processes alone."""

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest

from gateway.calls import MESSAGES, Caller, body_of, new_id, opened
from product import PATIENCE, VIS, Product, running_in

CHILDREN = ["gateway", "web", "jobs", "sandbox"]


@pytest.fixture(scope="module")
def key(product) -> str:
    return product.issue()


def answers(address: str) -> bool:
    with suppress(URLError, ConnectionError), urlopen(f"{address}/readyz", timeout=PATIENCE) as answer:
        return bool(answer.status == 200)
    return False


@contextmanager
def place() -> Iterator[Path]:
    with TemporaryDirectory(prefix="vis-") as made:
        Path(made).chmod(0o755)
        yield Path(made) / "data"


def test_ready_is_said_in_one_line_of_json(product):
    assert {*CHILDREN, "pids", "data_dir", "login"} == set(product.summary)
    assert set(product.summary["pids"]) == {*CHILDREN, "supervisor", "postgres"}
    assert all(psutil.pid_exists(pid) for pid in product.summary["pids"].values())
    more, _, _ = select.select([product.process.stdout], [], [], 0)
    assert more == []


@pytest.mark.parametrize("name", ["jobs", "web", "sandbox", "gateway"])
def test_a_process_that_dies_is_started_again_at_its_address(product, key, name):
    before = product.pid(name)
    os.kill(before, signal.SIGKILL)

    def is_back() -> bool:
        with suppress(ProcessLookupError):
            return product.pid(name) != before and is_ready(product, name)
        return False

    product.until(is_back)
    assert Caller(product, key).post(MESSAGES, new_id()).status == 200


def is_ready(product: Product, name: str) -> bool:
    health = "/sandbox/health" if name == "sandbox" else "/readyz"
    with (
        suppress(URLError, ConnectionError),
        urlopen(product.summary[name] + health, timeout=PATIENCE) as answer,
    ):
        return bool(answer.status == 200)
    return False


def test_a_stop_lets_open_streams_end_and_leaves_nothing_behind():
    with place() as data_dir:
        call_id = new_id()
        with running_in(data_dir) as product:
            product.run("project", "add", "HPC")
            product.run("agent", "add", "alice@arctrade", "--owner", "Alice K.")
            caller = Caller(product, product.issue())
            check_stop(product, signal.SIGTERM, lambda: stream_through_the_stop(caller, call_id))
        with running_in(data_dir) as product:
            (row,) = product.rows_of(call_id)
            assert (row["usage_source"], row["output_tokens"], row["finish"]) == (
                "provider_final",
                8,
                "end_turn",
            )
            assert product.query("select 1 from vis.budget_holds") == []
            check_stop(product, signal.SIGINT, lambda: product.process.send_signal(signal.SIGINT))


def stream_through_the_stop(caller: Caller, call_id: str) -> None:
    headers = caller.headers(MESSAGES, call_id, chunks=8, chunk_delay_ms=100)
    with opened(caller.product.gateway, "POST", MESSAGES, headers, body_of(MESSAGES, stream=True)) as answer:
        assert answer.read1()
        caller.product.process.send_signal(signal.SIGTERM)
        assert b'"message_stop"' in answer.read()


def check_stop(product: Product, number: signal.Signals, stop: Callable[[], None]) -> None:
    pids = [*product.summary["pids"].values()]
    everybody = {pid for parent in pids for pid in [parent, *descendants(parent)]}
    stop()
    assert product.process.wait(PATIENCE) == 0, number
    assert [pid for pid in everybody if psutil.pid_exists(pid)] == []
    for name in CHILDREN:
        with socket.create_server(("127.0.0.1", urlsplit(product.summary[name]).port)):
            pass
    assert not (product.data_dir / "addresses.json").exists()
    assert "killed" not in (product.data_dir.parent / "up.log").read_text()


def descendants(pid: int) -> list[int]:
    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def alone(product: Product, name: str, *options: str) -> Iterator[str]:
    """One process of the product by itself, against the database of the running one. Gives its address."""
    port = free_port()
    words = [*VIS, name, f"--{name}-port", str(port), "--data-dir", str(product.data_dir), *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=product.environment) as process:
        address = f"http://127.0.0.1:{port}"
        product.until(lambda: answers(address) or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        yield address
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode in {0, -signal.SIGTERM}, said
    assert "Traceback" not in said


def test_the_gateway_alone_serves_the_same_ledger(product, key):
    with alone(product, "gateway", "--sandbox-url", product.sandbox) as address:
        beside = replace(product, summary=product.summary | {"gateway": address})
        caller = Caller(beside, key)
        call_id = new_id()
        beside.until(lambda: beside.status(caller.key) == 200)
        assert caller.post(MESSAGES, call_id).status == 200
        row = caller.row(call_id)
    (other,) = product.query("select writer_no from vis.writers where process = 'gateway' order by 1 limit 1")
    assert row["writer_no"] != other["writer_no"]
    assert row["provider"] == "sandbox"


@pytest.mark.parametrize("name", ["web", "jobs"])
def test_the_others_alone_are_ready_and_stop(product, name):
    with alone(product, name) as address:
        assert answers(address)


def test_a_process_alone_names_what_it_lacks(product, tmp_path):
    words = [*VIS, "gateway", "--data-dir", str(tmp_path / "none"), "--gateway-port", "0"]
    done = subprocess.run(
        words, capture_output=True, text=True, env=product.environment, timeout=PATIENCE, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert json.dumps(done.stdout) == '""'
