"""Promises G1, G4, G5, L1 for Google's Gemini: its official SDK, unmodified, and plain HTTP in both forms of a stream."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from google import genai
from google.genai import errors, types

from gateway.calls import Caller, Reply, ask, complaints, new_id, opened, recomputed
from visionality.postgres import read_endpoint

pytestmark = [
    # google-genai inherits from a class of aiohttp that warns of it
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

FLASH = "gemini-2.5-flash"
BASES = {"": None, "/google": "v1beta", "/gemini": None}
MODELS = "/v1beta/models"
GENERATE = f"{MODELS}/{FLASH}:generateContent"
STREAM = f"{MODELS}/{FLASH}:streamGenerateContent"
COUNT = f"{MODELS}/{FLASH}:countTokens"
EMBED = f"{MODELS}/gemini-embedding-001:embedContent"
SSE = f"{STREAM}?alt=sse"
BODY = {"contents": [{"role": "user", "parts": [{"text": "one two three"}]}]}
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
SAYINGS = {
    "text": {"text": "A ledger is a book of accounts."},
    "tool": {"tool_call": TOOL},
    "reasoning": {"reasoning": "Think of books. Then of accounts.", "text": "It is a book."},
}
USAGE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 200,
    "candidatesTokenCount": 60,
    "thoughtsTokenCount": 40,
    "totalTokenCount": 1100,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 700},
        {"modality": "AUDIO", "tokenCount": 300},
    ],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 200}],
}
REBILL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="rebill", parameters_json_schema={"type": "object"})
    ]
)


def sending(call_id: str, **plan: object) -> types.HttpOptions:
    return types.HttpOptions(headers={"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)})


def config(call_id: str, **plan: object) -> types.GenerateContentConfig:
    return types.GenerateContentConfig(http_options=sending(call_id, **plan), tools=[REBILL])


@pytest.fixture(scope="module")
def clients(product, caller) -> dict[str, genai.Client]:
    """A client for each base address; one of them speaks the version that was the default before."""
    made = {base: _client(product.gateway + base, caller.key, BASES[base]) for base in BASES}
    yield made
    for client in made.values():
        client.close()


def _client(base_url: str, key: str, version: str | None = None) -> genai.Client:
    return genai.Client(api_key=key, http_options={"base_url": base_url, "api_version": version})


def check(row: dict[str, Any], dialect: str) -> None:
    assert row["usage"] == {
        "in_text": 500, "in_audio": 300, "cache_read": 200, "out_text": 60, "out_reasoning": 40,
    }  # fmt: skip
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
    assert [row[name] for name in counts] == [800, 200, 0, 100, 40]
    assert row["cost_nusd"] == 500 * 300 + 300 * 1_000 + 200 * 30 + 100 * 2_500 == recomputed(row)
    assert (row["dialect"], row["model_used"], row["model_requested"]) == (dialect, FLASH, FLASH)
    assert (row["provider"], row["project_id"], row["price_state"]) == ("sandbox", "HPC", "known")
    assert (row["decision"], row["usage_source"], row["finish"]) == ("allowed", "provider_final", "STOP")


def check_answer(parts: list[types.Part], saying: str) -> None:
    said = "".join(part.text for part in parts if part.text and not part.thought)
    if saying == "tool":
        (call,) = [part.function_call for part in parts if part.function_call]
        assert (call.name, call.args) == (TOOL["name"], TOOL["arguments"])
    else:
        assert said == SAYINGS[saying]["text"]
    if saying == "reasoning":
        thought = "".join(part.text for part in parts if part.thought)
        assert thought == SAYINGS[saying]["reasoning"]


def parts_of(chunks: list[types.GenerateContentResponse]) -> list[types.Part]:
    return [part for chunk in chunks for part in chunk.candidates[0].content.parts]


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_generate_content(caller, clients, base, saying):
    call_id = new_id()
    asked = config(call_id, usage=USAGE, **SAYINGS[saying])
    answer = clients[base].models.generate_content(model=FLASH, contents="one two three", config=asked)
    check_answer(answer.candidates[0].content.parts, saying)
    assert answer.usage_metadata.total_token_count == USAGE["totalTokenCount"]
    row = caller.row(call_id)
    check(row, "gemini")
    assert row["ttft_ms"] is None


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_generate_content_stream(caller, clients, base, saying):
    call_id = new_id()
    asked = config(call_id, usage=USAGE, **SAYINGS[saying])
    stream = clients[base].models.generate_content_stream(model=FLASH, contents="one two", config=asked)
    chunks = list(stream)
    check_answer(parts_of(chunks), saying)
    assert chunks[-1].usage_metadata.thoughts_token_count == 40
    row = caller.row(call_id)
    check(row, "gemini_stream")
    assert row["ttft_ms"] is not None


@pytest.mark.parametrize("saying", SAYINGS)
async def test_generate_content_async(product, caller, saying):
    call_id = new_id()
    asked = config(call_id, usage=USAGE, **SAYINGS[saying])
    async with _client(product.gateway, caller.key).aio as client:
        answer = await client.models.generate_content(model=FLASH, contents="one", config=asked)
    check_answer(answer.candidates[0].content.parts, saying)
    check(caller.row(call_id), "gemini")


@pytest.mark.parametrize("saying", SAYINGS)
async def test_generate_content_stream_async(product, caller, saying):
    call_id = new_id()
    asked = config(call_id, usage=USAGE, **SAYINGS[saying])
    async with _client(product.gateway, caller.key).aio as client:
        stream = await client.models.generate_content_stream(model=FLASH, contents="one", config=asked)
        chunks = [chunk async for chunk in stream]
    check_answer(parts_of(chunks), saying)
    check(caller.row(call_id), "gemini_stream")


def test_a_function_that_the_sdk_calls_by_itself_is_two_calls(caller, clients):
    called = []

    def rebill(zone: str) -> str:
        """Say whose bill it is."""
        called.append(zone)
        return "Houston Power"

    call_id = new_id()
    plan = {"tool_call": {"name": "rebill", "arguments": {"zone": "PJM"}}}
    asked = types.GenerateContentConfig(
        http_options=sending(call_id, **plan),
        tools=[rebill],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(maximum_remote_calls=2),
    )
    clients[""].models.generate_content(model=FLASH, contents="whose?", config=asked)
    assert called == ["PJM"]
    assert len(caller.product.rows_of(call_id)) == 2


def test_count_tokens_is_a_row_that_costs_nothing(caller, clients):
    call_id = new_id()
    asked = types.CountTokensConfig(http_options=sending(call_id))
    assert clients[""].models.count_tokens(model=FLASH, contents="a b c d", config=asked).total_tokens == 4
    row = caller.row(call_id)
    assert (row["price_state"], row["cost_nusd"], row["usage_source"]) == ("free", 0, "none")
    assert (row["decision"], row["model_requested"]) == ("allowed", FLASH)


@pytest.mark.parametrize("base", BASES)
def test_embed_content(caller, clients, base):
    call_id = new_id()
    asked = types.EmbedContentConfig(http_options=sending(call_id))
    answer = clients[base].models.embed_content(
        model="gemini-embedding-001", contents=["one two", "three"], config=asked
    )
    assert len(answer.embeddings) == 2
    row = caller.row(call_id)
    assert (row["usage"], row["input_tokens"], row["output_tokens"]) == ({"embed": 3}, 3, 0)
    assert (row["cost_nusd"], row["price_state"]) == (3 * 150, "known")
    assert (row["dialect"], row["usage_source"]) == ("gemini_embeddings", "provider_final")


def test_embeddings_without_a_report_are_an_estimate(caller, clients):
    call_id = new_id()
    asked = types.EmbedContentConfig(http_options=sending(call_id, omit_usage=True))
    clients[""].models.embed_content(model="gemini-embedding-001", contents="a" * 400, config=asked)
    row = caller.row(call_id)
    assert (row["usage_source"], row["tags"]["usage_problem"]) == (
        "tokenizer_estimate",
        "no usage in the answer",
    )
    assert row["usage"]["embed"] >= 100
    assert row["cost_nusd"] == row["usage"]["embed"] * 150


@pytest.mark.parametrize("base", BASES)
def test_models_are_listed(caller, clients, base):
    models = clients[base].models
    assert f"models/{FLASH}" in [model.name for model in models.list()]
    call_id = new_id()
    asked = types.GetModelConfig(http_options=sending(call_id))
    assert models.get(model=FLASH, config=asked).name == f"models/{FLASH}"
    row = caller.row(call_id)
    assert (row["task_class"], row["cost_nusd"], row["price_state"]) == ("catalogue", 0, "known")
    with pytest.raises(errors.ClientError) as raised:
        models.get(model="none-of-these")
    assert raised.value.code == 404


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_an_error_is_the_providers_own(caller, clients, status, streamed):
    call_id, models = new_id(), clients[""].models
    asked = config(call_id, status=status, retry_after=7)
    generate = models.generate_content_stream if streamed else models.generate_content
    with pytest.raises(errors.APIError) as raised:
        list(generate(model=FLASH, contents="hi", config=asked))
    assert raised.value.code == status
    assert raised.value.details["error"]["details"][0]["retryDelay"] == "7s"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", status)
    assert (row["cost_nusd"], row["usage_source"]) == (0, "none")


def test_a_refusal_of_the_gateway_is_an_error_of_the_sdk(product, caller):
    wrong = caller.key[:-1] + ("a" if caller.key[-1] != "a" else "b")
    with _client(product.gateway, wrong) as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=FLASH, contents="hi")
    error = raised.value
    assert (error.code, error.status) == (401, "UNAUTHENTICATED")
    (info,) = error.details["error"]["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert (info["reason"], info["domain"]) == ("SPEND_TOKEN_MALFORMED", "gateway")
    assert info["metadata"]["requestId"]


@pytest.mark.parametrize("method", ["predict", "batchGenerateContent"])
def test_what_is_not_metered_is_refused_in_googles_words(product, caller, method):
    path = f"{MODELS}/{FLASH}:{method}"
    reply = ask(product.gateway, "POST", path, keyed(caller, new_id()), b"{}")
    assert (reply.status, reply.error["status"]) == (404, "NOT_FOUND")
    assert reply.error["details"][0]["reason"] == "ROUTE_NOT_METERED"


@pytest.mark.parametrize(
    ("plan", "code"), [({"break_after_chunks": 2}, 500), ({"stream_error_after_chunks": 2}, 503)]
)
def test_a_broken_stream_is_an_error_of_the_sdk(clients, caller, plan, code):
    call_id = new_id()
    stream = clients[""].models.generate_content_stream(
        model=FLASH, contents="one two three", config=config(call_id, **plan)
    )
    chunks = []
    with pytest.raises(errors.ServerError) as raised:
        chunks.extend(stream)
    assert (raised.value.code, len(chunks)) == (code, 2)
    row = caller.row(call_id)
    assert (row["decision"], row["usage_source"]) == ("failed", "tokenizer_estimate")
    assert row["reason"] == ("upstream_broke" if code == 500 else "upstream_error")
    assert row["input_tokens"] == 3  # the provider said so in its first chunk
    assert row["output_tokens"] >= 2


async def test_a_broken_stream_is_an_error_of_the_async_sdk(product, caller):
    asked = config(new_id(), break_after_chunks=2)
    async with _client(product.gateway, caller.key).aio as client:
        stream = await client.models.generate_content_stream(model=FLASH, contents="one", config=asked)
        with pytest.raises(errors.ServerError, match="broke off"):
            [chunk async for chunk in stream]


# ---------------------------------------------------------------- plain HTTP


def keyed(caller: Caller, call_id: str, **plan: object) -> list[tuple[str, str]]:
    return [("x-goog-api-key", caller.key), *unkeyed(call_id, **plan)]


def unkeyed(call_id: str, **plan: object) -> list[tuple[str, str]]:
    planned = [("x-sandbox-plan", json.dumps(plan))] if plan else []
    return [("content-type", "application/json"), ("x-client-request-id", call_id), *planned]


def post(caller: Caller, path: str, call_id: str, **plan: object) -> Reply:
    return ask(caller.product.gateway, "POST", path, keyed(caller, call_id, **plan), encoded())


def encoded(**fields: object) -> bytes:
    return json.dumps(BODY | fields).encode()


@contextmanager
def streaming(caller: Caller, path: str, call_id: str, **plan: object) -> Iterator[HTTPResponse]:
    with opened(caller.product.gateway, "POST", path, keyed(caller, call_id, **plan), encoded()) as answer:
        yield answer


@pytest.mark.parametrize("path", [SSE, STREAM], ids=["sse", "array"])
@pytest.mark.parametrize("pieces", [None, 1, 7, 1000])
def test_every_byte_of_a_stream_passes(caller, path, pieces):
    plan = {"split_bytes": pieces, "comments": True, "served_model": "gemini-2.5-pro"}
    reply = post(caller, path, call_id := new_id(), **plan)
    direct = ask(caller.product.sandbox, "POST", path, keyed(caller, call_id, **plan), encoded())
    assert without_ids(reply.body) == without_ids(direct.body)
    assert reply.header("content-type") == direct.header("content-type")
    row = caller.row(call_id)
    assert (row["usage_source"], row["model_used"], row["finish"]) == (
        "provider_final",
        "gemini-2.5-pro",
        "STOP",
    )


def without_ids(body: bytes) -> bytes:
    return b"\n".join(line.partition(b'"responseId"')[0] for line in body.splitlines())


def test_a_stream_without_alt_is_a_json_array(caller):
    reply = post(caller, STREAM, call_id := new_id(), chunks=12)
    chunks = json.loads(reply.body)
    assert reply.header("content-type") == "application/json; charset=UTF-8"
    assert [chunk["usageMetadata"].get("candidatesTokenCount") for chunk in chunks] == [*range(1, 13), 12]
    assert caller.row(call_id)["output_tokens"] == 12


def test_an_array_comes_element_by_element(caller):
    with streaming(caller, STREAM, call_id := new_id(), chunks=3, chunk_delay_ms=400) as answer:
        first = answer.read1()
        assert first.count(b'"candidates"') == 1
        assert caller.product.rows_of(call_id) == []
        assert len(json.loads(first + answer.read())) == 4


@pytest.mark.parametrize(("path", "last"), [(SSE, b"finishReason"), (STREAM, b"\n]")], ids=["sse", "array"])
def test_the_row_stands_before_the_client_has_the_last_chunk(caller, path, last):
    dsn = read_endpoint(caller.product.data_dir).dsn("vis")
    with psycopg.connect(dsn, autocommit=True) as ledger:
        for pieces in (1, 50, 60_000):
            call_id, text = new_id(), b""
            with streaming(caller, path, call_id, chunks=9, split_bytes=pieces) as answer:
                while last not in text:
                    piece = answer.read1()
                    assert piece, text
                    text += piece
                found = ledger.execute(
                    "select count(*) from vis.request_logs where tags->>'client_request_id' = %s", [call_id]
                )
                assert found.fetchone() == (1,)


@pytest.mark.parametrize("chunks", [0, 1, 5])
def test_an_array_that_breaks_off_stays_json_and_ends_with_an_error(caller, chunks):
    reply = post(caller, STREAM, call_id := new_id(), break_after_chunks=chunks)
    elements = json.loads(reply.body)
    error = elements[-1]["error"]
    assert (len(elements), error["code"], error["status"]) == (chunks + 1, 500, "INTERNAL")
    assert error["details"][0]["reason"] == "UPSTREAM_BROKE"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["usage_source"]) == (
        "failed",
        "upstream_broke",
        "tokenizer_estimate",
    )


@pytest.mark.parametrize("chunks", [0, 4])
def test_an_error_in_an_array_is_passed_on_and_recorded(caller, chunks):
    reply = post(caller, STREAM, call_id := new_id(), stream_error_after_chunks=chunks)
    elements = json.loads(reply.body)
    assert (len(elements), elements[-1]["error"]["status"]) == (chunks + 1, "UNAVAILABLE")
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "upstream_error")
    assert row["usage_source"] == "tokenizer_estimate"


@pytest.mark.parametrize("path", [SSE, STREAM], ids=["sse", "array"])
def test_a_stream_that_just_ends_is_an_estimate_and_says_truncated(caller, path):
    post(caller, path, call_id := new_id(), truncate=True, chunks=9)
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"], row["decision"]) == (
        "truncated",
        "tokenizer_estimate",
        "allowed",
    )
    assert (row["input_tokens"], row["output_tokens"] >= 9) == (3, True)


@pytest.mark.parametrize("path", [SSE, STREAM], ids=["sse", "array"])
def test_a_stream_is_read_to_its_end_when_the_client_leaves(caller, path):
    with streaming(caller, path, call_id := new_id(), chunks=12, chunk_delay_ms=30) as answer:
        answer.read1()
    caller.product.until(lambda: caller.product.rows_of(call_id))
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"], row["output_tokens"]) == (
        "client_abort",
        "provider_final",
        12,
    )


@pytest.mark.parametrize("path", [GENERATE, EMBED], ids=["generate", "embed"])
def test_an_answer_that_is_none_of_the_dialects_is_an_error(caller, path):
    reply = post(caller, path, call_id := new_id(), garbage=True)
    assert (reply.status, reply.error["status"]) == (502, "UNAVAILABLE")
    assert reply.error["details"][0]["reason"] == "UPSTREAM_NONSENSE"
    row = caller.row(call_id)
    assert (row["reason"], row["usage_source"]) == ("upstream_nonsense", "tokenizer_estimate")
    assert row["cost_nusd"] > 0


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({"generationConfig": {"maxOutputTokens": 10}}, 10),
        ({"generation_config": {"max_output_tokens": "10", "candidate_count": 3}}, 30),
        ({"generationConfig": {"maxOutputTokens": 10.0, "candidateCount": 2}}, 20),
    ],
)
def test_what_is_held_follows_the_clients_limit_in_either_spelling(caller, config, limit):
    body = encoded(**config)
    ask(caller.product.gateway, "POST", GENERATE, keyed(caller, call_id := new_id()), body)
    (held,) = caller.product.query(
        "select amount_nusd from vis.budget_events where request_id = %s and kind = 'reserve'",
        caller.row(call_id)["request_id"],
    )
    assert held["amount_nusd"] == len(body) * 1_000 + limit * 2_500


@pytest.mark.parametrize("config", [{"maxOutputTokens": 0}, {"maxOutputTokens": -1}, {"candidateCount": "x"}])
def test_a_limit_that_makes_no_sense_is_refused(caller, config):
    body = encoded(generationConfig=config)
    reply = ask(caller.product.gateway, "POST", GENERATE, keyed(caller, new_id()), body)
    assert (reply.status, reply.error["status"]) == (400, "INVALID_ARGUMENT")
    (row,) = caller.product.query(
        "select * from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
    )
    assert (row["decision"], row["reason"], row["cost_nusd"]) == ("refused", "bad_request", 0)


def test_the_tier_in_a_header_is_the_tier_of_the_row(caller):
    for path in (GENERATE, SSE):
        post(caller, path, call_id := new_id(), service_tier="flex")
        row = caller.row(call_id)
        assert (row["served_tier"], row["price_state"]) == ("flex", "unknown")


# ---------------------------------------------------------------- the key in the query


@pytest.mark.parametrize(
    "query", ["key={}", "alt=json&key={}&%24alt=json", "%6Bey={}", "$key={}", "access_token={}"]
)
def test_a_key_in_the_query_is_a_key_and_goes_no_further(caller, query):
    product, call_id = caller.product, new_id()
    path = f"{GENERATE}?{query.format(quote(caller.key))}"
    assert ask(product.gateway, "POST", path, unkeyed(call_id), encoded()).status == 200
    row, seen = caller.row(call_id), caller.seen()
    rest = "&".join(part for part in query.split("&") if "{}" not in part)
    assert seen["path"] == GENERATE + (f"?{rest}" if rest else "")
    assert ("x-goog-api-key", "sandbox") in [tuple(header) for header in seen["headers"]]
    assert caller.key not in json.dumps(seen)
    assert caller.key not in str(row)
    for log in (product.data_dir / "logs").iterdir():
        assert caller.key not in log.read_text()


def test_the_same_key_twice_is_fine_and_two_different_are_refused(caller):
    product, path = caller.product, f"{GENERATE}?key={caller.key}"
    for credential in [("x-goog-api-key", caller.key), ("authorization", f"Bearer {caller.key}")]:
        assert ask(product.gateway, "POST", path, [credential, *unkeyed(new_id())], encoded()).status == 200
        other = f"{GENERATE}?key=AIzaAnother"
        reply = ask(product.gateway, "POST", other, [credential, *unkeyed(new_id())], encoded())
        assert (reply.status, reply.error["details"][0]["reason"]) == (400, "MULTIPLE_CREDENTIALS")


@pytest.mark.parametrize("query", ["?key=", "?key=nothing", "?alt=sse", ""])
def test_without_a_key_nobody_is_served(product, query):
    reply = ask(product.gateway, "POST", GENERATE + query, unkeyed(new_id()), encoded())
    assert (reply.status, reply.error["status"]) == (401, "UNAUTHENTICATED")


def test_a_key_in_the_query_of_another_provider_is_no_key_and_goes_nowhere(caller):
    product = caller.product
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
    path = f"/v1/chat/completions?key={caller.key}"
    assert ask(product.gateway, "POST", path, unkeyed(new_id()), body).status == 401
    headers = [("authorization", f"Bearer {caller.key}"), *unkeyed(new_id())]
    assert ask(product.gateway, "POST", f"{path}&x=1", headers, body).status == 200
    assert caller.seen()["path"] == "/v1/chat/completions?x=1"


@pytest.mark.parametrize(
    "asked", ["fields=candidates", "%24fields=candidates", "$httpMethod=POST", "$userProject=other"]
)
def test_what_would_hide_the_usage_or_make_another_call_of_it_goes_no_further(caller, asked):
    path, call_id = f"{GENERATE}?alt=json&{asked}", new_id()
    assert post(caller, path, call_id).status == 200
    assert caller.seen()["path"] == f"{GENERATE}?alt=json"
    assert caller.row(call_id)["usage_source"] == "provider_final"


def test_an_encoded_key_in_the_query_of_another_provider_goes_nowhere(caller):
    product = caller.product
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
    hidden = caller.key.replace("_", "%5F")
    headers = [("authorization", f"Bearer {caller.key}"), *unkeyed(new_id())]
    path = f"/v1/chat/completions?k={hidden}&x=1"
    assert ask(product.gateway, "POST", path, headers, body).status == 200
    assert caller.seen()["path"] == "/v1/chat/completions?x=1"


def test_the_bare_models_of_v1_are_googles_only_with_its_header(caller):
    product = caller.product
    reply = ask(product.gateway, "GET", "/v1/models", [("authorization", f"Bearer {caller.key}")])
    assert json.loads(reply.body)["object"] == "list"
    for path in ("/v1beta/models", "/google/v1/models"):
        reply = ask(product.gateway, "GET", f"{path}?key={caller.key}", [])
        assert "models" in json.loads(reply.body)


def test_a_call_of_version_1_is_served_too(caller):
    for prefix in ("", "/google", "/gemini"):
        reply = post(caller, f"{prefix}/v1/models/{FLASH}:generateContent", call_id := new_id())
        assert reply.status == 200
        assert caller.row(call_id)["dialect"] == "gemini"


def test_the_gateways_log_has_no_complaint(product):
    assert complaints(product) == []
