"""An hour of mixed load at a moderate fixed rate: `make soak`, SOAK_MINUTES=60, SOAK_RATE=20 calls a second.

JSON calls, streams, streams that their client leaves, errors of the provider, answers that break off, bad keys and calls
that a budget refuses, against the whole product with the sandbox as its provider. Every minute one line. It ends with 1
when an answered call has no row, a row is there twice, a hold stays open, or the memory of a process grew by more
than 5 % between minute 10 and the end (in a shorter run from a quarter of it on, of which only the figures are told).
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from bench.process import used
from product import Product, running, set_up

MINUTES = float(os.environ.get("SOAK_MINUTES", "60"))
RATE = float(os.environ.get("SOAK_RATE", "20"))
SETTLED = 10.0
"""Minutes after which a process has grown to its size."""
GROWTH = 0.05
WITHIN = 30.0
PATIENCE = 60.0
"""Seconds for the last rows to be durable and the last holds to be given back."""
PROCESSES = ("gateway", "web", "jobs")
ASKED = b'{"model":"gpt-4o","max_tokens":64,"messages":[{"role":"user","content":"one two three"}]}'
STREAMED = ASKED[:-1] + b',"stream":true}'

KINDS = {
    "json": (ASKED, {}, {200}),
    "json_too": (ASKED, {}, {200}),
    "stream": (STREAMED, {"chunks": 20, "chunk_delay_ms": 10}, {200}),
    "abort": (STREAMED, {"chunks": 50, "chunk_delay_ms": 20}, {200}),
    "upstream_500": (ASKED, {"status": 500}, {500}),
    "upstream_429": (ASKED, {"status": 429}, {429}),
    "garbage": (ASKED, {"garbage": True}, {200, 502}),
    "breaks": (STREAMED, {"break_after_chunks": 3}, {200, 502}),
    "bad_key": (ASKED, {}, {401}),
    "refused": (ASKED, {}, {402}),
}
"""What is sent, what the sandbox is told to do, and the statuses that are then right."""


class Load:
    """Calls at a fixed rate, whatever the answers take. `expected` are the ids of calls that must have a row."""

    def __init__(self, product: Product, keys: dict[str, str]) -> None:
        self._port = int(product.gateway.rsplit(":", 1)[1])
        self._keys = keys
        self._running: set[asyncio.Task[None]] = set()
        self.calls: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.expected: set[str] = set()

    async def run(self, until: float) -> None:
        kinds, began, sent = list(KINDS), time.monotonic(), 0
        while (now := time.monotonic()) < until:
            while sent < (now - began) * RATE:
                task = asyncio.create_task(self._call(kinds[sent % len(kinds)]))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                sent += 1
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(*self._running)

    async def _call(self, kind: str) -> None:
        self.calls[kind] += 1
        try:
            async with asyncio.timeout(WITHIN):
                status = await self._answered(kind)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            self.unexpected[f"{kind}: {type(error).__name__}"] += 1
            return
        if status not in KINDS[kind][2]:
            self.unexpected[f"{kind}: {status}"] += 1

    async def _answered(self, kind: str) -> int:
        """The status, once the answer is read, or its first event where the client leaves."""
        body, plan, _ = KINDS[kind]
        call_id = str(uuid4())
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(self._request(kind, call_id, body, plan))
            status = int((await reader.readline()).split()[1])
            if kind not in {"bad_key", "refused"}:  # repeated refusals share a row, strangers have none
                self.expected.add(call_id)
            if kind == "abort":
                await reader.readuntil(b"data:")
            else:
                while await reader.read(65536):
                    pass
        finally:
            writer.close()
        return status

    def _request(self, kind: str, call_id: str, body: bytes, plan: dict[str, object]) -> bytes:
        key = {"bad_key": "vis_nobody", "refused": self._keys["capped"]}.get(kind, self._keys["open"])
        planned = f"x-sandbox-plan: {json.dumps(plan)}\r\n" if plan else ""
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
            f"content-type: application/json\r\nx-client-request-id: {call_id}\r\n{planned}"
            f"connection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode() + body


def memory(product: Product) -> dict[str, int]:
    """Resident bytes by process."""
    return {name: used(product.pid(name)).resident for name in PROCESSES}


async def watch(product: Product, load: Load, began: float, seen: list[tuple[float, dict[str, int]]]) -> None:
    """One line a minute, for ever; in a run of less than ten minutes too."""
    minute = 0
    while True:
        minute += 1
        await asyncio.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        resident = await asyncio.to_thread(memory, product)
        seen.append(((time.monotonic() - began) / 60, resident))
        told = "  ".join(f"{name} {size / 1e6:6.1f} MB" for name, size in resident.items())
        print(
            f"minute {minute:3}  calls {load.calls.total():7}  unexpected {load.unexpected.total():3}  {told}",
            flush=True,
        )


async def soak(product: Product, load: Load, seen: list[tuple[float, dict[str, int]]]) -> None:
    began = time.monotonic()
    watching = asyncio.create_task(watch(product, load, began, seen))
    await load.run(began + 60 * MINUTES)
    watching.cancel()
    seen.append((MINUTES, memory(product)))


def lost(product: Product, load: Load) -> list[str]:
    """What the ledger lacks, has twice or still holds, as sentences."""
    rows: Counter[str] = Counter()
    holds = -1
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        rows = Counter(
            row["id"]
            for row in product.query(
                "select tags->>'client_request_id' as id from vis.request_logs where entry = 'call'"
            )
        )
        # the rest of an estimate stands for fifteen minutes by design and has no draft
        holds = product.query("select count(*) as n from vis.budget_holds where draft is not null")[0]["n"]
        if not holds and load.expected <= rows.keys():
            break
        time.sleep(0.5)
    missing = load.expected - rows.keys()
    twice = [one for one in load.expected if rows[one] > 1]
    print(
        f"answered calls {len(load.expected)}, of them with a row {len(load.expected) - len(missing)}, open holds {holds}"
    )
    return [
        *([f"{len(missing)} answered calls have no row"] if missing else []),
        *([f"{len(twice)} calls have more than one row"] if twice else []),
        *([f"{holds} holds are open"] if holds else []),
    ]


def grown(seen: list[tuple[float, dict[str, int]]]) -> list[str]:
    """Which processes grew too much since they had settled."""
    since = SETTLED if MINUTES > SETTLED else MINUTES / 4
    start = next(resident for minute, resident in seen if minute >= since)
    end, found = seen[-1][1], []
    for name in PROCESSES:
        growth = end[name] / start[name] - 1
        print(
            f"{name}: {start[name] / 1e6:.1f} MB at minute {since:g}, {end[name] / 1e6:.1f} MB at the end, {growth:+.1%}"
        )
        if growth > GROWTH and MINUTES > SETTLED:
            found.append(f"{name} grew by {growth:.1%}")
    return found


def main() -> int:
    print(f"soak: {MINUTES:g} minutes at {RATE:g} calls a second; the provider is SIMULATED", flush=True)
    with running() as product:
        set_up(product)
        keys = {"open": product.issue(), "capped": product.issue("--cap", "0.000001/month")}
        load = Load(product, keys)
        seen: list[tuple[float, dict[str, int]]] = []
        asyncio.run(soak(product, load, seen))
        faults = lost(product, load) + grown(seen)
    print("  ".join(f"{kind} {count}" for kind, count in load.calls.items()))
    faults += [f"{count} times {what}" for what, count in load.unexpected.items()]
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
