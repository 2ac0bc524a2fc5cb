"""This product with everything on: a signed token, four hard budgets, attribution, rows durable in PostgreSQL."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import psycopg

from bench.peers.peer import CannotRun, Peer, Running, until_it_answers
from bench.process import tree
from visionality.postgres import read_endpoint

VIS = [sys.executable, "-m", "visionality.cli"]
AGENT = "bench@localhost"
BUDGETS = (
    ("org", "month"),
    ("project:BENCH", "month"),
    (f"agent:{AGENT}", "day"),
    (f"agent:{AGENT}", "month"),
)
HEADERS = b"x-vis-task-class: chat\r\nx-vis-branch: BENCH-1-faster\r\n"
STARTS_WITHIN = 30.0
COMMITS = 300


def install(_: Path) -> str:
    return version("visionality")


@contextmanager
def start(_: Path, scratch: Path, upstream: int) -> Iterator[Running]:
    scratch.chmod(0o755)
    data_dir = scratch / "data"
    command = [*VIS, "up", "--json", "--no-sandbox", "--workers", "1", "--data-dir", str(data_dir)]
    command += [word for name in ("gateway", "web", "jobs") for word in (f"--{name}-port", "0")]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert up.stdout is not None
        said = up.stdout.readline()
        if not said:
            raise CannotRun("`vis up` ended before it was ready")
        summary = json.loads(said)
        key = _everything_on(str(data_dir), upstream)
        port = urlsplit(summary["gateway"]).port or 0
        running = Running(port, (), 0.0, key=key, headers=HEADERS, database=summary["pids"]["postgres"])
        log = data_dir / "logs/gateway.log"
        until_it_answers(running, lambda: up.poll() is None, log)
        took = _worker_again(summary["gateway"], up.pid)
        until_it_answers(running, lambda: up.poll() is None, log)
        workers = tuple(_workers(up.pid))
        yield replace(running, pids=workers, started_s=took, commit_ms=_durable_commit_ms(data_dir))
        print(_in_the_ledger(data_dir), flush=True)
    finally:
        up.terminate()
        up.wait(60)


def _everything_on(data_dir: str, upstream: int) -> str:
    """A provider at the upstream, four budgets, and a signed token that is bound to agent, project and task."""
    _run(
        *("provider", "add", "openai", "--key-env", "BENCH_PROVIDER_KEY"),
        *("--base-url", f"http://127.0.0.1:{upstream}/v1"),
        data_dir=data_dir,
    )
    _run("project", "add", "BENCH", data_dir=data_dir)
    _run("agent", "add", AGENT, "--owner", "Bench", data_dir=data_dir)
    for scope, period in BUDGETS:
        _run("budget", "set", scope, "--cap", f"1000000/{period}", "--hard", data_dir=data_dir)
    words = ("--agent", AGENT, "--project", "BENCH", "--task", "BENCH-1", "--envelope", "--json")
    token: str = json.loads(_run("key", "issue", *words, data_dir=data_dir))["envelope"]
    return token


def _run(*words: str, data_dir: str) -> str:
    environment = os.environ | {"BENCH_PROVIDER_KEY": "bench"}
    done = subprocess.run(
        [*VIS, *words, "--data-dir", data_dir], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise CannotRun(f"vis {' '.join(words[:2])}: {done.stderr[-600:]}")
    return done.stdout.strip()


def _in_the_ledger(data_dir: Path) -> str:
    """How many rows there are, and how many of them everything is on."""
    with psycopg.connect(read_endpoint(data_dir).dsn("vis")) as connection:
        found = connection.execute(
            "select count(*), count(*) filter (where project_id = 'BENCH' and task_id = 'BENCH-1' and cost_nusd > 0),"
            " (select count(*) from vis.budget_events where kind = 'settle' and cardinality(windows) = 4)"
            " from vis.request_logs"
        ).fetchone()
    assert found is not None
    return f"* Visionality's ledger: {found[0]:,} rows, {found[1]:,} of them attributed and priced, {found[2]:,} settled in four budgets"


def _durable_commit_ms(data_dir: Path) -> tuple[float, float]:
    """p50 and p99 of the smallest transaction that must be on disk before it is answered, one after another."""
    took = []
    with psycopg.connect(read_endpoint(data_dir).dsn("vis"), autocommit=True) as connection:
        for _ in range(COMMITS):
            began = time.perf_counter()
            connection.execute("select pg_logical_emit_message(true, 'bench', 'a row')")
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def _workers(supervisor: int) -> list[int]:
    """The gateway's processes under the supervisor."""
    return [pid for pid in tree(supervisor) if _words(pid)[-2:] == [b"visionality.cli", b"gateway"]]


def _words(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return []


def _worker_again(gateway: str, supervisor: int) -> float:
    """Seconds from the killing of the gateway's processes until one started in their place says that it is ready."""
    killed = _workers(supervisor)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    began = time.perf_counter()
    while time.perf_counter() - began < STARTS_WITHIN:
        try:
            with urlopen(f"{gateway}/readyz", timeout=5) as answer:
                if answer.status == 200 and not set(killed) & set(_workers(supervisor)):
                    return time.perf_counter() - began
        except OSError:
            time.sleep(0.01)
    raise CannotRun(f"the gateway was not ready again within {STARTS_WITHIN:g} s")


VISIONALITY = Peer(
    "Visionality", "signed token, four budgets, attribution, durable priced rows", install, start
)
