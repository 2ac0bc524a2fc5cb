"""The official Anthropic client takes the sandbox for the real thing."""

import json

import anthropic
import pytest

from visionality.sandbox.generation import DEFAULT, DEFAULT_TEXT

ASK = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "system": "be brief",
    "messages": [{"role": "user", "content": [{"type": "text", "text": "three short words"}]}],
}


def plan(**fields):
    return {"x-sandbox-plan": json.dumps(fields)}


def test_a_blocking_answer_says_that_it_is_simulated_and_reports_usage(anthropic_client):
    message = anthropic_client.messages.create(**ASK)
    assert [block.text for block in message.content] == [DEFAULT_TEXT]
    assert message.stop_reason == "end_turn"
    assert message.usage.input_tokens == 5
    assert message.usage.output_tokens == DEFAULT.output_tokens
    assert message.usage.cache_creation.ephemeral_1h_input_tokens == 0
    assert message.usage.service_tier == "standard"


def test_the_beta_path_is_the_same(anthropic_client):
    message = anthropic_client.beta.messages.create(**ASK, betas=["context-1m-2025-08-07"])
    assert message.content[0].text == DEFAULT_TEXT


def test_a_bearer_token_is_a_credential_too(provider):
    with anthropic.Anthropic(
        base_url=provider.url, api_key=None, auth_token="any", max_retries=0, timeout=5
    ) as client:
        assert client.messages.create(**ASK).type == "message"


def test_the_headers_are_those_of_the_vendor_and_a_label(anthropic_client):
    raw = anthropic_client.messages.with_raw_response.create(**ASK)
    assert raw.headers["x-sandbox"] == "simulated"
    assert raw.headers["request-id"].startswith("req_")
    assert raw.headers["anthropic-organization-id"]
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert raw.headers[f"anthropic-ratelimit-{what}-remaining"]
        assert raw.headers[f"anthropic-ratelimit-{what}-reset"].endswith("Z")


def test_a_streams_events_come_in_the_vendors_order_with_cumulative_usage(anthropic_client):
    with anthropic_client.messages.create(**ASK, stream=True) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    deltas = DEFAULT.output_tokens
    assert kinds == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (events[0].message.usage.input_tokens, events[0].message.usage.output_tokens) == (5, 1)
    assert events[0].message.content == []
    assert (events[-2].usage.input_tokens, events[-2].usage.output_tokens) == (5, deltas)


def test_a_ping_comes_in_every_stream(provider):
    body = provider.messages(stream=True)[2]
    assert body.count(b"event: ping\n") == 1
    assert body.index(b"event: content_block_start") < body.index(b"event: ping")


def test_the_stream_helper_gathers_thinking_text_and_a_tool_call(anthropic_client):
    call = {"name": "weather", "arguments": {"city": "Zürich", "days": 3}}
    headers = plan(reasoning="first think", text="Let me look.", tool_call=call)
    with anthropic_client.messages.stream(**ASK, extra_headers=headers) as stream:
        streamed = stream.get_final_message()
    whole = anthropic_client.messages.create(**ASK, extra_headers=headers)
    for message in (streamed, whole):
        thinking, text, tool = message.content
        assert (thinking.type, thinking.thinking) == ("thinking", "first think")
        assert thinking.signature
        assert text.text == "Let me look."
        assert (tool.type, tool.name, tool.input) == ("tool_use", "weather", call["arguments"])
        assert message.stop_reason == "tool_use"
        assert message.usage.output_tokens_details.thinking_tokens == 2
    assert streamed.usage == whole.usage


def test_a_lower_limit_cuts_the_text_and_says_max_tokens(anthropic_client):
    message = anthropic_client.messages.create(**ASK | {"max_tokens": 3})
    assert message.content[0].text == "This answer is"
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3


def test_no_plan_makes_the_output_pass_the_limit(anthropic_client):
    headers = plan(reasoning="one two", text="three four", tool_call={"name": "never"})
    message = anthropic_client.messages.create(**ASK | {"max_tokens": 3}, extra_headers=headers)
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.usage.output_tokens == 3


def test_a_plan_rules_usage_model_and_unknown_fields(anthropic_client):
    usage = {
        "input_tokens": 12,
        "output_tokens": 310,
        "cache_read_input_tokens": 18000,
        "cache_creation_input_tokens": 2048,
        "cache_creation": {"ephemeral_5m_input_tokens": 48, "ephemeral_1h_input_tokens": 2000},
    }
    headers = plan(usage=usage, served_model="claude-served-in-its-place", extra={"new": [1]})
    message = anthropic_client.messages.create(**ASK, extra_headers=headers)
    assert message.to_dict()["usage"] == usage
    assert message.model == "claude-served-in-its-place"
    assert message.to_dict()["new"] == [1]
    with anthropic_client.messages.create(**ASK, stream=True, extra_headers=headers) as stream:
        events = list(stream)
    assert events[0].message.to_dict()["usage"] == usage | {"output_tokens": 1}
    assert events[-2].to_dict()["usage"] == usage


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, anthropic.BadRequestError, "invalid_request_error"),
        (401, anthropic.AuthenticationError, "authentication_error"),
        (402, anthropic.APIStatusError, "billing_error"),
        (403, anthropic.PermissionDeniedError, "permission_error"),
        (404, anthropic.NotFoundError, "not_found_error"),
        (413, anthropic.APIStatusError, "request_too_large"),
        (429, anthropic.RateLimitError, "rate_limit_error"),
        (500, anthropic.InternalServerError, "api_error"),
        (529, anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_a_planned_status_raises_the_clients_own_exception(anthropic_client, status, error, kind):
    with pytest.raises(error) as raised:
        anthropic_client.messages.create(**ASK, extra_headers=plan(status=status))
    assert raised.value.status_code == status
    assert raised.value.body["error"]["type"] == kind
    assert raised.value.request_id == raised.value.body["request_id"]
    assert ("retry-after" in raised.value.response.headers) == (status == 429)
    assert raised.value.response.headers["x-should-retry"] == str(status == 429 or status >= 500).lower()


def test_an_error_in_the_stream_raises_after_the_deltas_before_it(anthropic_client):
    headers = plan(stream_error_after_chunks=2)
    deltas = 0
    with anthropic_client.messages.create(**ASK, stream=True, extra_headers=headers) as stream:
        for event in stream:
            deltas += event.type == "content_block_delta"
            if deltas == 2:
                break
        with pytest.raises(anthropic.APIStatusError) as raised:
            next(stream)
    assert raised.value.body["error"] == {"type": "overloaded_error", "message": "Overloaded"}


def test_a_missing_key_is_refused_in_the_vendors_words(provider):
    status, headers, body = provider.call(
        "POST", "/v1/messages", body=b"{}", headers={"anthropic-version": "2023-06-01"}
    )
    answer = json.loads(body)
    assert status == 401
    assert headers["x-sandbox"] == "simulated"
    assert answer["error"] == {"type": "authentication_error", "message": "x-api-key header is required"}
    assert answer["request_id"] == headers["request-id"]


def test_a_missing_version_is_refused(provider):
    status, _, body = provider.call("POST", "/v1/messages", body=b"{}", headers={"x-api-key": "any"})
    assert (status, json.loads(body)["error"]["message"]) == (400, "anthropic-version: header is required")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": None}, "model: Field required"),
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"max_tokens": 0}, "max_tokens: Input should be greater than or equal to 1"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": "hello"}, "messages: Input should be a valid list"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"stream": 1}, "stream: Input should be a valid boolean"),
    ],
)
def test_an_invalid_request_is_refused_with_its_field(provider, fields, message):
    status, _, body = provider.messages(**fields)
    assert (status, json.loads(body)["error"]) == (400, {"type": "invalid_request_error", "message": message})


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"model":"\xff"}'])
def test_a_body_that_is_no_json_object_is_refused(provider, body):
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    status, _, answer = provider.call("POST", "/v1/messages", body=body, headers=headers)
    assert status == 400
    assert json.loads(answer)["error"]["type"] == "invalid_request_error"


def test_models_are_listed_and_found_by_name(anthropic_client):
    names = [model.id for model in anthropic_client.models.list()]
    assert "claude-sonnet-4-6" in names
    assert "simulated" in anthropic_client.models.retrieve("claude-sonnet-4-6").display_name
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.models.retrieve("nothing")
