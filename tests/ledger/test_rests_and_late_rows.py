"""Money that goes on being held, and costs that come after a hold was charged, in the windows of budgets (promise B1)."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from ledger.test_budgets import Budgets, a_hold, reserved
from ledger.test_writer import ORG, a_row, started
from visionality.core.row import draft_text
from visionality.jobs.reaper import Reaper
from visionality.ledger.batch import Hold
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7


@pytest.fixture
def ledger(database, tmp_path):
    return Budgets(database, tmp_path, commit_wait=20, fence_after=30)


def an_orphan(row, amount_nusd, window) -> Hold:
    """A hold that has outlived any call."""
    expired = utc_now() - timedelta(seconds=1)
    return Hold(ORG, uuid7(), row.request_id, amount_nusd, expired, draft_text(row), (window.window_id,))


async def reap(ledger, jobs) -> int:
    reaper = Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30)
    try:
        return await reaper.reap()
    finally:
        reaper.close()


def standing(ledger) -> int:
    (found,) = ledger.query("select coalesce(sum(amount_nusd), 0)::bigint as nusd from vis.budget_holds")
    return found["nusd"]


@pytest.mark.parametrize("rest_comes_first", [True, False])
async def test_what_goes_on_being_held_is_free_for_nobody_who_asks_at_the_same_time(ledger, rest_comes_first):
    window = ledger.open(1_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        held = a_hold(1_000, window)
        await writer.reserve(held)
        asking = None if rest_comes_first else asyncio.ensure_future(reserved(writer, a_hold(500, window)))
        await asyncio.sleep(0)
        settled = writer.settle(a_row(request_id=held.request_id, cost_nusd=200), held, a_hold(800, window))
        asking = asking or asyncio.ensure_future(reserved(writer, a_hold(500, window)))
        await settled
        assert not await asking
    assert ledger.state(window) == (200, 800)


async def test_two_answers_of_one_id_are_held_apart(ledger):
    window = ledger.open(10_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        answer = uuid4()
        for amount_nusd in (500, 700):
            held = a_hold(amount_nusd, window)
            await writer.reserve(held)
            begun = Hold(ORG, answer, held.request_id, amount_nusd, utc_now(), None, held.windows)
            await writer.settle(a_row(request_id=held.request_id), held, begun)
        assert ledger.state(window) == (0, 1_200)
        assert standing(ledger) == 1_200
        first = await writer.standing(ORG, answer)
        assert first.amount_nusd == 500
        await writer.settle(a_row(request_id=first.request_id, cost_nusd=3), first)
    assert ledger.state(window) == (3, 700)


async def test_a_hold_is_taken_by_none_but_its_own_call(ledger):
    window = ledger.open(10_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        answer = uuid4()
        first = Hold(ORG, answer, uuid7(), 500, utc_now(), None, (window.window_id,))
        second = Hold(ORG, answer, uuid7(), 700, utc_now(), None, (window.window_id,))
        await writer.reserve(first)
        await writer.release(first)
        await writer.reserve(second)
        assert not await writer.settle_once(
            a_row(request_id=first.request_id, entry="true_up", cost_nusd=400), first, None
        )
    assert ledger.state(window) == (0, 700)


async def test_a_late_cost_that_nobody_knows_leaves_what_was_charged(ledger):
    window = ledger.open(10_000)
    async with started(ledger.writer) as slow, started(ledger.another("jobs")) as jobs:
        slow.will_use([window])
        row = a_row(price_state="unknown")
        held = an_orphan(row, 900, window)
        await slow.reserve(held)
        assert await reap(ledger, jobs) == 1
        await slow.settle(row, held)
    assert ledger.state(window) == (900, 0)


async def test_a_late_cost_beyond_what_was_charged_is_said(ledger):
    window = ledger.open(1_000)
    async with started(ledger.writer) as slow, started(ledger.another("jobs")) as jobs:
        slow.will_use([window])
        row = a_row(cost_nusd=1_300, billed_nusd=1_300)
        held = an_orphan(row, 900, window)
        await slow.reserve(held)
        assert await reap(ledger, jobs) == 1
        await slow.settle(row, held)
    assert ledger.state(window) == (1_300, 0)
    (said,) = ledger.query("select amount_nusd, hold_id from vis.budget_events where kind = 'overage'")
    assert (said["amount_nusd"], said["hold_id"]) == (400, held.hold_id)


async def test_each_attempt_that_was_charged_in_doubt_gets_its_own_difference(ledger):
    window = ledger.open(100_000)
    async with started(ledger.writer) as slow, started(ledger.another("jobs")) as jobs:
        slow.will_use([window])
        first = a_row(cost_nusd=100, billed_nusd=100)
        again = a_row(request_id=first.request_id, attempt=2, cost_nusd=200, billed_nusd=200)
        holds = [an_orphan(first, 9_000, window), an_orphan(again, 5_000, window)]
        for held in holds:
            await slow.reserve(held)
        assert await reap(ledger, jobs) == 2
        first.entry = "attempt"
        await slow.settle(first, holds[0])
        await slow.settle(again, holds[1])
    assert ledger.state(window) == (300, 0)
    (total,) = ledger.query("select sum(cost_nusd)::bigint as nusd from vis.request_logs")
    assert total["nusd"] == 300
