"""The official OpenAI client takes the sandbox for the real thing."""

import json

import openai
import pytest

from visionality.sandbox.generation import DEFAULT, DEFAULT_TEXT

ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "three short words"}]}


def plan(**fields):
    return {"x-sandbox-plan": json.dumps(fields)}


def test_a_blocking_answer_says_that_it_is_simulated_and_reports_usage(openai_client):
    completion = openai_client.chat.completions.create(**ASK)
    assert completion.choices[0].message.content == DEFAULT_TEXT
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "gpt-4o"
    assert completion.service_tier == "default"
    assert completion.system_fingerprint
    assert completion.usage.prompt_tokens == 3
    assert completion.usage.completion_tokens == DEFAULT.output_tokens
    assert completion.usage.total_tokens == 3 + DEFAULT.output_tokens
    assert completion.usage.prompt_tokens_details.cached_tokens == 0
    assert completion.usage.completion_tokens_details.reasoning_tokens == 0


def test_the_headers_are_those_of_the_vendor_and_a_label(openai_client):
    raw = openai_client.chat.completions.with_raw_response.create(**ASK)
    assert raw.headers["x-sandbox"] == "simulated"
    assert raw.headers["x-request-id"].startswith("req_")
    assert raw.headers["openai-processing-ms"] == "1"
    for what in ("limit", "remaining", "reset"):
        assert raw.headers[f"x-ratelimit-{what}-requests"]
        assert raw.headers[f"x-ratelimit-{what}-tokens"]


def test_a_stream_joins_to_the_same_text_without_usage_unless_asked(openai_client):
    with openai_client.chat.completions.create(**ASK, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == DEFAULT_TEXT
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    assert not any("usage" in chunk.to_dict() for chunk in chunks)


def test_a_stream_with_include_usage_ends_in_a_chunk_without_choices(openai_client):
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    with openai_client.chat.completions.create(**ASK, **asked) as stream:
        *chunks, last = list(stream)
    assert all(chunk.to_dict()["usage"] is None for chunk in chunks)
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (3, DEFAULT.output_tokens)


def test_the_same_request_has_the_same_usage_and_another_id(openai_client):
    first, second = (openai_client.chat.completions.create(**ASK) for _ in range(2))
    assert first.usage == second.usage
    assert first.id != second.id


def test_a_tool_call_comes_whole(openai_client):
    call = {"name": "weather", "arguments": {"city": "Zürich"}}
    completion = openai_client.chat.completions.create(**ASK, extra_headers=plan(tool_call=call))
    (choice,) = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls[0].type == "function"
    assert choice.message.tool_calls[0].function.name == "weather"
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"city": "Zürich"}


def test_the_stream_helper_gathers_a_tool_call_and_text_from_deltas(openai_client):
    call = {"name": "weather", "arguments": {"city": "Bern", "days": 3}}
    headers = plan(tool_call=call, text="Let me look.")
    with openai_client.chat.completions.stream(**ASK, extra_headers=headers) as stream:
        completion = stream.get_final_completion()
    message = completion.choices[0].message
    assert message.content == "Let me look."
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Bern", "days": 3}
    assert completion.choices[0].finish_reason == "tool_calls"


def test_reasoning_is_shown_as_compatible_vendors_do_and_counted(openai_client):
    headers = plan(reasoning="first think then", text="answer now")
    completion = openai_client.chat.completions.create(**ASK, extra_headers=headers)
    assert completion.choices[0].message.reasoning_content == "first think then"
    assert completion.usage.completion_tokens == 5
    assert completion.usage.completion_tokens_details.reasoning_tokens == 3
    with openai_client.chat.completions.create(**ASK, stream=True, extra_headers=headers) as stream:
        deltas = [chunk.choices[0].delta for chunk in stream]
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "first think then"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_lower_limit_cuts_the_text_and_says_length(openai_client, field):
    completion = openai_client.chat.completions.create(**ASK, **{field: 3})
    assert completion.choices[0].message.content == "This answer is"
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage.completion_tokens == 3


def test_several_answers_cost_their_number_of_times(openai_client):
    completion = openai_client.chat.completions.create(**ASK, n=3)
    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert completion.usage.completion_tokens == 3 * DEFAULT.output_tokens


def test_a_plan_rules_usage_model_tier_and_unknown_fields(openai_client):
    usage = {
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "total_tokens": 1500,
        "prompt_tokens_details": {"cached_tokens": 800},
    }
    headers = plan(usage=usage, served_model="gpt-4o-2024-08-06", service_tier="flex", extra={"new": [1]})
    completion = openai_client.chat.completions.create(**ASK, extra_headers=headers)
    assert completion.to_dict()["usage"] == usage
    assert completion.model == "gpt-4o-2024-08-06"
    assert completion.service_tier == "flex"
    assert completion.to_dict()["new"] == [1]


def test_a_plan_omits_usage(openai_client):
    completion = openai_client.chat.completions.create(**ASK, extra_headers=plan(omit_usage=True))
    assert completion.usage is None


def test_a_plan_ignores_or_rejects_stream_options(openai_client):
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    ignoring = plan(ignore_stream_options=True)
    with openai_client.chat.completions.create(**ASK, **asked, extra_headers=ignoring) as stream:
        assert not any("usage" in chunk.to_dict() for chunk in stream)
    rejecting = plan(reject_stream_options=True)
    with pytest.raises(openai.BadRequestError, match="stream_options"):
        openai_client.chat.completions.create(**ASK, **asked, extra_headers=rejecting)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (529, openai.InternalServerError),
    ],
)
def test_a_planned_status_raises_the_clients_own_exception(openai_client, status, error):
    with pytest.raises(error) as raised:
        openai_client.chat.completions.create(**ASK, extra_headers=plan(status=status))
    assert raised.value.status_code == status
    assert set(raised.value.body) == {"message", "type", "param", "code"}
    assert raised.value.request_id.startswith("req_")
    assert ("retry-after" in raised.value.response.headers) == (status == 429)


def test_a_plan_names_the_error_type_and_the_wait(openai_client):
    headers = plan(status=429, error_type="tokens", retry_after=7)
    with pytest.raises(openai.RateLimitError) as raised:
        openai_client.chat.completions.create(**ASK, extra_headers=headers)
    assert raised.value.type == "tokens"
    assert raised.value.response.headers["retry-after"] == "7"


def test_an_error_in_the_stream_raises_after_the_deltas_before_it(openai_client):
    headers = plan(stream_error_after_chunks=2, error_type="server_error")
    with openai_client.chat.completions.create(**ASK, stream=True, extra_headers=headers) as stream:
        deltas = [next(stream).choices[0].delta.content for _ in range(3)]
        with pytest.raises(openai.APIError) as raised:
            next(stream)
    assert deltas == ["", "This", " answer"]
    assert raised.value.type == "server_error"


def test_a_missing_key_is_refused_in_the_vendors_words(provider):
    status, headers, body = provider.call("POST", "/v1/chat/completions", body=b"{}")
    assert status == 401
    assert headers["x-sandbox"] == "simulated"
    error = json.loads(body)["error"]
    assert error["type"] == "invalid_request_error"
    assert "didn't provide an API key" in error["message"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"model": None}, None, None),
        ({"model": 4}, "model", "invalid_type"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "empty_array"),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"n": 129}, "n", "integer_above_max_value"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stream_options": {}}, "stream_options", None),
    ],
)
def test_an_invalid_request_is_refused_with_its_parameter(provider, fields, param, code):
    status, _, body = provider.chat(**fields)
    error = json.loads(body)["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert (error["param"], error["code"]) == (param, code)


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"model":"\xff"}', b'{"messages":' + b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(provider, body):
    status, _, answer = provider.call(
        "POST", "/v1/chat/completions", body=body, headers={"authorization": "Bearer x"}
    )
    assert status == 400
    assert json.loads(answer)["error"]["type"] == "invalid_request_error"


def test_models_are_listed_and_found_by_name(openai_client):
    names = [model.id for model in openai_client.models.list()]
    assert "gpt-4o" in names
    assert openai_client.models.retrieve("gpt-4o").owned_by == "visionality-sandbox"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("nothing")
