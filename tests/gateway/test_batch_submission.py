"""Promises G1 and B1 for batches: what is held for one before it leaves, and what of its answers is changed."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.bench import Bench, bench_on
from gateway.scripted import closed_port
from visionality.core.call import Ask, Refusal, Weighed
from visionality.core.pricing import cost_of
from visionality.core.row import Row, draft_text
from visionality.core.usage import Metered, Usage
from visionality.gateway.admit import Upstream
from visionality.gateway.batches.answers import addressed, begun, seen
from visionality.gateway.batches.endpoints import AT_ANTHROPIC, AT_OPENAI
from visionality.gateway.batches.submission import Weight, weighed
from visionality.gateway.client import Client
from visionality.gateway.connection import Presence
from visionality.gateway.dialects.member import is_each_once, members_of
from visionality.gateway.forward import Exchange
from visionality.gateway.later import hold_id
from visionality.gateway.passthrough import passed
from visionality.gateway.routes import Target, find
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Hold
from visionality.pricebook.book import PriceBook
from visionality.registry.snapshot import Organisation
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

CHAT = "/v1/chat/completions"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
BOOK = PriceBook()
HERE = Upstream("sandbox", "http://127.0.0.1:1", (b"", b""), drains=True)


@pytest.fixture
def bench(database, org, tmp_path):
    with bench_on(database, org, tmp_path, max_body_bytes=100_000) as made:
        yield made


# ---------------------------------------------------------------- what is held

MODELS = {
    AT_ANTHROPIC: ("claude-sonnet-4-5", "claude-sonnet-4-6", "claude-haiku-4-5"),
    AT_OPENAI[CHAT]: ("gpt-4o", "gpt-5.1", "gpt-4.1-mini"),
}
INPUTS = ("in_text", "cache_read", "cache_write_5m", "cache_write_1h")


@settings(deadline=None)
@given(data=st.data(), target=st.sampled_from(list(MODELS)), geo=st.sampled_from([None, "us"]))
def test_no_usage_that_its_lines_allow_costs_more_than_is_held(data, target, geo):
    weight, cost_nusd = Weight(BOOK, target, HERE, NOW), 0
    tier = {"processing": "batch"} | ({"inference_geo": geo} if geo and target is AT_ANTHROPIC else {})
    for number in range(data.draw(st.integers(1, 6))):
        model = data.draw(st.sampled_from(MODELS[target]))
        size, limit = data.draw(st.integers(100, 400_000)), data.draw(st.integers(1, 64_000))
        weight.add(str(number), {"model": model, "max_tokens": limit, "messages": []}, size)
        read = data.draw(st.integers(0, size))
        used = {data.draw(st.sampled_from(INPUTS)): read, "out_text": data.draw(st.integers(0, limit))}
        priced = cost_of(used, BOOK.card(target.provider.price_list, model, NOW, tier, read))
        assert priced.state == "known"
        cost_nusd += priced.cost_nusd
    assert cost_nusd <= weight.nusd
    assert weight.unpriced == 0


def test_the_price_of_batches_is_what_is_held_and_not_that_of_single_calls():
    batch, single = Weight(BOOK, AT_OPENAI[CHAT], HERE, NOW), BOOK.dearest("openai", "gpt-4o", NOW)
    batch.add("a", {"model": "gpt-4o", "max_tokens": 1000}, 0)
    assert batch.nusd == 1000 * 5_000
    assert single is not None
    assert cost_of({"out_text": 1000}, single).cost_nusd > batch.nusd


@pytest.mark.parametrize(
    ("endpoint", "model", "unpriced"),
    [(CHAT, "model-of-nobody", 1), ("/v1/moderations", None, 0), ("/v1/images/generations", None, 1)],
)
def test_a_price_that_nobody_knows_is_counted_and_what_is_free_is_free(endpoint, model, unpriced):
    weight = Weight(BOOK, AT_OPENAI[endpoint], HERE, NOW)
    weight.add("a", {"model": model} if model else {}, 100)
    assert (weight.nusd, weight.unpriced) == (0, unpriced)


# ---------------------------------------------------------------- the input file


def line(custom_id: str, **fields: object) -> bytes:
    body = {"model": "gpt-4o", "max_tokens": 10, "messages": []}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body} | fields).encode()


def a_client() -> Client:
    async def never() -> dict[str, object]:
        raise AssertionError

    return Client(never, never, Presence(lambda _: True), None)


async def weighed_by(gateway: Gateway, bench: Bench, client: Client) -> tuple[Row, Ask]:
    row = Row(org_id=bench.org, request_id=uuid7(), provider="sandbox", dialect="batches")
    target = find("POST", "/v1/batches", ())
    assert target is not None
    upstream = Upstream("sandbox", f"{gateway.settings.sandbox_url}/v1", (b"x", b"y"), drains=True)
    organisation: Organisation = (await gateway.snapshots.current()).organisations[bench.org]
    document = {"input_file_id": "file-1", "endpoint": CHAT}
    client.deadline = gateway.deadlines.begin()
    asked, _ = await weighed(gateway, organisation, row, target, upstream, client, document)
    return row, asked


async def test_an_input_file_is_weighed_line_by_line(bench):
    bench.shelf.put("/v1/files/file-1/content", line("a") + b"\r\n\n" + line("b"))
    async with bench.process() as (gateway, _):
        row, asked = await weighed_by(gateway, bench, a_client())
    held = (len(line("a")) + len(line("b")) + 1) * 1_250 + 2 * 10 * 5_000
    assert asked.batch == Weighed(held, 0)
    assert (row.dialect, row.model_requested, row.price_state) == ("chat_completions", "gpt-4o", "known")


@pytest.mark.parametrize(
    ("status", "body", "missing", "refused"),
    [
        (404, b"{}", 0, (400, "batch_input_unreadable")),
        (401, b"{}", 0, (400, "batch_input_unreadable")),
        (302, b"", 0, (400, "batch_input_unreadable")),
        (429, b"{}", 0, (502, "upstream_broke")),
        (503, b"{}", 0, (502, "upstream_broke")),
        (200, line("a"), 10, (502, "upstream_broke")),
        (
            200,
            line("a", body={"model": "gpt-4o", "messages": ["x" * 100_000]}),
            0,
            (400, "batch_line_invalid"),
        ),
        (200, b"", 0, (400, "batch_line_invalid")),
    ],
)
async def test_a_file_that_cannot_be_had_is_refused_before_anything_is_submitted(
    bench, status, body, missing, refused
):
    bench.shelf.put("/v1/files/file-1/content", body, status=status, missing=missing)
    async with bench.process() as (gateway, _):
        with pytest.raises(Refusal) as raised:
            await weighed_by(gateway, bench, a_client())
    assert (raised.value.status, raised.value.code) == refused
    assert set(bench.shelf.asked) == {"/v1/files/file-1/content"}


async def test_a_provider_that_is_away_is_told_as_for_any_call(bench):
    bench.settings = replace(bench.settings, sandbox_url=closed_port())
    async with bench.process() as (gateway, _):
        with pytest.raises(Refusal) as raised:
            await weighed_by(gateway, bench, a_client())
    assert (raised.value.status, raised.value.code) == (502, "upstream_unreachable")


async def test_a_batch_whose_client_leaves_while_it_is_weighed_is_not_submitted(bench):
    bench.shelf.stays_open = True
    bench.shelf.put("/v1/files/file-1/content", line("a"), missing=10)
    async with bench.process() as (gateway, _):
        client = a_client()
        weighing = asyncio.ensure_future(weighed_by(gateway, bench, client))
        while not bench.shelf.asked:
            await asyncio.sleep(0)
        client.presence.left()
        with pytest.raises(Refusal) as raised:
            await weighing
        assert (raised.value.status, raised.value.code) == (499, "client_abort")
        assert client.presence.watchers == set()


# ---------------------------------------------------------------- answers


def held(row: Row) -> Hold:
    return Hold(row.org_id, uuid7(), row.request_id, 5_000, utc_now(), draft_text(row))


def a_row() -> Row:
    return Row(org_id=uuid7(), request_id=uuid7(), provider="openai", dialect="batches", price_state="known")


@pytest.mark.parametrize(
    "code", ["upstream_broke", "upstream_timeout", "upstream_nonsense", "gateway_stopped"]
)
def test_a_submission_whose_answer_was_lost_is_charged_at_its_worst_case(code):
    row = a_row()
    begun(row, held(row), Exchange(failure=(502, code, "")))
    assert (row.cost_nusd, row.billed_nusd, row.usage_source) == (5_000, 5_000, "reservation_ceiling")


@pytest.mark.parametrize(
    "exchange",
    [
        Exchange(failure=(502, "upstream_unreachable", "")),
        Exchange(status=429),
        Exchange(status=503, failure=(502, "upstream_broke", "")),
    ],
)
def test_a_submission_that_began_nothing_costs_nothing(exchange):
    row = a_row()
    begun(row, held(row), exchange)
    assert (row.cost_nusd, row.usage_source, row.tags) == (0, "none", None)


async def test_only_a_batch_that_has_ended_is_to_be_collected(bench):
    row = a_row()
    async with bench.process() as (gateway, _):
        for number, status in enumerate(("in_progress", "completed", "ended", "finalizing", "failed")):
            exchange = Exchange(metered=Metered(Usage(), "none", finish=status, answer_id=f"b{number}"))
            seen(gateway, row, HERE, exchange)
            assert exchange.metered.answer_id is None
        wanted = await gateway.ended.take(0)
    assert wanted == {hold_id(row.org_id, "sandbox", f"b{number}") for number in (1, 2, 4)}


MESSAGE_BATCH = "/v1/messages/batches/msgbatch_1"


def told(url: object) -> bytes:
    return json.dumps({"id": "msgbatch_1", "results_url": url, "type": "message_batch"}, indent=1).encode()


@pytest.mark.parametrize(
    ("path", "headers", "here"),
    [
        (MESSAGE_BATCH, {"host": "127.0.0.1:8700"}, "http://127.0.0.1:8700"),
        ("/anthropic" + MESSAGE_BATCH, {"host": "gw.example"}, "http://gw.example/anthropic"),
        (MESSAGE_BATCH, {"host": "[::1]:80", "x-forwarded-proto": "https"}, "https://[::1]:80"),
        (MESSAGE_BATCH, {"host": "gw.example", "x-forwarded-proto": "https, http"}, "https://gw.example"),
    ],
)
def test_the_address_of_results_is_the_only_thing_that_changes(path, headers, here):
    sent = tuple((name.encode(), value.encode()) for name, value in headers.items())
    url = f"https://api.anthropic.com{MESSAGE_BATCH}/results"
    answer = addressed(target_of(path), told(url), sent, path)
    assert answer == told(f"{here}{MESSAGE_BATCH}/results")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (None, b"gw.example"),
        (7, b"gw.example"),
        ("https://elsewhere.example/results", b"gw.example"),
        (f"https://api.anthropic.com{MESSAGE_BATCH}/results", b'"><script>'),
        (f"https://api.anthropic.com{MESSAGE_BATCH}/results", b""),
    ],
)
def test_what_is_no_address_of_results_stays_as_it_came(url, host):
    assert addressed(target_of(MESSAGE_BATCH), told(url), ((b"host", host),), MESSAGE_BATCH) == told(url)


def target_of(path: str) -> Target:
    target = find("GET", path, ())
    assert target is not None
    return target


# ---------------------------------------------------------------- names and routes

names = st.text(alphabet='ab"\\', max_size=2)
values = st.recursive(
    st.none() | st.integers(-9, 99) | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)


@given(pairs=st.lists(st.tuples(names, values), max_size=5), space=st.sampled_from(["", " ", "\n\t"]))
def test_a_name_that_comes_twice_is_seen_whatever_stands_around_it(pairs, space):
    written = f",{space}".join(f"{json.dumps(name)}{space}:{json.dumps(value)}" for name, value in pairs)
    body = f"{space}{{{space}{written}{space}}}{space}".encode()
    assert is_each_once(body, members_of(body)) == (len({name for name, _ in pairs}) == len(pairs))
    assert msgspec.json.decode(body) == dict(pairs)


def test_anthropics_own_files_do_not_end_at_openai():
    speaks = ((b"anthropic-version", b"2023-06-01"),)
    for method, path in (
        ("POST", "/v1/files"),
        ("GET", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
    ):
        assert find(method, path, ()) is not None
        assert find(method, path, speaks) is None
        assert find(method, f"/openai{path}", speaks) is not None


@pytest.mark.parametrize(
    "path",
    ["/openai/v1/Batches", "/openai/v1/batches/", "/anthropic/v1/messages/batches/", "/openai/v1/batche%73"],
)
def test_a_submission_under_another_spelling_is_not_passed_through(path):
    assert passed("POST", path) is None
