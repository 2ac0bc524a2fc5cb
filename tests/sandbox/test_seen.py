"""The sandbox tells what has come to it, byte for byte."""

import base64
import hashlib
import json

import pytest

from .conftest import chat_body, plan_header


def test_each_model_request_is_seen_with_its_id_in_order(openai_client, anthropic_client, provider):
    ask = {"model": "any", "messages": [{"role": "user", "content": "hello"}]}
    openai_client.chat.completions.create(**ask, extra_headers={"x-client-request-id": "first"})
    anthropic_client.messages.create(**ask, max_tokens=9, extra_headers={"x-client-request-id": "second"})
    openai_client.models.list(extra_headers={"x-client-request-id": "no model request"})
    assert provider.get("/sandbox/seen") == {"count": 2, "ids": ["first", "second"], "disconnects": 0}


def test_a_request_that_is_planned_to_fail_has_been_seen(provider):
    assert provider.chat(plan={"status": 500})[0] == 500
    assert provider.get("/sandbox/seen")["count"] == 1


def test_a_request_without_a_credential_has_not_been_seen_but_is_held(provider):
    provider.call("POST", "/v1/chat/completions", body=b"refused")
    assert provider.get("/sandbox/seen")["count"] == 0
    assert base64.b64decode(provider.get("/sandbox/last")["body"]) == b"refused"


def test_the_last_request_is_held_as_it_came(provider):
    body = chat_body().replace(", ", ",  ").encode()
    headers = {"Authorization": "Bearer sk-seen", "X-Odd": "1", **plan_header({"text": "ok"})}
    provider.call("POST", "/v1/chat/completions?a=%20b", body=body, headers=headers)
    last = provider.get("/sandbox/last")
    assert last["path"] == "/v1/chat/completions?a=%20b"
    assert ["authorization", "Bearer sk-seen"] in last["headers"]
    assert ["x-odd", "1"] in last["headers"]
    assert base64.b64decode(last["body"]) == body
    assert last["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_a_reset_forgets_everything(provider):
    provider.chat()
    assert provider.call("POST", "/sandbox/reset")[0] == 200
    assert provider.get("/sandbox/seen") == {"count": 0, "ids": [], "disconnects": 0}
    assert provider.call("GET", "/sandbox/last")[0] == 404


def test_health_is_labelled(provider):
    status, headers, body = provider.call("GET", "/sandbox/health")
    assert (status, headers["x-sandbox"]) == (200, "simulated")
    assert json.loads(body) == {"status": "ok", "simulated": True}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1/messages"), ("POST", "/v1/models"), ("POST", "/v1/nothing")],
)
def test_other_routes_are_not_found_in_the_callers_dialect(provider, method, path):
    status, _, body = provider.call(method, path, headers={"authorization": "Bearer any"})
    assert (status, json.loads(body)["error"]["param"]) == (404, None)
    status, _, body = provider.call(method, path, headers={"x-api-key": "any"})
    assert (status, json.loads(body)["error"]["type"]) == (404, "not_found_error")
