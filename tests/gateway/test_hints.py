"""Promise B4: a model hint is applied at the gateway, and the row shows what was asked, what was used and what it saved."""

import json
from base64 import b64decode
from decimal import Decimal
from typing import Any

import pytest

from gateway.calls import Caller, ask, body_of, new_id

MESSAGES = "/anthropic/v1/messages"
OPUS, HAIKU = "claude-opus-4-5", "claude-haiku-4-5"


@pytest.fixture(scope="module")
def derek(product) -> Caller:
    """Derek refactors, on a project of his own; a hint prefers a Haiku model for that."""
    product.run("project", "add", "SOCE", "--name", "SoCal Edison")
    product.run("agent", "add", "derek@arctrade", "--owner", "Derek M.")
    return Caller(product, product.issue("--task-class", "refactor", agent="derek@arctrade", project="SOCE"))


@pytest.fixture(scope="module")
def hinted(product, derek) -> Caller:
    hint = ("hint", "add", "--agent", "derek@arctrade")
    product.run(*hint, "--task-class", "refactor", "--prefer", HAIKU)
    product.run(*hint, "--instead-of", "gpt-4o", "--prefer", "no-such-model")
    product.run(*hint, "--instead-of", "gemini-2.5-pro", "--prefer", "gemini-2.5-flash")
    product.until(lambda: gemini(derek)["model_used"] == "gemini-2.5-flash")
    return derek


def gemini(caller: Caller) -> dict[str, Any]:
    """The row of a call whose model stands in the path."""
    path, call = "/google/v1beta/models/gemini-2.5-pro:generateContent", new_id()
    body = b'{"contents":[{"role":"user","parts":[{"text":"one two"}]}]}'
    headers = [
        ("x-goog-api-key", caller.key),
        ("x-client-request-id", call),
        ("content-type", "application/json"),
    ]
    assert ask(caller.product.gateway, "POST", path, headers, body).status == 200
    return caller.row(call)


def test_a_call_before_the_hint_is_as_it_was_asked_and_after_it_costs_what_the_preferred_model_costs(
    derek, product
):
    plan = {"usage": {"input_tokens": 100_000, "output_tokens": 1_000}}
    before, after = new_id(), new_id()
    derek.post(MESSAGES, before, body_of(MESSAGES, model=OPUS), **plan)
    asked = derek.row(before)
    hinted = product.run(
        "hint", "add", "--agent", "derek@arctrade", "--task-class", "refactor", "--prefer", HAIKU
    )
    assert HAIKU in hinted

    def is_applied() -> bool:
        call = new_id()
        derek.post(MESSAGES, call, body_of(MESSAGES, model=OPUS))
        return derek.row(call)["model_used"] == HAIKU

    product.until(is_applied)
    reply = derek.post(MESSAGES, after, body_of(MESSAGES, model=OPUS), **plan)
    row = derek.row(after)
    assert json.loads(reply.body)["model"] == HAIKU
    assert (asked["model_requested"], asked["model_used"], asked["cost_nusd"]) == (OPUS, OPUS, 525_000_000)
    assert (row["model_requested"], row["model_used"], row["cost_nusd"]) == (OPUS, HAIKU, 105_000_000)
    assert row["model_family"] == "claude-haiku"
    assert row["tags"]["model_sent"] == HAIKU
    assert Decimal(row["tags"]["cost_as_asked_usd"]) == Decimal("0.525")
    assert row["tags"]["hint"] in product.run("hint", "list", "--json")


def test_only_the_name_of_the_model_is_another_in_what_the_provider_gets(hinted):
    body = b'{ "max_tokens":64,\n "model" : "claude-opus-4-5", "messages":[{"role":"user","content":"the \\"model\\" : x"}] }'
    call = new_id()
    hinted.post(MESSAGES, call, body)
    assert b64decode(hinted.seen()["body"]) == body.replace(b'"claude-opus-4-5"', b'"claude-haiku-4-5"')


def test_a_streamed_call_gets_the_preferred_model_too(hinted):
    call = new_id()
    reply = hinted.post(MESSAGES, call, body_of(MESSAGES, model=OPUS, stream=True))
    assert HAIKU.encode() in reply.body
    assert hinted.row(call)["model_used"] == HAIKU


def test_a_model_that_stands_in_the_path_is_replaced_there(hinted):
    row = gemini(hinted)
    assert (row["model_requested"], row["model_used"]) == ("gemini-2.5-pro", "gemini-2.5-flash")


def test_a_hint_to_a_model_that_the_provider_does_not_have_is_not_applied(hinted):
    call = new_id()
    assert hinted.post("/v1/chat/completions", call).status == 200
    row = hinted.row(call)
    assert (row["model_requested"], row["model_used"]) == ("gpt-4o", "gpt-4o")
    assert "hint" not in (row["tags"] or {})


def test_other_work_and_other_people_get_what_they_ask_for(hinted, product, caller):
    chatting = Caller(
        product, product.issue("--task-class", "review", agent="derek@arctrade", project="SOCE")
    )
    for somebody in (chatting, caller):
        call = new_id()
        somebody.post(MESSAGES, call, body_of(MESSAGES, model=OPUS))
        assert somebody.row(call)["model_used"] == OPUS
