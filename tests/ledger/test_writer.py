"""The ledger writer: durable when it says so, gap-free, never twice, whatever becomes of its connection."""

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from visionality.core.row import Row, draft_text, from_draft
from visionality.jobs.reaper import Reaper
from visionality.ledger.batch import row_leaf
from visionality.ledger.connection import AWAY, WriterConnection
from visionality.ledger.writer import DEAD_LETTERS, Hold, LedgerAway, LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings

ORG = UUID(int=7)


class Ledger:
    """A database with a writer on it, and eyes of the superuser."""

    def __init__(self, database, tmp_path, **settings):
        self.database = database
        self.settings = Settings(data_dir=tmp_path, **settings)
        self.writer = self.another("test")

    def another(self, name) -> LedgerWriter:
        return LedgerWriter(self.database.url("vis_writer"), name, utc_now, self.settings)

    def query(self, sql, *values):
        with psycopg.connect(self.database.dsn("vis_super"), row_factory=dict_row) as connection:
            return connection.execute(sql, values or None).fetchall()

    def execute(self, sql, *values):
        with psycopg.connect(self.database.dsn("vis_super"), autocommit=True) as connection:
            connection.execute(sql, values or None)

    def end_connections(self):
        self.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vis_writer' and datname = current_database()"
        )

    @contextmanager
    def stalled(self):
        """A database that answers nobody who comes for holds."""
        with psycopg.connect(self.database.dsn("vis_super")) as connection:
            connection.execute("lock table vis.budget_holds in access exclusive mode")
            yield


@pytest.fixture
def ledger(database, tmp_path):
    return Ledger(database, tmp_path, commit_wait=5, fence_after=30)


@asynccontextmanager
async def started(writer):
    await writer.start()
    try:
        yield writer
    finally:
        await writer.close()


def a_row(**columns) -> Row:
    given = {"org_id": ORG, "request_id": uuid7(), "provider": "sandbox", "dialect": "messages"}
    row = Row(**(given | columns))
    row.id, row.created_at = uuid7(), utc_now()
    return row


def a_hold(row: Row, amount_nusd: int = 5_000, minutes: int = 60) -> Hold:
    return Hold(
        row.org_id,
        uuid7(),
        row.request_id,
        amount_nusd,
        utc_now() + timedelta(minutes=minutes),
        draft_text(row),
    )


async def test_a_call_leaves_a_row_two_events_and_no_hold(ledger):
    async with started(ledger.writer) as writer:
        row = a_row(cost_nusd=3_400_000, usage={"in_text": 3}, rates={"in_text": "3"}, tags={"a": "b"})
        hold = a_hold(row)
        await writer.reserve(hold)
        assert [held["hold_id"] for held in ledger.query("select hold_id from vis.budget_holds")] == [
            hold.hold_id
        ]
        await writer.settle(row, hold)
    assert ledger.query("select * from vis.budget_holds") == []
    (found,) = ledger.query("select * from vis.request_logs")
    assert (found["id"], found["wseq"], found["cost_nusd"], found["usage"]) == (
        row.id,
        1,
        3_400_000,
        {"in_text": 3},
    )
    events = ledger.query("select kind, wseq, amount_nusd, actual_nusd from vis.budget_events order by wseq")
    assert [tuple(event.values()) for event in events] == [
        ("reserve", 1, 5_000, None),
        ("settle", 2, 5_000, 3_400_000),
    ]


async def test_a_call_looks_for_its_own_hold_and_never_through_all_of_them(ledger):
    async with started(ledger.writer) as writer:
        for _ in range(30):
            row = a_row()
            hold = a_hold(row)
            await writer.reserve(hold)
            await writer.settle(row, hold)
    seen = "select idx_scan, seq_scan, seq_tup_read from pg_stat_user_tables where relid = 'vis.budget_holds'::regclass"
    for _ in range(200):  # a session's figures arrive when it has ended
        (figures,) = ledger.query(seen)
        if figures["idx_scan"] >= 60:
            break
        await asyncio.sleep(0.05)
    assert figures == {"idx_scan": 60, "seq_scan": 0, "seq_tup_read": 0}


async def test_numbers_have_no_gap_over_many_callers_and_lost_connections(ledger):
    async def calls(writer, count):
        for _ in range(count):
            row = a_row()
            hold = a_hold(row)
            await writer.reserve(hold)
            await writer.settle(row, hold)

    async with started(ledger.writer) as writer:
        working = asyncio.gather(*(calls(writer, 30) for _ in range(10)))
        while not working.done():
            await asyncio.to_thread(ledger.end_connections)
            await asyncio.wait([working], timeout=0.05)
        (outcome,) = await asyncio.gather(working, return_exceptions=True)
        assert isinstance(outcome, (list, LedgerAway))
    for table in ("request_logs", "budget_events"):
        (seen,) = ledger.query(
            f"select count(*) as n, count(distinct wseq) as d, max(wseq) as m from vis.{table}"
        )
        assert seen["n"] == seen["d"] == seen["m"]
    assert ledger.query("select request_id from vis.request_logs group by 1 having count(*) > 1") == []


class LosesOneAnswer(WriterConnection):
    """A connection that breaks just after the database has committed, once."""

    lost = False

    @property
    def live(self):
        real = super().live

        class Live:
            execute, fetchval, fetchrow = real.execute, real.fetchval, real.fetchrow

            async def fetch(_, query, *words):
                answer = await real.fetch(query, *words)
                if "vis.move_budgets" in query and not self.lost:
                    self.lost = True
                    raise ConnectionResetError("after the commit")
                return answer

        return Live()


async def test_a_batch_that_was_committed_before_its_answer_was_lost_is_not_written_again(ledger):
    async with started(ledger.writer) as writer:
        row = a_row()
        hold = a_hold(row)
        await writer.reserve(hold)
        writer._link.__class__ = LosesOneAnswer
        await writer.settle(row, hold)
        assert writer._link.lost
        await writer.settle(a_row(), None)
    assert [found["wseq"] for found in ledger.query("select wseq from vis.request_logs order by 1")] == [1, 2]
    assert [found["wseq"] for found in ledger.query("select wseq from vis.budget_events order by 1")] == [
        1,
        2,
    ]
    assert ledger.query("select entry from vis.request_logs where entry <> 'call'") == []


async def test_a_row_that_the_database_refuses_leaves_a_placeholder_in_its_number_and_a_dead_letter(ledger):
    async with started(ledger.writer) as writer:
        good, bad, later = a_row(), a_row(memo="nul \x00 in it"), a_row()
        await asyncio.gather(*(writer.settle(row, None) for row in (good, bad, later)))
    rows = ledger.query("select wseq, request_id, memo, decision, reason from vis.request_logs order by wseq")
    assert [row["wseq"] for row in rows] == [1, 2, 3]
    assert [row["request_id"] for row in rows] == [good.request_id, bad.request_id, later.request_id]
    assert rows[1]["decision"] == "failed"
    assert "dead-letter" in rows[1]["reason"]
    (letter,) = (ledger.settings.data_dir / DEAD_LETTERS).read_text().splitlines()
    assert str(bad.request_id) in json.loads(letter)["row"]


async def test_a_caller_is_given_the_row_that_stands_with_its_leaf_or_the_placeholder_in_its_place(ledger):
    async with started(ledger.writer) as writer:
        good, bad = a_row(), a_row(memo="nul \x00 in it")
        stands = [await writer.settle_within(row, None) for row in (good, bad)]
    assert stands[0] is good
    assert stands[1].provider == "unknown"
    leaves = ledger.query("select leaf_hash from vis.request_logs order by wseq")
    assert [bytes(row["leaf_hash"]) for row in leaves] == [row_leaf(row) for row in stands]


async def test_a_row_that_cannot_even_be_encoded_does_not_stop_the_others(ledger):
    async with started(ledger.writer) as writer:
        await asyncio.gather(
            *(
                writer.settle(row, None)
                for row in (a_row(input_tokens=2**70), a_row(tags={"x": 0.5}), a_row())
            )
        )
        await writer.settle(a_row(), None)
    assert [row["wseq"] for row in ledger.query("select wseq from vis.request_logs order by 1")] == [
        1,
        2,
        3,
        4,
    ]


async def test_a_hold_whose_caller_gave_up_is_released(ledger):
    async with started(ledger.writer) as writer:
        hold = a_hold(a_row())
        giving_up = asyncio.ensure_future(writer.reserve(hold))
        await asyncio.sleep(0)
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)
        await writer.settle(a_row(), None)
        await writer.settle(a_row(), None)
    assert ledger.query("select * from vis.budget_holds") == []
    kinds = {event["kind"] for event in ledger.query("select kind from vis.budget_events")}
    assert kinds in (set(), {"reserve", "release"})


async def test_a_hold_whose_caller_gave_up_just_as_it_became_durable_is_released(ledger):
    async with started(ledger.writer) as writer:
        giving_up = asyncio.ensure_future(writer.reserve(a_hold(a_row())))
        finished = writer._finished

        def cancelled_with_it(work):
            finished(work)
            giving_up.cancel()

        writer._finished = cancelled_with_it
        with pytest.raises(asyncio.CancelledError):
            await giving_up
        await writer.settle(a_row(), None)
    assert ledger.query("select * from vis.budget_holds") == []
    kinds = [event["kind"] for event in ledger.query("select kind from vis.budget_events order by wseq")]
    assert kinds == ["reserve", "release"]


async def test_a_hold_is_waited_for_no_longer_than_was_said_and_then_released_or_forgotten(
    database, tmp_path
):
    ledger = Ledger(database, tmp_path, commit_wait=0.2, fence_after=30)
    async with started(ledger.writer) as writer:
        sent, unsent = a_hold(a_row()), a_hold(a_row())
        with ledger.stalled():
            waiting = [asyncio.ensure_future(writer.reserve(sent))]
            while not writer._sent:
                await asyncio.sleep(0)
            waiting.append(asyncio.ensure_future(writer.reserve(unsent)))
            refused = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(error) for error in refused} == {"the hold was not durable within 0.2 s"}
        await writer.settle(a_row(), None)
        await writer.reserve(later := a_hold(a_row()))
    events = ledger.query("select kind, hold_id from vis.budget_events order by wseq")
    assert [(event["kind"], event["hold_id"]) for event in events] == [
        ("reserve", sent.hold_id),
        ("release", sent.hold_id),
        ("reserve", later.hold_id),
    ]


async def test_a_caller_learns_whether_its_row_was_durable_in_time_and_the_row_is_written_anyway(
    database, tmp_path
):
    ledger = Ledger(database, tmp_path, commit_wait=0.2, fence_after=30)
    async with started(ledger.writer) as writer:
        rows = [a_row() for _ in range(3)]
        with ledger.stalled():
            assert not await writer.settle_within(rows[0], None)
            assert not await writer.settle_within(rows[1], None)
        assert await writer.settle_within(rows[2], None)
    found = ledger.query("select id from vis.request_logs order by wseq")
    assert [row["id"] for row in found] == [row.id for row in rows]


async def test_a_writer_that_has_nothing_to_write_shows_that_it_lives(database, tmp_path):
    ledger = Ledger(database, tmp_path, commit_wait=5, fence_after=0.5)
    beat = "select heartbeat_at from vis.writers"
    async with started(ledger.writer):
        for _ in range(2):
            before = ledger.query(beat)
            while await asyncio.to_thread(ledger.query, beat) == before:
                pass


async def test_without_its_database_a_hold_is_refused_and_rows_are_written_when_it_is_back(ledger):
    async with started(ledger.writer) as writer:
        ledger.execute("alter role vis_writer nologin")
        try:
            ledger.end_connections()
            row = a_row()
            waiting = asyncio.ensure_future(writer.settle(row, None))
            while writer.connected:
                await asyncio.sleep(0)
            with pytest.raises(LedgerAway):
                await writer.reserve(a_hold(a_row()))
            assert not waiting.done()
        finally:
            ledger.execute("alter role vis_writer login")
        await waiting
    assert [found["id"] for found in ledger.query("select id from vis.request_logs")] == [row.id]


async def test_a_row_of_a_month_without_a_partition_waits_for_it(ledger):
    async with started(ledger.writer) as writer:
        late = a_row()
        late.created_at = utc_now() + timedelta(days=400)
        waiting = asyncio.ensure_future(writer.settle(late, None))
        while writer.connected:
            await asyncio.sleep(0)
        ledger.execute("select vis.add_months(%s::date, 1)", late.created_at.date())
        await waiting
    assert len(ledger.query("select * from vis.request_logs")) == 1


async def test_two_writers_take_different_numbers(ledger):
    async with started(ledger.writer) as one, started(ledger.another("other")) as two:
        assert one.writer_no != two.writer_no


async def test_the_reaper_charges_an_orphan_at_its_worst_case_once(ledger):
    async with started(ledger.writer) as dead, started(ledger.another("jobs")) as jobs:
        row = a_row(agent_sub="alice@arctrade", project_id="HPC")
        await dead.reserve(a_hold(row, amount_nusd=9_000, minutes=-1))
        reapers = [Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30) for _ in range(2)]
        await asyncio.gather(*(reaper.reap() for reaper in reapers))
        for reaper in reapers:
            reaper.close()
    (found,) = ledger.query("select * from vis.request_logs")
    assert (found["agent_sub"], found["project_id"], found["reason"]) == ("alice@arctrade", "HPC", "in_doubt")
    assert (found["cost_nusd"], found["usage_source"]) == (9_000, "reservation_ceiling")
    assert ledger.query("select * from vis.budget_holds") == []


async def test_a_settlement_after_the_reaper_is_the_difference(ledger):
    async with started(ledger.writer) as slow, started(ledger.another("jobs")) as jobs:
        row = a_row(cost_nusd=2_500, billed_nusd=2_500, usage_source="provider_final")
        hold = a_hold(row, amount_nusd=9_000, minutes=-1)
        await slow.reserve(hold)
        reaper = Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30)
        await reaper.reap()
        reaper.close()
        await slow.settle(row, hold)
    charged, true_up = ledger.query("select * from vis.request_logs order by created_at, writer_no desc")[
        ::-1
    ]
    if charged["entry"] != "call":
        charged, true_up = true_up, charged
    assert (true_up["entry"], true_up["corrects"], true_up["cost_nusd"]) == (
        "true_up",
        charged["id"],
        2_500 - 9_000,
    )
    assert ledger.query("select sum(cost_nusd)::bigint as s from vis.request_logs")[0]["s"] == 2_500


async def test_a_hold_that_is_given_back_before_it_stands_is_gone(database, tmp_path):
    ledger = Ledger(database, tmp_path, commit_wait=0.2, fence_after=30)
    async with started(ledger.writer) as writer:
        first, again = a_row(entry="attempt"), a_row(decision="refused")
        held, following = a_hold(first), a_hold(again)
        await writer.reserve(held)
        with ledger.stalled():
            before = asyncio.ensure_future(writer.settle(a_row(), None, a_hold(a_row())))
            while not writer._sent:
                await asyncio.sleep(0)
            assert not await writer.settle_within(first, held, following)
            last = asyncio.ensure_future(writer.settle(again, following))
        await asyncio.gather(before, last)
    assert ledger.query("select * from vis.budget_holds where hold_id = %s", following.hold_id) == []
    rows = ledger.query("select entry, decision, reason from vis.request_logs order by wseq")
    assert [tuple(row.values()) for row in rows[1:]] == [
        ("attempt", "allowed", None),
        ("call", "refused", None),
    ]


async def test_the_next_attempt_has_its_hold_though_the_reaper_took_that_of_the_last(ledger):
    async with started(ledger.writer) as slow, started(ledger.another("jobs")) as jobs:
        first = a_row(cost_nusd=500, billed_nusd=500)
        held = a_hold(first, amount_nusd=9_000, minutes=-1)
        await slow.reserve(held)
        reaper = Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30)
        await reaper.reap()
        reaper.close()
        again = a_row(request_id=first.request_id, attempt=2, cost_nusd=2_500, billed_nusd=2_500)
        following = a_hold(again)
        first.entry = "attempt"
        await slow.settle(first, held, following)
        await slow.settle(again, following)
    rows = ledger.query("select entry, attempt, cost_nusd from vis.request_logs")
    assert sorted(tuple(row.values()) for row in rows) == [
        ("call", 1, 9_000),
        ("call", 2, 2_500),
        ("true_up", 1, 500 - 9_000),
    ]


async def test_the_rest_of_an_estimate_is_held_and_let_go_at_its_expiry(ledger):
    async with started(ledger.writer) as writer:
        row = a_row(cost_nusd=1_000, usage_source="tokenizer_estimate")
        hold = a_hold(row)
        rest = Hold(ORG, uuid7(), row.request_id, 4_000, utc_now() - timedelta(seconds=1))
        await writer.reserve(hold)
        await writer.settle(row, hold, rest)
        assert [held["amount_nusd"] for held in ledger.query("select amount_nusd from vis.budget_holds")] == [
            4_000
        ]
        reaper = Reaper(ledger.database.url("vis_writer"), writer, utc_now, 30)
        assert await reaper.reap() == 1
        reaper.close()
    assert ledger.query("select * from vis.budget_holds") == []
    assert len(ledger.query("select * from vis.request_logs")) == 1


async def test_a_reaper_fences_nobody_before_it_has_watched_long_enough(ledger):
    async with started(ledger.writer) as silent, started(ledger.another("jobs")) as jobs:
        await silent.reserve(a_hold(a_row()))
        ledger.execute(
            "update vis.writers set heartbeat_at = now() - interval '1 hour' where writer_no = %s",
            silent.writer_no,
        )
        reaper = Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30)
        assert await reaper.reap() == 0
        reaper._watching_since -= 31
        assert await reaper.reap() == 1
        reaper.close()
    assert ledger.query("select reason from vis.request_logs") == [{"reason": "in_doubt"}]


async def test_a_fenced_writer_goes_on_under_a_new_number(ledger):
    async with started(ledger.writer) as writer:
        before = writer.writer_no
        await writer.settle(a_row(), None)
        ledger.execute("update vis.writers set fenced_at = now() where writer_no = %s", before)
        await writer._beat()
        await writer.settle(a_row(), None)
        assert writer.writer_no != before
    rows = ledger.query("select writer_no, wseq from vis.request_logs order by created_at")
    assert [row["wseq"] for row in rows] == [1, 1]
    assert rows[0]["writer_no"] != rows[1]["writer_no"]


def begun(minutes: int = 60) -> tuple[Row, Hold]:
    """The row of a call that goes on, and the hold that waits for its answer."""
    row = a_row(finish="queued")
    to_come = msgspec.structs.replace(row, entry="true_up", corrects=row.id)
    hold = a_hold(to_come, amount_nusd=9_000, minutes=minutes)
    return row, hold


def answered(hold: Hold, cost_nusd: int = 2_500) -> Row:
    row = from_draft(hold.draft)
    row.id, row.created_at, row.cost_nusd = uuid7(), utc_now(), cost_nusd
    return row


@pytest.mark.parametrize("same_writer", [True, False])
async def test_an_answer_that_many_see_at_once_is_charged_once(ledger, same_writer):
    async with started(ledger.writer) as one, started(ledger.another("other")) as two:
        row, hold = begun()
        await one.settle(row, None, hold)
        writers = [one, one if same_writer else two] * 5
        found = await asyncio.gather(*(writer.standing(ORG, hold.hold_id) for writer in writers))
        assert {(held.amount_nusd, held.draft) for held in found} == {(9_000, hold.draft)}
        await asyncio.gather(
            *(writer.settle(answered(held), held) for writer, held in zip(writers, found, strict=True))
        )
        assert await two.standing(ORG, hold.hold_id) is None
    rows = ledger.query("select entry, corrects, cost_nusd from vis.request_logs order by entry")
    assert [tuple(each.values()) for each in rows] == [("call", None, 0), ("true_up", row.id, 2_500)]


async def test_a_call_that_goes_on_outlives_its_writer_until_its_hold_expires(ledger):
    async with started(ledger.writer) as dead, started(ledger.another("jobs")) as jobs:
        row, hold = begun()
        await dead.settle(row, None, hold)
        ledger.execute("update vis.writers set fenced_at = now() where writer_no = %s", dead.writer_no)
        reaper = Reaper(ledger.database.url("vis_writer"), jobs, utc_now, 30)
        assert await reaper.reap() == 0
        ledger.execute("update vis.budget_holds set expires_at = now() - interval '1 s'")
        assert await reaper.reap() == 1
        reaper.close()
        await jobs.settle(answered(hold), hold)
    rows = ledger.query("select entry, corrects, reason, cost_nusd from vis.request_logs order by entry")
    assert [tuple(each.values()) for each in rows] == [
        ("call", None, None, 0),
        ("true_up", row.id, "in_doubt", 9_000),
    ]


async def test_whether_a_hold_stands_is_not_known_while_the_database_is_away(database, tmp_path):
    ledger = Ledger(database, tmp_path, commit_wait=0.2, fence_after=30)
    with pytest.raises(LedgerAway):
        await ledger.writer.standing(ORG, uuid7())
    async with started(ledger.writer) as writer:
        with ledger.stalled(), pytest.raises(LedgerAway):
            await writer.standing(ORG, uuid7())
        assert await writer.standing(ORG, uuid7()) is None


async def test_rows_that_follow_from_what_stands_are_one_transaction_with_the_reading_of_it(ledger):
    """An addition that fails appends nothing, and neither the other rows nor their numbers mind."""
    asked: list[int] = []

    async def fails(connection):
        asked.append(await connection.fetchval("select count(*) from vis.request_logs"))
        raise ZeroDivisionError

    async def breaks(connection):
        connection.terminate()
        return [a_row()]

    async def follows(connection):
        return [a_row(), a_row()]

    async with started(ledger.writer) as writer:
        await writer.settle(a_row(), None)
        with pytest.raises(ZeroDivisionError):
            await writer.append(fails)
        assert await writer.append(follows) == 2
        await writer.settle(a_row(), None)
        with pytest.raises(AWAY):
            await writer.append(breaks)
        gone = asyncio.ensure_future(writer.append(fails))
        await asyncio.sleep(0)
        gone.cancel()
        assert await writer.append(follows) == 2
    assert asked[0] == 1
    numbers = ledger.query("select writer_no, wseq from vis.request_logs order by 1, 2")
    assert [row["wseq"] for row in numbers] == [1, 2, 3, 4, 1, 2]
