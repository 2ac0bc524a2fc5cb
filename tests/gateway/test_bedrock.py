"""Promises G1, G5, L1 for Amazon Bedrock: AWS's and Anthropic's own clients work, and each call is one exact row."""

import base64
import io
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import boto3
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError
from botocore.loaders import create_loader

from gateway.calls import Caller, ask, new_id, opened, recomputed
from gateway.terminator import terminated
from visionality.core.call import Refusal
from visionality.gateway.sigv4 import key_pair

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
GLOBAL = "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{SONNET}"
LLAMA = "meta.llama3-70b-instruct-v1:0"
TITAN = "amazon.titan-embed-text-v2:0"
BASES = ["/bedrock", ""]
ONE = [{"role": "user", "content": [{"text": "one two three"}]}]
SAID = [{"role": "user", "content": "one two three"}]
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
TOOLS = {"tools": [{"toolSpec": {"name": "rebill", "inputSchema": {"json": {"type": "object"}}}}]}
SAYINGS = {
    "text": {"text": "A ledger is a book of accounts."},
    "tool": {"tool_call": TOOL},
    "reasoning": {"reasoning": "Think of books. Then of accounts.", "text": "It is a book."},
}
CONVERSE_USAGE = {
    "inputTokens": 100,
    "outputTokens": 80,
    "totalTokens": 260,
    "cacheReadInputTokens": 50,
    "cacheWriteInputTokens": 30,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
}
ANTHROPIC_USAGE = {
    "input_tokens": 100,
    "output_tokens": 80,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
}
BUCKETS = {"in_text": 100, "cache_read": 50, "cache_write_5m": 10, "cache_write_1h": 20, "out_text": 80}
MODELS = create_loader()
"""What boto3 reads of AWS's services: five megabytes of JSON, once."""
GLOBAL_NUSD = 100 * 3_000 + 50 * 300 + 10 * 3_750 + 20 * 6_000 + 80 * 15_000
"""At the worldwide profile's rates; a regional one costs a tenth more."""


@pytest.fixture(scope="module")
def secure(caller, tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """The gateway behind TLS, and the certificate to trust it by."""
    folder = tmp_path_factory.mktemp("authority")
    with terminated(caller.product.gateway, folder) as address:
        yield address, folder / "authority.pem"


@pytest.fixture(autouse=True)
def environment(monkeypatch, caller, secure):
    """What a person sets for AWS's clients, and nothing else that they would look for."""
    address, authority = secure
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", address)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", caller.key)


@contextmanager
def amazon(call_id: str, base: str = "/bedrock", **plan: object) -> Iterator[Any]:
    """boto3's client as its documentation makes it; the test's own headers go through its event hook."""
    session = botocore.session.Session()  # its own, because one remembers its credentials
    session.register_component("data_loader", MODELS)
    client = boto3.Session(botocore_session=session).client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"] + base,
        config=Config(retries={"total_max_attempts": 1}),
    )

    def add(request, **_):
        request.headers["x-client-request-id"] = call_id
        if plan:
            request.headers["x-sandbox-plan"] = json.dumps(plan)

    client.meta.events.register("before-sign.bedrock-runtime.*", add)
    with closing(client):
        yield client


def native(**fields: object) -> bytes:
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": SAID}
    return json.dumps(body | fields).encode()


def check(
    row: dict[str, Any], dialect: str, *, streamed: bool, model: str = SONNET, nusd: int | None = None
) -> None:
    assert row["usage"] == BUCKETS
    assert row["cost_nusd"] == (GLOBAL_NUSD * 11 // 10 if nusd is None else nusd) == recomputed(row)
    assert (row["dialect"], row["model_used"], row["model_requested"]) == (dialect, model, model)
    assert (row["provider"], row["price_state"], row["usage_source"]) == (
        "sandbox",
        "known",
        "provider_final",
    )
    assert (row["decision"], row["reason"], row["status_code"]) == ("allowed", None, 200)
    assert row["finish"] in {"end_turn", "tool_use"}
    assert row["model_family"] == "claude-sonnet"
    assert row["upstream_request_id"].startswith("req_")
    assert (row["ttft_ms"] is not None) == streamed
    assert "usage_problem" not in row["tags"]


def check_content(content: list[dict[str, Any]], saying: str) -> None:
    if saying == "tool":
        use = content[-1]["toolUse"]
        assert (use["name"], use["input"]) == (TOOL["name"], TOOL["arguments"])
    else:
        assert content[-1]["text"] == SAYINGS[saying]["text"]
    if saying == "reasoning":
        assert content[0]["reasoningContent"]["reasoningText"]["text"] == SAYINGS[saying]["reasoning"]


def joined(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content of a stream, put together as its blocks."""
    blocks: dict[int, dict[str, Any]] = {}
    for event in events:
        if start := event.get("contentBlockStart"):
            blocks[start["contentBlockIndex"]] = {"toolUse": start["start"]["toolUse"] | {"input": ""}}
        if block := event.get("contentBlockDelta"):
            at, delta = block["contentBlockIndex"], block["delta"]
            if "toolUse" in delta:
                blocks[at]["toolUse"]["input"] += delta["toolUse"]["input"]
            elif "text" in delta:
                blocks[at] = {"text": blocks.get(at, {}).get("text", "") + delta["text"]}
            else:
                known = blocks.setdefault(at, {"reasoningContent": {"reasoningText": {"text": ""}}})
                known["reasoningContent"]["reasoningText"]["text"] += delta["reasoningContent"]["text"]
    for block in blocks.values():
        if use := block.get("toolUse"):
            use["input"] = json.loads(use["input"])
    return [blocks[at] for at in sorted(blocks)]


# ---------------------------------------------------------------- Converse


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_converse(caller, base, saying):
    plan = {"usage": CONVERSE_USAGE, **SAYINGS[saying]}
    with amazon(call_id := new_id(), base, **plan) as client:
        answer = client.converse(
            modelId=SONNET, messages=ONE, toolConfig=TOOLS, inferenceConfig={"maxTokens": 99}
        )
    check_content(answer["output"]["message"]["content"], saying)
    assert answer["usage"] == CONVERSE_USAGE
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-vis-cost-usd"]
    check(caller.row(call_id), "converse", streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_converse_stream(caller, base, saying):
    plan = {"usage": CONVERSE_USAGE, **SAYINGS[saying]}
    with amazon(call_id := new_id(), base, **plan) as client:
        answer = client.converse_stream(
            modelId=SONNET, messages=ONE, toolConfig=TOOLS, inferenceConfig={"maxTokens": 99}
        )
        events = list(answer["stream"])
    check_content(joined(events), saying)
    assert events[-1]["metadata"]["usage"] == CONVERSE_USAGE
    check(caller.row(call_id), "converse", streamed=True)


@pytest.mark.parametrize("model", [GLOBAL, ARN])
def test_the_profile_in_the_path_is_what_is_priced_and_goes_up_as_it_came(caller, model):
    with amazon(call_id := new_id(), usage=CONVERSE_USAGE) as client:
        client.converse(modelId=model, messages=ONE)
    name = model.rpartition("/")[2]
    nusd = GLOBAL_NUSD if name == GLOBAL else None
    check(caller.row(call_id), "converse", streamed=False, model=name, nusd=nusd)
    raw = model.replace(":", "%3A").replace("/", "%2F")
    assert caller.seen()["path"] == f"/model/{raw}/converse"


def test_an_application_profile_that_nobody_mapped_is_unpriced_and_not_free(caller):
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/k3jd9s0a1b2c"
    with amazon(call_id := new_id(), usage=CONVERSE_USAGE) as client:
        client.converse(modelId=profile, messages=ONE)
    row = caller.row(call_id)
    assert (row["model_used"], row["price_state"], row["usage"]) == ("k3jd9s0a1b2c", "unknown", BUCKETS)


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_another_tier_is_never_priced_as_the_standard_one(caller, tier):
    with amazon(call_id := new_id(), service_tier=tier) as client:
        assert client.converse(modelId=SONNET, messages=ONE)["serviceTier"] == {"type": tier}
    row = caller.row(call_id)
    assert (row["served_tier"], row["price_state"]) == (tier, "unknown")
    for streamed in (False, True):
        with amazon(call_id := new_id(), service_tier=tier) as client:
            call = client.invoke_model_with_response_stream if streamed else client.invoke_model
            answer = call(modelId=SONNET, body=native())
            assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-service-tier"] == tier
            list(answer["body"])
        row = caller.row(call_id)
        assert (row["served_tier"], row["price_state"]) == (tier, "unknown")


def test_counting_tokens_is_free_and_a_row(caller):
    with amazon(call_id := new_id()) as client:
        answer = client.count_tokens(modelId=SONNET, input={"converse": {"messages": ONE}})
    assert answer["inputTokens"] == 3
    row = caller.row(call_id)
    assert (row["cost_nusd"], row["price_state"], row["decision"]) == (0, "free", "allowed")


# ---------------------------------------------------------------- InvokeModel


@pytest.mark.parametrize("base", BASES)
def test_invoke_model(caller, base):
    with amazon(call_id := new_id(), base, usage=ANTHROPIC_USAGE, **SAYINGS["text"]) as client:
        answer = client.invoke_model(modelId=SONNET, body=native())
    body = json.loads(answer["body"].read())
    assert body["content"] == [{"type": "text", "text": SAYINGS["text"]["text"]}]
    assert body["usage"] == ANTHROPIC_USAGE
    assert answer["contentType"] == "application/json"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-bedrock-input-token-count"] == "100"
    check(caller.row(call_id), "invoke_model", streamed=False)


@pytest.mark.parametrize("base", BASES)
def test_invoke_model_with_response_stream(caller, base):
    with amazon(call_id := new_id(), base, usage=ANTHROPIC_USAGE, **SAYINGS["text"]) as client:
        answer = client.invoke_model_with_response_stream(modelId=SONNET, body=native())
        chunks = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    texts = [chunk["delta"].get("text", "") for chunk in chunks if chunk["type"] == "content_block_delta"]
    assert "".join(texts) == SAYINGS["text"]["text"]
    assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 80
    check(caller.row(call_id), "invoke_model", streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_body_leaves_out_is_filled_in_from_the_counts_of_aws(caller, streamed):
    plan = {"omit_usage": True, "text": "a b c d e"}
    with amazon(call_id := new_id(), **plan) as client:
        call = client.invoke_model_with_response_stream if streamed else client.invoke_model
        list(call(modelId=SONNET, body=native())["body"])
    row = caller.row(call_id)
    assert (row["usage"], row["usage_source"]) == ({"in_text": 3, "out_text": 5}, "provider_final")
    assert row["price_state"] == "known"


@pytest.mark.parametrize("streamed", [False, True])
def test_another_vendors_body_is_metered_too(caller, streamed):
    with amazon(call_id := new_id(), text="a b c d e") as client:
        call = client.invoke_model_with_response_stream if streamed else client.invoke_model
        body = json.dumps({"prompt": "one two three", "max_gen_len": 50})
        list(call(modelId=LLAMA, body=body)["body"])
    row = caller.row(call_id)
    assert (row["usage"], row["usage_source"]) == ({"in_text": 3, "out_text": 5}, "provider_final")
    assert (row["cost_nusd"], row["finish"]) == (3 * 2_650 + 5 * 3_500, "stop")


def test_embeddings_are_metered_as_such(caller):
    with amazon(call_id := new_id()) as client:
        answer = client.invoke_model(modelId=TITAN, body=json.dumps({"inputText": "one two three"}))
    assert json.loads(answer["body"].read())["embedding"] == [0.25, -0.5]
    row = caller.row(call_id)
    assert (row["usage"], row["cost_nusd"]) == ({"embed": 3}, 3 * 20)


# ---------------------------------------------------------------- Anthropic's client


def claude(caller: Caller, kind: Any = anthropic.AnthropicBedrock) -> Any:
    return kind(
        api_key=caller.key,
        aws_region="us-east-1",
        base_url=f"{caller.product.gateway}/bedrock",
        max_retries=0,
    )


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


def check_message(message: Any, saying: str) -> None:
    if saying == "tool":
        assert (message.content[-1].name, message.content[-1].input) == (TOOL["name"], TOOL["arguments"])
    else:
        assert message.content[-1].text == SAYINGS[saying]["text"]


ASKING = {"model": SONNET, "max_tokens": 99, "messages": SAID}


@pytest.mark.parametrize("saying", SAYINGS)
def test_anthropics_client(caller, saying):
    headers = sending(call_id := new_id(), usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    with claude(caller) as client:
        check_message(client.messages.create(**ASKING, extra_headers=headers), saying)
    check(caller.row(call_id), "invoke_model", streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
def test_anthropics_client_streaming(caller, saying):
    headers = sending(call_id := new_id(), usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    with claude(caller) as client, client.messages.stream(**ASKING, extra_headers=headers) as stream:
        check_message(stream.get_final_message(), saying)
    check(caller.row(call_id), "invoke_model", streamed=True)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_anthropics_client_async(caller, saying):
    headers = sending(call_id := new_id(), usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    async with claude(caller, anthropic.AsyncAnthropicBedrock) as client:
        check_message(await client.messages.create(**ASKING, extra_headers=headers), saying)
    check(caller.row(call_id), "invoke_model", streamed=False)


@pytest.mark.parametrize("saying", SAYINGS)
async def test_anthropics_client_streaming_async(caller, saying):
    headers = sending(call_id := new_id(), usage=ANTHROPIC_USAGE, **SAYINGS[saying])
    async with (
        claude(caller, anthropic.AsyncAnthropicBedrock) as client,
        client.messages.stream(**ASKING, extra_headers=headers) as stream,
    ):
        check_message(await stream.get_final_message(), saying)
    check(caller.row(call_id), "invoke_model", streamed=True)


# ---------------------------------------------------------------- what goes wrong

ERRORS = {
    400: "ValidationException",
    402: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
OPERATIONS = {
    "converse": {"messages": ONE},
    "converse_stream": {"messages": ONE},
    "invoke_model": {"body": native()},
    "invoke_model_with_response_stream": {"body": native()},
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_is_the_providers_own(caller, status, operation):
    with (
        amazon(call_id := new_id(), status=status, retry_after=7) as client,
        pytest.raises(ClientError) as caught,
    ):
        getattr(client, operation)(modelId=SONNET, **OPERATIONS[operation])
    said = caught.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (ERRORS[status], status)
    assert "simulated" in said["Error"]["Message"]
    assert said["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "7"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("failed", "upstream_refused", status)
    assert (row["cost_nusd"], row["usage_source"], row["usage"]) == (0, "none", None)
    assert said["ResponseMetadata"]["RequestId"] == row["upstream_request_id"]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("visk_live_" + "0" * 38, "spend_token_malformed"),
        ("not-a-key", "spend_token_malformed"),
    ],
)
def test_a_refusal_is_an_error_of_awss_own_kind(caller, monkeypatch, key, code):
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", key)
    with amazon(new_id()) as client, pytest.raises(ClientError) as caught:
        client.converse(modelId=SONNET, messages=ONE)
    said = caught.value.response
    assert said["Error"]["Code"] == "UnrecognizedClientException"
    assert said["Error"]["Message"].startswith(f"{code}: ")
    assert said["ResponseMetadata"]["HTTPHeaders"]["x-acc-error"] == code
    assert (
        said["ResponseMetadata"]["RequestId"] == said["ResponseMetadata"]["HTTPHeaders"]["x-vis-request-id"]
    )


def test_a_bad_request_is_a_validation_error_and_a_row(caller):
    with amazon(new_id()) as client, pytest.raises(ClientError) as caught:
        client.invoke_model(modelId=SONNET, body=b'{"max_tokens":1,"max_tokens":2}')
    said = caught.value.response
    assert said["Error"]["Code"] == "ValidationException"
    assert "duplicate_json_name" in said["Error"]["Message"]
    (row,) = caller.product.query(
        "select * from vis.request_logs where request_id = %s", said["ResponseMetadata"]["RequestId"]
    )
    assert (row["decision"], row["reason"]) == ("refused", "duplicate_json_name")


@pytest.mark.parametrize(
    "path", ["/bedrock/model/m/apply", "/model/m/invoke-async", "/bedrock/guardrail/g/version/1/apply"]
)
def test_a_route_that_is_not_metered_is_refused_in_awss_words(caller, path):
    reply = ask(caller.product.gateway, "POST", path, caller.headers(path, new_id()), b"{}")
    assert (reply.status, reply.header("x-amzn-errortype")) == (404, "ResourceNotFoundException")
    assert json.loads(reply.body)["message"].startswith("route_not_metered: ")


@pytest.mark.parametrize("model", ["..", ".", "a%2F..%2Fb", "%2Fa", "a%2F", "x" * 201])
def test_a_model_that_could_lead_elsewhere_is_refused(caller, model):
    path = f"/bedrock/model/{model}/converse"
    reply = ask(caller.product.gateway, "POST", path, caller.headers(path, new_id()), b'{"messages":[]}')
    assert (reply.status, reply.header("x-amzn-errortype")) == (400, "ValidationException")


def parsed(frames: bytes) -> list[Any]:
    """What AWS's own parser makes of a stream; every checksum is right, and nothing is left over."""
    buffer = EventStreamBuffer()
    buffer.add_data(frames)
    found = list(buffer)
    assert sum(one.prelude.total_length for one in found) == len(frames)
    return found


STREAMS = {"converse-stream": json.dumps({"messages": ONE}).encode(), "invoke-with-response-stream": native()}
streams = pytest.mark.parametrize("verb", STREAMS)


@contextmanager
def streaming(caller: Caller, verb: str, call_id: str, **plan: object) -> Iterator[Any]:
    path = f"/bedrock/model/{SONNET.replace(':', '%3A')}/{verb}"
    headers = caller.headers(path, call_id, **plan)
    with opened(caller.product.gateway, "POST", path, headers, STREAMS[verb]) as answer:
        yield answer


@streams
@pytest.mark.parametrize("deltas", [0, 1, 5])
def test_a_stream_that_breaks_off_ends_with_an_exception_of_aws(caller, verb, deltas):
    with streaming(caller, verb, call_id := new_id(), break_after_chunks=deltas, split_bytes=100) as answer:
        *_, last = parsed(answer.read())
    assert last.headers[":message-type"] == "exception"
    assert last.headers[":exception-type"] == "modelStreamErrorException"
    assert json.loads(last.payload)["message"].startswith("upstream_broke: ")
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_broke", "upstream_broke")
    assert row["usage_source"] == "tokenizer_estimate"
    assert row["cost_nusd"] > 0


def test_boto3_raises_for_a_stream_that_breaks_off(caller):
    with (
        amazon(new_id(), break_after_chunks=2) as client,
        closing(client.converse_stream(modelId=SONNET, messages=ONE)["stream"]) as stream,
        pytest.raises(EventStreamError, match=r"modelStreamErrorException.*broke off"),
    ):
        list(stream)


def test_anthropics_client_raises_for_a_stream_that_breaks_off(caller):
    headers = sending(new_id(), break_after_chunks=2)
    with claude(caller) as client:
        stream = client.messages.create(**ASKING, stream=True, extra_headers=headers)
        with stream, pytest.raises(anthropic.APIError, match="broke off"):
            list(stream)


@streams
def test_an_exception_in_a_stream_passes_and_is_an_abort_on_its_row(caller, verb):
    with streaming(caller, verb, call_id := new_id(), stream_error_after_chunks=3) as answer:
        *_, last = parsed(answer.read())
    assert last.headers[":exception-type"] == "throttlingException"
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "upstream_error")
    assert (row["usage_source"], row["cost_nusd"] > 0) == ("tokenizer_estimate", True)


@streams
def test_the_frame_that_ends_an_answer_waits_for_its_row(caller, verb):
    last = {"converse-stream": b"metadata", "invoke-with-response-stream": b"chunk"}[verb]
    with streaming(caller, verb, call_id := new_id(), chunks=9, chunk_delay_ms=5) as answer:
        buffer, kinds = EventStreamBuffer(), []
        while data := answer.read1():
            buffer.add_data(data)
            for message in buffer:
                kinds.append(message.headers[":event-type"].encode())
                native_end = b"invocationMetrics" in _inside(message.payload)
                if message.headers[":event-type"] == "metadata" or native_end:
                    assert len(caller.product.rows_of(call_id)) == 1
    assert kinds[-1] == last
    assert caller.row(call_id)["usage_source"] == "provider_final"


def _inside(payload: bytes) -> bytes:
    return base64.b64decode(json.loads(payload).get("bytes", ""))


@streams
def test_a_stream_is_read_to_its_end_when_the_client_leaves(caller, verb):
    with streaming(caller, verb, call_id := new_id(), chunks=12, chunk_delay_ms=30) as answer:
        answer.read1()
    caller.product.until(lambda: caller.product.rows_of(call_id))
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"], row["output_tokens"]) == (
        "client_abort",
        "provider_final",
        12,
    )


@streams
def test_a_stream_passes_byte_by_byte_as_the_provider_sent_it(caller, verb):
    plan = {"text": 'Ünïcödé 🌊 "quoted"', "split_bytes": 7}
    path = f"/model/{SONNET.replace(':', '%3A')}/{verb}"
    with streaming(caller, verb, new_id(), **plan) as answer:
        through = answer.read()
    headers = [("authorization", "Bearer any"), ("x-sandbox-plan", json.dumps(plan))]
    direct = ask(caller.product.sandbox, "POST", path, headers, STREAMS[verb])
    assert [_told(one) for one in parsed(through)] == [_told(one) for one in parsed(direct.body)]


def _told(message: Any) -> tuple[Any, ...]:
    """A frame without the serial number that each answer of the sandbox has for itself."""
    payload = _inside(message.payload) or message.payload
    return message.headers, payload if b"msg_" not in payload else len(payload)


def test_headers_of_bedrock_pass_both_ways_and_those_of_a_signature_do_not(caller):
    path = f"/bedrock/model/{SONNET}/invoke"
    extra = [
        ("X-Amzn-Bedrock-Trace", "ENABLED"),
        ("x-amzn-bedrock-request-metadata", '{"team":"desk"}'),
        ("x-amz-date", "20261122T000000Z"),
        ("x-amz-security-token", "token"),
        ("x-amz-content-sha256", "00"),
        ("amz-sdk-invocation-id", "7"),
    ]
    reply = ask(
        caller.product.gateway,
        "POST",
        path,
        [*caller.headers(path, new_id(), service_tier="default"), *extra],
        native(),
    )
    assert reply.header("x-amzn-bedrock-service-tier") == "default"
    seen = {name.lower(): value for name, value in caller.seen()["headers"]}
    assert seen["x-amzn-bedrock-trace"] == "ENABLED"
    assert seen["x-amzn-bedrock-request-metadata"] == '{"team":"desk"}'
    assert seen["amz-sdk-invocation-id"] == "7"
    assert not {"x-amz-date", "x-amz-security-token", "x-amz-content-sha256"} & set(seen)
    assert seen["authorization"] == "Bearer sandbox"


def test_a_body_that_is_no_json_is_nonsense(caller):
    with amazon(call_id := new_id(), garbage=True) as client, pytest.raises(ClientError) as caught:
        client.converse(modelId=SONNET, messages=ONE)
    assert caught.value.response["Error"]["Code"] == "InternalServerException"
    row = caller.row(call_id)
    assert (row["reason"], row["usage_source"]) == ("upstream_nonsense", "tokenizer_estimate")


def test_large_bodies_of_a_stream_reach_boto3_whole(caller):
    with amazon(new_id(), text="word " * 5000) as client:
        stream = client.converse_stream(modelId=SONNET, messages=ONE)["stream"]
        text = io.StringIO()
        for event in stream:
            text.write(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))
    assert text.getvalue() == "word " * 5000


# ---------------------------------------------------------------- towards AWS

PAIR = "AKIDEXAMPLE012345678:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE//////////wEaCXVzLWVhc3QtMSJH="


class Amazon(BaseHTTPRequestHandler):
    """A service that believes a signature only after making it again, with botocore's own signer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, dict(self.headers)))
        good = self._signature(body) == self.headers["authorization"]
        told = {"output": {"message": {"content": []}}, "stopReason": "end_turn", "usage": CONVERSE_USAGE}
        answer = json.dumps(told if good else {"message": "the signature does not match"}).encode()
        self.send_response(200 if good else 403)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _signature(self, body):
        signed = re.search("SignedHeaders=([^,]+)", self.headers["authorization"])[1].split(";")
        assert {"host", "x-amz-date"} <= set(signed)
        assert set(signed) >= {name.lower() for name in self.headers if name.lower().startswith("x-amz-")}
        headers = {name: self.headers[name] for name in signed}
        url = f"http://{self.headers['host']}{self.path}"
        request = AWSRequest(self.command, url, headers=headers, data=body)
        request.context["timestamp"] = self.headers["x-amz-date"]
        signer = SigV4Auth(Credentials(*PAIR.split(":")), "bedrock", "eu-central-1")
        text = signer.string_to_sign(request, signer.canonical_request(request))
        signer._inject_signature_to_request(request, signer.signature(text, request))
        return request.headers["authorization"]

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture
def aws() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Amazon)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def provided(caller: Caller, address: str, secret: str, *options: str) -> Iterator[None]:
    """The organisation's own account, until the end."""
    product = caller.product
    path = f"/bedrock/model/{SONNET}/count-tokens"

    def provider() -> str:
        reply = ask(product.gateway, "POST", path, caller.headers(path, new_id()), b"{}")
        (row,) = product.query(
            "select provider from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
        )
        return row["provider"]

    product.run("provider", "add", "bedrock", "--base-url", address, *options, stdin=secret + "\n")
    try:
        product.until(lambda: provider() == "bedrock")
        yield
    finally:
        product.run("provider", "remove", "bedrock")
        product.until(lambda: provider() == "sandbox")


@pytest.mark.parametrize("token", ["", ":" + TOKEN])
def test_a_stored_key_pair_signs_each_call_anew(caller, aws, token):
    address = f"http://127.0.0.1:{aws.server_port}/eu-central-1"
    with provided(caller, address, PAIR + token), amazon(call_id := new_id()) as client:
        answers = [client.converse(modelId=ARN, messages=ONE) for _ in range(2)]
    assert [answer["usage"] for answer in answers] == [CONVERSE_USAGE] * 2
    rows = caller.product.rows_of(call_id)
    assert [(row["provider"], row["status_code"], row["usage"]) for row in rows] == [
        ("bedrock", 200, BUCKETS)
    ] * 2
    path, headers = next(seen for seen in aws.seen if seen[0].endswith("/converse"))
    assert path == "/eu-central-1/model/" + ARN.replace(":", "%3A").replace("/", "%2F") + "/converse"
    assert headers["authorization"].count("Credential=AKIDEXAMPLE012345678/") == 1
    assert headers.get("x-amz-security-token") == (token[1:] or None)
    assert caller.key not in str(headers)
    assert PAIR.partition(":")[2] not in str(headers)


def test_a_stored_api_key_is_a_bearer_token(caller):
    with (
        provided(caller, caller.product.sandbox, "ABSKQmVkcm9ja0FQSUtleQ=="),
        amazon(call_id := new_id()) as client,
    ):
        client.converse(modelId=SONNET, messages=ONE)
    (row,) = caller.product.rows_of(call_id)
    assert (row["provider"], row["price_state"]) == ("bedrock", "known")


def test_a_mapped_application_profile_is_priced_as_its_model(caller):
    options = ("--deployment", f"k3jd9s0a1b2c={SONNET}")
    profile = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/k3jd9s0a1b2c"
    with (
        provided(caller, caller.product.sandbox, "ABSKQmVkcm9ja0FQSUtleQ==", *options),
        amazon(call_id := new_id(), usage=CONVERSE_USAGE) as client,
    ):
        client.converse(modelId=profile, messages=ONE)
    row = caller.row(call_id)
    assert (row["model_requested"], row["model_used"]) == ("k3jd9s0a1b2c", SONNET)
    assert row["cost_nusd"] == GLOBAL_NUSD * 11 // 10


def test_a_key_pair_without_a_region_to_sign_for_is_refused_in_one_sentence(caller, aws):
    address = f"http://127.0.0.1:{aws.server_port}"
    with (
        provided(caller, address, PAIR),
        amazon(new_id()) as client,
        pytest.raises(ClientError, match="names no AWS region") as caught,
    ):
        client.converse(modelId=SONNET, messages=ONE)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert aws.seen == []


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("https://bedrock-runtime.us-east-1.amazonaws.com", "us-east-1"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("https://vpce-0a1b-2c3d.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
    ],
)
def test_the_region_is_that_of_the_address(address, region):
    assert key_pair(PAIR.encode(), address).region == region
    assert key_pair(b"ABSKQmVkcm9ja0FQSUtleQ==", address) is None


def test_without_botocore_a_key_pair_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "botocore", None)
    with pytest.raises(Refusal, match=r"pip install 'visionality\[bedrock\]'"):
        key_pair(PAIR.encode(), "https://bedrock-runtime.us-east-1.amazonaws.com")


# ---------------------------------------------------------------- clients that sign


@pytest.fixture(scope="module")
def pair(caller) -> dict[str, str]:
    """A key as an AWS key pair, once the gateway knows it."""
    words = ("key", "issue", "--agent", "alice@arctrade", "--project", "HPC", "--aws-pair", "--json")
    issued = json.loads(caller.product.run(*words))
    caller.product.until(lambda: caller.product.status(issued["handle"]) != 401)
    return issued


@pytest.fixture
def signing(monkeypatch, caller, pair) -> str:
    """What a person sets for a client that signs; plain HTTP is enough for it. The id of the key."""
    monkeypatch.delenv("AWS_BEARER_TOKEN_BEDROCK")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", pair["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", pair["aws_secret_access_key"])
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", caller.product.gateway)
    return pair["id"]


@pytest.mark.parametrize("model", [SONNET, ARN])
@pytest.mark.parametrize("base", BASES)
def test_boto3_signs_with_an_issued_pair(caller, signing, base, model):
    with amazon(call_id := new_id(), base, usage=CONVERSE_USAGE) as client:
        client.converse(modelId=model, messages=ONE)
        list(client.converse_stream(modelId=model, messages=ONE)["stream"])
    rows = caller.product.rows_of(call_id)
    assert [(str(row["key_id"]), row["usage"], row["status_code"]) for row in rows] == [
        (signing, BUCKETS, 200)
    ] * 2
    seen = {name.lower(): value for name, value in caller.seen()["headers"]}
    assert seen["authorization"] == "Bearer sandbox"
    assert "x-amz-date" not in seen


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_client_signs_with_an_issued_pair(caller, signing, pair, streamed):
    client = anthropic.AnthropicBedrock(
        aws_access_key=pair["aws_access_key_id"],
        aws_secret_key=pair["aws_secret_access_key"],
        aws_region="eu-central-1",
        base_url=f"{caller.product.gateway}/bedrock",
        max_retries=0,
    )
    headers = sending(call_id := new_id(), usage=ANTHROPIC_USAGE)
    with client:
        answer = client.messages.create(**ASKING, stream=streamed, extra_headers=headers)
        if streamed:
            with answer:
                list(answer)
    check(caller.row(call_id), "invoke_model", streamed=streamed)


def refused_as(caller: Caller, call_id: str) -> dict[str, Any]:
    with amazon(call_id) as client, pytest.raises(ClientError) as caught:
        client.converse(modelId=SONNET, messages=ONE)
    assert caller.product.rows_of(call_id) == []
    return caught.value.response


def test_a_wrong_secret_is_refused_and_leaves_no_row(caller, signing, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    said = refused_as(caller, new_id())
    assert said["Error"]["Code"] == "InvalidSignatureException"
    assert said["Error"]["Message"].startswith("signature_invalid: ")
    found = caller.product.query(
        "select 1 from vis.request_logs where request_id = %s", said["ResponseMetadata"]["RequestId"]
    )
    assert found == []


def test_a_real_key_of_aws_is_refused_with_what_to_do(caller, signing, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0189EXAMPLE00000")
    said = refused_as(caller, new_id())
    assert said["Error"]["Code"] == "UnrecognizedClientException"
    assert "AWS_BEARER_TOKEN_BEDROCK" in said["Error"]["Message"]


def test_a_pair_ends_with_its_key(caller, monkeypatch, signing):
    words = ("key", "issue", "--agent", "alice@arctrade", "--project", "HPC", "--aws-pair", "--json")
    issued = json.loads(caller.product.run(*words))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", issued["aws_access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", issued["aws_secret_access_key"])
    caller.product.until(lambda: caller.product.status(issued["handle"]) != 401)
    with amazon(new_id()) as client:
        client.converse(modelId=SONNET, messages=ONE)
        caller.product.run("key", "revoke", issued["id"])
        caller.product.until(lambda: caller.product.status(issued["handle"]) == 401)
        with pytest.raises(ClientError, match="spend_token_revoked"):
            client.converse(modelId=SONNET, messages=ONE)


def test_a_pair_is_a_credential_of_bedrock_alone(caller, pair):
    """Elsewhere nobody signs, so a signature is no key there."""
    headers = [("authorization", "AWS4-HMAC-SHA256 Credential=" + pair["aws_access_key_id"])]
    reply = ask(caller.product.gateway, "GET", "/v1/models", headers)
    assert (reply.status, reply.error["code"]) == (401, "spend_token_missing")
