"""Promises G5, L1, L4: whatever becomes of a stream, its client gets an end and its row says what is known."""

import json
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import anthropic
import openai
import psycopg
import pytest

from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, Caller, ask, body_of, new_id, opened
from gateway.scripted import closed_port, scripted
from visionality.postgres import read_endpoint

TERMINAL = {MESSAGES: b'"message_stop"', CHAT: b"data: [DONE]"}
BOTH = pytest.mark.parametrize("path", [MESSAGES, CHAT])
EITHER_WAY = pytest.mark.parametrize("streamed", [True, False])


@contextmanager
def streaming(caller: Caller, path: str, call_id: str, **plan: object) -> Iterator[HTTPResponse]:
    headers, body = caller.headers(path, call_id, **plan), body_of(path, stream=True)
    with opened(caller.product.gateway, "POST", path, headers, body) as answer:
        yield answer


def rest_of(caller: Caller, row: dict) -> int:
    """What stays held of an estimated call: its worst case without what it cost."""
    held = caller.product.query(
        "select amount_nusd from vis.budget_holds where request_id = %s and draft is null", row["request_id"]
    )
    reserved = caller.product.query(
        "select amount_nusd from vis.budget_events where request_id = %s and kind = 'reserve' order by wseq",
        row["request_id"],
    )
    assert len(held) == 1
    assert [hold["amount_nusd"] for hold in held] == [event["amount_nusd"] for event in reserved[1:]]
    assert reserved[0]["amount_nusd"] == row["cost_nusd"] + held[0]["amount_nusd"]
    return held[0]["amount_nusd"]


def until_words(answer: HTTPResponse) -> None:
    """Read until the model has said something: the first event of a chat has a role and no words."""
    got = b""
    while not re.search(rb'"content": ?"[^"]', got):
        piece = answer.read1()
        assert piece, got
        got += piece


def until_row(caller: Caller, call_id: str) -> dict:
    caller.product.until(lambda: caller.product.rows_of(call_id))
    return caller.row(call_id)


def last_error(body: bytes) -> dict:
    """The error of the last event of a stream."""
    return json.loads(body.rstrip().rpartition(b"data: ")[2])["error"]


@BOTH
@pytest.mark.parametrize("ending", [{}, {"stream_error_after_chunks": 1}], ids=["whole", "error"])
def test_the_row_stands_before_the_client_has_the_last_event_or_an_error(caller, path, ending):
    last = b'"error"' if ending else TERMINAL[path]
    chance = random.Random(20261121)
    dsn = read_endpoint(caller.product.data_dir).dsn("vis")
    with psycopg.connect(dsn, autocommit=True) as ledger:
        for _ in range(15):
            call_id = new_id()
            plan = {"chunks": chance.randint(1, 30), "split_bytes": chance.choice([1, 7, 1000, 60000])}
            with streaming(caller, path, call_id, **plan, **ending) as answer:
                text = b""
                while last not in text:
                    piece = answer.read1()
                    assert piece, text
                    text += piece
                found = ledger.execute(
                    "select count(*) from vis.request_logs where tags->>'client_request_id' = %s", [call_id]
                )
                assert found.fetchone() == (1,)
                text += answer.read()
            if ending:
                assert last_error(text)["message"]
            assert text.count(TERMINAL[path]) == (0 if ending else 1)


@BOTH
def test_a_stream_is_read_to_its_end_when_the_client_leaves(caller, path):
    call_id = new_id()
    with streaming(caller, path, call_id, chunks=12, chunk_delay_ms=30) as answer:
        answer.read1()
    row = until_row(caller, call_id)
    assert (row["finish"], row["usage_source"]) == ("client_abort", "provider_final")
    assert (row["decision"], row["status_code"], row["output_tokens"]) == ("allowed", 200, 12)
    assert row["ttft_ms"] is not None


@BOTH
def test_a_blocking_call_is_read_to_its_end_when_the_client_leaves(caller, path):
    call_id = new_id()
    host = urlsplit(caller.product.gateway)
    head = [f"POST {path} HTTP/1.1", "host: vis", f"content-length: {len(body_of(path))}"]
    head += [f"{name}: {value}" for name, value in caller.headers(path, call_id, first_delay_ms=300)]
    with socket.create_connection((host.hostname, host.port)) as connection:
        connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body_of(path))
        caller.product.until(lambda: call_id in caller.seen_ids())
    row = until_row(caller, call_id)
    assert (row["finish"], row["usage_source"], row["decision"]) == (
        "client_abort",
        "provider_final",
        "allowed",
    )


@BOTH
@pytest.mark.parametrize("deltas", [0, 1, 5])
def test_a_stream_that_breaks_off_ends_with_an_error_of_the_dialect(caller, path, deltas):
    reply = caller.post(path, call_id := new_id(), body_of(path, stream=True), break_after_chunks=deltas)
    assert reply.status == 200
    assert TERMINAL[path] not in reply.body
    assert last_error(reply.body)["code"] == "upstream_broke"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_broke", "upstream_broke")
    assert (row["usage_source"], row["status_code"], row["model_used"]) == (
        "tokenizer_estimate",
        200,
        row["model_requested"],
    )
    assert row["cost_nusd"] > 0
    assert rest_of(caller, row) > 0


def test_the_sdks_see_a_broken_stream_as_their_own_error(caller):
    gateway, one = caller.product.gateway, [{"role": "user", "content": "hi"}]
    plan = {"x-sandbox-plan": '{"break_after_chunks":2}'}
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=caller.key, max_retries=0) as client:
        stream = client.chat.completions.create(model=GPT, messages=one, stream=True, extra_headers=plan)
        with stream, pytest.raises(openai.APIError, match="broke off"):
            list(stream)
    with anthropic.Anthropic(base_url=gateway, api_key=caller.key, max_retries=0) as client:
        stream = client.messages.create(
            model=CLAUDE, max_tokens=9, messages=one, stream=True, extra_headers=plan
        )
        with stream, pytest.raises(anthropic.APIError, match="broke off"):
            list(stream)


@BOTH
def test_a_stream_that_just_ends_is_an_estimate_and_says_truncated(caller, path):
    reply = caller.post(path, call_id := new_id(), body_of(path, stream=True), truncate=True, chunks=9)
    assert TERMINAL[path] not in reply.body
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"], row["decision"]) == (
        "truncated",
        "tokenizer_estimate",
        "allowed",
    )
    assert row["output_tokens"] >= 9
    assert rest_of(caller, row) > 0


@BOTH
def test_an_error_inside_a_stream_is_passed_on_and_recorded(caller, path):
    body = body_of(path, stream=True)
    reply = caller.post(path, call_id := new_id(), body, stream_error_after_chunks=3)
    assert "code" not in last_error(reply.body) or last_error(reply.body)["code"] is None
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "upstream_error")
    assert (row["usage_source"], row["status_code"]) == ("tokenizer_estimate", 200)


@pytest.mark.parametrize(("path", "streamed"), [(MESSAGES, True), (CHAT, False)])
def test_a_provider_that_never_answers_is_given_up(caller, path, streamed):
    reply = caller.post(path, call_id := new_id(), body_of(path, stream=streamed), hang=True)
    assert (reply.status, reply.header("x-acc-error")) == (504, "upstream_timeout")
    assert reply.error["message"]
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_timeout", 504)
    assert (row["usage_source"], row["output_tokens"]) == ("tokenizer_estimate", 0)
    assert row["input_tokens"] > 0
    assert rest_of(caller, row) > 0


@BOTH
def test_a_stream_that_falls_silent_is_given_up(caller, path):
    body = body_of(path, stream=True)
    reply = caller.post(path, call_id := new_id(), body, chunks=3, chunk_delay_ms=60_000)
    assert last_error(reply.body)["code"] == "upstream_timeout"
    row = caller.row(call_id)
    assert (row["reason"], row["status_code"], row["usage_source"]) == (
        "upstream_timeout",
        200,
        "tokenizer_estimate",
    )


@EITHER_WAY
@BOTH
def test_an_answer_shorter_than_promised_is_an_error(caller, path, streamed):
    body = body_of(path, stream=streamed)
    reply = caller.post(path, call_id := new_id(), body, content_length_lie=True)
    assert reply.status == (200 if streamed else 502)
    assert last_error(reply.body if streamed else b"data: " + reply.body)["code"] == "upstream_broke"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_broke", reply.status)
    assert row["usage_source"] == "tokenizer_estimate"


@BOTH
def test_an_answer_that_is_none_of_the_dialects_is_an_error(caller, path):
    reply = caller.post(path, call_id := new_id(), garbage=True)
    assert (reply.status, reply.error["code"]) == (502, "upstream_nonsense")
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["usage_source"]) == (
        "failed",
        "upstream_nonsense",
        "tokenizer_estimate",
    )


@BOTH
def test_a_stream_of_nonsense_is_passed_on_and_estimated(caller, path):
    reply = caller.post(path, call_id := new_id(), body_of(path, stream=True), garbage=True)
    assert b"this is not JSON" in reply.body
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"]) == ("truncated", "tokenizer_estimate")


def test_a_slow_reader_does_not_fill_the_gateways_memory(caller):
    product, call_id = caller.product, new_id()
    before = resident(product.pid("gateway"))
    with streaming(caller, CHAT, call_id, chunks=10_000, extra={"pad": "x" * 5_000}) as answer:
        size = len(answer.read1())
        wait_until_stuck(product)
        assert resident(product.pid("gateway")) - before < 24_000_000
        tail = b""
        while piece := answer.read(1 << 20):
            size += len(piece)
            tail = (tail + piece)[-100:]
    assert size > 50_000_000
    assert TERMINAL[CHAT] in tail
    assert caller.row(call_id)["output_tokens"] == 10_000
    assert resident(product.pid("gateway")) - before < 24_000_000


def resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024


def wait_until_stuck(product) -> None:
    """Until the sandbox has done no work while we looked a hundred times: everything on the way is full."""
    stat = Path(f"/proc/{product.summary['pids']['sandbox']}/stat")
    looks: list[str] = []

    def is_stuck() -> bool:
        product.query("select 1")
        looks.append(" ".join(stat.read_text().rpartition(")")[2].split()[11:13]))
        return len(looks) > 100 and len(set(looks[-100:])) == 1

    product.until(is_stuck)


@pytest.fixture(scope="module")
def providing(caller):
    """Give it an address, and OpenAI's calls go there; after the last test of this file to the sandbox again."""
    product = caller.product

    def provide(address: str, *options: str) -> None:
        product.run("provider", "add", "openai", "--base-url", address + "/v1", *options, stdin="sk-real\n")
        until_in_force(caller)

    yield provide
    product.run("provider", "remove", "openai")
    until_in_force(caller)


@pytest.fixture(scope="module")
def provider(providing):
    with scripted() as provider:
        providing(provider.address)
        yield provider


def until_in_force(caller: Caller) -> None:
    """Until calls are admitted under the control data of now."""
    now = caller.product.query("select max(revision) as now from vis.org_revisions")[0]["now"]

    def is_known() -> bool:
        call_id = new_id()
        ask(caller.product.gateway, "GET", "/v1/models/gpt-4o", caller.headers(MESSAGES, call_id))
        return bool(caller.row(call_id)["policy_revision"] >= now)

    caller.product.until(is_known)


def test_a_provider_that_stops_billing_is_hung_up_on_and_the_rest_stays_held(caller, providing):
    providing(caller.product.sandbox, "--on-abort", "cancel")
    call_id = new_id()
    gone = json.loads(ask(caller.product.sandbox, "GET", "/sandbox/seen", []).body)["disconnects"]
    with streaming(caller, CHAT, call_id, chunks=500, chunk_delay_ms=50) as answer:
        until_words(answer)
    row = until_row(caller, call_id)
    assert (row["provider"], row["finish"]) == ("openai", "client_abort")
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "client_abort", 200)
    assert row["usage_source"] == "tokenizer_estimate"
    assert 0 < row["output_tokens"] < 500
    assert rest_of(caller, row) > 0
    caller.product.until(
        lambda: json.loads(ask(caller.product.sandbox, "GET", "/sandbox/seen", []).body)["disconnects"] > gone
    )


def test_a_provider_that_is_down_costs_nothing(caller, providing):
    providing(closed_port())
    reply = caller.post(CHAT, call_id := new_id())
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    row = caller.row(call_id)
    assert (row["provider"], row["decision"], row["reason"]) == ("openai", "failed", "upstream_unreachable")
    assert (row["cost_nusd"], row["usage_source"], row["status_code"]) == (0, "none", 502)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nset-cookie: a=b\r\n"
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}],"model":"gpt-4o"}\n\n'
REPORT = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}\n\n'
WHOLE_STREAM = CHUNK + REPORT + b"data: [DONE]\n\n"


def chunked(data: bytes) -> bytes:
    return b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("answer", "stays_open"),
    [
        (STREAM_HEAD + chunked(WHOLE_STREAM), True),
        (STREAM_HEAD + chunked(WHOLE_STREAM), False),
        (STREAM_HEAD + b"connection: close\r\n\r\n" + WHOLE_STREAM, False),
        (STREAM_HEAD.replace(b"1.1", b"1.0") + b"\r\n" + WHOLE_STREAM, False),
        (STREAM_HEAD + b"content-length: %d\r\n\r\n" % (len(WHOLE_STREAM) + 9) + WHOLE_STREAM, False),
    ],
    ids=["stays open", "hangs up", "until close", "HTTP/1.0", "length too long"],
)
def test_after_the_terminal_event_nothing_can_go_wrong_any_more(caller, provider, answer, stays_open):
    provider.answer, provider.stays_open = answer, stays_open
    reply = caller.post(CHAT, call_id := new_id(), body_of(CHAT, stream=True))
    assert (reply.status, reply.body) == (200, CHUNK + b"data: [DONE]\n\n")
    assert reply.header("set-cookie") is None
    row = caller.row(call_id)
    assert (row["decision"], row["usage_source"], row["input_tokens"]) == ("allowed", "provider_final", 3)
    assert row["finish"] != "truncated"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "upstream_broke"),
        (b"SSH-2.0-OpenSSH_9\r\n", "upstream_broke"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, "upstream_broke"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "upstream_nonsense"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "upstream_nonsense"),
    ],
    ids=["nothing", "another protocol", "endless head", "empty object", "no content"],
)
def test_a_provider_that_speaks_no_sense_is_a_502(caller, provider, answer, code):
    provider.answer, provider.stays_open = answer, False
    reply = caller.post(CHAT, call_id := new_id())
    assert (reply.status, reply.error["code"]) == (502, code)
    assert caller.row(call_id)["reason"] == code


def test_a_redirect_is_the_clients_to_see_and_takes_the_key_nowhere(caller, provider):
    there = b"location: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    provider.answer, provider.stays_open = b"HTTP/1.1 307 Temporary Redirect\r\n" + there, False
    reply = caller.post(CHAT, call_id := new_id())
    assert (reply.status, reply.header("location")) == (307, "http://127.0.0.1:9/")
    assert caller.row(call_id)["cost_nusd"] == 0
