"""The calls that every peer gets, and what they cost it."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.caller import Caller
from bench.peers.peer import MODEL, Running
from bench.peers.upstream import END, SLOW
from bench.process import used

PROMPT = "word " * 90
GIVES_UP_AFTER = 20.0
PAUSE = 0.01
"""After a failed call, so that a peer that is gone is not counted a million times."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is called, by how many at once, for how many seconds a round; a good answer holds `sign`."""

    name: str
    body: bytes
    callers: int
    seconds: float
    sign: bytes


def _body(prompt: str, **more: object) -> bytes:
    return json.dumps(
        {
            "model": MODEL.decode(),
            "max_tokens": 200,
            **more,
            "messages": [{"role": "user", "content": prompt}],
        }
    ).encode()


WHOLE = Scenario("JSON", _body(PROMPT), 16, 0.8, b"An answer of one kilobyte")
PACED = Scenario("stream", _body(PROMPT, stream=True), 16, 2.0, END)
WAITING = Scenario("50 ms", _body(PROMPT + SLOW.decode()), 64, 1.5, b"An answer of one kilobyte")


@dataclass(slots=True)
class Seen:
    """Of one scenario: seconds that calls and first events took, calls that failed, CPU of peer and database a call."""

    took: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    failed: int = 0
    seconds: float = 0.0
    cpu_us: float = 0.0
    database_us: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.took) / self.seconds

    @property
    def p50_ms(self) -> float:
        return _percentile(self.took, 50)

    @property
    def p99_ms(self) -> float:
        return _percentile(self.took, 99)

    @property
    def first_ms(self) -> float:
        return _percentile(self.firsts, 50)


async def least(running: Running, scenario: Scenario, rounds: int) -> Seen:
    """The round that took the least CPU a call, with the failures of all of them."""
    seen = [await play(running, scenario, scenario.seconds) for _ in range(rounds)]
    best = min(seen, key=lambda one: (not one.took, one.cpu_us))
    best.failed = sum(one.failed for one in seen)
    return best


async def play(running: Running, scenario: Scenario, seconds: float) -> Seen:
    """Each caller has its own connection and calls again as soon as it is answered, until the time is over."""
    seen, text = Seen(), running.text(scenario.body)
    loop = asyncio.get_running_loop()
    began = time.perf_counter()

    async def one() -> None:
        caller: Caller | None = None
        while time.perf_counter() - began < seconds:
            try:
                if caller is None:
                    _, caller = await loop.create_connection(Caller, "127.0.0.1", running.port)
                asked = time.perf_counter()
                answer = await asyncio.wait_for(caller.call(text), GIVES_UP_AFTER)
                if not answer.startswith(b"HTTP/1.1 200") or scenario.sign not in answer:
                    raise ConnectionError(answer[:300])
            except (OSError, TimeoutError):
                seen.failed += 1
                await asyncio.sleep(PAUSE)
                if caller is not None:
                    caller.close()
                caller = None
            else:
                seen.took.append(time.perf_counter() - asked)
                seen.firsts.append(caller.first_event - asked)
        if caller is not None:
            caller.close()

    with _costs(running, seen):
        await asyncio.gather(*(one() for _ in range(scenario.callers)))
    return seen


@contextmanager
def _costs(running: Running, seen: Seen) -> Iterator[None]:
    def spent() -> tuple[float, float]:
        database = used(running.database).cpu_s if running.database else 0.0
        return sum(used(pid).cpu_s for pid in running.pids), database

    before, began = spent(), time.perf_counter()
    yield
    seen.seconds = time.perf_counter() - began
    after, calls = spent(), max(1, len(seen.took) + seen.failed)
    seen.cpu_us, seen.database_us = ((b - a) / calls * 1e6 for a, b in zip(before, after, strict=True))


def _percentile(seconds: list[float], percent: int) -> float:
    """In milliseconds; 0 without values."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000 if ordered else 0.0
