"""`make bench`: run every scenario once and print the tables of docs/benchmarks.md."""

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import uvloop

from bench import packs, pages, sealing
from bench.budgets import PROCESSES, WAITING, on_one_window
from bench.caller import Caller, request
from bench.keys import claims_a_second, flooding, of_themselves
from bench.process import used
from bench.rows import measure
from visionality.postgres import read_endpoint
from visionality.postgres.access import Access
from visionality.runtime.ids import uuid7

CALLS = int(os.environ.get("BENCH_CALLS", "6000"))
FLOOD_SECONDS = 10
PACE = 50
PROMPT = "word " * 90
BLOCKING = json.dumps(
    {"model": "gpt-4o", "max_tokens": 200, "messages": [{"role": "user", "content": PROMPT}]}
).encode()
STREAMED = json.dumps(
    {"model": "gpt-4o", "max_tokens": 200, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
).encode()
VIS = [sys.executable, "-m", "visionality.cli"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One scenario: rate, latencies in ms, CPU in microseconds a call."""

    callers: int
    per_second: float
    p50: float
    p99: float
    first_event_p50: float
    first_event_p99: float
    gateway_us: float
    postgres_us: float


async def play(
    port: int,
    key: str,
    body: bytes,
    callers: int,
    calls: int,
    pids: dict[str, int],
    answered: bytes = b"HTTP/1.1 200",
    more: bytes = b"",
) -> Measured:
    """`callers` connections make `calls` calls altogether, with `more` header lines; each answer begins like `answered`."""
    loop = asyncio.get_running_loop()
    text = request(port, "/v1/chat/completions", key, body).replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n", 1)
    ends: list[float] = []
    firsts: list[float] = []

    async def one() -> None:
        _, caller = await loop.create_connection(Caller, "127.0.0.1", port)
        for _ in range(calls // callers):
            began = time.perf_counter()
            answer = await caller.call(text)
            ends.append(time.perf_counter() - began)
            if not answer.startswith(answered):
                raise RuntimeError(answer.decode(errors="replace"))
            if caller.first_event:
                firsts.append(caller.first_event - began)
        caller.close()

    before = {name: used(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(callers)))
    took = time.perf_counter() - began
    spent = {name: (used(pid).cpu_s - before[name].cpu_s) / len(ends) * 1e6 for name, pid in pids.items()}
    return Measured(
        callers,
        len(ends) / took,
        percentile(ends, 50),
        percentile(ends, 99),
        percentile(firsts, 50),
        percentile(firsts, 99),
        spent.get("gateway", 0.0),
        spent.get("postgres", 0.0),
    )


def percentile(seconds: list[float], percent: int) -> float:
    """In milliseconds; 0 without values."""
    if not seconds:
        return 0.0
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


def table(title: str, direct: list[Measured], through: list[Measured], *, streams: bool) -> None:
    print(f"\n### {title}\n")
    first = " first event p50 / p99 ms |" if streams else ""
    rule = "---:|" if streams else ""
    print(
        f"| path | callers | calls/s | p50 ms | p99 ms |{first} gateway CPU µs/call | PostgreSQL CPU µs/call |"
    )
    print(f"|---|---:|---:|---:|---:|{rule}---:|---:|")
    for name, results in (("sandbox, direct", direct), ("through the gateway", through)):
        for m in results:
            events = f" {m.first_event_p50:.2f} / {m.first_event_p99:.2f} |" if streams else ""
            cpu = f"{m.gateway_us:.0f} | {m.postgres_us:.0f}" if m.gateway_us else "– | –"
            print(
                f"| {name} | {m.callers} | {m.per_second:,.0f} | {m.p50:.2f} | {m.p99:.2f} |{events} {cpu} |"
            )
    for d, t in zip(direct, through, strict=True):
        print(
            f"\nadded at {d.callers} callers: p50 {t.p50 - d.p50:.2f} ms, p99 {t.p99 - d.p99:.2f} ms", end=""
        )
        if streams:
            print(f", first event p50 {t.first_event_p50 - d.first_event_p50:.2f} ms", end="")
    print()


async def scenarios(summary: dict[str, Any], key: str) -> None:
    gateway, sandbox = (urlsplit(str(summary[name])).port or 0 for name in ("gateway", "sandbox"))
    known: dict[str, int] = summary["pids"]
    pids = {name: known[name] for name in ("gateway", "postgres")}
    await play(gateway, key, BLOCKING, 8, 800, pids)
    for title, body, sizes, calls, streams in (
        ("Blocking calls", BLOCKING, (1, 16, 64, 256), CALLS, False),
        ("Streams of 22 events", STREAMED, (1, 16, 64), CALLS // 3, True),
    ):
        direct = [await play(sandbox, "sandbox", body, size, calls, {}) for size in sizes]
        through = [
            await play(gateway, key, body, size, calls if size > 1 else calls // 3, pids) for size in sizes
        ]
        table(title, direct, through, streams=streams)


async def budgets(summary: dict[str, Any], keys: dict[str, str]) -> None:
    """The same calls without a budget and with four, in turns; then calls that a budget refuses."""
    gateway = urlsplit(str(summary["gateway"])).port or 0
    known: dict[str, int] = summary["pids"]
    pids = {name: known[name] for name in ("gateway", "postgres")}
    print("\n### Budgets\n")
    print("| call | callers | calls/s | p50 ms | p99 ms | gateway CPU µs/call | PostgreSQL CPU µs/call |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for size in (1, 16):
        turns = [
            (name, await play(gateway, keys[name], BLOCKING, size, CALLS // 4, pids))
            for _ in range(3)
            for name in ("no budget", "four budgets")
        ]
        for name in ("no budget", "four budgets"):
            best = min((m for turn, m in turns if turn == name), key=lambda m: m.gateway_us)
            _budget_line(name, best)
    refused = await play(gateway, keys["refused"], BLOCKING, 64, CALLS * 2, pids, b"HTTP/1.1 402")
    _budget_line("refused (402)", refused)


async def receipts(summary: dict[str, Any], key: str) -> None:
    """The same calls with and without a receipt, in turns."""
    gateway = urlsplit(str(summary["gateway"])).port or 0
    known: dict[str, int] = summary["pids"]
    pids = {name: known[name] for name in ("gateway", "postgres")}
    asks = {"no receipt": b"", "with its receipt": b"x-vis-receipt: 1\r\n"}
    print("\n### Receipts\n")
    print("| call | callers | calls/s | p50 ms | p99 ms | gateway CPU µs/call | PostgreSQL CPU µs/call |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for size in (1, 16):
        turns = [
            (name, await play(gateway, key, BLOCKING, size, CALLS // 4, pids, more=more))
            for _ in range(5)
            for name, more in asks.items()
        ]
        for name in asks:
            _budget_line(name, min((m for turn, m in turns if turn == name), key=lambda m: m.gateway_us))


def _budget_line(name: str, m: Measured) -> None:
    cpu = f"{m.gateway_us:.0f} | {m.postgres_us:.0f}"
    print(f"| {name} | {m.callers} | {m.per_second:,.0f} | {m.p50:.2f} | {m.p99:.2f} | {cpu} |")


def set_budgets(data_dir: str) -> dict[str, str]:
    """Keys of two more projects: one draws on four budgets that hold, the other on one that is empty."""
    run("project", "add", "CAPPED", data_dir=data_dir)
    run("project", "add", "EMPTY", data_dir=data_dir)
    run("agent", "add", "capped@localhost", "--owner", "Bench", data_dir=data_dir)
    for scope in ("project:CAPPED", "agent:capped@localhost"):
        for period in ("day", "month"):
            run("budget", "set", scope, "--cap", f"1000000/{period}", "--hard", data_dir=data_dir)
    run("budget", "set", "project:EMPTY", "--cap", "0/month", "--hard", data_dir=data_dir)
    return {
        name: run("key", "issue", "--agent", agent, "--project", project, data_dir=data_dir)
        for name, agent, project in (
            ("four budgets", "capped@localhost", "CAPPED"),
            ("refused", "bench@localhost", "EMPTY"),
        )
    }


def hot_budget(data_dir: Path) -> None:
    """The writers of four processes on the project's monthly budget."""
    with psycopg.connect(read_endpoint(data_dir).dsn("vis")) as connection:
        found = connection.execute(
            "select org_id, window_id from vis.budget_windows where scope_value = 'CAPPED' and cap_nusd > 0 limit 1"
        ).fetchone()
    assert found is not None
    dsn = Access(data_dir, read_endpoint(data_dir), None).dsn("vis_writer")
    rate = on_one_window(dsn, data_dir, *found, CALLS // 2)
    print(
        f"\none budget under the writers of {PROCESSES} processes with {WAITING} callers each: {rate:,.0f} whole calls/s"
    )


async def keys(summary: dict[str, Any], key: str, data_dir: Path) -> None:
    """Tokens, proofs and claims; then good calls at a steady pace, alone and beside a flood of bad credentials."""
    print("\n### Keys\n")
    for name, microseconds in of_themselves().items():
        print(f"* {name}: {microseconds:.1f} µs")
    dsn = Access(data_dir, read_endpoint(data_dir), None).dsn("vis_writer")
    for waiting in (1, 16, 64):
        rate, middle = await claims_a_second(dsn, waiting, CALLS // 2)
        print(f"* replay claims, {waiting} waiting: {rate:,.0f}/s, p50 {middle:.2f} ms")
    gateway = urlsplit(str(summary["gateway"])).port or 0
    known: dict[str, int] = summary["pids"]
    print("\n| good calls, 50 a second | p50 ms | p99 ms |\n|---|---:|---:|")
    for _ in range(2):
        alone = await paced(gateway, key)
        print(f"| alone | {percentile(alone, 50):.2f} | {percentile(alone, 99):.2f} |")
        before = used(known["gateway"]).cpu_s
        flood = flooding(gateway, FLOOD_SECONDS + 1.5)
        await asyncio.sleep(1)
        beside = await paced(gateway, key)
        rate = float(flood.communicate()[0])
        cpu = (used(known["gateway"]).cpu_s - before) / FLOOD_SECONDS * 100
        name = f"beside {rate:,.0f} bad tokens a second (gateway at {cpu:.0f} % of a core)"
        print(f"| {name} | {percentile(beside, 50):.2f} | {percentile(beside, 99):.2f} |")


async def paced(port: int, key: str) -> list[float]:
    """Seconds that each of some calls at a steady pace took."""
    loop = asyncio.get_running_loop()
    text, took = request(port, "/v1/chat/completions", key, BLOCKING), []
    _, caller = await loop.create_connection(Caller, "127.0.0.1", port)
    began = time.perf_counter()
    for at in range(FLOOD_SECONDS * PACE):
        await asyncio.sleep(max(0.0, began + at / PACE - time.perf_counter()))
        sent = time.perf_counter()
        await caller.call(text)
        took.append(time.perf_counter() - sent)
    caller.close()
    return took


async def write_rows(data_dir: Path) -> None:
    """The writer of one process, fed directly."""
    dsn = Access(data_dir, read_endpoint(data_dir), None).dsn("vis_writer")
    print("\n### Rows made durable by the writer of one process\n")
    print(
        "| waiting callers | rows/s | CPU of the process, µs/row "
        "| whole calls/s (hold, then row and events) | CPU of the process, µs/call |"
    )
    print("|---:|---:|---:|---:|---:|")
    for waiting in (1, 16, 64, 256):
        done = await measure(dsn, data_dir, uuid7(), waiting, CALLS - CALLS % waiting)
        print(
            f"| {waiting} | {done.rows_per_second:,.0f} | {done.cpu_us_per_row:.0f} "
            f"| {done.calls_per_second:,.0f} | {done.cpu_us_per_call:.0f} |"
        )


async def seal_rows(data_dir: Path, jobs_pid: int) -> None:
    """The sealer alone, and jobs at a steady rate of rows."""
    alone, beside = await sealing.measure(data_dir, jobs_pid)
    print("\n### Sealing\n")
    print(
        f"* {alone.rows:,} rows that had piled up: {alone.per_second:,.0f} rows/s; "
        f"{alone.sealer_us:.1f} µs/row of the sealer, {alone.postgres_us:.1f} µs/row of PostgreSQL"
    )
    print(
        f"* at {beside.per_second:,.0f} rows/s: jobs at {beside.jobs_percent:.0f} % of a core, daily sums included; "
        f"a row under a signed head after {beside.head_p50_s:.2f} s (p50), {beside.head_max_s:.2f} s (most)"
    )


def rows(data_dir: str) -> tuple[int, int]:
    """Rows in the ledger, and the most that became durable in any one second."""
    with psycopg.connect(read_endpoint(Path(data_dir)).dsn("vis")) as connection:
        found = connection.execute(
            "select sum(n)::bigint, max(n) from (select count(*) as n from vis.request_logs group by date_trunc('second', created_at)) x"
        ).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def run(*words: str, data_dir: str) -> str:
    done = subprocess.run([*VIS, *words, "--data-dir", data_dir], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vis-bench-") as made:
        Path(made).chmod(0o755)
        data_dir = f"{made}/data"
        command = [*VIS, "up", "--json", "--workers", "1", "--data-dir", data_dir]
        command += [word for name in ("gateway", "web", "jobs") for word in (f"--{name}-port", "0")]
        up = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert up.stdout is not None
            summary = json.loads(up.stdout.readline())
            run("project", "add", "BENCH", data_dir=data_dir)
            run("agent", "add", "bench@localhost", "--owner", "Bench", data_dir=data_dir)
            key = run("key", "issue", "--agent", "bench@localhost", "--project", "BENCH", data_dir=data_dir)
            more_keys = set_budgets(data_dir)
            time.sleep(1.5)
            cpu = next(
                (
                    line.split(":")[1].strip()
                    for line in Path("/proc/cpuinfo").read_text().splitlines()
                    if "model name" in line
                ),
                "",
            )
            print(
                f"{os.cpu_count()} cores ({cpu}), Python {platform.python_version()}; caller, sandbox, gateway and PostgreSQL share them"
            )
            uvloop.run(scenarios(summary, key))
            uvloop.run(budgets(summary, {"no budget": key, **more_keys}))
            hot_budget(Path(data_dir))
            uvloop.run(receipts(summary, key))
            uvloop.run(keys(summary, key, Path(data_dir)))
            total, most = rows(data_dir)
            gateway = used(summary["pids"]["gateway"])
            print(
                f"\ncalls in the ledger: {total:,}; most in one second: {most:,}, "
                f"which is {3 * most:,} durable rows (one in request_logs, two in budget_events)"
            )
            print(f"gateway resident memory: {gateway.resident / 2**20:.0f} MiB")
            uvloop.run(write_rows(Path(data_dir)))
            uvloop.run(seal_rows(Path(data_dir), summary["pids"]["jobs"]))
            pages.measure(run, data_dir, summary)
            packs.measure(run, data_dir)
        finally:
            up.terminate()
            up.wait(60)


if __name__ == "__main__":
    main()
