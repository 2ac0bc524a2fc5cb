"""The running product: `vis up` as a process, on free ports, in a data directory of its own."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import psycopg
from psycopg.rows import dict_row

from commands import vis
from kept import Kept
from visionality.postgres import read_endpoint

VIS = [sys.executable, "-m", "visionality.cli"]
PATIENCE = 60
BETWEEN = 0.01
"""Seconds between two questions, which leave the processor to what is asked."""


@dataclass
class Product:
    """One `vis up`. `summary` is the line that `--json` printed."""

    data_dir: Path
    process: subprocess.Popen[str]
    summary: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)

    @property
    def gateway(self) -> str:
        return str(self.summary["gateway"])

    @property
    def sandbox(self) -> str:
        return str(self.summary["sandbox"])

    def run(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """What a `vis` command prints; it must end with this code."""
        done = self.try_run(*words, stdin=stdin)
        assert done.returncode == code, (
            f"vis {' '.join(words)} ended with {done.returncode}: {done.stderr}{done.stdout}"
        )
        return done.stdout

    def try_run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return vis([*words, "--data-dir", str(self.data_dir)], self.environment, stdin, PATIENCE)

    def issue(self, *words: str, agent: str = "alice@arctrade", project: str = "HPC") -> str:
        """A fresh virtual key, for an agent and a project that are there, once the gateway knows it."""
        key = self.run("key", "issue", "--agent", agent, "--project", project, *words).strip()
        self.until(lambda: self.status(key) != 401)
        return key

    def status(self, key: str) -> int:
        """What the gateway answers to this key on a route that costs nothing."""
        request = urllib.request.Request(
            f"{self.gateway}/v1/models", headers={"authorization": f"Bearer {key}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def until(self, condition: Callable[[], object], within: float = 30) -> None:
        """Ask again until it is so; fails when it does not come."""
        give_up = time.monotonic() + within
        while not condition():
            assert time.monotonic() < give_up, "it did not come about in time"
            time.sleep(BETWEEN)

    def query(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows as the superuser sees them."""
        with self.kept.connection(read_endpoint(self.data_dir).dsn("vis")) as connection:
            return connection.cursor(row_factory=dict_row).execute(sql, values or None).fetchall()

    def open_the_past(self) -> None:
        """Partitions from November 2025 to today, without a gap, for rows that a test writes itself."""
        with psycopg.connect(read_endpoint(self.data_dir).dsn("vis")) as connection:
            connection.execute("set role vis_owner")
            connection.execute(
                "select vis.add_months(first, 12 * extract(year from age)::int + extract(month from age)::int)"
                " from (select date '2025-11-01' as first, age(now(), date '2025-11-01')) as past"
            )

    def rows_of(self, client_request_id: str) -> list[dict[str, Any]]:
        """The rows of a call, by the id that its client gave it."""
        return self.query(
            "select * from vis.request_logs where tags->>'client_request_id' = %s order by created_at",
            client_request_id,
        )

    def pid(self, name: str) -> int:
        """The process that is the supervisor's child of this name now."""
        if name == "supervisor":
            return self.process.pid
        if name == "postgres":
            return int((self.data_dir / "database.json").exists() and _postmaster(self.data_dir))
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                parent = (path.parent / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self.process.pid and name.encode() in words:
                    return int(path.parent.name)
        raise ProcessLookupError(name)


def _postmaster(data_dir: Path) -> int:
    record = json.loads((data_dir / "database.json").read_text())
    cluster = Path(record["cluster_dir"])
    cluster = cluster if cluster.is_absolute() else data_dir / cluster
    return int((cluster / "postmaster.pid").read_text().split()[0])


@contextmanager
def running(*options: str, **settings: str) -> Iterator[Product]:
    """Start the product and stop it as a person would. `settings` are `VIS_*` variables.

    Its first start was made before, once for all tests of a run, unless it is to begin with secrets or a database of its own.
    """
    with TemporaryDirectory(prefix="vis-") as made:
        data_dir = Path(made)
        data_dir.chmod(0o755)
        if settings.keys().isdisjoint({"key_provider", "master_key"}):
            _copy_first_start(data_dir / "data")
        with running_in(data_dir / "data", *options, **settings) as product:
            yield product


def _copy_first_start(to: Path) -> None:
    """A data directory as the first start leaves it: five seconds of work, of which a copy takes a twentieth."""
    kept = first_start()
    kept.mkdir(mode=0o755, exist_ok=True)
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "whole").exists():
            with running_in(kept / "data"):
                pass
            (kept / "whole").touch()
        subprocess.run(["cp", "-a", kept / "data", to], check=True)


def first_start() -> Path:
    """Where the tests of this run keep it: the workers of xdist are children of one process."""
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return Path(gettempdir()) / f"vis-first-start-{run}"


@contextmanager
def running_in(data_dir: Path, *options: str, **settings: str) -> Iterator[Product]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIS_")}
    environment["VIS_GATEWAY_WORKERS"] = "1"  # tests share their cores
    environment |= {f"VIS_{name.upper()}": value for name, value in settings.items()}
    ports = ["--gateway-port", "0", "--web-port", "0", "--jobs-port", "0"]
    command = [*VIS, "up", "--data-dir", str(data_dir), *ports, "--json", *options]
    with (data_dir.parent / "up.log").open("a+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait(PATIENCE)
                log.seek(0)
                raise AssertionError(f"vis up ended with {process.returncode}: {log.read()}")
            with closing(Kept()) as kept:
                yield Product(data_dir, process, json.loads(line), environment, kept)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            finally:
                assert process.stdout is not None
                process.stdout.close()


def set_up(product: Product) -> None:
    """The control tables of the first story."""
    product.run("customer", "add", "houston-power", "--name", "Houston Power")
    product.run(
        "project",
        "add",
        "HPC",
        "--name",
        "Houston Power Contract",
        "--customer",
        "houston-power",
        "--gl-code",
        "6100",
    )
    product.run("team", "add", "desk", "--cost-center", "CC-410")
    product.run("person", "add", "00u-alice", "--name", "Alice K.")
    product.run(
        "agent", "add", "alice@arctrade", "--owner", "Alice K.", "--team", "desk", "--person", "00u-alice"
    )
