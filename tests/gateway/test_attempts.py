"""Promise G5, issue 3: a call that needed several attempts has a row for each, under one request id."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.calls import Caller, ask, body_of, new_id
from gateway.scripted import Scripted, closed_port, scripted
from product import Product

PATH = "/flaky/v1/chat/completions"
BODY = b"""{"id":"c1","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",\
"message":{"role":"assistant","content":"hi"}}],"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110}}"""
ERROR = b'{"error":{"message":"busy","type":"server_error","param":null,"code":null}}'


def http(status: int, body: bytes = ERROR, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 %d Said" % status, b"content-type: application/json", *headers]
    return b"\r\n".join([*lines, b"content-length: %d" % len(body), b"", body])


@pytest.fixture(scope="module")
def flaky(product, caller) -> Iterator[Scripted]:
    """A provider that answers as it is told, with two repeats allowed and a price."""
    with scripted() as provider:
        product.run("price", "set", "flaky", "gpt-4o", "--input", "2.5", "--output", "10", "--yes")
        add(product, "flaky", provider.address, "--retries", "2")
        provider.answer = http(200, BODY)
        product.until(lambda: called(caller)[1][-1]["cost_nusd"])
        yield provider


def add(product: Product, name: str, address: str, *words: str) -> None:
    product.run("provider", "add", name, "--base-url", f"{address}/v1", *words, stdin="sk-planted-77")


def called(caller: Caller, path: str = PATH, *, stream: bool = False) -> tuple[Any, list[dict[str, Any]]]:
    """The answer to one call, and its rows in the order of their attempts."""
    body = body_of("/v1/chat/completions", stream=stream)
    reply = ask(caller.product.gateway, "POST", path, caller.headers(path, new_id()), body)
    rows = caller.product.query(
        "select * from vis.request_logs where request_id = %s order by attempt",
        reply.header("x-vis-request-id"),
    )
    return reply, rows


def told(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["entry"], row["attempt"], row["decision"], row["status_code"]) for row in rows]


def test_each_attempt_has_its_row_and_their_sum_is_the_cost_of_the_call(caller, flaky):
    flaky.first = [http(503), http(429, ERROR, b"retry-after-ms: 10")]
    reply, rows = called(caller)
    assert (reply.status, reply.body) == (200, BODY)
    assert told(rows) == [
        ("attempt", 1, "failed", 503),
        ("attempt", 2, "failed", 429),
        ("call", 3, "allowed", 200),
    ]
    assert [row["cost_nusd"] for row in rows] == [0, 0, 100 * 2_500 + 10 * 10_000]
    assert len({row["request_id"] for row in rows}) == 1
    events = caller.product.query(
        "select kind, hold_id from vis.budget_events where request_id = %s order by wseq",
        rows[0]["request_id"],
    )
    assert sorted(event["kind"] for event in events) == ["reserve"] * 3 + ["settle"] * 3
    assert len({event["hold_id"] for event in events}) == 3
    held = "select count(*) as n from vis.budget_holds where request_id = %s"
    assert caller.product.query(held, rows[0]["request_id"]) == [{"n": 0}]


def test_a_call_is_tried_three_times_at_most_and_then_answered_as_the_provider_did(caller, flaky):
    flaky.first = [http(500), http(502), http(529, ERROR, b"x-provider: mine")]
    reply, rows = called(caller)
    assert (reply.status, reply.body, reply.header("x-provider")) == (529, ERROR, "mine")
    assert told(rows) == [
        ("attempt", 1, "failed", 500),
        ("attempt", 2, "failed", 502),
        ("call", 3, "failed", 529),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        http(400),
        http(404),
        http(429, ERROR, b"retry-after: 60"),
        http(429, ERROR, b"retry-after: Sun, 22 Nov 2026 10:00:00 GMT"),
        http(503, ERROR, b"x-should-retry: false"),
        http(200, b"<html>"),
        http(200, BODY)[:-20],
    ],
    ids=["refused", "unknown", "much later", "at a date", "asked not to", "nonsense", "broken off"],
)
def test_what_may_have_been_billed_or_will_not_change_is_not_tried_again(caller, flaky, answer):
    flaky.first = [answer, http(200, BODY), http(200, BODY)]
    _, rows = called(caller)
    assert [(row["entry"], row["attempt"], row["decision"]) for row in rows] == [("call", 1, "failed")]
    assert len(flaky.first) == 2
    flaky.first = []


def test_a_stream_is_tried_again_before_its_first_byte_and_never_after(caller, flaky):
    events = b'data: {"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
    flaky.first = [http(503), head + events]
    reply, rows = called(caller, stream=True)
    assert told(rows) == [("attempt", 1, "failed", 503), ("call", 2, "failed", 200)]
    assert b"upstream_broke" in reply.body
    assert rows[1]["usage_source"] == "tokenizer_estimate"


def test_a_provider_that_cannot_be_reached_leaves_a_row_an_attempt(caller, product, flaky):
    add(product, "away", closed_port(), "--retries", "1")
    path = "/away/v1/chat/completions"
    product.until(lambda: called(caller, path)[0].status == 502)
    reply, rows = called(caller, path)
    assert reply.error["code"] == "upstream_unreachable"
    assert told(rows) == [("attempt", 1, "failed", 502), ("call", 2, "failed", 502)]
    assert [row["cost_nusd"] for row in rows] == [0, 0]


def test_without_the_operators_word_nothing_is_tried_again(caller, product, flaky):
    add(product, "plain", flaky.address)
    path = "/plain/v1/chat/completions"
    product.until(lambda: called(caller, path)[0].status == 200)
    flaky.first = [http(503)]
    reply, rows = called(caller, path)
    assert reply.status == 503
    assert told(rows) == [("call", 1, "failed", 503)]
