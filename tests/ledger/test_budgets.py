"""Budgets at the ledger: no window is ever held or spent beyond its cap (promise B1)."""

import asyncio
from contextlib import AsyncExitStack

import psycopg
import pytest

from ledger.test_writer import ORG, Ledger, LosesOneAnswer, a_row, started
from visionality.core.window import EVER, window_id
from visionality.ledger.administration import move_cap, open_budget
from visionality.ledger.batch import Window
from visionality.ledger.writer import Blocked, Hold
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7


class Budgets(Ledger):
    def open(self, cap_nusd, *, hard=True) -> Window:
        """A budget for the total, and its window as a gateway would name it."""
        budget_id = uuid7()
        with psycopg.connect(self.database.dsn("vis_web")) as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ORG)])
            open_budget(connection.cursor(), ORG, budget_id, cap_nusd, hard=hard)
        return Window(ORG, window_id(budget_id, EVER[0], ""), budget_id, "", *EVER)

    def move_cap(self, window, cap_nusd, *, hard=True):
        with psycopg.connect(self.database.dsn("vis_web")) as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ORG)])
            return move_cap(connection.cursor(), ORG, window.budget_id, cap_nusd, hard=hard)

    def state(self, window):
        """(spent, held) of a window."""
        (found,) = self.query(
            "select spent_nusd, reserved_nusd from vis.budget_windows where window_id = %s", window.window_id
        )
        return found["spent_nusd"], found["reserved_nusd"]


@pytest.fixture
def ledger(database, tmp_path):
    return Budgets(database, tmp_path, commit_wait=20, fence_after=30)


def a_hold(amount_nusd, *windows) -> Hold:
    return Hold(
        ORG, uuid7(), uuid7(), amount_nusd, utc_now(), None, tuple(window.window_id for window in windows)
    )


async def reserved(writer, hold) -> bool:
    try:
        await writer.reserve(hold)
    except Blocked:
        return False
    return True


@pytest.mark.parametrize("processes", [1, 3])
async def test_of_500_concurrent_holds_against_a_cap_that_fits_37_exactly_37_stand(ledger, processes):
    window = ledger.open(37 * 1_000 + 999)
    async with AsyncExitStack() as stack:
        writers = [
            await stack.enter_async_context(started(ledger.another(f"w{number}")))
            for number in range(processes)
        ]
        for writer in writers:
            writer.will_use([window])
        holds = [a_hold(1_000, window) for _ in range(500)]
        granted = await asyncio.gather(
            *(reserved(writers[number % processes], hold) for number, hold in enumerate(holds))
        )
        assert sum(granted) == 37
        assert ledger.state(window) == (0, 37_000)
        for number, (hold, stands) in enumerate(zip(holds, granted, strict=True)):
            if stands:
                await writers[number % processes].settle(
                    a_row(request_id=hold.request_id, cost_nusd=600), hold
                )
    assert ledger.state(window) == (37 * 600, 0)
    assert ledger.query("select * from vis.budget_holds") == []
    kinds = ledger.query("select kind, count(*) as n from vis.budget_events group by 1 order by 1")
    assert {found["kind"]: found["n"] for found in kinds} == {"deny": 463, "reserve": 37, "settle": 37}


async def test_a_hold_stands_in_all_of_its_windows_or_in_none(ledger):
    wide, narrow = ledger.open(10_000), ledger.open(1_000)
    async with started(ledger.writer) as writer:
        writer.will_use([wide, narrow])
        with pytest.raises(Blocked) as blocked:
            await writer.reserve(a_hold(1_001, wide, narrow))
        assert blocked.value.denial.window_id == narrow.window_id
        assert blocked.value.denial.left_nusd == {wide.window_id: 10_000, narrow.window_id: 1_000}
        assert (ledger.state(wide), ledger.state(narrow)) == ((0, 0), (0, 0))
        await writer.reserve(a_hold(1_000, wide, narrow))
        assert (ledger.state(wide), ledger.state(narrow)) == ((0, 1_000), (0, 1_000))


async def test_a_soft_budget_counts_and_never_refuses(ledger):
    window = ledger.open(10, hard=False)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        hold = a_hold(1_000, window)
        await writer.reserve(hold)
        await writer.settle(a_row(request_id=hold.request_id, cost_nusd=700), hold)
    assert ledger.state(window) == (700, 0)


async def test_a_soft_budget_refuses_nothing_beside_a_hard_one_that_does(ledger):
    soft, hard = ledger.open(10, hard=False), ledger.open(10)
    async with started(ledger.writer) as writer:
        writer.will_use([soft, hard])
        wanted = [a_hold(1_000, soft), a_hold(1_000, soft, hard), a_hold(10, soft, hard)]
        assert await asyncio.gather(*(reserved(writer, hold) for hold in wanted)) == [True, False, True]
    assert (ledger.state(soft), ledger.state(hard)) == ((0, 1_010), (0, 10))


async def test_a_window_of_a_budget_that_is_not_there_refuses(ledger):
    async with started(ledger.writer) as writer:
        window = Window(ORG, uuid7(), uuid7(), "", *EVER)
        writer.will_use([window])
        with pytest.raises(Blocked):
            await writer.reserve(a_hold(1, window))


async def test_an_edited_cap_is_in_force_for_the_next_hold_in_windows_old_and_new(ledger):
    window = ledger.open(5_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        await writer.reserve(a_hold(4_000, window))
        ledger.move_cap(window, 3_000)
        assert not await reserved(writer, a_hold(1, window))
        ledger.move_cap(window, 5_000)
        assert await reserved(writer, a_hold(1_000, window))
        ledger.move_cap(window, 7)
        later = Window(ORG, uuid7(), window.budget_id, "", *EVER)
        writer.will_use([later])
        assert [await reserved(writer, a_hold(amount, later)) for amount in (8, 7)] == [False, True]


async def test_a_hold_whose_answer_was_lost_is_held_once(ledger):
    window = ledger.open(1_500)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        await writer.reserve(a_hold(1, window))
        writer._link.__class__ = LosesOneAnswer
        held = a_hold(1_000, window)
        await writer.reserve(held)
        assert writer._link.lost
        assert ledger.state(window) == (0, 1_001)
        writer._link.lost = False
        with pytest.raises(Blocked):
            await writer.reserve(a_hold(1_000, window))
        assert ledger.state(window) == (0, 1_001)
        writer._link.lost = False
        await writer.settle(a_row(request_id=held.request_id, cost_nusd=3), held)
        assert ledger.state(window) == (3, 1)


async def test_what_the_provider_bills_beyond_the_hold_is_spent_and_said(ledger):
    window = ledger.open(1_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        hold = a_hold(1_000, window)
        await writer.reserve(hold)
        await writer.settle(a_row(request_id=hold.request_id, cost_nusd=1_200), hold)
        assert not await reserved(writer, a_hold(1, window))
    assert ledger.state(window) == (1_200, 0)
    (said,) = ledger.query("select amount_nusd from vis.budget_events where kind = 'overage'")
    assert said["amount_nusd"] == 200


async def test_a_cost_that_nobody_knows_counts_with_what_was_held(ledger):
    window = ledger.open(1_000)
    async with started(ledger.writer) as writer:
        writer.will_use([window])
        hold = a_hold(400, window)
        await writer.reserve(hold)
        await writer.settle(a_row(request_id=hold.request_id, price_state="unknown"), hold)
    assert ledger.state(window) == (400, 0)


async def test_what_happened_to_a_window_has_one_order_whoever_did_it(ledger):
    window = ledger.open(10**9)
    async with started(ledger.writer) as one, started(ledger.another("two")) as two:
        for writer in (one, two):
            writer.will_use([window])
        for _ in range(20):
            await asyncio.gather(one.reserve(a_hold(1, window)), two.reserve(a_hold(1, window)))
    found = ledger.query(
        "select position, count(distinct writer_no) as writers from vis.budget_events group by 1 order by 1"
    )
    assert [event["position"] for event in found] == list(range(1, len(found) + 1))
    assert {event["writers"] for event in found} == {1}
