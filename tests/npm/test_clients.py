"""Promises G1, G5, L1 for JavaScript: the official clients of npm, unmodified and configured by their environment alone,
work against the gateway, and each call is one exact row."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from subprocess import Popen
from typing import Any

import pytest

from gateway.batches import CHAT, check_done, collected, line, request, sending
from gateway.calls import CLAUDE, GPT, complaints, new_id, recomputed
from npm.modules import answer_of

GPT_5 = "gpt-5.1"
FLASH = "gemini-2.5-flash"
DEPLOYMENT = "chat-prod"
ONE = [{"role": "user", "content": "one two three"}]
TEXT = "A ledger is a book of accounts."
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
SCHEMA = {"type": "object", "properties": {"zone": {"type": "string"}}}

CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
RESPONSES_USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 1100,
}
MESSAGES_USAGE = {
    "input_tokens": 100,
    "output_tokens": 80,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
}
GEMINI_USAGE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 200,
    "candidatesTokenCount": 60,
    "thoughtsTokenCount": 40,
    "totalTokenCount": 1100,
}
OPENAI_BUCKETS = {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
CLAUDE_BUCKETS = {
    "in_text": 100,
    "cache_read": 50,
    "cache_write_5m": 10,
    "cache_write_1h": 20,
    "out_text": 80,
}
CHAT_NUSD = 800 * 2_500 + 200 * 1_250 + 100 * 10_000
RESPONSES_NUSD = 800 * 1_250 + 200 * 125 + 100 * 10_000
MESSAGES_NUSD = 100 * 3_000 + 50 * 300 + 10 * 3_750 + 20 * 6_000 + 80 * 15_000
GEMINI_NUSD = 800 * 300 + 200 * 30 + 100 * 2_500

Seen = dict[str, Any]
Call = Callable[..., tuple[Seen, Seen]]


@pytest.fixture(scope="module", autouse=True)
def resource(product, caller):
    """An Azure resource with one deployment, whose place the sandbox takes."""
    to = ("--base-url", product.sandbox, "--deployment", f"{DEPLOYMENT}={GPT}")
    product.run("provider", "add", "azure", *to, stdin="azure-planted-11cc")
    path = f"/openai/deployments/{DEPLOYMENT}/chat/completions?api-version=2024-10-21"
    product.until(lambda: caller.post(path, new_id()).status == 200)


@pytest.fixture(scope="module")
def processes(modules) -> Iterator[dict[str, Popen[str]]]:
    """A process for each client, which takes longer to start than a call."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(modules.running(f"clients/{name}"))
            for name in ("openai", "anthropic", "genai")
        }


def settings_for(gateway: str, key: str) -> dict[str, str]:
    """What a person sets for the clients."""
    return {
        "OPENAI_BASE_URL": f"{gateway}/v1",
        "OPENAI_API_KEY": key,
        "ANTHROPIC_BASE_URL": gateway,
        "ANTHROPIC_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": gateway,
        "GEMINI_API_KEY": key,
    }


@pytest.fixture
def call(processes, product, caller) -> Call:
    """Has a client make one call, under a plan for the sandbox; returns what it saw, and the call's one row."""

    def made(client: str, act: str, asked: Seen, *, base: Seen | None = None, **plan: object):
        call_id = new_id()
        headers = {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}
        settings = settings_for(product.gateway, caller.key) | (base or {})
        call = {"act": act, "asked": asked, "headers": headers, "settings": settings}
        return answer_of(processes[client], call), caller.row(call_id)

    return made


def check(
    row: Seen, dialect: str, model: str, buckets: Seen, cost_nusd: int, *, streamed: bool = False
) -> None:
    assert (row["dialect"], row["model_requested"], row["model_used"]) == (dialect, model, model)
    assert (row["usage"], row["usage_source"]) == (buckets, "provider_final")
    assert (row["cost_nusd"], row["price_state"], recomputed(row)) == (cost_nusd, "known", cost_nusd)
    assert (row["decision"], row["status_code"], row["project_id"]) == ("allowed", 200, "HPC")
    assert (row["ttft_ms"] is not None) == streamed
    assert "usage_problem" not in row["tags"]


def check_failed(row: Seen, status: int) -> None:
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", status)
    assert (row["cost_nusd"], row["usage"], row["usage_source"]) == (0, None, "none")


# ---------------------------------------------------------------- openai

CHAT_TOOLS = [{"type": "function", "function": {"name": "rebill", "parameters": SCHEMA}}]
RESPONSES_TOOLS = [{"type": "function", "name": "rebill", "parameters": SCHEMA, "strict": False}]


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_openai_chat(call, product, base):
    at = {"OPENAI_BASE_URL": product.gateway + base}
    asked = {"model": GPT, "messages": ONE}
    seen, row = call("openai", "chat", asked, base=at, text=TEXT, usage=CHAT_USAGE)
    assert seen["choices"][0]["message"]["content"] == TEXT
    assert seen["usage"] == CHAT_USAGE
    check(row, "chat_completions", GPT, OPENAI_BUCKETS, CHAT_NUSD)


@pytest.mark.parametrize("wanted", [True, False])
def test_openai_chat_streamed_reports_its_usage_to_whoever_asked_for_it(call, wanted):
    asked = {"model": GPT, "messages": ONE, "stream": True}
    asked |= {"stream_options": {"include_usage": True}} if wanted else {}
    seen, row = call("openai", "chatStream", asked, text=TEXT, usage=CHAT_USAGE)
    assert seen["answer"]["choices"][0]["message"]["content"] == TEXT
    reports = [chunk for chunk in seen["chunks"] if chunk.get("usage")]
    assert [chunk["usage"] for chunk in reports] == ([CHAT_USAGE] if wanted else [])
    assert all(chunk["choices"] for chunk in seen["chunks"] if chunk not in reports)
    assert wanted or not any("usage" in chunk for chunk in seen["chunks"])
    check(row, "chat_completions", GPT, OPENAI_BUCKETS, CHAT_NUSD, streamed=True)


@pytest.mark.parametrize("act", ["chat", "chatStream"])
def test_openai_chat_calls_a_tool(call, act):
    streamed = act == "chatStream"
    asked = {"model": GPT, "messages": ONE, "tools": CHAT_TOOLS, "stream": streamed}
    seen, row = call("openai", act, asked, tool_call=TOOL, usage=CHAT_USAGE)
    (choice,) = (seen["answer"] if streamed else seen)["choices"]
    (made,) = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], made["function"]["name"]) == ("tool_calls", TOOL["name"])
    assert json.loads(made["function"]["arguments"]) == TOOL["arguments"]
    check(row, "chat_completions", GPT, OPENAI_BUCKETS, CHAT_NUSD, streamed=streamed)


@pytest.mark.parametrize("act", ["responses", "responsesStream"])
def test_openai_responses(call, act):
    asked = {"model": GPT_5, "input": "one two three"}
    seen, row = call("openai", act, asked, text=TEXT, usage=RESPONSES_USAGE)
    assert (seen["text"], seen["answer"]["status"]) == (TEXT, "completed")
    assert seen["answer"]["usage"] == RESPONSES_USAGE
    streamed = act == "responsesStream"
    if streamed:
        assert (seen["kinds"][0], seen["kinds"][-1]) == ("response.created", "response.completed")
    check(row, "responses", GPT_5, OPENAI_BUCKETS, RESPONSES_NUSD, streamed=streamed)


@pytest.mark.parametrize("act", ["responses", "responsesStream"])
def test_openai_responses_call_a_tool(call, act):
    asked = {"model": GPT_5, "input": "one two three", "tools": RESPONSES_TOOLS}
    seen, row = call("openai", act, asked, tool_call=TOOL, usage=RESPONSES_USAGE)
    (made,) = seen["answer"]["output"]
    assert (made["type"], made["name"]) == ("function_call", TOOL["name"])
    assert json.loads(made["arguments"]) == TOOL["arguments"]
    check(row, "responses", GPT_5, OPENAI_BUCKETS, RESPONSES_NUSD, streamed=act == "responsesStream")


@pytest.mark.parametrize("form", [None, "float"])
def test_openai_embeddings(call, form):
    small = "text-embedding-3-small"
    asked = {"model": small, "input": ["one two", "three"], "dimensions": 4}
    seen, row = call("openai", "embeddings", asked | ({"encoding_format": form} if form else {}))
    assert [len(one["embedding"]) for one in seen["data"]] == [4, 4]
    assert all(isinstance(number, float | int) for one in seen["data"] for number in one["embedding"])
    assert seen["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    check(row, "embeddings", small, {"embed": 3}, 3 * 20)


def test_openai_lists_models_in_a_row_that_costs_nothing(call):
    seen, row = call("openai", "models", {})
    assert GPT in seen
    assert (row["task_class"], row["cost_nusd"], row["usage_source"]) == ("catalogue", 0, "none")


@pytest.mark.parametrize("act", ["chat", "chatStream"])
@pytest.mark.parametrize(
    ("status", "name", "code"),
    [
        (400, "BadRequestError", None),
        (429, "RateLimitError", "rate_limit_exceeded"),
        (500, "InternalServerError", None),
    ],
)
def test_an_openai_error_is_the_providers_own(call, act, status, name, code):
    asked = {"model": GPT, "messages": ONE, "stream": act == "chatStream"}
    seen, row = call("openai", act, asked, status=status, retry_after=7)
    failed = seen["failed"]
    assert (failed["name"], failed["status"], failed["code"]) == (name, status, code)
    assert (failed["retryAfter"], "simulated" in failed["body"]["message"]) == ("7", True)
    check_failed(row, status)


def test_azures_client_calls_a_deployment_by_its_path(call, product, caller):
    at = {
        "OPENAI_BASE_URL": f"{product.gateway}/azure/openai",
        "AZURE_OPENAI_API_KEY": caller.key,
        "OPENAI_API_VERSION": "2024-10-21",
    }
    asked = {"model": DEPLOYMENT, "messages": ONE}
    seen, row = call("openai", "azureChat", asked, base=at, text=TEXT, usage=CHAT_USAGE, served_model=GPT)
    assert (seen["model"], seen["choices"][0]["message"]["content"]) == (GPT, TEXT)
    assert (row["provider"], row["model_requested"], row["model_used"]) == ("azure", DEPLOYMENT, GPT)
    assert (row["usage"], row["cost_nusd"]) == (OPENAI_BUCKETS, CHAT_NUSD)


# ---------------------------------------------------------------- @anthropic-ai/sdk

ANTHROPIC = {"model": CLAUDE, "max_tokens": 99, "messages": ONE}
ANTHROPIC_TOOLS = [{"name": "rebill", "input_schema": SCHEMA}]


@pytest.mark.parametrize("act", ["messages", "messagesStream"])
@pytest.mark.parametrize("base", ["", "/anthropic"])
def test_anthropic_messages(call, product, act, base):
    at = {"ANTHROPIC_BASE_URL": product.gateway + base}
    seen, row = call("anthropic", act, ANTHROPIC, base=at, text=TEXT, usage=MESSAGES_USAGE)
    streamed = act == "messagesStream"
    answer = seen["answer"] if streamed else seen
    assert (answer["content"][0]["text"], answer["stop_reason"]) == (TEXT, "end_turn")
    assert {name: answer["usage"][name] for name in MESSAGES_USAGE} == MESSAGES_USAGE
    if streamed:
        assert (seen["kinds"][0], seen["kinds"][-1]) == ("message_start", "message_stop")
    check(row, "messages", CLAUDE, CLAUDE_BUCKETS, MESSAGES_NUSD, streamed=streamed)


@pytest.mark.parametrize("act", ["messages", "messagesStream"])
def test_anthropic_uses_a_tool(call, act):
    asked = ANTHROPIC | {"tools": ANTHROPIC_TOOLS}
    seen, row = call("anthropic", act, asked, tool_call=TOOL, usage=MESSAGES_USAGE)
    streamed = act == "messagesStream"
    answer = seen["answer"] if streamed else seen
    used = answer["content"][-1]
    assert (used["type"], used["name"], used["input"]) == ("tool_use", TOOL["name"], TOOL["arguments"])
    assert answer["stop_reason"] == "tool_use"
    check(row, "messages", CLAUDE, CLAUDE_BUCKETS, MESSAGES_NUSD, streamed=streamed)


def test_anthropic_counts_tokens_for_nothing(call):
    seen, row = call("anthropic", "countTokens", {"model": CLAUDE, "messages": ONE})
    assert seen == {"input_tokens": 3}
    assert (row["price_state"], row["cost_nusd"], row["usage_source"]) == ("free", 0, "none")
    assert (row["decision"], row["model_requested"]) == ("allowed", CLAUDE)


def test_anthropic_lists_models_in_a_row_that_costs_nothing(call):
    seen, row = call("anthropic", "models", {})
    assert CLAUDE in seen
    assert (row["task_class"], row["cost_nusd"], row["dialect"]) == ("catalogue", 0, "messages")


@pytest.mark.parametrize("act", ["messages", "messagesStream"])
@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "BadRequestError", "invalid_request_error"),
        (429, "RateLimitError", "rate_limit_error"),
        (529, "OverloadedError", "overloaded_error"),
    ],
)
def test_an_anthropic_error_is_the_providers_own(call, act, status, name, kind):
    seen, row = call("anthropic", act, ANTHROPIC, status=status, retry_after=7)
    failed = seen["failed"]
    assert (failed["name"], failed["status"], failed["retryAfter"]) == (name, status, "7")
    assert failed["body"]["error"]["type"] == kind
    check_failed(row, status)


# ---------------------------------------------------------------- @google/genai

GEMINI = {"model": FLASH, "contents": "one two three"}
GEMINI_TOOLS = {"tools": [{"functionDeclarations": [{"name": "rebill", "parametersJsonSchema": SCHEMA}]}]}
GENERATED = {"generateContent": "gemini", "generateContentStream": "gemini_stream"}


@pytest.mark.parametrize("act", GENERATED)
@pytest.mark.parametrize("base", ["", "/google"])
def test_gemini_generates_content(call, product, act, base):
    at = {"GOOGLE_GEMINI_BASE_URL": product.gateway + base}
    seen, row = call("genai", act, GEMINI, base=at, text=TEXT, usage=GEMINI_USAGE)
    last = seen["chunks"][-1] if "chunks" in seen else seen["answer"]
    assert seen["text"] == TEXT
    assert last["usageMetadata"] == GEMINI_USAGE
    streamed = act == "generateContentStream"
    check(row, GENERATED[act], FLASH, OPENAI_BUCKETS, GEMINI_NUSD, streamed=streamed)


@pytest.mark.parametrize("act", GENERATED)
def test_gemini_calls_a_function(call, act):
    seen, row = call("genai", act, GEMINI | {"config": GEMINI_TOOLS}, tool_call=TOOL, usage=GEMINI_USAGE)
    answers = seen.get("chunks") or [seen["answer"]]
    parts = [part for answer in answers for part in answer["candidates"][0]["content"]["parts"]]
    (made,) = [part["functionCall"] for part in parts if "functionCall" in part]
    assert (made["name"], made["args"]) == (TOOL["name"], TOOL["arguments"])
    streamed = act == "generateContentStream"
    check(row, GENERATED[act], FLASH, OPENAI_BUCKETS, GEMINI_NUSD, streamed=streamed)


def test_gemini_counts_tokens_for_nothing(call):
    seen, row = call("genai", "countTokens", {"model": FLASH, "contents": "a b c d"})
    assert seen["totalTokens"] == 4
    assert (row["price_state"], row["cost_nusd"], row["usage_source"]) == ("free", 0, "none")
    assert (row["decision"], row["model_requested"]) == ("allowed", FLASH)


def test_gemini_embeds_content(call):
    model = "gemini-embedding-001"
    seen, row = call("genai", "embedContent", {"model": model, "contents": ["one two", "three"]})
    assert len(seen["embeddings"]) == 2
    check(row, "gemini_embeddings", model, {"embed": 3}, 3 * 150)


@pytest.mark.parametrize("act", GENERATED)
@pytest.mark.parametrize(("status", "code"), [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED")])
def test_a_gemini_error_is_the_providers_own(call, act, status, code):
    seen, row = call("genai", act, GEMINI, status=status)
    failed = seen["failed"]
    assert (failed["name"], failed["status"]) == ("ApiError", status)
    assert json.loads(failed["message"])["error"]["status"] == code
    check_failed(row, status)


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize("base", ["/v1", "/openai/v1"])
def test_openai_batches(processes, product, caller, base):
    at = settings_for(product.gateway, caller.key) | {"OPENAI_BASE_URL": product.gateway + base}
    asked = {"lines": [line("a"), line("b")], "endpoint": CHAT}
    headers = sending(call_id := new_id(), usage=CHAT_USAGE)
    call = {"act": "batch", "asked": asked, "headers": headers, "settings": at}
    seen = answer_of(processes["openai"], call)
    assert [result["custom_id"] for result in seen["results"]] == ["a", "b"]
    assert [result["response"]["body"]["usage"] for result in seen["results"]] == [CHAT_USAGE] * 2
    rows = collected(product, call_id, seen["batch"]["id"])
    for name in ("a", "b"):
        check_done(rows[name], GPT, OPENAI_BUCKETS, 1000 * 1_250 + 100 * 5_000)


@pytest.mark.parametrize("base", ["", "/anthropic"])
def test_anthropic_batches(processes, product, caller, base):
    at = settings_for(product.gateway, caller.key) | {"ANTHROPIC_BASE_URL": product.gateway + base}
    asked = {"requests": [request("a"), request("b")]}
    headers = sending(call_id := new_id(), usage=MESSAGES_USAGE)
    call = {"act": "batch", "asked": asked, "headers": headers, "settings": at}
    seen = answer_of(processes["anthropic"], call)
    assert [result["custom_id"] for result in seen["results"]] == ["a", "b"]
    assert {result["result"]["type"] for result in seen["results"]} == {"succeeded"}
    rows = collected(product, call_id, seen["batch"]["id"])
    for name in ("a", "b"):
        check_done(rows[name], CLAUDE, CLAUDE_BUCKETS, MESSAGES_NUSD // 2)


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("client", "act", "asked"),
    [
        ("openai", "chat", {"model": GPT, "messages": ONE}),
        ("anthropic", "messages", ANTHROPIC),
        ("genai", "generateContent", GEMINI),
    ],
)
def test_a_key_that_nobody_issued_is_refused_in_the_clients_own_words(processes, product, client, act, asked):
    settings = settings_for(product.gateway, "visk-none-of-these")
    seen = answer_of(processes[client], {"act": act, "asked": asked, "headers": {}, "settings": settings})
    assert seen["failed"]["status"] == 401


def test_the_gateways_log_has_no_complaint(product):
    assert complaints(product) == []
