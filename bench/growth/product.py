"""The products that are compared: each a whole `vis up` on a copy of one prepared data directory, so that only one thing differs."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg

from bench.pages import ORG, Visitor
from bench.peers.peer import CannotRun, Running
from bench.process import used
from visionality.postgres import read_endpoint

VIS = (sys.executable, "-m", "visionality.cli")
AGENT, PROJECT = "capped@localhost", "CAPPED"
KNOWN_WITHIN = 60.0
"""Seconds in which a gateway must know a key."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What processes take while nobody calls, in per cent of a core, and the resident bytes of the largest gateway."""

    gateway: float
    jobs: float
    web: float
    postgres: float
    resident: int


@dataclass(frozen=True, slots=True)
class Product:
    """A product that runs. `key` is of an agent and a project with four hard budgets, in the organisation of the demo."""

    data_dir: Path
    summary: dict[str, Any]
    key: str

    @property
    def running(self) -> Running:
        """How its gateway is called, and whose processor time counts to a call."""
        pids: dict[str, int] = self.summary["pids"]
        gateways = tuple(pid for name, pid in pids.items() if name.startswith("gateway"))
        port = urlsplit(str(self.summary["gateway"])).port or 0
        return Running(port, gateways, 0.0, key=self.key, database=pids["postgres"])

    def connection(self) -> psycopg.Connection[Any]:
        """As the superuser, each statement by itself."""
        return psycopg.connect(read_endpoint(self.data_dir).dsn("vis"), autocommit=True)

    def number(self, sql: LiteralString) -> int:
        with self.connection() as connection:
            found = connection.execute(sql).fetchone()
        assert found is not None
        return int(found[0])

    def vis(self, *words: str) -> str:
        return vis(self.data_dir, *words)

    def visitor(self, patience: float) -> Visitor:
        """Somebody of the demo's organisation, who waits for a page so many seconds."""
        return Visitor(self.vis("login", "--org", ORG).split()[-1], patience)

    def at_rest(self, seconds: float) -> Rest:
        pids: dict[str, int] = self.summary["pids"]
        of = {"gateway": self.running.pids, **{name: (pids[name],) for name in ("jobs", "web", "postgres")}}
        before = {name: sum(used(pid).cpu_s for pid in those) for name, those in of.items()}
        time.sleep(seconds)
        after = {name: sum(used(pid).cpu_s for pid in those) for name, those in of.items()}
        resident = max(used(pid).resident for pid in self.running.pids)
        share = {name: (after[name] - before[name]) / seconds * 100 for name in of}
        return Rest(share["gateway"], share["jobs"], share["web"], share["postgres"], resident)

    def until_known(self, key: str) -> None:
        """Wait until a gateway takes a key. Raises CannotRun."""
        asked = Request(f"{self.summary['gateway']}/v1/models", headers={"authorization": f"Bearer {key}"})
        seen, give_up = "no connection", time.monotonic() + KNOWN_WITHIN
        while time.monotonic() < give_up:
            try:
                with urlopen(asked, timeout=10) as answer:
                    if answer.status == 200:
                        return
            except OSError as error:
                seen = str(error)
            time.sleep(0.1)
        raise CannotRun(f"the gateway does not take a key: {seen}; see {self.data_dir}/logs/gateway.log")


def vis(data_dir: Path, *words: str) -> str:
    """What a `vis` command prints. Raises CannotRun."""
    command = [*VIS, *words, "--data-dir", str(data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(f"`vis {' '.join(words)}` ended with {done.returncode}: {done.stderr[-600:]}")
    return done.stdout.strip()


@contextmanager
def running(data_dir: Path, workers: int = 1, key: str = "") -> Iterator[Product]:
    """`vis up` in a data directory until the end of the block. Raises CannotRun."""
    command = [*VIS, "up", "--json", "--workers", str(workers), "--data-dir", str(data_dir)]
    command += [word for name in ("gateway", "web", "jobs") for word in (f"--{name}-port", "0")]
    with data_dir.with_suffix(".log").open("a") as log:
        up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert up.stdout is not None
        said = up.stdout.readline()
        if not said:
            told = data_dir.with_suffix(".log").read_text(errors="replace")[-600:]
            raise CannotRun(f"`vis up` ended before it was ready: {told}")
        yield Product(data_dir, json.loads(said), key)
    finally:
        up.terminate()
        up.wait(120)
        assert up.stdout is not None
        up.stdout.close()


def prepared(data_dir: Path, rows: int) -> str:
    """Make a data directory with so many rows of the demo, and one more project and agent with four budgets: the key.

    The demo's own budget of the organisation is retired, so that a call with the key draws on those four and no other.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with running(data_dir) as product:
        product.vis("demo", "load", "arctrade", "--rows", str(rows))
        for words in _decisions():
            product.vis(*words, "--org", ORG)
        return product.vis("key", "issue", "--agent", AGENT, "--project", PROJECT, "--org", ORG)


def _decisions() -> Iterator[Sequence[str]]:
    yield "budget", "remove", "org"
    yield "project", "add", PROJECT
    yield "agent", "add", AGENT, "--owner", "Bench"
    for scope in (f"project:{PROJECT}", f"agent:{AGENT}"):
        for period in ("day", "month"):
            yield "budget", "set", scope, "--cap", f"1000000/{period}", "--hard"


def copied(data_dir: Path, to: Path) -> Path:
    """A copy of a data directory in which nothing runs."""
    to.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--sparse=always", data_dir, to], check=True)
    return to
