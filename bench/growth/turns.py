"""Calls on several products in turns, so that what else the machine does falls on all of them alike."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import uvloop

from bench.peers.load import WHOLE, Seen, play
from bench.peers.peer import Running

SIGN = b'"usage"'
"""What a good answer of the sandbox holds."""
PAUSE = 0.7
"""Seconds from the beginning of a round until something happens beside it."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one product: the least that any of its rounds took. `failed` is of all rounds."""

    gateway_us: float
    postgres_us: float
    p50_ms: float
    p99_ms: float
    per_second: float
    failed: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A product beside the smallest one, in the same turns. The ratios are the middle ones of those within each turn."""

    figures: Figures
    smallest: Figures
    gateway: float
    postgres: float
    p50: float
    p99: float


def in_turns(
    products: Sequence[Running], rounds: int, seconds: float, *, callers: int = WHOLE.callers
) -> list[list[Seen]]:
    """Of each product its rounds of so many seconds. Every other turn goes the other way round."""
    return uvloop.run(_in_turns(products, rounds, seconds, callers))


async def _in_turns(
    products: Sequence[Running], rounds: int, seconds: float, callers: int
) -> list[list[Seen]]:
    scenario = replace(WHOLE, callers=callers, seconds=seconds, sign=SIGN)
    seen: list[list[Seen]] = [[] for _ in products]
    for product in products:
        await play(product, scenario, seconds)
    for turn in range(rounds):
        order = range(len(products))
        for at in order if turn % 2 == 0 else reversed(order):
            seen[at].append(await play(products[at], scenario, seconds))
    return seen


def figures(rounds: Sequence[Seen]) -> Figures:
    return Figures(
        min(one.cpu_us for one in rounds),
        min(one.database_us for one in rounds),
        min(one.p50_ms for one in rounds),
        min(one.p99_ms for one in rounds),
        max(one.per_second for one in rounds),
        sum(one.failed for one in rounds),
    )


def compared(rounds: Sequence[Seen], smallest: Sequence[Seen]) -> Compared:
    """Both from the same call of `in_turns`."""

    def ratio(of: Callable[[Seen], float]) -> float:
        return median(of(one) / of(least) for one, least in zip(rounds, smallest, strict=True))

    return Compared(
        figures(rounds),
        figures(smallest),
        ratio(lambda one: one.cpu_us),
        ratio(lambda one: one.database_us),
        ratio(lambda one: one.p50_ms),
        ratio(lambda one: one.p99_ms),
    )


def longest_ms(product: Running, seconds: float, beside: Callable[[], None]) -> float:
    """The longest call of a round in which something happens beside it."""
    return uvloop.run(_longest_ms(product, seconds, beside))


async def _longest_ms(product: Running, seconds: float, beside: Callable[[], None]) -> float:
    async def later() -> None:
        await asyncio.sleep(PAUSE)
        await asyncio.to_thread(beside)

    scenario = replace(WHOLE, seconds=seconds, sign=SIGN)
    seen, _ = await asyncio.gather(play(product, scenario, seconds), later())
    return max(seen.took, default=float("nan")) * 1000
