"""Cursor posts three wire formats to one path: the body tells which it is, and the caller is answered in it."""

import json
from contextlib import ExitStack
from typing import Any

import anthropic
import openai
import pytest

from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, Reply, ask, body_of, new_id
from gateway.test_sdks import ANTHROPIC_USAGE, ONE, OPENAI_USAGE, check_anthropic, check_openai, sending
from visionality.core.call import Refusal
from visionality.gateway.cursor import PATHS, path_of
from visionality.gateway.routes import find

SAID = {"role": "user", "content": "one two three"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
FLAT = {"type": "function", "name": "f", "parameters": {"type": "object"}}
GRAMMAR = {"type": "custom", "name": "ApplyPatch"}
ANTHROPIC_TOOL = {"name": "f", "input_schema": {"type": "object"}}
PIXEL = {"type": "base64", "media_type": "image/png", "data": "aaaa"}

BODIES = {
    "chat": {"messages": [SAID]},
    "chat with a limit": {"messages": [SAID], "max_tokens": 9},
    "chat with a system message": {"messages": [{"role": "system", "content": "Be brief."}, SAID], "max_tokens": 9},
    "chat with parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
    "chat with a picture": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
    "chat with a function": {"messages": [SAID], "tools": [FUNCTION]},
    "chat with flat tools among the others": {"messages": [SAID], "tools": [FUNCTION, FLAT, GRAMMAR]},
    "chat with the answer of a tool": {
        "messages": [
            SAID,
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "7"},
        ]
    },
    "chat with Anthropic's tools": {"messages": [{"role": "developer", "content": "Be brief."}, SAID], "tools": [ANTHROPIC_TOOL]},
    "chat with an input beside": {"messages": [SAID], "input": "x"},
    "responses": {"input": "one two three"},
    "responses with items": {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}]},
    "responses as Cursor's agent sends them": {
        "input": [SAID], "stream": True, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium"},
        "text": {"verbosity": "low"}, "tools": [FLAT, GRAMMAR],
    },
    "responses without messages": {"messages": None, "input": []},
    "anthropic with a system text": {"messages": [SAID], "system": "Be brief.", "max_tokens": 9},
    "anthropic with system blocks": {"messages": [SAID], "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]},
    "anthropic with tools": {"messages": [SAID], "max_tokens": 9, "tools": [ANTHROPIC_TOOL]},
    "anthropic with a tool's answer": {
        "messages": [
            SAID,
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "7"}]},
        ],
        "max_tokens": 9,
    },
    "anthropic with thinking": {"messages": [SAID, {"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": ""}]}]},
    "anthropic with a picture": {"messages": [{"role": "user", "content": [{"type": "image", "source": PIXEL}]}], "max_tokens": 9},
    "anthropic with a cached block": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]}]
    },
}  # fmt: skip
ROUTES = {"chat": "/openai/v1/chat/completions", "responses": "/openai/v1/responses", "anthropic": "/anthropic/v1/messages"}  # fmt: skip


@pytest.mark.parametrize("situation", BODIES)
def test_the_body_tells_the_format(situation):
    assert path_of(BODIES[situation], ()) == ROUTES[situation.split()[0]]


def test_a_version_header_tells_it_too():
    headers = ((b"anthropic-version", b"2023-06-01"),)
    assert path_of(BODIES["chat with a limit"], headers) == ROUTES["anthropic"]
    assert path_of(BODIES["responses"], headers) == ROUTES["responses"]


@pytest.mark.parametrize("body", [{}, {"messages": "x"}, {"prompt": "x"}, {"messages": {"role": "user"}}])
def test_a_body_of_no_format_is_told_what_was_expected(body):
    with pytest.raises(Refusal, match="neither `messages` nor `input`"):
        path_of(body, ())


@pytest.mark.parametrize("body", [{"messages": [None, 1, "x", []]}, {"messages": [{"content": [None, 1]}], "tools": [None, "f"]},
                                  {"messages": [], "tools": {"input_schema": 1}}])  # fmt: skip
def test_nonsense_within_a_body_is_left_to_the_provider(body):
    assert path_of(body, ()) == ROUTES["chat"]


@pytest.fixture(scope="module")
def bases(product, caller) -> Any:
    """Cursor's two ways to be given the address, as an unmodified client of OpenAI's."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                openai.OpenAI(base_url=product.gateway + base, api_key=caller.key, max_retries=0)
            )
            for base in ("/cursor", "/cursor/v1")
        ]


def test_chat_completions_are_answered_as_such(caller, bases):
    for client in bases:
        call_id = new_id()
        create = client.chat.completions.create
        answer = create(
            model=GPT, messages=ONE, extra_headers=sending(call_id, text="Yes.", usage=OPENAI_USAGE)
        )
        assert answer.choices[0].message.content == "Yes."
        check_openai(caller.row(call_id), streamed=False)
        call_id = new_id()
        chunks = list(
            create(model=GPT, messages=ONE, stream=True, extra_headers=sending(call_id, usage=OPENAI_USAGE))
        )
        assert not any(chunk.usage for chunk in chunks)
        check_openai(caller.row(call_id), streamed=True)
        assert caller.seen()["path"] == CHAT


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("streamed", [False, True])
def test_anthropics_format_is_answered_as_such_on_whatever_path(caller, path, streamed):
    body = {"model": CLAUDE, "stream": streamed, **BODIES["anthropic with system blocks"], "max_tokens": 99}
    call_id = new_id()
    reply = post(caller, f"/cursor{path}", call_id, body, usage=ANTHROPIC_USAGE, text="Yes.")
    assert reply.status == 200, reply.body
    if streamed:
        assert reply.body.rstrip().endswith(b'data: {"type":"message_stop"}')
    else:
        message = anthropic.types.Message.model_validate_json(reply.body)
        assert message.content[0].text == "Yes."
    check_anthropic(caller.row(call_id), streamed=streamed)
    seen = caller.seen()
    assert seen["path"] == MESSAGES
    assert ["anthropic-version", "2023-06-01"] in seen["headers"]


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize("streamed", [False, True])
def test_responses_are_answered_as_such_on_whatever_path(caller, path, streamed):
    call_id = new_id()
    body = {"model": GPT, **BODIES["responses with items"], "stream": streamed}
    reply = post(caller, f"/cursor{path}", call_id, body, text="Yes.")
    assert reply.status == 200, reply.body
    if streamed:
        assert b'"type":"response.completed"' in reply.body
    else:
        assert openai.types.responses.Response.model_validate_json(reply.body).output_text == "Yes."
    row = caller.row(call_id)
    assert (row["dialect"], row["model_used"], row["usage_source"]) == ("responses", GPT, "provider_final")
    assert row["cost_nusd"] > 0
    assert caller.seen()["path"] == "/v1/responses"


def post(caller, path: str, call_id: str, body: object, **plan: object) -> Reply:
    headers = [
        ("authorization", f"Bearer {caller.key}"),
        ("content-type", "application/json"),
        *sending(call_id, **plan).items(),
    ]
    return ask(caller.product.gateway, "POST", path, headers, json.dumps(body).encode())


def test_the_body_goes_on_byte_for_byte(caller):
    body = body_of(CHAT, stream_options={"include_usage": True}, stream=True, unknown=[1, {"a": None}])
    headers = [*caller.headers(CHAT, new_id())]
    assert ask(caller.product.gateway, "POST", "/cursor/chat/completions", headers, body).status == 200
    direct = caller.seen()
    assert ask(caller.product.gateway, "POST", CHAT, headers, body).status == 200
    assert caller.seen()["body_sha256"] == direct["body_sha256"]


def test_models_are_listed_for_its_settings(bases):
    for client in bases:
        assert GPT in [model.id for model in client.models.list()]
        assert client.models.retrieve(GPT).id == GPT


REFUSED = {
    "no format": (b'{"model":"m"}', 400, "bad_request"),
    "no JSON": (b"{", 400, "bad_request"),
    "no object": (b"[]", 400, "bad_request"),
    "a name twice": (b'{"messages":[],"messages":[]}', 400, "duplicate_json_name"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_body_that_tells_nothing_is_refused_and_leaves_a_row(caller, why):
    body, status, code = REFUSED[why]
    call_id = new_id()
    reply = ask(
        caller.product.gateway, "POST", "/cursor/v1/chat/completions", caller.headers(CHAT, call_id), body
    )
    assert (reply.status, reply.error["code"]) == (status, code)
    (row,) = caller.product.query(
        "select * from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
    )
    assert (row["decision"], row["reason"], row["cost_nusd"]) == ("refused", code, 0)


def test_a_key_is_asked_for_before_the_body_is_looked_at(caller):
    reply = ask(caller.product.gateway, "POST", "/cursor/v1/chat/completions", [], b"{")
    assert (reply.status, reply.error["code"]) == (401, "spend_token_missing")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/cursor/v1/embeddings"), ("POST", "/cursor"), ("POST", "/cursor/"), ("GET", "/cursor/v1/chat/completions"),
     ("POST", "/cursor/v1/v1/messages"), ("POST", "/cursor/cursor/v1/messages"), ("POST", "/cursors/v1/messages"),
     ("POST", "/openai/cursor/chat/completions"), ("GET", "/cursor/v1/models/../messages")],
)  # fmt: skip
def test_nothing_else_stands_there(method, path):
    assert find(method, path, ()) is None
