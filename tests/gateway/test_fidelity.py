"""Promise G1: what the client sent is what the provider gets, and what the provider answered is what the client gets."""

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, Reply, ask, body_of, new_id

ODD = rb"""
 { "max_tokens" : 64 ,"model":"claude-sonnet-4-6", "unknown": {"b":1.0, "a":1e2, "big":123456789012345678901234567890},
   "messages":[ {"role":"user","content":"caf\u00e9 \ud83d\ude00 \/ stream_options : null }"} ] , "metadata":{}  }
"""
ODD_CHAT = ODD.replace(b"claude-sonnet-4-6", b"gpt-4o")
ASKED = {"stream_options": {"include_usage": True}}
IDS = re.compile(rb"(?<=_)[0-9a-f]{24}|(?<=chatcmpl-)[0-9a-f]{24}|\"created\":\d+")
OURS = {"x-vis-request-id", "x-vis-cost-usd", "x-accel-buffering"}
CONNECTION = {"date", "server", "content-length", "transfer-encoding", "connection"}

names = st.text("abcdefg_", min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


def direct(caller, path: str, body: bytes, **plan: object) -> Reply:
    """The same call without the gateway between."""
    return ask(caller.product.sandbox, "POST", path, caller.headers(path, new_id(), **plan), body)


def without_ids(body: bytes) -> bytes:
    return IDS.sub(b"", body)


def headers_of(reply: Reply) -> dict[str, str]:
    return {
        name.lower(): without_ids(value.encode()).decode()
        for name, value in reply.headers
        if name.lower() not in OURS | CONNECTION and not name.lower().endswith("-reset")
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MESSAGES, ODD),
        (MESSAGES, body_of(MESSAGES, stream=True)),
        (CHAT, ODD_CHAT),
        (CHAT, body_of(CHAT, stream=True, **ASKED)),
        (CHAT, body_of(CHAT, stream=False, stream_options=None)),
    ],
)
def test_the_body_reaches_the_provider_byte_for_byte(caller, path, body):
    call_id = new_id()
    assert caller.post(path, call_id, body).status == 200
    assert caller.seen()["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert caller.row(call_id)["request_sha256"] == hashlib.sha256(body).digest()


@settings(max_examples=20, deadline=None)
@given(unknown=st.dictionaries(names, values, max_size=4), indent=st.sampled_from([None, 0, 3]))
def test_no_field_and_no_space_of_a_body_is_touched(caller, unknown, indent):
    document = {"x": unknown} | json.loads(body_of(MESSAGES))
    body = json.dumps(document, indent=indent, ensure_ascii=False).encode(errors="surrogatepass")
    reply = caller.post(MESSAGES, new_id(), body)
    if reply.status == 200:
        assert caller.seen()["body_sha256"] == hashlib.sha256(body).hexdigest()
    else:
        assert reply.error["code"] == "bad_request"  # a lone surrogate is no JSON text


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (b'"stream":true}', b'"stream":true,"stream_options":{"include_usage":true}}'),
        (b'"stream":true }\n ', b'"stream":true ,"stream_options":{"include_usage":true}}\n '),
        (
            b'"stream_options":null,"stream":true}',
            b'"stream_options":{"include_usage":true},"stream":true}',
        ),
        (
            b'"stream_options": {"include_usage":false},"stream":true}',
            b'"stream_options": {"include_usage":true},"stream":true}',
        ),
    ],
)
def test_a_stream_without_a_usage_report_asks_for_one_in_the_smallest_span_of_bytes(caller, said, sent):
    head = b'{ "messages":[{"role":"user","content":"\\"stream_options\\":null"}], "model":"gpt-4o",'
    call_id = new_id()
    assert caller.post(CHAT, call_id, head + said).status == 200
    arrived = base64.b64decode(caller.seen()["body"])
    assert arrived.startswith(head)
    assert json.loads(arrived) == json.loads(head + sent)
    assert len(arrived) <= len(head + sent) + 2
    row = caller.row(call_id)
    assert row["request_sha256"] == hashlib.sha256(head + said).digest()
    assert row["usage_source"] == "provider_final"


def test_what_is_the_callers_own_never_reaches_the_provider(caller):
    call_id = new_id()
    headers = [
        *caller.headers(MESSAGES, call_id),
        ("authorization", f"Bearer {caller.key}"),
        ("api-key", caller.key),
        ("x-goog-api-key", caller.key),
        ("x-mistaken", caller.key),
        ("x-mistaken-too", "Bearer vis2_live_AgEx"),
        ("cookie", "session=1"),
        ("connection", "keep-alive, x-between"),
        ("x-between", "us"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic c2VjcmV0"),
        ("proxy-connection", "close"),
        ("x-vis-project", "HPC"),
        ("X-Acc-Task", "HPC-1"),
        ("x-forwarded-for", "10.0.0.7"),
        ("forwarded", "for=10.0.0.7"),
        ("accept-encoding", "gzip, br"),
        ("x-http-method-override", "GET"),
        ("x-original-url", "/v1/files"),
        ("x-goog-fieldmask", "candidates"),
        ("x-litellm-api-key", "sk-of-somebody"),
    ]
    assert ask(caller.product.gateway, "POST", MESSAGES, headers, body_of(MESSAGES)).status == 200
    seen = caller.seen()["headers"]
    assert caller.key not in json.dumps(caller.seen())
    assert sorted({name for name, _ in seen}) == sorted(
        ["host", "anthropic-version", "content-type", "x-client-request-id", "accept-encoding", "x-api-key", "content-length"]
    )  # fmt: skip
    assert dict(seen)["accept-encoding"] == "identity"
    assert dict(seen)["x-api-key"] == "sandbox"
    assert dict(seen)["host"] == caller.product.sandbox.removeprefix("http://")


@pytest.mark.parametrize(("path", "prefix"), [(MESSAGES, "/anthropic"), (CHAT, "/openai")])
def test_what_the_gateway_does_not_know_reaches_the_provider_in_its_order(caller, path, prefix):
    unknown = [
        ("anthropic-beta", "one-2026-01-01"),
        ("anthropic-beta", "two-2026-02-02,three"),
        ("user-agent", "Client/1.0 (odd; thing)"),
        ("accept", "text/event-stream"),
        ("x-stainless-lang", "python"),
        ("idempotency-key", "k-1"),
        ("x-empty", ""),
        ("x-utf8", "café ☕"),
    ]
    headers = [*caller.headers(path, new_id()), *[(n, v.encode()) for n, v in unknown]]
    target = f"{prefix}{path}?beta=true&x=%2F%20a&&y"
    assert ask(caller.product.gateway, "POST", target, headers, body_of(path)).status == 200
    seen = caller.seen()
    wanted = {name for name, _ in unknown}
    passed = [(n, v.encode("latin-1").decode()) for n, v in seen["headers"] if n in wanted]
    assert passed == unknown
    assert seen["path"] == f"{path}?beta=true&x=%2F%20a&&y"


PLANS = {
    "plain": {},
    "tool": {"tool_call": {"name": "f", "arguments": {"usage": None, "a": [1, {"usage": {}}]}}},
    "reasoning": {"reasoning": "think twice", "text": 'he said "usage":null, {"choices":[]} and [DONE]'},
    "split": {"split_bytes": 7, "chunks": 5},
    "single bytes": {"split_bytes": 1, "chunks": 2},
    "crlf": {"crlf": True},
    "comments": {"comments": True, "chunks": 4},
    "all": {"crlf": True, "comments": True, "split_bytes": 11, "text": "ça va 😀 bien", "chunks": 6},
    "unknown fields": {
        "extra": {"system_fingerprint": "fp", "obfuscation": "x" * 9, "deep": {"usage": None}}
    },
    "no usage": {"omit_usage": True},
    "error in the stream": {"stream_error_after_chunks": 2},
    "truncated": {"truncate": True},
}


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_the_answer_is_the_providers_byte_for_byte(caller, path, plan, streamed):
    body = body_of(path, stream=streamed)
    through = caller.post(path, new_id(), body, **PLANS[plan])
    straight = direct(caller, path, body, **PLANS[plan])
    assert without_ids(through.body) == without_ids(straight.body)
    assert (through.status, headers_of(through)) == (straight.status, headers_of(straight))


@pytest.mark.parametrize("plan", PLANS)
def test_who_asked_for_the_usage_report_gets_it_untouched(caller, plan):
    body = body_of(CHAT, stream=True, **ASKED)
    through = caller.post(CHAT, new_id(), body, **PLANS[plan])
    straight = direct(caller, CHAT, body, **PLANS[plan])
    assert without_ids(through.body) == without_ids(straight.body)


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_obfuscation": False}])
def test_a_vendor_that_rejects_stream_options_is_asked_again_without_them(caller, options):
    chosen = {} if options is None else {"stream_options": options}
    body = body_of(CHAT, stream=True, **chosen)
    through = caller.post(CHAT, call_id := new_id(), body, reject_stream_options=True, chunks=5)
    straight = direct(caller, CHAT, body, reject_stream_options=True, chunks=5)
    assert (through.status, without_ids(through.body)) == (straight.status, without_ids(straight.body))
    assert caller.seen_ids().count(call_id) == 2
    row = caller.row(call_id)
    if options is None:
        assert (row["usage_source"], row["decision"], row["status_code"]) == (
            "tokenizer_estimate",
            "allowed",
            200,
        )
        assert row["cost_nusd"] > 0
    else:
        assert (row["usage_source"], row["cost_nusd"], row["status_code"]) == ("none", 0, 400)


def test_a_rejection_of_what_the_client_itself_asked_is_the_clients(caller):
    body = body_of(CHAT, stream=True, **ASKED)
    reply = caller.post(CHAT, call_id := new_id(), body, reject_stream_options=True)
    assert (reply.status, reply.error["param"]) == (400, "stream_options")
    assert caller.seen_ids().count(call_id) == 1
    assert caller.row(call_id)["cost_nusd"] == 0


def test_a_vendor_that_ignores_stream_options_is_metered_by_estimate(caller):
    text = "one two three four five six seven eight nine ten"
    body = body_of(CHAT, stream=True)
    through = caller.post(CHAT, call_id := new_id(), body, ignore_stream_options=True, text=text)
    straight = direct(caller, CHAT, body, ignore_stream_options=True, text=text)
    assert without_ids(through.body) == without_ids(straight.body)
    row = caller.row(call_id)
    assert (row["usage_source"], row["finish"]) == ("tokenizer_estimate", "stop")
    assert 10 <= row["output_tokens"] <= len(text)
    held = caller.product.query(
        "select amount_nusd, draft from vis.budget_holds where request_id = %s", row["request_id"]
    )
    assert [hold["draft"] for hold in held] == [None]


def test_the_served_model_and_not_the_asked_one_is_priced(caller):
    caller.post(CHAT, call_id := new_id(), body_of(CHAT), served_model="gpt-4o-mini-2024-07-18")
    row = caller.row(call_id)
    assert (row["model_requested"], row["model_used"]) == (GPT, "gpt-4o-mini-2024-07-18")
    assert row["rates"]["in_text"] == "0.15"


def test_a_report_in_another_script_still_has_its_row(caller):
    odd = {"input_tokens": 3, "output_tokens": 5, "note": "帳" * 5000}
    caller.post(MESSAGES, call_id := new_id(), usage=odd)
    row = caller.row(call_id)
    assert (row["model_used"], row["input_tokens"], row["output_tokens"]) == (CLAUDE, 3, 5)
    assert len(row["raw_usage"].encode()) <= 8192
