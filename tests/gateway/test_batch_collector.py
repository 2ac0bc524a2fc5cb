"""Promise L4 for batches: a chain of holds writes each line once, whoever collects, however often and in whatever order."""

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.bench import Bench, bench_on
from visionality.core.row import Row, draft_text
from visionality.core.usage import Metered, Usage
from visionality.core.window import EVER, window_id
from visionality.gateway.batches.chain import line_id
from visionality.gateway.batches.collector import Collector
from visionality.gateway.later import BATCH_ID, hold_for, hold_id
from visionality.gateway.state import Gateway
from visionality.jobs.reaper import Reaper
from visionality.ledger.administration import open_budget
from visionality.ledger.batch import Window
from visionality.ledger.writer import Hold
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings

HELD = 10**9
MODEL, IN, OUT = "claude-sonnet-4-5", 1_500, 7_500
GPT, GPT_IN, GPT_OUT = "gpt-4o", 1_250, 5_000
_numbers = count(1)


# ---------------------------------------------------------------- what a provider says


def message(custom_id: str, words: int) -> bytes:
    usage = {"input_tokens": words, "output_tokens": words, "service_tier": "batch"}
    said = {"type": "message", "id": "msg_1", "model": MODEL, "content": [], "usage": usage}
    return json.dumps({"custom_id": custom_id, "result": {"type": "succeeded", "message": said}}).encode()


def completion(custom_id: str, words: int) -> bytes:
    usage = {"prompt_tokens": words, "completion_tokens": words, "total_tokens": 2 * words}
    body = {"object": "chat.completion", "model": GPT, "choices": [], "usage": usage}
    answer = {"status_code": 200, "request_id": f"req_{custom_id}", "body": body}
    return json.dumps({"id": "r", "custom_id": custom_id, "response": answer, "error": None}).encode()


def ended(batch_id: str, succeeded: int) -> bytes:
    counts = {"processing": 0, "succeeded": succeeded, "errored": 0, "canceled": 0, "expired": 0}
    told = {"id": batch_id, "type": "message_batch", "processing_status": "ended"}
    return json.dumps(told | {"request_counts": counts, "results_url": None}).encode()


GOES_ON = b'{"id":"msgbatch_1","type":"message_batch","processing_status":"in_progress","request_counts":{}}'


def jsonl(*lines: bytes) -> bytes:
    return b"".join(line + b"\n" for line in lines)


# ---------------------------------------------------------------- what was submitted


@pytest.fixture
def bench(database, org, tmp_path):
    with bench_on(database, org, tmp_path) as made:
        yield made


@dataclass
class Batch:
    """One that was submitted."""

    bench: Bench
    id: str
    row: Row

    @property
    def first(self) -> UUID:
        return hold_id(self.row.org_id, "sandbox", self.id)

    @property
    def path(self) -> str:
        return f"/v1/messages/batches/{self.id}"

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Its lines' rows by their custom_id; there is one of each."""
        found = self.bench.query(
            "select * from vis.request_logs where request_id = %s and entry = 'true_up'", self.row.request_id
        )
        named = {row["tags"].get("custom_id", ""): row for row in found}
        assert len(named) == len(found), "a line has two rows"
        return named

    @property
    def holds(self) -> list[dict[str, Any]]:
        return self.bench.query("select * from vis.budget_holds where request_id = %s", self.row.request_id)

    def results(self, *lines: bytes, succeeded: int | None = None) -> None:
        """It has ended, with these."""
        self.bench.shelf.put(self.path, ended(self.id, len(lines) if succeeded is None else succeeded))
        self.bench.shelf.put(f"{self.path}/results", jsonl(*lines))

    def check_events(self) -> None:
        """Every hold of it was made once and taken once; what was settled is what its rows cost."""
        events = self.bench.query(
            "select * from vis.budget_events where request_id = %s", self.row.request_id
        )
        made = [event["hold_id"] for event in events if event["kind"] == "reserve"]
        taken = [event["hold_id"] for event in events if event["kind"] != "reserve"]
        assert sorted(made) == sorted({*taken, *(hold["hold_id"] for hold in self.holds)})
        assert len(made) == len(set(made))
        settled = sum(event["actual_nusd"] or 0 for event in events)
        assert settled == sum(row["cost_nusd"] for row in self.rows.values())


async def submitted(
    bench: Bench,
    gateway: Gateway,
    dialect: str = "messages",
    held: int = HELD,
    window: Window | None = None,
) -> Batch:
    """A batch as the pipeline leaves it: a row, and a hold that waits."""
    number = next(_numbers)
    batch_id = f"msgbatch_{number}" if dialect == "messages" else f"batch_{number}"
    asked = MODEL if dialect == "messages" else GPT
    tags = {BATCH_ID: batch_id, "client_request_id": f"call-{number}"}
    row = Row(org_id=bench.org, request_id=uuid7(), provider="sandbox", dialect=dialect, tags=tags)
    row.id, row.created_at, row.model_requested, row.project_id = uuid7(), utc_now(), asked, "HPC"
    windows = [window.window_id] if window else []
    gateway.writer.will_use([window] if window else [])
    expires = utc_now() + timedelta(hours=1)
    first = Hold(bench.org, uuid7(), row.request_id, held, expires, draft_text(row), windows)
    await gateway.writer.reserve(first)
    stands = hold_for(row, first, Metered(Usage(), "none", answer_id=batch_id), gateway)
    await gateway.writer.settle(row, first, stands)
    return Batch(bench, batch_id, row)


async def looked(collector: Collector, batch: Batch) -> None:
    """A look at a batch that a client has seen ended, to its end."""
    await collector.look({batch.first})
    if (watched := collector._watched.get(batch.first)) and watched.task:
        await watched.task


async def until(condition: Callable[[], object]) -> None:
    while not await asyncio.to_thread(condition):
        await asyncio.sleep(0)


# ---------------------------------------------------------------- once


async def test_each_line_takes_a_hold_and_makes_the_next_and_the_rest_is_given_back(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(*(message(f"line-{words}", words) for words in (1, 2, 3)))
        await looked(collector, batch)
    assert {name: row["cost_nusd"] for name, row in batch.rows.items()} == {
        f"line-{words}": words * (IN + OUT) for words in (1, 2, 3)
    }
    for name, row in batch.rows.items():
        assert (row["corrects"], row["usage_source"], row["project_id"]) == (
            batch.row.id,
            "batch_result",
            "HPC",
        )
        assert row["tags"] == batch.row.tags | {"custom_id": name}
        assert (row["id"], row["id"].version) == (line_id(batch.row.id, name), 7)
    events = bench.query(
        "select kind, amount_nusd, actual_nusd from vis.budget_events where request_id = %s order by wseq",
        batch.row.request_id,
    )[3:]
    left = HELD
    for words in (1, 2, 3):
        cost = words * (IN + OUT)
        reserve, settle = events.pop(0), events.pop(0)
        assert (reserve["kind"], reserve["amount_nusd"]) == ("reserve", left - cost)
        assert (settle["kind"], settle["amount_nusd"], settle["actual_nusd"]) == ("settle", left, cost)
        left -= cost
    assert [(event["kind"], event["amount_nusd"]) for event in events] == [("release", left)]
    assert batch.holds == []


async def test_what_the_lines_cost_beyond_the_hold_is_charged_all_the_same(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway, held=10 * (IN + OUT))
        batch.results(*(message(f"line-{number}", 6) for number in range(4)))
        await looked(collector, batch)
    assert sum(row["cost_nusd"] for row in batch.rows.values()) == 24 * (IN + OUT)
    assert batch.holds == []


async def test_a_second_look_finds_nothing_to_do(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), message("b", 5))
        for _ in range(3):
            await looked(collector, batch)
    assert batch.rows.keys() == {"a", "b"}
    batch.check_events()


async def test_a_line_that_comes_twice_is_charged_once(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), message("b", 5), message("a", 7), succeeded=2)
        await looked(collector, batch)
    assert {name: row["cost_nusd"] for name, row in batch.rows.items()} == dict.fromkeys("ab", 5 * (IN + OUT))
    assert batch.holds == []


async def test_an_output_file_and_an_error_file_are_one_batch(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway, "chat_completions")
        told = {"id": batch.id, "object": "batch", "status": "expired", "output_file_id": "file-o"}
        told |= {"error_file_id": "file-e", "request_counts": {"total": 3, "completed": 2, "failed": 1}}
        late = {"id": "r", "custom_id": "c", "response": None, "error": {"code": "batch_expired"}}
        bench.shelf.put(f"/v1/batches/{batch.id}", json.dumps(told).encode())
        bench.shelf.put("/v1/files/file-o/content", jsonl(completion("a", 2), completion("b", 3)))
        bench.shelf.put("/v1/files/file-e/content", json.dumps(late).encode())
        await looked(collector, batch)
    rows = batch.rows
    assert [rows[name]["cost_nusd"] for name in "abc"] == [2 * (GPT_IN + GPT_OUT), 3 * (GPT_IN + GPT_OUT), 0]
    assert [(rows[name]["decision"], rows[name]["reason"]) for name in "ac"] == [
        ("allowed", None),
        ("failed", "expired"),
    ]
    assert [rows[name]["upstream_request_id"] for name in "abc"] == ["req_a", "req_b", None]
    assert batch.holds == []


# ---------------------------------------------------------------- many


@pytest.mark.parametrize("processes", [2, 3])
async def test_processes_that_race_over_one_batch_write_each_line_once(bench, processes):
    names = [f"line-{number}" for number in range(40)]
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(bench.process()) for _ in range(processes)]
        batch = await submitted(bench, made[0][0])
        batch.results(*(message(name, 3) for name in names))
        await asyncio.gather(*(looked(collector, batch) for _, collector in made))
    assert batch.rows.keys() == set(names)
    assert batch.holds == []
    batch.check_events()


async def test_one_process_alone_looks_at_batches_that_no_client_asks_for(bench):
    async with bench.process() as (gateway, first), bench.process() as (_, second):
        batch = await submitted(bench, gateway)
        bench.shelf.put(batch.path, GOES_ON)
        await first.look(set())
        await second.look(set())
        assert (batch.first in first._watched, batch.first in second._watched) == (True, False)
        await first.close()
        while not await second._standing.lead():
            await asyncio.sleep(0)
        await second.look(set())
        assert batch.first in second._watched


async def test_a_collector_whose_hold_another_took_writes_nothing_more(bench):
    half = jsonl(message("a", 5), message("b", 5))
    async with bench.process() as (gateway, slow), bench.process() as (_, quick):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), message("b", 5), message("c", 5), message("d", 5))
        results = f"{batch.path}/results"
        whole = bench.shelf.pages[results]
        bench.shelf.stays_open = True
        bench.shelf.put(results, half, missing=len(half))
        waiting = asyncio.ensure_future(looked(slow, batch))
        await until(lambda: batch.rows.keys() == {"a", "b"})
        bench.shelf.stays_open = False
        bench.shelf.pages[results] = whole
        await looked(quick, batch)
        assert batch.rows.keys() == set("abcd")
        assert batch.holds == []
        bench.shelf.let_go.set()
        await waiting
    assert batch.rows.keys() == set("abcd")
    batch.check_events()


# ---------------------------------------------------------------- again


async def test_what_a_dead_process_left_is_gone_on_with_in_another_order(bench):
    lines = {name: message(name, 5) for name in "abcdef"}
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(*lines.values())
        results = f"{batch.path}/results"
        bench.shelf.stays_open = True
        some = jsonl(lines["b"], lines["e"]) + lines["a"][:20]
        bench.shelf.put(results, some, missing=1000)
        looking = asyncio.ensure_future(looked(collector, batch))
        await until(lambda: batch.rows.keys() == {"b", "e"})
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    bench.shelf.stays_open = False
    (hold,) = batch.holds
    assert (hold["amount_nusd"], hold["hold_id"] == batch.first) == (HELD - 10 * (IN + OUT), False)
    async with bench.process() as (_, collector):
        bench.shelf.put(results, jsonl(*(lines[name] for name in "fedcba")))
        await looked(collector, batch)
    assert {name: row["cost_nusd"] for name, row in batch.rows.items()} == dict.fromkeys(
        "abcdef", 5 * (IN + OUT)
    )
    assert batch.holds == []
    batch.check_events()


async def test_results_that_break_off_are_read_again(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), message("b", 5), message("c", 5))
        results = f"{batch.path}/results"
        whole = bench.shelf.pages[results]
        bench.shelf.put(results, message("b", 5) + b"\n" + message("a", 5)[:30], missing=500)
        with capture_logs() as logs:
            await looked(collector, batch)
        assert [log["event"] for log in logs if log["event"] != "batch_collected"] == ["batch_waits"]
        assert batch.rows.keys() == {"b"}
        bench.shelf.pages[results] = whole
        await looked(collector, batch)
    assert batch.rows.keys() == set("abc")
    assert batch.holds == []


async def test_a_provider_that_is_down_is_asked_later_and_said_once(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        bench.shelf.put(batch.path, b"{}", status=503)
        with capture_logs() as logs:
            for _ in range(4):
                await looked(collector, batch)
            bench.shelf.put(batch.path, b"no batch at all")
            for _ in range(2):
                await looked(collector, batch)
            bench.shelf.put(batch.path, GOES_ON)
            await looked(collector, batch)
        assert [log["why"] for log in logs] == [
            f"the provider answered 503 for {batch.path}",
            "what the provider says of it is no batch",
        ]
        assert (batch.rows, len(batch.holds)) == ({}, 1)
        batch.results(message("a", 5))
        await looked(collector, batch)
    assert batch.rows.keys() == {"a"}


async def test_a_batch_that_goes_on_is_looked_at_more_rarely_the_older_it_is(bench):
    bench.settings = Settings(data_dir=bench.settings.data_dir, sandbox_url=bench.shelf.address)
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        (standing,) = await collector._standing.all()
        waits = []
        for age in (timedelta(0), timedelta(minutes=10), timedelta(hours=9)):
            gateway.clock = lambda age=age: batch.row.created_at + age
            waits.append(collector._wait(standing))
    assert waits == [30, 60, 600]


async def test_a_batch_of_another_upstream_than_the_present_one_is_left_to_its_expiry(bench):
    async with bench.process() as (gateway, collector):
        row = Row(org_id=bench.org, request_id=uuid7(), provider="anthropic", dialect="messages")
        row.id, row.created_at, row.tags = uuid7(), utc_now(), {BATCH_ID: "msgbatch_elsewhere"}
        first = Hold(bench.org, uuid7(), row.request_id, HELD, utc_now(), draft_text(row))
        answer = Metered(Usage(), "none", answer_id="msgbatch_elsewhere")
        await gateway.writer.settle(row, None, hold_for(row, first, answer, gateway))
        batch = Batch(bench, "msgbatch_elsewhere", row)
        batch.results(message("a", 5))
        with capture_logs() as logs:
            await collector.look(set())
            await asyncio.gather(*(watched.task for watched in collector._watched.values()))
    assert (batch.rows, len(batch.holds), bench.shelf.asked) == ({}, 1, [])
    assert [log["why"] for log in logs] == ["it was submitted to anthropic, and calls now go to sandbox"]


# ---------------------------------------------------------------- what does not add up


@pytest.mark.parametrize(
    "wrong",
    [
        b"no JSON",
        b'{"result":{"type":"succeeded"}}',
        b"[]",
        message("x", 5)[:-30],
        b'{"custom_id":"x","result":{"type":"succeeded","message":{"type":"error"}}}',
        b'{"custom_id":"x","result":{"type":"a_new_one"}}',
    ],
)
async def test_an_unreadable_line_stops_no_other_and_what_is_left_is_charged_at_the_end(bench, wrong):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), wrong, message("b", 5), succeeded=2)
        for _ in range(3):
            await looked(collector, batch)
        assert bench.shelf.asked.count(f"{batch.path}/results") == 1, "read again and again"
        rest = HELD - 10 * (IN + OUT)
        assert [hold["amount_nusd"] for hold in batch.holds] == [rest]
        bench.database.run("update vis.budget_holds set expires_at = now() - interval '1 s'")
        reaper = Reaper(bench.database.url("vis_writer"), gateway.writer, utc_now, 30)
        assert await reaper.reap() == 1
        reaper.close()
    rows = batch.rows
    assert rows.keys() == {"a", "b", ""}
    assert (rows[""]["cost_nusd"], rows[""]["usage_source"], rows[""]["reason"]) == (
        rest,
        "reservation_ceiling",
        "in_doubt",
    )
    assert rows[""]["corrects"] == batch.row.id
    batch.check_events()


async def test_results_with_fewer_answers_than_the_provider_counts_stay_held(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(message("a", 5), succeeded=2)
        await looked(collector, batch)
    assert batch.rows.keys() == {"a"}
    assert [hold["amount_nusd"] for hold in batch.holds] == [HELD - 5 * (IN + OUT)]


async def test_a_batch_without_results_costs_nothing(bench):
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway, "chat_completions")
        bench.shelf.put(f"/v1/batches/{batch.id}", json.dumps({"id": batch.id, "status": "failed"}).encode())
        await looked(collector, batch)
    assert (batch.rows, batch.holds) == ({}, [])


async def test_a_line_is_read_whole_however_large_and_one_beyond_all_bounds_is_unreadable(bench, monkeypatch):
    monkeypatch.setattr("visionality.gateway.batches.collector.LINE_LIMIT", 300_000)
    large = json.loads(message("large", 5))
    large["result"]["message"]["content"] = [{"type": "text", "text": "x" * 250_000}]
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway)
        batch.results(
            message("a", 5), json.dumps(large).encode(), b"y" * 400_000, message("b", 5), succeeded=3
        )
        await looked(collector, batch)
    assert batch.rows.keys() == {"a", "large", "b"}
    assert len(batch.holds) == 1


# ---------------------------------------------------------------- budgets


async def test_a_window_counts_what_the_lines_cost_and_lets_the_rest_go(bench):
    window = a_window(bench)
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway, window=window)
        assert state(bench, window) == (0, HELD)
        batch.results(message("a", 5), b"unreadable", message("b", 5), succeeded=2)
        await looked(collector, batch)
        assert state(bench, window) == (10 * (IN + OUT), HELD - 10 * (IN + OUT))
        batch = await submitted(bench, gateway, window=window)
        batch.results(message("a", 5), message("b", 5))
        await looked(collector, batch)
    assert state(bench, window) == (20 * (IN + OUT), HELD - 10 * (IN + OUT))


async def test_lines_of_a_price_that_nobody_knows_count_with_what_was_held_and_once(bench):
    window = a_window(bench)
    lines = [message(name, 5).replace(MODEL.encode(), b"model-of-nobody") for name in "abc"]
    async with bench.process() as (gateway, collector):
        batch = await submitted(bench, gateway, window=window)
        batch.results(lines[0], message("d", 5), *lines[1:])
        await looked(collector, batch)
    assert {name: row["price_state"] for name, row in batch.rows.items()} == {
        "a": "unknown",
        "b": "unknown",
        "c": "unknown",
        "d": "known",
    }
    assert sum(row["cost_nusd"] for row in batch.rows.values()) == 5 * (IN + OUT)
    assert (state(bench, window), batch.holds) == ((HELD, 0), [])


def a_window(bench: Bench) -> Window:
    """That of a soft budget for all time."""
    budget_id = uuid7()
    with bench.database.as_role("vis_web", bench.org) as connection:
        open_budget(connection.cursor(), bench.org, budget_id, HELD, hard=False)
    return Window(bench.org, window_id(budget_id, EVER[0], ""), budget_id, "", *EVER)


def state(bench: Bench, window: Window) -> tuple[int, int]:
    """What is spent and what is held in a window."""
    asked = "select spent_nusd, reserved_nusd from vis.budget_windows where window_id = %s"
    (found,) = bench.query(asked, window.window_id)
    return found["spent_nusd"], found["reserved_nusd"]


# ---------------------------------------------------------------- any


@dataclass(frozen=True)
class Story:
    """What becomes of one batch: words of each line, and how often its results break off, after how many lines."""

    lines: dict[str, int]
    breaks: list[int]
    processes: int
    seed: int


stories = st.builds(
    Story,
    lines=st.dictionaries(st.text(min_size=1, max_size=6), st.integers(0, 50), max_size=10),
    breaks=st.lists(st.integers(0, 10), max_size=3),
    processes=st.integers(1, 3),
    seed=st.integers(0, 99),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories)
def test_whatever_happens_on_the_way_each_line_costs_what_it_reports_once(bench, story):
    asyncio.run(play(bench, story))


async def play(bench: Bench, story: Story) -> None:
    lines = [message(name, words) for name, words in story.lines.items()]
    chance = random.Random(story.seed)
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(bench.process()) for _ in range(story.processes)]
        batch = await submitted(bench, made[0][0])
        batch.results(*lines)
        results = f"{batch.path}/results"
        for after in story.breaks:
            chance.shuffle(lines)
            some = jsonl(*lines[:after]) + b'{"custom_id":"'
            bench.shelf.put(results, some, missing=10)
            await asyncio.gather(*(looked(collector, batch) for _, collector in made))
        chance.shuffle(lines)
        bench.shelf.put(results, jsonl(*lines))
        await asyncio.gather(*(looked(collector, batch) for _, collector in made))
    rows = {row["id"]: row["cost_nusd"] for row in batch_rows(batch)}
    assert rows == {line_id(batch.row.id, name): words * (IN + OUT) for name, words in story.lines.items()}
    assert batch.holds == []
    settled = bench.query(
        "select coalesce(sum(actual_nusd), 0)::bigint as s from vis.budget_events where request_id = %s",
        batch.row.request_id,
    )
    assert settled[0]["s"] == sum(rows.values())


def batch_rows(batch: Batch) -> list[dict[str, Any]]:
    found = "select id, cost_nusd from vis.request_logs where request_id = %s and entry = 'true_up'"
    rows = batch.bench.query(found, batch.row.request_id)
    assert len({row["id"] for row in rows}) == len(rows)
    return rows


@given(st.lists(st.text(min_size=1), unique=True, max_size=30))
def test_lines_have_ids_of_their_own_and_the_time_of_their_submission(names):
    submission = uuid7()
    ids = {line_id(submission, name) for name in names}
    assert len(ids) == len(names)
    assert {(made.version, made.variant, made.int >> 80) for made in ids} <= {
        (7, submission.variant, submission.int >> 80)
    }
    assert ids.isdisjoint({line_id(uuid7(), name) for name in names})
