"""Promises G1, G5, L1: batches through the official SDKs. A batch is one row for its submission and one for each line of
its results, at the price of batches, however often, by whomever and whether at all the results are fetched."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.batches import (
    BATCHES,
    CHAT,
    CHAT_COST,
    CLAUDE_COST,
    FILES,
    GPT_IN,
    GPT_OUT,
    HAIKU,
    HAIKU_COST,
    MESSAGE_BATCHES,
    UNENDING,
    Row,
    all_ended,
    check_done,
    check_events,
    check_free,
    check_line,
    collected,
    ended,
    held,
    jsonl,
    line,
    line_rows,
    message_batch,
    request,
    sending,
    submission,
    submit,
)
from gateway.budgets import in_force
from gateway.calls import CLAUDE, GPT, Caller, Reply, ask, complaints, new_id, opened
from gateway.conftest import BODY_LIMIT
from product import Product, running, set_up
from visionality.core.money import NANO
from visionality.gateway.forward import ANSWER_LIMIT
from visionality.sandbox.generation import DEFAULT, DEFAULT_TEXT


@pytest.fixture(scope="module")
def client(product, caller) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def claude(product, caller) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=product.gateway, api_key=caller.key, max_retries=0) as made:
        yield made


# ---------------------------------------------------------------- OpenAI

ANSWERED: dict[str, tuple[str | None, dict[str, int], int]] = {
    CHAT: (GPT, {"in_text": 3, "out_text": DEFAULT.output_tokens}, CHAT_COST),
    "/v1/responses": (
        "gpt-5.1",
        {"in_text": 3, "out_text": DEFAULT.output_tokens},
        3 * 625 + DEFAULT.output_tokens * 5_000,
    ),
    "/v1/images/generations": (
        "gpt-image-1",
        {"in_text": 3, "out_image": 1056},
        3 * 2_500 + 1056 * 20_000,
    ),
}


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
@pytest.mark.parametrize("url", ANSWERED)
def test_each_line_is_a_row_at_the_price_of_batches(product, caller, base, url):
    with openai.OpenAI(base_url=product.gateway + base, api_key=caller.key, max_retries=0) as client:
        batch = submit(client, call_id := new_id(), line("a", url), line("b", url), url=url)
        batch = ended(client, batch)
        answers = [json.loads(text) for text in client.files.content(batch.output_file_id).text.splitlines()]
    assert [answer["custom_id"] for answer in answers] == ["a", "b"]
    assert (batch.status, batch.request_counts.completed) == ("completed", 2)
    rows = collected(product, call_id, batch.id)
    assert rows.keys() == {"a", "b"}
    for answer in answers:
        row = rows[answer["custom_id"]]
        check_done(row, *ANSWERED[url])
        assert row["upstream_request_id"] == answer["response"]["request_id"]
    assert submission(product, call_id)["price_state"] == "known"


async def test_a_batch_async(product, caller):
    async with openai.AsyncOpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key) as client:
        file = await client.files.create(file=("in.jsonl", jsonl(line("a"), line("b"))), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id,
            endpoint=CHAT,
            completion_window="24h",
            metadata={"run": "nightly"},
            extra_headers=sending(call_id := new_id()),
        )
        assert batch.metadata == {"run": "nightly"}
        while batch.status != "completed":
            batch = await client.batches.retrieve(batch.id)
        content = await client.files.content(batch.output_file_id)
    assert content.text.count(DEFAULT_TEXT) == 2
    rows = collected(product, call_id, batch.id)
    assert [row["cost_nusd"] for row in rows.values()] == [CHAT_COST] * 2


def test_embeddings_whose_batch_price_nobody_knows_are_unknown_and_not_free(product, client):
    url = "/v1/embeddings"
    batch = ended(client, submit(client, call_id := new_id(), line("a", url), url=url))
    row = collected(product, call_id, batch.id)["a"]
    assert (row["price_state"], row["cost_nusd"], row["usage"]) == ("unknown", 0, {"embed": 3})
    assert (row["usage_source"], row["input_tokens"]) == ("batch_result", 3)


def test_moderations_are_free_in_a_batch_too(product, client):
    url = "/v1/moderations"
    batch = ended(client, submit(client, call_id := new_id(), line("a", url), line("b", url), url=url))
    rows = collected(product, call_id, batch.id)
    assert {(row["price_state"], row["cost_nusd"]) for row in rows.values()} == {("free", 0)}
    assert rows.keys() == {"a", "b"}


USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 40},
}


def test_a_line_is_priced_by_what_it_reports_and_by_the_model_that_served_it(product, client):
    plan = {"usage": USAGE, "served_model": "gpt-4o-2024-08-06", "service_tier": "batch"}
    batch = ended(client, submit(client, call_id := new_id(), line("a"), **plan))
    row = collected(product, call_id, batch.id)["a"]
    assert (row["model_requested"], row["model_used"], row["model_family"]) == (
        GPT,
        plan["served_model"],
        "gpt-4o",
    )
    assert row["usage"] == {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
    assert row["cost_nusd"] == 1000 * GPT_IN + 100 * GPT_OUT
    assert (row["served_tier"], row["reasoning_tokens"]) == ("batch", 40)


def test_the_hold_is_the_sum_of_what_the_lines_can_cost_at_the_price_of_batches(product, client):
    lines = [line(f"line-{number}") for number in range(20)]
    submit(client, call_id := new_id(), *lines, batch=UNENDING)
    (amount,) = held(product, submission(product, call_id))
    output = 20 * 100 * GPT_OUT
    assert output < amount <= output + len(jsonl(*lines)) * GPT_IN


def test_a_line_without_an_output_limit_holds_what_the_model_can_say(product, client):
    unlimited = line("a")
    del unlimited["body"]["max_tokens"]
    submit(client, call_id := new_id(), unlimited, batch=UNENDING)
    (amount,) = held(product, submission(product, call_id))
    assert amount > 100_000 * GPT_OUT


def test_results_may_be_fetched_as_often_as_anybody_likes(product, caller, client):
    batch = ended(client, submit(client, call_id := new_id(), line("a"), line("b")))
    before = collected(product, call_id, batch.id)
    for _ in range(10):
        call = {"x-client-request-id": (fetch_id := new_id())}
        client.files.content(batch.output_file_id, extra_headers=call)
        client.batches.retrieve(batch.id)
        row = caller.row(fetch_id)
        assert (row["cost_nusd"], row["usage"], row["usage_source"]) == (0, None, "none")
    assert collected(product, call_id, batch.id) == before


def test_many_who_look_at_once_have_each_line_collected_once(product, client):
    begun = [(new_id(), [line(f"line-{number}") for number in range(15)]) for _ in range(3)]
    batches = [submit(client, call_id, *lines, batch={"polls": 3}) for call_id, lines in begun]
    with ThreadPoolExecutor(24) as pool:
        seen = list(pool.map(lambda at: ended(client, batches[at % 3]), range(48)))
    assert {batch.status for batch in seen} == {"completed"}
    for (call_id, lines), batch in zip(begun, batches, strict=True):
        rows = collected(product, call_id, batch.id)
        assert rows.keys() == {one["custom_id"] for one in lines}


def test_a_batch_is_charged_to_who_submitted_it_and_not_to_who_looks(product, client):
    batch = submit(client, call_id := new_id(), line("a"))
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=product.issue(), max_retries=0) as other:
        ended(other, batch)
    row = collected(product, call_id, batch.id)["a"]
    assert row["task_id"] == "HPC-1234"


def test_results_in_any_order_and_over_slow_small_pieces_are_collected_whole(product, client):
    names = [f"line-{number}" for number in range(30)]
    plan = {"split_bytes": 97, "batch": {"shuffled": True}}
    batch = ended(client, submit(client, call_id := new_id(), *map(line, names), **plan))
    rows = collected(product, call_id, batch.id)
    assert rows.keys() == set(names)
    assert sum(row["cost_nusd"] for row in rows.values()) == 30 * CHAT_COST


def test_lines_that_failed_are_free_rows_beside_the_others(product, client):
    lines = [line("good"), line("refused"), line("wrong", messages=[])]
    batch = submit(client, call_id := new_id(), *lines, batch={"errored": ["refused"]})
    batch = ended(client, batch)
    assert batch.error_file_id
    rows = collected(product, call_id, batch.id)
    assert rows["good"]["cost_nusd"] == CHAT_COST
    for name in ("refused", "wrong"):
        check_free(rows[name], "upstream_refused")
        assert rows[name]["status_code"] == 400
    assert len(rows) == 3


def test_a_batch_that_expired_charges_what_was_done(product, client):
    lines = map(line, ("a", "b", "c"))
    batch = submit(client, call_id := new_id(), *lines, batch={"ends": "expired", "done": 2})
    batch = ended(client, batch)
    assert batch.status == "expired"
    rows = collected(product, call_id, batch.id)
    assert [rows[name]["cost_nusd"] for name in "ab"] == [CHAT_COST] * 2
    check_free(rows["c"], "expired")


def test_a_batch_that_was_cancelled_charges_what_was_done(product, client):
    lines = map(line, ("a", "b", "c"))
    batch = submit(client, call_id := new_id(), *lines, batch=UNENDING | {"done": 1})
    assert held(product, submission(product, call_id))
    cancel = {"x-client-request-id": (cancel_id := new_id())}
    assert client.batches.cancel(batch.id, extra_headers=cancel).status == "cancelling"
    assert ended(client, batch).status == "cancelled"
    rows = collected(product, call_id, batch.id)
    assert {name: row["cost_nusd"] for name, row in rows.items() if row["cost_nusd"]} == {"a": CHAT_COST}
    (row,) = product.rows_of(cancel_id)
    assert (row["cost_nusd"], row["decision"]) == (0, "allowed")


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_batch_of_which_nothing_ran_costs_nothing(product, client, how):
    batch = submit(client, call_id := new_id(), line("a"), batch={"ends": how})
    assert ended(client, batch).status == how
    assert collected(product, call_id, batch.id) == {}


def test_a_line_without_usage_is_an_estimate_and_says_so(product, client):
    batch = submit(client, call_id := new_id(), line("a"), line("b"), batch={"unreported": ["b"]})
    batch = ended(client, batch)
    rows = collected(product, call_id, batch.id)
    check_done(rows["a"], *ANSWERED[CHAT])
    row = rows["b"]
    assert row["usage_source"] == "tokenizer_estimate"
    assert row["tags"]["usage_problem"].startswith("no usage in the answer; what was asked")
    assert 0 < row["cost_nusd"] < 100 * GPT_OUT


def test_a_line_that_nobody_can_read_stops_no_other_and_its_money_stays_held(product, client):
    lines = map(line, ("a", "b", "c"))
    batch = ended(client, submit(client, call_id := new_id(), *lines, batch={"malformed": ["b"]}))
    begun = submission(product, call_id)
    product.until(lambda: len(line_rows(product, batch.id)) == 2)
    first, last = line_rows(product, batch.id)
    assert {row["tags"]["custom_id"] for row in (first, last)} == {"a", "c"}
    for row in (first, last):
        check_line(row, begun)
        check_done(row, *ANSWERED[CHAT])
    (rest,) = held(product, begun)
    assert rest > 100 * GPT_OUT
    client.batches.retrieve(batch.id)
    expire(product, begun)
    product.until(lambda: held(product, begun) == [])
    (charged,) = [row for row in product.rows_of(call_id) if row["usage_source"] == "reservation_ceiling"]
    assert (charged["entry"], charged["corrects"], charged["cost_nusd"]) == ("true_up", begun["id"], rest)


def test_what_nobody_can_collect_is_charged_at_its_worst_case_when_its_hold_expires(product, client):
    batch = submit(client, call_id := new_id(), line("a"), batch=UNENDING)
    begun = submission(product, call_id)
    (amount,) = held(product, begun)
    expire(product, begun)
    product.until(lambda: held(product, begun) == [])
    (_, charged) = product.rows_of(call_id)
    assert (charged["entry"], charged["corrects"]) == ("true_up", begun["id"])
    assert (charged["usage_source"], charged["reason"]) == ("reservation_ceiling", "in_doubt")
    assert charged["cost_nusd"] == amount
    client.batches.cancel(batch.id)
    ended(client, batch)
    assert len(product.rows_of(call_id)) == 2


def expire(product: Product, begun: Row) -> None:
    changed = product.query(
        "update vis.budget_holds set expires_at = now() - interval '1 s' where request_id = %s returning hold_id",
        begun["request_id"],
    )
    assert len(changed) == 1


def test_a_provider_that_refuses_the_submission_leaves_nothing_held(product, caller, client):
    with pytest.raises(openai.RateLimitError):
        submit(client, call_id := new_id(), line("a"), status=429)
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", 429)
    assert held(product, row) == []


@pytest.mark.parametrize("lost", [{"content_length_lie": True}, {"garbage": True}], ids=str)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_submission_whose_answer_is_lost_is_charged_at_its_worst_case(
    product, client, claude, vendor, lost
):
    """Its batch may run, and nobody knows its name."""
    call_id = new_id()
    by_vendor: dict[str, Callable[[], Any]] = {
        "openai": lambda: submit(client, call_id, line("a"), **lost),
        "anthropic": lambda: message_batch(claude, call_id, request("a"), **lost),
    }
    with pytest.raises((openai.APIError, anthropic.APIError)):
        by_vendor[vendor]()
    (row,) = product.rows_of(call_id)
    assert (row["decision"], row["usage_source"]) == ("failed", "reservation_ceiling")
    assert row["cost_nusd"] > 100 * GPT_OUT
    assert held(product, row) == []


def test_a_provider_that_bills_more_than_was_held_is_believed(product, client):
    plan = {"usage": {"prompt_tokens": 5_000_000, "completion_tokens": 7, "total_tokens": 5_000_007}}
    lines = [line(name, max_tokens=1) for name in "abc"]
    batch = ended(client, submit(client, call_id := new_id(), *lines, **plan))
    rows = collected(product, call_id, batch.id)
    assert [row["cost_nusd"] for row in rows.values()] == [5_000_000 * GPT_IN + 7 * GPT_OUT] * 3


def test_lines_of_a_model_without_a_price_are_unknown_and_the_others_are_not(product, claude):
    requests = request("known"), request("unknown", model="claude-of-nobody-1")
    batch = all_ended(claude, message_batch(claude, call_id := new_id(), *requests))
    rows = collected(product, call_id, batch.id)
    assert (rows["known"]["price_state"], rows["known"]["cost_nusd"]) == ("known", CLAUDE_COST)
    assert (rows["unknown"]["price_state"], rows["unknown"]["cost_nusd"]) == ("unknown", 0)
    assert rows["unknown"]["usage"] == {"in_text": 3, "out_text": DEFAULT.output_tokens}


def test_lines_are_told_apart_by_the_whole_of_their_custom_ids(product, client):
    names = ["x" * 200 + "1", "x" * 200 + "2", "Grüße \t\n", "a/b?c=\u0000", " "]
    batch = ended(client, submit(client, call_id := new_id(), *map(line, names)))
    begun = submission(product, call_id)
    product.until(lambda: held(product, begun) == [])
    rows = line_rows(product, batch.id)
    assert [row["cost_nusd"] for row in rows] == [CHAT_COST] * len(names)
    assert len({row["id"] for row in rows}) == len(names)
    check_events(product, begun, rows)


# ---------------------------------------------------------------- files


def test_a_file_goes_through_byte_for_byte_and_costs_nothing(product, caller, client):
    content = jsonl(line("a", messages=[{"role": "user", "content": "é — \r\n--boundary"}]))
    ids = [new_id() for _ in range(4)]
    calls = [{"x-client-request-id": call_id} for call_id in ids]
    file = client.files.create(file=("lines.jsonl", content), purpose="batch", extra_headers=calls[0])
    assert content in base64.b64decode(caller.seen()["body"])
    assert (file.bytes, file.purpose) == (len(content), "batch")
    assert client.files.retrieve(file.id, extra_headers=calls[1]) == file
    assert client.files.content(file.id, extra_headers=calls[2]).content == content
    assert client.files.delete(file.id, extra_headers=calls[3]).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    for call_id in ids:
        row = caller.row(call_id)
        assert (row["cost_nusd"], row["usage"], row["decision"]) == (0, None, "allowed")
        assert row["price_state"] in {"known", "free"}


def test_a_file_past_the_limit_of_a_body_is_refused(product, client):
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=("lines.jsonl", b"x" * (BODY_LIMIT + 1)), purpose="batch")
    assert refused.value.status_code == 413
    check_refused(product, refused.value.response.headers["x-vis-request-id"], 413)


# ---------------------------------------------------------------- what is refused


def check_refused(product: Product, request_id: str, status: int) -> None:
    """A refusal is one row; nothing is held and nothing was submitted."""
    (row,) = product.query("select * from vis.request_logs where request_id = %s", request_id)
    assert (row["decision"], row["status_code"], row["cost_nusd"]) == ("refused", status, 0)
    assert held(product, row) == []


def count_submitted(product: Product) -> int:
    """How many calls reached the provider."""
    return int(json.loads(ask(product.sandbox, "GET", "/sandbox/seen", []).body)["count"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (jsonl(line("a"), line("b"), line("a")), "line 3"),
        (jsonl(line("a"), line("b", "/v1/responses")), "line 2"),
        (jsonl(line("a") | {"url": "https://elsewhere.example/v1/chat/completions"}), "line 1"),
        (jsonl(line("a") | {"method": "GET"}), "line 1"),
        (jsonl(line("a") | {"custom_id": ""}), "line 1"),
        (jsonl(line("a") | {"custom_id": 7}), "line 1"),
        (jsonl({"custom_id": "a", "method": "POST", "url": CHAT}), "line 1"),
        (jsonl(line("a") | {"body": "no object"}), "line 1"),
        (jsonl(line("a"), line("b", max_tokens="many")), "line 2"),
        (jsonl(line("a"), line("b", model=7)), "line 2"),
        (jsonl(line("a")) + b'{"custom_id":"b"', "line 2"),
        (jsonl(line("a")) + b"\xff\xfe\n", "line 2"),
        (jsonl(line("a")) + jsonl(line("b")).replace(b'"max_tokens": 100', b'"max_tokens":1,"max_tokens":9'), "line 2"),
        (jsonl(line("a")) + b"[1, 2]\n", "line 2"),
        (b"", "no request"),
        (b"\n\n", "no request"),
    ],
    ids=["same custom_id", "foreign url", "url elsewhere", "another method", "empty custom_id", "custom_id a number",
         "no body", "body a text", "bad limit", "bad model", "cut off", "not UTF-8", "a name twice", "an array", "empty", "blank"],
)  # fmt: skip
def test_a_file_that_cannot_be_weighed_is_refused_with_its_line(product, client, content, told):
    before = count_submitted(product)
    file = client.files.create(file=("lines.jsonl", content), purpose="batch")
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
    assert refused.value.code == "batch_line_invalid"
    assert told in refused.value.message
    check_refused(product, refused.value.response.headers["x-vis-request-id"], 400)
    assert count_submitted(product) == before


NOT_METERED, UNREADABLE = "batch_endpoint_not_metered", "batch_input_unreadable"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"endpoint": "/v1/completions"}, NOT_METERED),
        ({"endpoint": "/v1/audio/speech"}, NOT_METERED),
        ({"endpoint": "/v1/images/edits"}, NOT_METERED),
        ({"endpoint": "/v1/videos"}, NOT_METERED),
        ({"endpoint": "/v1/chat/completions/"}, NOT_METERED),
        ({"endpoint": 7}, NOT_METERED),
        ({"endpoint": None}, NOT_METERED),
        ({"input_file_id": "file-nobody-has"}, UNREADABLE),
        ({"input_file_id": None}, UNREADABLE),
        ({"input_file_id": 7}, UNREADABLE),
        ({"input_file_id": "../models"}, UNREADABLE),
        ({"input_file_id": "file-a/content?x="}, UNREADABLE),
    ],
    ids=str,
)
def test_a_submission_that_is_not_metered_or_names_no_file_is_refused(product, client, fields, code):
    before = count_submitted(product)
    file = client.files.create(file=("lines.jsonl", jsonl(line("a"))), purpose="batch")
    asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | fields
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(**asked)
    assert refused.value.code == code
    check_refused(product, refused.value.response.headers["x-vis-request-id"], 400)
    assert count_submitted(product) == before


def test_a_file_for_another_purpose_is_refused(product, client):
    with pytest.raises(openai.BadRequestError, match="purpose") as refused:
        client.files.create(file=("lines.jsonl", jsonl(line("a"))), purpose="fine-tune")
    check_refused(product, refused.value.response.headers["x-vis-request-id"], 400)


TWICE = [
    (BATCHES, b'{"input_file_id":"file-1","input_file_id":"file-2","endpoint":"/v1/chat/completions","completion_window":"24h"}'),
    (BATCHES, b'{"input_file_id":"file-1","input\\u005ffile_id":"file-2","endpoint":"/v1/chat/completions","completion_window":"24h"}'),
    (MESSAGE_BATCHES, b'{"requests":[],"requests":' + json.dumps([request("a")]).encode() + b"}"),
    (MESSAGE_BATCHES, b'{"requests":[],"req\\u0075ests":' + json.dumps([request("a")]).encode() + b"}"),
    (MESSAGE_BATCHES, json.dumps({"requests": [request("a")]}).encode().replace(b'"max_tokens": 100', b'"max_tokens":1,"max_tokens":9')),
    (MESSAGE_BATCHES, json.dumps({"requests": [request("a")]}).encode().replace(b'"params"', b'"params":{},"params"')),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), TWICE)
def test_a_submission_with_a_name_twice_is_refused(product, caller, path, body):
    """What is weighed must be what runs, whichever of the two the provider reads."""
    before = count_submitted(product)
    reply = ask(product.gateway, "POST", path, caller.headers(path, new_id()), body)
    assert reply.status == 400
    assert b"twice" in reply.body
    check_refused(product, reply.header("x-vis-request-id"), 400)
    assert count_submitted(product) == before


LISTS = [("GET", FILES), ("GET", BATCHES), ("GET", MESSAGE_BATCHES), ("GET", f"{BATCHES}?limit=1")]
LISTS += [("GET", f"/openai{FILES}"), ("GET", f"/openai{BATCHES}"), ("GET", f"/anthropic{MESSAGE_BATCHES}")]


@pytest.mark.parametrize(("method", "path"), LISTS)
def test_lists_are_refused_because_ids_are_the_only_capability(product, caller, method, path):
    reply = ask(product.gateway, method, path, caller.headers(path, new_id()))
    assert reply.status == 404
    assert reply.error.get("code", reply.error["type"]) in {"route_not_metered", "not_found_error"}


def test_other_vendors_have_no_batches_here(product, caller):
    product.run("provider", "add", "bookend", "--base-url", f"{product.sandbox}/v1", stdin="sk-any\n")

    def refused(method: str, path: str) -> Reply:
        return ask(
            product.gateway, method, path, caller.headers(path, new_id()), b"{}" if method == "POST" else None
        )

    for method, path in (
        ("POST", BATCHES),
        ("GET", f"{BATCHES}/batch_1"),
        ("POST", FILES),
        ("GET", f"{FILES}/file-1"),
    ):
        for name in ("bookend", "azure", "azure/openai"):
            reply = refused(method, f"/{name}{path}")
            assert (reply.status, reply.error["code"]) == (404, "route_not_metered")


def test_a_file_of_anthropics_does_not_end_at_openai(product, caller):
    before = caller.seen()
    headers = [*caller.headers(FILES, new_id()), ("anthropic-version", "2023-06-01")]
    for method, path in (("POST", FILES), ("GET", f"{FILES}/file_1"), ("GET", f"{FILES}/file_1/content")):
        reply = ask(product.gateway, method, path, headers, b"{}" if method == "POST" else None)
        assert (reply.status, reply.error["type"]) == (404, "not_found_error")
    assert caller.seen() == before


def test_what_the_provider_does_not_know_it_says_itself(client, claude):
    with pytest.raises(openai.NotFoundError, match="No batch found"):
        client.batches.retrieve("batch_nobody_has")
    with pytest.raises(openai.NotFoundError, match="No such File"):
        client.files.retrieve("file-nobody-has")
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.batches.retrieve("msgbatch_nobody_has")


# ---------------------------------------------------------------- Anthropic


@pytest.mark.parametrize("base", ["", "/anthropic"])
def test_two_models_in_one_batch_are_priced_each_by_its_own(product, caller, base):
    with anthropic.Anthropic(base_url=product.gateway + base, api_key=caller.key, max_retries=0) as client:
        batch = message_batch(client, call_id := new_id(), request("sonnet"), request("haiku", model=HAIKU))
        assert (batch.processing_status, batch.results_url) == ("in_progress", None)
        batch = all_ended(client, batch)
        assert batch.results_url == f"{product.gateway}{base}{MESSAGE_BATCHES}/{batch.id}/results"
        results = {one.custom_id: one.result for one in client.messages.batches.results(batch.id)}
    assert {name: result.message.model for name, result in results.items()} == {
        "sonnet": CLAUDE,
        "haiku": HAIKU,
    }
    assert {result.message.usage.service_tier for result in results.values()} == {"batch"}
    rows = collected(product, call_id, batch.id)
    spoken = {"in_text": 3, "out_text": DEFAULT.output_tokens}
    check_done(rows["sonnet"], CLAUDE, spoken, CLAUDE_COST)
    check_done(rows["haiku"], HAIKU, spoken, HAIKU_COST)
    assert {row["served_tier"] for row in rows.values()} == {"batch"}
    assert {row["dialect"] for row in rows.values()} == {"messages"}


async def test_a_message_batch_async(product, caller):
    async with anthropic.AsyncAnthropic(base_url=product.gateway, api_key=caller.key) as client:
        batch = await client.messages.batches.create(
            requests=[request("a"), request("b")], extra_headers=sending(call_id := new_id())
        )
        while batch.processing_status != "ended":
            batch = await client.messages.batches.retrieve(batch.id)
        results = [one.custom_id async for one in await client.messages.batches.results(batch.id)]
    assert sorted(results) == ["a", "b"]
    rows = collected(product, call_id, batch.id)
    assert [row["cost_nusd"] for row in rows.values()] == [CLAUDE_COST] * 2


def test_the_beta_path_is_the_same(product, claude):
    batches = claude.beta.messages.batches
    batch = batches.create(requests=[request("a")], extra_headers=sending(call_id := new_id()))
    while batch.processing_status != "ended":
        batch = batches.retrieve(batch.id)
    assert [one.custom_id for one in batches.results(batch.id)] == ["a"]
    assert collected(product, call_id, batch.id)["a"]["cost_nusd"] == CLAUDE_COST


CACHED = {
    "input_tokens": 100,
    "output_tokens": 80,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
}


@pytest.mark.parametrize("told", [{}, {"service_tier": "batch"}, {"service_tier": "standard"}])
def test_caching_and_the_price_of_batches_come_together_whatever_tier_the_answer_names(product, claude, told):
    batch = all_ended(claude, message_batch(claude, call_id := new_id(), request("a"), usage=CACHED | told))
    row = collected(product, call_id, batch.id)["a"]
    assert row["cost_nusd"] == 100 * 1_500 + 50 * 150 + 10 * 1_875 + 20 * 3_000 + 80 * 7_500
    assert (row["served_tier"], row["cache_write_tokens"]) == ("batch", 30)


def test_message_batches_have_failed_expired_and_canceled_lines_for_nothing(product, claude):
    requests = [request("good"), request("wrong", messages=[]), request("planned")]
    planned = {"errored": ["planned"]}
    batch = all_ended(claude, message_batch(claude, call_id := new_id(), *requests, batch=planned))
    rows = collected(product, call_id, batch.id)
    assert rows["good"]["cost_nusd"] == CLAUDE_COST
    for name in ("wrong", "planned"):
        check_free(rows[name], "upstream_refused")
    for ends, reason in (("expired", "expired"), ("cancelled", "canceled")):
        plan = {"batch": {"ends": ends, "done": 1}}
        batch = message_batch(claude, call_id := new_id(), request("a"), request("b"), **plan)
        all_ended(claude, batch)
        rows = collected(product, call_id, batch.id)
        assert rows["a"]["cost_nusd"] == CLAUDE_COST
        check_free(rows["b"], reason)


def test_a_message_batch_is_canceled_and_deleted_and_its_address_stays_the_gateways(product, claude):
    batches = claude.messages.batches
    batch = message_batch(
        claude, call_id := new_id(), request("a"), request("b"), batch=UNENDING | {"done": 1}
    )
    assert batches.cancel(batch.id).processing_status == "canceling"
    batch = all_ended(claude, batch)
    assert batch.results_url == f"{product.gateway}{MESSAGE_BATCHES}/{batch.id}/results"
    rows = collected(product, call_id, batch.id)
    assert [rows[name]["cost_nusd"] for name in "ab"] == [CLAUDE_COST, 0]
    assert batches.delete(batch.id).type == "message_batch_deleted"


def test_a_message_batch_reaches_the_provider_byte_for_byte(product, caller):
    body = json.dumps({"requests": [request("a"), request("b")], "unknown": 1e2}, indent=2).encode()
    headers = caller.headers(MESSAGE_BATCHES, call_id := new_id(), batch=UNENDING)
    reply = ask(product.gateway, "POST", MESSAGE_BATCHES, headers, body)
    assert reply.status == 200
    assert caller.seen()["body_sha256"] == hashlib.sha256(body).hexdigest()
    row = submission(product, call_id)
    assert row["request_sha256"] == hashlib.sha256(body).digest()


def test_behind_a_proxy_the_address_of_results_is_the_one_that_the_client_used(product, caller, claude):
    batch = all_ended(claude, message_batch(claude, new_id(), request("a")))
    path = f"/anthropic{MESSAGE_BATCHES}/{batch.id}"
    headers = [*caller.headers(path, new_id()), ("host", "ledger.example"), ("x-forwarded-proto", "https")]
    told = json.loads(ask(product.gateway, "GET", path, headers).body)
    assert told["results_url"] == f"https://ledger.example{path}/results"


@pytest.mark.parametrize(
    "body",
    [
        {"requests": []},
        {"requests": None},
        {"requests": [request("a"), request("a")]},
        {"requests": [request("a"), {"custom_id": "b"}]},
        {"requests": [request("a"), {"custom_id": "b", "params": 7}]},
        {"requests": [request("a") | {"custom_id": 7}]},
        {"requests": [request("a"), request("b", max_tokens="many")]},
        {"requests": [request("a"), request("b", model=7)]},
        {"requests": {"a": request("a")}},
        {},
    ],
    ids=["none", "null", "same custom_id", "no params", "params a number", "custom_id a number", "bad limit",
         "bad model", "an object", "nothing"],
)  # fmt: skip
def test_a_message_batch_that_cannot_be_weighed_is_refused(product, caller, body):
    before = count_submitted(product)
    headers = caller.headers(MESSAGE_BATCHES, new_id())
    reply = ask(product.gateway, "POST", MESSAGE_BATCHES, headers, json.dumps(body).encode())
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    check_refused(product, reply.header("x-vis-request-id"), 400)
    assert count_submitted(product) == before


def test_a_message_batch_past_the_limit_of_a_body_is_refused(product, caller):
    body = json.dumps({"requests": [request("a", system="x" * BODY_LIMIT)]}).encode()
    reply = ask(product.gateway, "POST", MESSAGE_BATCHES, caller.headers(MESSAGE_BATCHES, new_id()), body)
    assert reply.status == 413
    check_refused(product, reply.header("x-vis-request-id"), 413)


def test_a_large_message_batch_is_collected_whole(product, claude):
    names = [f"line-{number}" for number in range(700)]
    batch = message_batch(claude, call_id := new_id(), *map(request, names), batch={"shuffled": True})
    rows = collected(product, call_id, all_ended(claude, batch).id)
    assert rows.keys() == set(names)
    assert sum(row["cost_nusd"] for row in rows.values()) == 700 * CLAUDE_COST


def peak_bytes(product: Product) -> int:
    """The most memory that the gateway's process ever had."""
    status = Path(f"/proc/{product.pid('gateway')}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_results_larger_than_any_answer_are_passed_on_and_collected_piece_by_piece(product, caller, claude):
    names = [f"line-{number}" for number in range(1300)]
    unlimited = (request(name, max_tokens=20_000) for name in names)
    batch = message_batch(claude, call_id := new_id(), *unlimited, chunks=10_000)
    before = peak_bytes(product)
    all_ended(claude, batch)
    path = f"{MESSAGE_BATCHES}/{batch.id}/results"
    here, there = hashlib.sha256(), hashlib.sha256()
    size = 0
    for address, digest in ((product.gateway, here), (product.sandbox, there)):
        with opened(address, "GET", path, caller.headers(path, new_id())) as answer:
            while piece := answer.read(1 << 20):
                digest.update(piece)
                size += len(piece)
    assert here.digest() == there.digest()
    assert size > 2 * ANSWER_LIMIT
    rows = collected(product, call_id, batch.id)
    assert sum(row["cost_nusd"] for row in rows.values()) == 1300 * (3 * 1_500 + 10_000 * 7_500)
    assert peak_bytes(product) - before < ANSWER_LIMIT // 2


# ---------------------------------------------------------------- budgets


def capped(product: Product, cap_usd: str) -> tuple[str, Callable[[], tuple[int, int]]]:
    """A key with a hard cap of its own, and what is spent and held of that, in nano-USD."""
    key = product.issue("--memo", (memo := new_id()))
    (found,) = product.query("select id from vis_control.virtual_key where memo = %s", memo)
    scope = f"key:{found['id']}"
    product.run("budget", "set", scope, "--cap", f"{cap_usd}/month", "--hard")
    in_force(Caller(product, key), product.gateway)

    def standing() -> tuple[int, int]:
        listed = map(json.loads, product.run("budget", "list", "--json").splitlines())
        (windows,) = [budget["windows"] for budget in listed if budget["scope"] == scope]
        sums = [sum(Decimal(one[name]) for one in windows) for name in ("spent_usd", "held_usd")]
        return int(sums[0] * NANO), int(sums[1] * NANO)

    return key, standing


def test_a_batch_holds_all_that_it_can_cost_in_its_budget_until_it_is_charged(product):
    """There is room for one such batch at its worst case, and not for two."""
    lines = [line(f"line-{number}", max_tokens=1_000) for number in range(10)]
    key, standing = capped(product, "0.08")
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=key, max_retries=0) as client:
        batch = submit(client, call_id := new_id(), *lines, batch=UNENDING | {"done": 10})
        (amount,) = held(product, submission(product, call_id))
        assert 50_000_000 < amount < 80_000_000
        assert standing() == (0, amount)
        before = count_submitted(product)
        with pytest.raises(openai.APIStatusError) as refused:
            submit(client, new_id(), *lines)
        check_refused(product, refused.value.response.headers["x-vis-request-id"], 402)
        assert count_submitted(product) == before
        client.batches.cancel(batch.id)
        ended(client, batch)
        collected(product, call_id, batch.id)
        assert standing() == (10 * CHAT_COST, 0)
        batch = ended(client, submitted_once_there_is_money(product, client, call_id := new_id(), *lines))
        collected(product, call_id, batch.id)
    assert standing() == (20 * CHAT_COST, 0)


def submitted_once_there_is_money(product: Product, client: openai.OpenAI, call_id: str, *lines: Any) -> Any:
    """For a moment after a refusal its caller is told it again unasked."""
    submitted: list[Any] = []

    def is_taken() -> bool:
        with suppress(openai.APIStatusError):
            submitted.append(submit(client, call_id, *lines))
        return bool(submitted)

    product.until(is_taken)
    return submitted[0]


# ---------------------------------------------------------------- any batch

OUTCOMES = st.sampled_from(["answered", "answered", "errored", "unreported"])
LIMITS = st.integers(1, 40)


@settings(max_examples=20, deadline=None)
@given(lines=st.lists(st.tuples(OUTCOMES, LIMITS), min_size=1, max_size=12), shuffled=st.booleans())
def test_whatever_becomes_of_its_lines_a_batch_costs_their_sum(product, client, claude, lines, shuffled):
    named = {f"line-{number}": one for number, one in enumerate(lines)}
    planned: dict[str, Any] = {"shuffled": shuffled}
    for kind in ("errored", "unreported"):
        planned[kind] = [name for name, (outcome, _) in named.items() if outcome == kind]
    asked = {name: {"max_tokens": limit} for name, (_, limit) in named.items()}
    batch = submit(
        client, first := new_id(), *(line(name, **more) for name, more in asked.items()), batch=planned
    )
    ended(client, batch)
    check_sum(product, first, batch.id, named, (GPT_IN, GPT_OUT))
    requests = (request(name, **more) for name, more in asked.items())
    messages = message_batch(claude, second := new_id(), *requests, batch=planned)
    all_ended(claude, messages)
    check_sum(product, second, messages.id, named, (1_500, 7_500))


def check_sum(
    product: Product, call_id: str, batch_id: str, lines: dict[str, tuple[str, int]], rates: tuple[int, int]
) -> None:
    rows = collected(product, call_id, batch_id)
    assert rows.keys() == lines.keys()
    for name, (outcome, limit) in lines.items():
        cost_nusd = 3 * rates[0] + min(limit, DEFAULT.output_tokens) * rates[1]
        if outcome == "answered":
            assert (rows[name]["cost_nusd"], rows[name]["usage_source"]) == (cost_nusd, "batch_result")
        elif outcome == "errored":
            check_free(rows[name], "upstream_refused")
        else:
            assert rows[name]["usage_source"] == "tokenizer_estimate"


# ---------------------------------------------------------------- a gateway that looks by itself


@pytest.fixture(scope="module")
def watchful() -> Iterator[Caller]:
    """A product whose gateway looks at its batches all the time."""
    with running(batch_poll="0.2", fence_after="3") as product:
        set_up(product)
        yield Caller(product, product.issue())


@pytest.fixture(scope="module")
def clients(watchful) -> Iterator[tuple[openai.OpenAI, anthropic.Anthropic]]:
    with ExitStack() as stack:
        gateway, key = watchful.product.gateway, watchful.key
        yield (
            stack.enter_context(openai.OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)),
            stack.enter_context(anthropic.Anthropic(base_url=gateway, api_key=key, max_retries=0)),
        )


Submit = Callable[..., str]


@pytest.fixture
def submitted(clients, request_kind: str) -> Submit:
    """Submits two lines under a plan and never looks again; returns the batch's id."""
    by_openai, by_anthropic = clients

    def made(call_id: str, **plan: object) -> str:
        if request_kind == "openai":
            return submit(by_openai, call_id, line("a"), line("b"), **plan).id
        return str(message_batch(by_anthropic, call_id, request("a"), request("b"), **plan).id)

    return made


@pytest.fixture(params=["openai", "anthropic"])
def request_kind(request) -> str:
    return str(request.param)


COSTS = {"openai": CHAT_COST, "anthropic": CLAUDE_COST}


@pytest.mark.parametrize(
    "planned",
    [{"polls": 2}, {"outages": 2, "polls": 1}, {"breaks": 2}, {"shuffled": True}],
    ids=["after some looks", "after an outage", "after results that break off", "in any order"],
)
def test_a_batch_that_nobody_looks_at_is_collected_all_the_same(watchful, submitted, request_kind, planned):
    batch_id = submitted(call_id := new_id(), batch=planned)
    rows = collected(watchful.product, call_id, batch_id)
    assert {name: row["cost_nusd"] for name, row in rows.items()} == dict.fromkeys("ab", COSTS[request_kind])


def test_a_batch_is_collected_when_its_key_was_revoked_meanwhile(watchful, request_kind):
    product = watchful.product
    key = product.issue("--memo", (memo := new_id()))
    with ExitStack() as stack:
        if request_kind == "openai":
            client = stack.enter_context(openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=key))
            batch_id = submit(client, call_id := new_id(), line("a"), batch={"polls": 10}).id
        else:
            other = stack.enter_context(anthropic.Anthropic(base_url=product.gateway, api_key=key))
            batch_id = message_batch(other, call_id := new_id(), request("a"), batch={"polls": 10}).id
    (found,) = product.query("select id from vis_control.virtual_key where memo = %s", memo)
    product.run("key", "revoke", str(found["id"]))
    rows = collected(product, call_id, batch_id)
    assert rows["a"]["cost_nusd"] == COSTS[request_kind]


def test_a_batch_of_a_provider_that_was_replaced_is_left_to_its_expiry(watchful, clients):
    """The key of another account knows nothing of the batches of the one before, and their ids are never sent to it."""
    product, (client, _) = watchful.product, clients
    batch = submit(client, before := new_id(), line("a"), batch=UNENDING | {"done": 1})
    product.run("provider", "add", "openai", "--base-url", f"{product.sandbox}/v1", stdin="sk-any\n")

    def next_one() -> tuple[str, str]:
        call_id = new_id()
        return call_id, submit(client, call_id, line("a")).id

    def is_replaced() -> bool:
        return submission(product, next_one()[0])["provider"] == "openai"

    product.until(is_replaced)
    client.batches.cancel(batch.id)
    assert ended(client, batch).status == "cancelled"
    call_id, batch_id = next_one()
    assert collected(product, call_id, batch_id).keys() == {"a"}
    assert line_rows(product, batch.id) == []
    assert len(held(product, submission(product, before))) == 1


@pytest.mark.parametrize("which", ["product", "watchful"])
def test_the_gateways_log_has_no_complaint(request, which):
    found = request.getfixturevalue(which)
    assert complaints(found if isinstance(found, Product) else found.product) == []
