"""Calls that come at once do not keep each other's commits waiting, and begin in the order in which they came."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.gateway.turns import AT_ONCE, Turns

MANY = 5 * AT_ONCE + 1


async def test_a_few_calls_begin_in_one_turn_and_the_others_in_the_next_ones_in_order():
    begun: list[int] = []
    turns = Turns(asyncio.get_running_loop())
    for number in range(MANY):
        turns.take(lambda number=number: begun.append(number))
    seen = [len(begun)]
    while len(begun) < MANY:
        await asyncio.sleep(0)
        seen.append(len(begun))
    assert begun == list(range(MANY))
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) == AT_ONCE


async def test_what_was_due_before_the_others_has_its_turn_between_them():
    order: list[str] = []
    loop = asyncio.get_running_loop()
    turns = Turns(loop)
    for _ in range(MANY):
        turns.take(lambda: order.append("call"))
    loop.call_soon(order.append, "commit")
    while len(order) <= MANY:
        await asyncio.sleep(0)
    assert order.index("commit") <= 2 * AT_ONCE


@given(st.lists(st.integers(1, 3 * AT_ONCE), max_size=6))
def test_whoever_comes_later_waits_behind_those_who_wait(crowds):
    begun: list[int] = []

    async def come() -> None:
        turns, number = Turns(asyncio.get_running_loop()), 0
        for crowd in crowds:
            for _ in range(crowd):
                turns.take(lambda number=number: begun.append(number))
                number += 1
            await asyncio.sleep(0)
        while len(begun) < number:
            await asyncio.sleep(0)

    asyncio.run(come())
    assert begun == list(range(sum(crowds)))


@pytest.mark.parametrize("size", [1, AT_ONCE])
async def test_few_calls_wait_for_nobody(size):
    begun: list[int] = []
    turns = Turns(asyncio.get_running_loop())
    for number in range(size):
        turns.take(lambda number=number: begun.append(number))
    assert len(begun) == size
