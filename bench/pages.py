"""How long the pages take over the reference month, and what the export of all its rows takes.

Times are of one request after another on a connection that is kept, seen by the caller. The first look at a page is one that
nothing was remembered for: of each address it is told apart.
"""

import http.client
import os
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

ORG = "demo-arctrade"
TIMES = 15
PAGES = (
    "/finance",
    "/people",
    "/projects",
    "/projects/HPC",
    "/security",
    "/operations",
    "/audit",
    "/budgets",
    "/keys",
    "/queue",
    "/coverage",
    "/",
    "/?project=HPC",
    "/?task=HPC-1234",
    "/finance?by=cost-center",
    "/finance?by=gl",
    "/projects/HPC/work",
    "/projects/HPC/work?epic=HPC-1100",
    "/projects/HPC/work?task=HPC-1234",
    "/?status=402",
    "/?decision=failed",
    "/?entry=correction",
    "/?model=no-such-model",
)
SPLIT = ("project:HPC", "CC-410=33.3333333%", "CC-420:6100=66.6666667%")
"""What the tables by cost center and GL code divide: 138,000 rows, each to the nano-dollar."""

DEEP = 40
"""Pages below the newest that are leafed through before the deep one is measured."""
EXPORT = "/finance/chargeback.csv"
CATCH_UP_WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds of one page, and its bytes."""

    path: str
    first: float
    p50: float
    worst: float
    size: int


class Visitor:
    """Somebody who signed in by a link, with one connection."""

    def __init__(self, link: str, patience: float = 120.0) -> None:
        parts = urlsplit(link)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=patience)
        self._cookies: dict[str, str] = {}
        self.get(parts.path)

    def get(self, path: str) -> tuple[int, bytes]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request("GET", path, headers={"cookie": cookies})
        response = self._connection.getresponse()
        for line in response.headers.get_all("set-cookie") or []:
            name, _, rest = line.partition("=")
            self._cookies[name] = rest.partition(";")[0]
        return response.status, response.read()

    def stream(self, path: str) -> int:
        """Reads it piece by piece; returns the bytes."""
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._connection.request("GET", path, headers={"cookie": cookies})
        response = self._connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
        return sum(len(piece) for piece in iter(lambda: response.read(1 << 16), b""))

    def timed(self, path: str) -> Timed:
        took = []
        for _ in range(TIMES + 1):
            began = time.perf_counter()
            status, body = self.get(path)
            took.append((time.perf_counter() - began) * 1000)
            if status != 200:
                raise RuntimeError(f"{path}: {status}")
        return Timed(path, took[0], statistics.median(took[1:]), max(took[1:]), len(body))


def measure(run: Callable[..., str], data_dir: str, summary: dict[str, Any]) -> None:
    """Load the reference month into a running product and print the table. `run` runs a `vis` command."""
    began = time.monotonic()
    run("demo", "load", "arctrade", data_dir=data_dir)
    loaded = time.monotonic() - began
    wait_for_the_rollup(summary["jobs"])
    caught_up = time.monotonic() - began
    scope, *parts = SPLIT
    splits = [word for part in parts for word in ("--split", part)]
    run("allocation", "set", scope, *splits, "--from", "2000-01-01", "--org", ORG, data_dir=data_dir)
    began = time.monotonic()
    run("rollup", "rebuild", data_dir=data_dir)
    wait_for_the_rollup(summary["jobs"])
    rebuilt = time.monotonic() - began
    visitor = Visitor(run("login", "--org", ORG, data_dir=data_dir).split()[-1])
    timed = [visitor.timed(path) for path in PAGES]
    timed.append(visitor.timed(_deep(visitor)))
    print("\n### Pages over the reference month (487,000 rows)\n")
    print("| page | first ms | p50 ms | worst ms | kB |\n|---|---:|---:|---:|---:|")
    for one in timed:
        path = "/?before=…" if "before=" in one.path else one.path
        print(f"| `{path}` | {one.first:.1f} | {one.p50:.1f} | {one.worst:.1f} | {one.size / 1000:.0f} |")
    with peak(summary["pids"]["web"]) as seen:
        started = time.perf_counter()
        size = visitor.stream(EXPORT)
        took = time.perf_counter() - started
    before, most = seen()
    print(
        f"\n`vis demo load arctrade`: {loaded:.1f} s; after {caught_up:.1f} s all of it was in the daily sums; "
        f"`vis rollup rebuild`: {rebuilt:.1f} s"
    )
    print(
        f"chargeback CSV of the month, {size / 1e6:.0f} MB: {took:.2f} s; "
        f"web process {before} MiB before it, {most} MiB at most while it ran"
    )


def wait_for_the_rollup(jobs: str) -> None:
    """Until a second has brought no more rows into the daily sums."""
    give_up, rows = time.monotonic() + CATCH_UP_WITHIN, -1
    while (now := _rolled(jobs)) != rows:
        if time.monotonic() > give_up:
            raise RuntimeError(f"the daily sums do not catch up: {now} rows are in")
        rows = now
        time.sleep(2)


def _rolled(jobs: str) -> int:
    with urlopen(f"{jobs}/metrics") as answer:
        found = re.search(rb"^visionality_rollup_rows_total (\d+)", answer.read(), re.MULTILINE)
    return int(found[1]) if found else 0


@contextmanager
def peak(pid: int) -> Iterator[Callable[[], tuple[int, int]]]:
    """Watches a process's resident memory: what it was before and at most, MiB."""

    def resident() -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20

    before, most, ended = resident(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            most[0] = max(most[0], resident())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield lambda: (before, most[0])
    finally:
        ended.set()
        watching.join()


def _deep(visitor: Visitor) -> str:
    """The address of a page of the ledger far below the newest."""
    path = "/"
    for _ in range(DEEP):
        found = re.search(rb'href="([^"]+)" rel="next"', visitor.get(path)[1])
        if found is None:
            break
        path = unescape(found[1].decode())
    return path
