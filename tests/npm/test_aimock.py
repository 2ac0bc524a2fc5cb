"""Promises G1, L1 against an upstream that we did not write: aimock, a simulator of many vendors (npm, @copilotkit/aimock).

The official SDKs go through the gateway to it. Where it departs from a vendor's format, the test is named for that.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import openai
import pytest
from botocore.config import Config
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from google import genai
from google.genai import errors, types

from gateway.batches import CHAT, GPT_IN, GPT_OUT, check_done, check_free, collected, ended, jsonl, line
from gateway.calls import CLAUDE, GPT, Caller, Reply, ask, complaints, new_id, recomputed
from gateway.terminator import terminated
from npm.modules import Modules
from product import Product, running, set_up

pytestmark = [
    # google-genai inherits from a class of aiohttp that warns of it
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
    # aimock's word for how an answer of Gemini's ends with a call; Gemini says STOP
    pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning"),
]

FLASH = "gemini-2.5-flash"
SMALL = "text-embedding-3-small"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TEXT = "A ledger is a book of accounts."
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "input_tokens": 100,
    "output_tokens": 20,
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
}
CALLED = {"name": TOOL["name"], "arguments": json.dumps(TOOL["arguments"])}
FIXTURES = [
    {"match": {"userMessage": "ledger"}, "response": {"content": TEXT, "usage": USAGE}},
    {"match": {"userMessage": "rebill"}, "response": {"toolCalls": [CALLED], "usage": USAGE}},
    {"match": {"userMessage": "silent"}, "response": {"content": TEXT}},
    {
        "match": {"userMessage": "breaks off"},
        "response": {"content": TEXT * 4, "usage": USAGE},
        "truncateAfterChunks": 6,
        "latency": 5,
    },
    {
        "match": {"userMessage": "refused"},
        "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429},
    },
    {"match": {"inputText": "ledger"}, "response": {"embedding": [0.5, -0.25]}},
]
"""What aimock answers to a prompt with these words in it. Without a latency it throws away what it wrote before it breaks."""

BUCKETS = {"in_text": 100, "out_text": 20}
NUSD = {
    "chat_completions": 100 * 2_500 + 20 * 10_000,
    "responses": 100 * 2_500 + 20 * 10_000,
    "messages": 100 * 3_000 + 20 * 15_000,
    "gemini": 100 * 300 + 20 * 2_500,
    "gemini_stream": 100 * 300 + 20 * 2_500,
    "converse": 100 * 3_300 + 20 * 16_500,
    "invoke_model": 100 * 3_300 + 20 * 16_500,
}
BASES = {"openai": "/v1", "anthropic": "", "google": "", "bedrock": ""}


@contextmanager
def listening(modules: Modules) -> Iterator[str]:
    """aimock on a free port of the loopback, and its address."""
    with modules.running("aimock", FIXTURES=json.dumps(FIXTURES)) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


@pytest.fixture(scope="module")
def upstream(modules) -> Iterator[str]:
    with listening(modules) as address:
        yield address


@pytest.fixture(scope="module")
def product(upstream) -> Iterator[Product]:
    """A product whose providers are all aimock; it has no sandbox to fall back on."""
    with running("--no-sandbox") as product:
        set_up(product)
        for name, base in BASES.items():
            product.run("provider", "add", name, "--base-url", upstream + base, stdin=f"planted-{name}")
        yield product


@pytest.fixture(scope="module")
def caller(product) -> Caller:
    caller = Caller(product, product.issue())
    for path in ("/v1/chat/completions", "/v1/messages"):
        product.until(lambda path=path: caller.post(path, new_id()).status != 403)
    return caller


@pytest.fixture(scope="module")
def clients(product, caller, tmp_path_factory) -> Iterator[dict[str, Any]]:
    """Each SDK as its documentation makes it. boto3 wants TLS before the gateway."""
    folder = tmp_path_factory.mktemp("authority")
    key = caller.key
    with ExitStack() as stack, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
        environment.setenv("AWS_EC2_METADATA_DISABLED", "true")
        address = stack.enter_context(terminated(product.gateway, folder))
        google = genai.Client(
            api_key=key, http_options=types.HttpOptions(base_url=product.gateway, api_version="v1beta")
        )
        stack.callback(google.close)
        amazon = boto3.Session().client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=address,
            verify=str(folder / "authority.pem"),
            config=Config(retries={"total_max_attempts": 1}),
        )
        stack.callback(amazon.close)
        yield {
            "openai": stack.enter_context(
                openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=key, max_retries=0)
            ),
            "anthropic": stack.enter_context(
                anthropic.Anthropic(base_url=product.gateway, api_key=key, max_retries=0)
            ),
            "google": google,
            "bedrock": amazon,
        }


@dataclass(frozen=True)
class Said:
    """What a client saw of an answer: its text, its tool calls, and the tokens that it reports."""

    text: str
    called: list[tuple[str, Any]]
    tokens: tuple[int, int] | None


def named(call_id: str) -> dict[str, str]:
    return {"x-client-request-id": call_id}


def chat(clients: dict[str, Any], call_id: str, words: str) -> Said:
    answer = clients["openai"].chat.completions.create(
        model=GPT, messages=[{"role": "user", "content": words}], extra_headers=named(call_id)
    )
    return completion(answer, (answer.usage.prompt_tokens, answer.usage.completion_tokens))


def chat_streamed(clients: dict[str, Any], call_id: str, words: str) -> Said:
    """The client does not ask for usage, so it must not see any."""
    stream = clients["openai"].chat.completions.stream(
        model=GPT, messages=[{"role": "user", "content": words}], extra_headers=named(call_id)
    )
    with stream as events:
        chunks = [event.chunk for event in events if event.type == "chunk"]
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)
        return completion(events.get_final_completion(), None)


def completion(answer: Any, tokens: tuple[int, int] | None) -> Said:
    message = answer.choices[0].message
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]
    return Said(message.content or "", calls, tokens)


def responses(clients: dict[str, Any], call_id: str, words: str) -> Said:
    return response(clients["openai"].responses.create(model=GPT, input=words, extra_headers=named(call_id)))


def responses_streamed(clients: dict[str, Any], call_id: str, words: str) -> Said:
    stream = clients["openai"].responses.create(
        model=GPT, input=words, stream=True, extra_headers=named(call_id)
    )
    events = list(stream)
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    return response(events[-1].response)


def response(answer: Any) -> Said:
    calls = [
        (item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call"
    ]
    return Said(answer.output_text, calls, (answer.usage.input_tokens, answer.usage.output_tokens))


def messages(clients: dict[str, Any], call_id: str, words: str) -> Said:
    asked = {"model": CLAUDE, "max_tokens": 99, "messages": [{"role": "user", "content": words}]}
    return message(clients["anthropic"].messages.create(**asked, extra_headers=named(call_id)))


def messages_streamed(clients: dict[str, Any], call_id: str, words: str) -> Said:
    asked = {"model": CLAUDE, "max_tokens": 99, "messages": [{"role": "user", "content": words}]}
    with clients["anthropic"].messages.stream(**asked, extra_headers=named(call_id)) as stream:
        return message(stream.get_final_message())


def message(answer: Any) -> Said:
    text = "".join(block.text for block in answer.content if block.type == "text")
    calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
    return Said(text, calls, (answer.usage.input_tokens, answer.usage.output_tokens))


def gemini(clients: dict[str, Any], call_id: str, words: str) -> Said:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=named(call_id)))
    return contents([clients["google"].models.generate_content(model=FLASH, contents=words, config=config)])


def gemini_streamed(clients: dict[str, Any], call_id: str, words: str) -> Said:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=named(call_id)))
    stream = clients["google"].models.generate_content_stream(model=FLASH, contents=words, config=config)
    return contents(list(stream))


def contents(answers: list[types.GenerateContentResponse]) -> Said:
    parts = [part for answer in answers for part in answer.candidates[0].content.parts]
    calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
    usage = answers[-1].usage_metadata
    tokens = (usage.prompt_token_count, usage.candidates_token_count)
    return Said("".join(part.text or "" for part in parts), calls, tokens)


def converse(clients: dict[str, Any], call_id: str, words: str) -> Said:
    with naming(clients["bedrock"], call_id) as bedrock:
        answer = bedrock.converse(modelId=SONNET, messages=asked_of_converse(words))
    content = answer["output"]["message"]["content"]
    calls = [(block["toolUse"]["name"], block["toolUse"]["input"]) for block in content if "toolUse" in block]
    tokens = (answer["usage"]["inputTokens"], answer["usage"]["outputTokens"])
    return Said("".join(block.get("text", "") for block in content), calls, tokens)


def converse_streamed(clients: dict[str, Any], call_id: str, words: str) -> Said:
    with naming(clients["bedrock"], call_id) as bedrock:
        events = list(bedrock.converse_stream(modelId=SONNET, messages=asked_of_converse(words))["stream"])
    starts = [event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    names = [start["toolUse"]["name"] for start in starts if "toolUse" in start]
    arguments = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    usage = events[-1]["metadata"]["usage"]
    return Said(
        "".join(delta.get("text", "") for delta in deltas),
        [(name, json.loads(arguments)) for name in names],
        (usage["inputTokens"], usage["outputTokens"]),
    )


@contextmanager
def naming(client: Any, call_id: str) -> Iterator[Any]:
    """boto3's client, whose requests carry our id for as long as this lasts."""

    def add(request, **_):
        request.headers["x-client-request-id"] = call_id

    client.meta.events.register("before-sign.bedrock-runtime.*", add)
    try:
        yield client
    finally:
        client.meta.events.unregister("before-sign.bedrock-runtime.*", add)


CALLS: dict[Callable[..., Said], str] = {
    chat: "chat_completions",
    chat_streamed: "chat_completions",
    responses: "responses",
    responses_streamed: "responses",
    messages: "messages",
    messages_streamed: "messages",
    gemini: "gemini",
    gemini_streamed: "gemini_stream",
    converse: "converse",
    converse_streamed: "converse",
}
STREAMED = [call for call in CALLS if call.__name__.endswith("_streamed")]
REFUSED = {
    "chat_completions": openai.RateLimitError,
    "responses": openai.RateLimitError,
    "messages": anthropic.RateLimitError,
    "gemini": errors.ClientError,
    "gemini_stream": errors.ClientError,
    "converse": ClientError,
}
BROKEN = {
    "chat_completions": openai.APIError,
    "responses": openai.APIError,
    "messages": anthropic.APIError,
    "gemini_stream": errors.APIError,
}
SPEAKING = [call for call in CALLS if call is not converse_streamed]
"""The calls whose client can read a text: the text of aimock's Converse streams has tests of its own."""


def each(calls: Iterable[Callable[..., Said]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", calls, ids=lambda call: call.__name__)


def check(row: dict[str, Any], call: Callable[..., Said]) -> None:
    """The row of a call whose 100 and 20 tokens aimock reported."""
    dialect = CALLS[call]
    assert (row["dialect"], row["usage"], row["usage_source"]) == (dialect, BUCKETS, "provider_final")
    assert (row["cost_nusd"], row["price_state"], recomputed(row)) == (NUSD[dialect], "known", NUSD[dialect])
    assert (row["decision"], row["status_code"], row["project_id"]) == ("allowed", 200, "HPC")
    assert row["provider"] in BASES
    assert row["upstream_request_id"].startswith("req-")
    assert "usage_problem" not in row["tags"]


@each(SPEAKING)
def test_a_text(clients, caller, call):
    said = call(clients, call_id := new_id(), "what is a ledger?")
    assert (said.text, said.called) == (TEXT, [])
    assert said.tokens == (None if call is chat_streamed else (100, 20))
    row = caller.row(call_id)
    check(row, call)
    assert (row["ttft_ms"] is not None) == (call in STREAMED)


@each(CALLS)
def test_a_tool_call(clients, caller, call):
    said = call(clients, call_id := new_id(), "rebill the PJM hours")
    assert (said.text, said.called) == ("", [(TOOL["name"], TOOL["arguments"])])
    check(caller.row(call_id), call)


@each(CALLS)
def test_an_error_is_the_upstreams_own(clients, caller, call):
    with pytest.raises(REFUSED[CALLS[call]], match=r"slow down|\(429\)"):
        call(clients, call_id := new_id(), "to be refused")
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", 429)
    assert (row["cost_nusd"], row["usage"], row["usage_source"]) == (0, None, "none")


@each([call for call in STREAMED if call in SPEAKING])
def test_a_stream_that_breaks_off_is_an_error_to_the_client_and_a_labelled_estimate(clients, caller, call):
    with pytest.raises(BROKEN[CALLS[call]]):
        call(clients, call_id := new_id(), "what breaks off?")
    row = caller.row(call_id)
    assert (row["dialect"], row["usage_source"], row["price_state"]) == (
        CALLS[call],
        "tokenizer_estimate",
        "known",
    )
    assert row["cost_nusd"] == recomputed(row) > 0
    assert row["usage"]["out_text"] > 0


@each(SPEAKING)
def test_where_aimock_reports_zeros_or_its_own_guess_the_row_says_no_more_than_that(clients, caller, call):
    """Without usage in its fixture, aimock guesses for Chat Completions and reports zeros elsewhere, as no vendor does."""
    said = call(clients, call_id := new_id(), "be silent about it")
    assert said.text == TEXT
    row = caller.row(call_id)
    if CALLS[call] == "chat_completions":
        assert (row["usage"], row["usage_source"]) == ({"in_text": 5, "out_text": 8}, "provider_final")
        return
    assert said.tokens == (0, 0)
    assert row["tags"]["usage_problem"]
    estimated = row["usage_source"] == "tokenizer_estimate"
    assert (row["cost_nusd"] > 0) == estimated == (row["usage"] is not None)


@pytest.mark.parametrize("outcome", ["completed", "failed", "expired", "cancelled"])
def test_a_batch_costs_what_its_lines_report_however_it_ended(product, clients, outcome):
    """aimock answers each line with a token in and a token out; what did not complete has an error file or nothing."""
    client, lines = clients["openai"], [line("a"), line("b")]
    file = client.files.create(file=("lines.jsonl", jsonl(*lines)), purpose="batch")
    headers = named(call_id := new_id()) | {"x-aimock-batch-outcome": outcome}
    asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    batch = ended(client, client.batches.create(**asked, extra_headers=headers))
    assert batch.status == outcome
    rows = collected(product, call_id, batch.id)
    assert rows.keys() == ({"a", "b"} if outcome in {"completed", "failed"} else set())
    for row in rows.values():
        if outcome == "completed":
            check_done(row, GPT, {"in_text": 1, "out_text": 1}, GPT_IN + GPT_OUT)
        else:
            check_free(row, "upstream_refused")


# ---------------------------------------------------------------- where it departs from the vendors' formats


def test_embeddings_in_numbers_although_base64_was_asked_for_and_a_report_of_no_tokens(clients, caller):
    answer = clients["openai"].embeddings.create(
        model=SMALL, input="a ledger", extra_headers=named(call_id := new_id())
    )
    assert answer.data[0].embedding == [0.5, -0.25]
    row = caller.row(call_id)
    assert (row["dialect"], row["decision"], row["model_used"]) == ("embeddings", "allowed", SMALL)
    assert (row["tags"]["usage_problem"], row["usage"]) == ("no input is reported", None)


def test_an_embedding_of_gemini_without_a_usage_report_is_a_labelled_estimate(product, caller):
    """Google's own client asks for batches, which aimock does not have."""
    path = "/v1beta/models/gemini-embedding-001:embedContent"
    headers = [("x-goog-api-key", caller.key), ("content-type", "application/json"), *named(new_id()).items()]
    body = json.dumps({"content": {"parts": [{"text": "a ledger"}]}}).encode()
    reply = ask(product.gateway, "POST", path, headers, body)
    assert json.loads(reply.body) == {"embedding": {"values": [0.5, -0.25]}}
    row = caller.row(headers[-1][1])
    assert (row["usage_source"], row["tags"]["usage_problem"]) == (
        "tokenizer_estimate",
        "no usage in the answer",
    )
    assert row["cost_nusd"] == row["usage"]["embed"] * 150 > 0


def test_events_of_gemini_although_an_array_was_asked_for(product, caller):
    path = f"/v1beta/models/{FLASH}:streamGenerateContent"
    headers = [("x-goog-api-key", caller.key), ("content-type", "application/json"), *named(new_id()).items()]
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": "a ledger"}]}]}).encode()
    reply = ask(product.gateway, "POST", path, headers, body)
    assert reply.body.startswith(b"data: ")
    assert reply.body.endswith(b"}\n\n")
    check(caller.row(headers[-1][1]), gemini_streamed)


def test_a_text_of_converse_that_starts_with_nothing_passes_byte_by_byte_and_is_metered(
    product, caller, clients, upstream
):
    """Bedrock announces no block of text; aimock does, as a union without a member, which botocore refuses to parse."""
    with naming(clients["bedrock"], new_id()) as bedrock:
        answer = bedrock.converse_stream(modelId=SONNET, messages=asked_of_converse("a ledger"))
        with closing(answer["stream"]) as events, pytest.raises(ResponseParserError):
            list(events)
    reply, call_id = streamed_converse(product.gateway, caller.key, "a ledger")
    assert reply.body == streamed_converse(upstream, "any", "a ledger")[0].body
    assert "".join(delta.get("text", "") for delta in deltas_in(reply.body)) == TEXT
    check(caller.row(call_id), converse_streamed)


def test_a_text_of_converse_that_breaks_off_ends_in_an_exception_and_is_a_labelled_estimate(product, caller):
    reply, call_id = streamed_converse(product.gateway, caller.key, "what breaks off?")
    *_, last = frames_of(reply.body)
    assert last.headers[":message-type"] == "exception"
    row = caller.row(call_id)
    assert (row["dialect"], row["usage_source"]) == ("converse", "tokenizer_estimate")
    assert row["cost_nusd"] == recomputed(row) > 0
    assert row["usage"]["out_text"] > 0


def asked_of_converse(words: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"text": words}]}]


def streamed_converse(address: str, key: str, words: str) -> tuple[Reply, str]:
    """The whole answer, and the id of the call."""
    call_id = new_id()
    headers = [
        ("authorization", f"Bearer {key}"),
        ("content-type", "application/json"),
        *named(call_id).items(),
    ]
    body = json.dumps({"messages": asked_of_converse(words)}).encode()
    return ask(address, "POST", f"/model/{SONNET}/converse-stream", headers, body), call_id


def frames_of(body: bytes) -> Iterator[Any]:
    """botocore's own parser is the judge of both checksums."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    yield from buffer


def deltas_in(body: bytes) -> list[dict[str, Any]]:
    events = [frame for frame in frames_of(body) if frame.headers[":event-type"] == "contentBlockDelta"]
    return [json.loads(event.payload)["delta"] for event in events]


def test_invoke_model_in_one_piece_is_as_bedrock_has_it(clients, caller):
    with naming(clients["bedrock"], call_id := new_id()) as bedrock:
        answer = bedrock.invoke_model(modelId=SONNET, body=native("a ledger"))
    assert json.loads(answer["body"].read())["content"] == [{"type": "text", "text": TEXT}]
    row = caller.row(call_id)
    assert (row["dialect"], row["usage"], row["usage_source"]) == ("invoke_model", BUCKETS, "provider_final")
    assert row["cost_nusd"] == NUSD["invoke_model"] == recomputed(row)


def test_a_streamed_invoke_model_whose_chunks_are_not_bedrocks_is_a_labelled_estimate(clients, caller):
    """A chunk of Bedrock's has its JSON in base64 in `bytes`; aimock's is the JSON, in which botocore sees nothing."""
    with naming(clients["bedrock"], call_id := new_id()) as bedrock:
        answer = bedrock.invoke_model_with_response_stream(modelId=SONNET, body=native("a ledger"))
        events = list(answer["body"])
    assert events
    assert not any(event["chunk"].get("bytes") for event in events)
    row = caller.row(call_id)
    assert (row["decision"], row["usage_source"], row["finish"]) == (
        "allowed",
        "tokenizer_estimate",
        "truncated",
    )
    assert row["cost_nusd"] == recomputed(row) > 0


def native(words: str) -> bytes:
    said = [{"role": "user", "content": words}]
    return json.dumps(
        {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": said}
    ).encode()


@pytest.mark.parametrize("counted", ["anthropic", "google"])
def test_a_count_of_tokens_that_it_does_not_have_is_its_404_and_a_free_row(clients, caller, counted):
    call_id = new_id()
    if counted == "anthropic":
        with pytest.raises(anthropic.NotFoundError):
            clients["anthropic"].messages.count_tokens(
                model=CLAUDE, messages=[{"role": "user", "content": "x"}], extra_headers=named(call_id)
            )
    else:
        config = types.CountTokensConfig(http_options=types.HttpOptions(headers=named(call_id)))
        with pytest.raises(errors.ClientError, match="404"):
            clients["google"].models.count_tokens(model=FLASH, contents="x", config=config)
    row = caller.row(call_id)
    assert (row["decision"], row["status_code"], row["price_state"]) == ("failed", 404, "free")
    assert row["cost_nusd"] == 0


# ---------------------------------------------------------------- what reached it


def test_it_got_the_providers_keys_and_never_the_clients(clients, caller, upstream):
    messages(clients, new_id(), "what is a ledger?")
    chat(clients, new_id(), "what is a ledger?")
    journal = ask(upstream, "GET", "/v1/_requests", [])
    entries = json.loads(journal.body)
    assert {entry["path"] for entry in entries} >= {"/v1/messages", "/v1/chat/completions"}
    assert caller.key.encode() not in journal.body


def test_the_gateways_log_has_no_complaint(product):
    assert complaints(product) == []
