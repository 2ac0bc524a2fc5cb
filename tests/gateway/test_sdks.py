"""Promises G1, G5, L1: the official SDKs, unmodified, work against the gateway, and each call is one exact row."""

import json
from contextlib import AbstractAsyncContextManager, ExitStack
from decimal import Decimal
from typing import Any

import anthropic
import openai
import pytest

from gateway.calls import CLAUDE, GPT, MESSAGES, ask, body_of, new_id, recomputed

OPENAI_BASES = ["/openai/v1", "/v1"]
ANTHROPIC_BASES = ["/anthropic", ""]
ONE = [{"role": "user", "content": "one two three"}]
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
SAYINGS = {
    "text": {"text": "A ledger is a book of accounts."},
    "tool": {"tool_call": TOOL},
    "reasoning": {"reasoning": "Think of books. Then of accounts.", "text": "It is a book."},
}
OPENAI_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "output_tokens": 80,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
    "output_tokens_details": {"thinking_tokens": 30},
}


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


def check_openai(row: dict[str, Any], *, streamed: bool) -> None:
    assert row["usage"] == {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [row[name] for name in counts] == [800, 200, 0, 100, 40]
    assert row["cost_nusd"] == (800 * 2_500 + 200 * 1_250 + 100 * 10_000)
    assert (row["dialect"], row["model_used"], row["model_requested"]) == ("chat_completions", GPT, GPT)
    check(row, streamed=streamed)


def check_anthropic(row: dict[str, Any], *, streamed: bool) -> None:
    assert row["usage"] == {
        "in_text": 100, "cache_read": 50, "cache_write_5m": 10, "cache_write_1h": 20, "out_text": 50, "out_reasoning": 30,
    }  # fmt: skip
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [row[name] for name in counts] == [100, 50, 30, 80, 30]
    assert row["cost_nusd"] == (100 * 3_000 + 50 * 300 + 10 * 3_750 + 20 * 6_000 + 80 * 15_000)
    assert (row["dialect"], row["model_used"], row["model_requested"]) == ("messages", CLAUDE, CLAUDE)
    check(row, streamed=streamed)


def check(row: dict[str, Any], *, streamed: bool) -> None:
    assert recomputed(row) == row["cost_nusd"] == row["billed_nusd"]
    assert {name: row[name] for name in BOUND} == BOUND
    assert (row["price_state"], row["currency"]) == ("known", "USD")
    assert row["price_version"] >= 1
    assert (row["decision"], row["reason"], row["status_code"]) == ("allowed", None, 200)
    assert row["finish"] in {"stop", "tool_calls", "end_turn", "tool_use"}
    assert row["key_id"] is not None
    assert row["upstream_request_id"].startswith("req_")
    assert row["latency_ms"] >= (row["ttft_ms"] or 0) >= 0
    assert (row["ttft_ms"] is not None) == streamed
    assert len(row["request_sha256"]) == len(row["leaf_hash"]) == 32


BOUND = {
    "entry": "call",
    "provider": "sandbox",
    "agent_sub": "alice@arctrade",
    "agent_owner": "Alice K.",
    "sso_sub": "00u-alice",
    "team_id": "desk",
    "cost_center": "CC-410",
    "customer_id": "houston-power",
    "gl_code": "6100",
    "project_id": "HPC",
    "task_id": "HPC-1234",
    "task_class": "refactor",
    "memo": "PJM rebill",
    "url": "https://jira.example/HPC-1234",
    "attribution_level": 1,
    "confidence": 100,
    "usage_source": "provider_final",
}


@pytest.fixture(scope="module")
def openais(product, caller) -> dict[str, openai.OpenAI]:
    """A client for each base address; its certificates take longer to load than a call."""
    with ExitStack() as stack:
        yield {
            base: stack.enter_context(
                openai.OpenAI(base_url=product.gateway + base, api_key=caller.key, max_retries=0)
            )
            for base in OPENAI_BASES
        }


@pytest.fixture(scope="module")
def anthropics(product, caller) -> dict[str, anthropic.Anthropic]:
    with ExitStack() as stack:
        yield {
            base: stack.enter_context(
                anthropic.Anthropic(base_url=product.gateway + base, api_key=caller.key, max_retries=0)
            )
            for base in ANTHROPIC_BASES
        }


def openai_async(product, key: str) -> AbstractAsyncContextManager[openai.AsyncOpenAI]:
    return openai.AsyncOpenAI(base_url=f"{product.gateway}/v1", api_key=key, max_retries=0)


def anthropic_async(product, key: str) -> AbstractAsyncContextManager[anthropic.AsyncAnthropic]:
    return anthropic.AsyncAnthropic(base_url=product.gateway, api_key=key, max_retries=0)


def check_openai_message(message: Any, saying: str) -> None:
    if saying == "tool":
        (call,) = message.tool_calls
        assert call.function.name == TOOL["name"]
        assert json.loads(call.function.arguments) == TOOL["arguments"]
    else:
        assert message.content == SAYINGS[saying]["text"]
    if saying == "reasoning":
        assert message.reasoning_content == SAYINGS[saying]["reasoning"]


def check_anthropic_message(message: Any, saying: str) -> None:
    if saying == "tool":
        assert (message.content[-1].name, message.content[-1].input) == (TOOL["name"], TOOL["arguments"])
    else:
        assert message.content[-1].text == SAYINGS[saying]["text"]
    if saying == "reasoning":
        assert message.content[0].thinking == SAYINGS[saying]["reasoning"]


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", OPENAI_BASES)
def test_openai_blocking(caller, openais, base, saying):
    call_id = new_id()
    headers = sending(call_id, usage=OPENAI_USAGE, **SAYINGS[saying])
    answer = openais[base].chat.completions.create(model=GPT, messages=ONE, extra_headers=headers)
    check_openai_message(answer.choices[0].message, saying)
    assert answer.usage.to_dict() == OPENAI_USAGE
    check_openai(caller.row(call_id), streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_openai_blocking_async(product, caller, saying):
    call_id = new_id()
    headers = sending(call_id, usage=OPENAI_USAGE, **SAYINGS[saying])
    async with openai_async(product, caller.key) as client:
        answer = await client.chat.completions.create(model=GPT, messages=ONE, extra_headers=headers)
    check_openai_message(answer.choices[0].message, saying)
    check_openai(caller.row(call_id), streamed=False)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", OPENAI_BASES)
def test_openai_streaming(caller, openais, base, saying, asked):
    call_id = new_id()
    headers = sending(call_id, usage=OPENAI_USAGE, **SAYINGS[saying])
    options = {"stream_options": {"include_usage": True}} if asked else {}
    stream = openais[base].chat.completions.stream(model=GPT, messages=ONE, extra_headers=headers, **options)
    with stream as events:
        chunks = [event.chunk for event in events if event.type == "chunk"]
        answer = events.get_final_completion()
    check_openai_message(answer.choices[0].message, saying)
    reports = [chunk.usage for chunk in chunks if chunk.usage]
    assert [report.to_dict() for report in reports] == ([OPENAI_USAGE] if asked else [])
    check_openai(caller.row(call_id), streamed=True)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_openai_streaming_async(product, caller, saying):
    call_id = new_id()
    headers = sending(call_id, usage=OPENAI_USAGE, **SAYINGS[saying])
    async with (
        openai_async(product, caller.key) as client,
        client.chat.completions.stream(model=GPT, messages=ONE, extra_headers=headers) as stream,
    ):
        answer = await stream.get_final_completion()
    check_openai_message(answer.choices[0].message, saying)
    check_openai(caller.row(call_id), streamed=True)


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", ANTHROPIC_BASES)
def test_anthropic_blocking(caller, anthropics, base, saying):
    call_id = new_id()
    headers = sending(call_id, usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    answer = anthropics[base].messages.create(
        model=CLAUDE, max_tokens=99, messages=ONE, extra_headers=headers
    )
    check_anthropic_message(answer, saying)
    check_anthropic(caller.row(call_id), streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_anthropic_blocking_async(product, caller, saying):
    call_id = new_id()
    headers = sending(call_id, usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    async with anthropic_async(product, caller.key) as client:
        answer = await client.messages.create(
            model=CLAUDE, max_tokens=99, messages=ONE, extra_headers=headers
        )
    check_anthropic_message(answer, saying)
    check_anthropic(caller.row(call_id), streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", ANTHROPIC_BASES)
def test_anthropic_streaming(caller, anthropics, base, saying):
    call_id = new_id()
    headers = sending(call_id, usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    stream = anthropics[base].messages.stream(
        model=CLAUDE, max_tokens=99, messages=ONE, extra_headers=headers
    )
    with stream as events:
        answer = events.get_final_message()
    check_anthropic_message(answer, saying)
    assert answer.usage.output_tokens == ANTHROPIC_USAGE["output_tokens"]
    check_anthropic(caller.row(call_id), streamed=True)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_anthropic_streaming_async(product, caller, saying):
    call_id = new_id()
    headers = sending(call_id, usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    async with (
        anthropic_async(product, caller.key) as client,
        client.messages.stream(model=CLAUDE, max_tokens=99, messages=ONE, extra_headers=headers) as stream,
    ):
        answer = await stream.get_final_message()
    check_anthropic_message(answer, saying)
    check_anthropic(caller.row(call_id), streamed=True)


@pytest.mark.parametrize("base", OPENAI_BASES)
def test_openai_lists_models(caller, openais, base):
    models = openais[base].models
    assert GPT in [model.id for model in models.list()]
    assert models.retrieve(GPT).id == GPT
    with pytest.raises(openai.NotFoundError):
        models.retrieve("none-of-these")


@pytest.mark.parametrize("base", ANTHROPIC_BASES)
def test_anthropic_lists_models(caller, anthropics, base):
    call_id = new_id()
    models = anthropics[base].models
    assert CLAUDE in [model.id for model in models.list()]
    assert models.retrieve(CLAUDE, extra_headers={"x-client-request-id": call_id}).id == CLAUDE
    row = caller.row(call_id)
    assert (row["task_class"], row["cost_nusd"], row["price_state"]) == ("catalogue", 0, "known")
    assert (row["decision"], row["dialect"]) == ("allowed", "messages")


OPENAI_ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    529: openai.InternalServerError,
}
ANTHROPIC_ERRORS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    413: anthropic.RequestTooLargeError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    529: anthropic.OverloadedError,
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", OPENAI_ERRORS)
def test_an_openai_error_is_the_providers_own(product, caller, openais, status, streamed):
    call_id = new_id()
    headers = sending(call_id, status=status, retry_after=7)
    with pytest.raises(OPENAI_ERRORS[status]) as caught:
        openais["/v1"].chat.completions.create(
            model=GPT, messages=ONE, stream=streamed, extra_headers=headers
        )
    direct = ask(
        product.sandbox,
        "POST",
        "/v1/chat/completions",
        [("authorization", "Bearer any"), ("x-sandbox-plan", headers["x-sandbox-plan"])],
        body_of("/v1/chat/completions"),
    )
    check_refused(caught.value, direct, caller.row(call_id), status)
    assert caught.value.response.content == direct.body


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", ANTHROPIC_ERRORS)
def test_an_anthropic_error_is_the_providers_own(product, caller, anthropics, status, streamed):
    call_id = new_id()
    headers = sending(call_id, status=status, retry_after=7)
    with pytest.raises(ANTHROPIC_ERRORS[status]) as caught:
        anthropics[""].messages.create(
            model=CLAUDE, max_tokens=9, messages=ONE, stream=streamed, extra_headers=headers
        )
    plan = ("x-sandbox-plan", headers["x-sandbox-plan"])
    direct = ask(
        product.sandbox,
        "POST",
        MESSAGES,
        [("x-api-key", "any"), ("anthropic-version", "2023-06-01"), plan],
        body_of(MESSAGES),
    )
    check_refused(caught.value, direct, caller.row(call_id), status)
    assert caught.value.body["error"] == direct.error


def check_refused(error: Any, direct: Any, row: dict[str, Any], status: int) -> None:
    passing = {"date", "content-length", "request-id", "x-request-id", "server"}
    for name, value in direct.headers:
        if name.lower() not in passing and not name.lower().endswith("-reset"):
            assert error.response.headers[name] == value
    assert error.response.headers["retry-after"] == "7"
    assert error.response.headers["x-vis-request-id"] == str(row["request_id"])
    assert "x-acc-error" not in error.response.headers
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", status)
    assert (row["cost_nusd"], row["usage_source"], row["usage"]) == (0, "none", None)
    assert row["upstream_request_id"] == error.response.headers.get(
        "request-id", error.response.headers.get("x-request-id")
    )


def test_a_client_that_retries_by_itself_leaves_a_row_for_each_try(product, caller):
    call_id = new_id()
    headers = sending(call_id, status=429, retry_after=0)
    client = openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key, max_retries=1)
    with client, pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model=GPT, messages=ONE, extra_headers=headers)
    first, second = product.rows_of(call_id)
    assert first["request_id"] != second["request_id"]
    assert [row["tags"]["client_retry"] for row in (first, second)] == ["0", "1"]


def test_the_cost_of_a_blocking_call_stands_in_a_header(product, caller):
    reply = caller.post(MESSAGES, call_id := new_id())
    row = caller.row(call_id)
    assert Decimal(reply.header("x-vis-cost-usd")) * 10**9 == row["cost_nusd"]
    assert reply.header("x-vis-request-id") == str(row["request_id"])
