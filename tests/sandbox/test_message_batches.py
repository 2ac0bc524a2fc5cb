"""The official Anthropic client submits batches to the sandbox, and takes their results for the real thing."""

import json

import anthropic
import pytest

from visionality.sandbox.generation import DEFAULT_TEXT

PARAMS = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "two words"}],
}


def asked(custom_id, **fields):
    return {"custom_id": custom_id, "params": PARAMS | fields}


def submit(client, *requests, **plan):
    headers = {"x-sandbox-plan": json.dumps(plan)} if plan else {}
    return client.messages.batches.create(requests=requests, extra_headers=headers)


def results(client, batch):
    client.messages.batches.retrieve(batch.id)
    return {one.custom_id: one.result for one in client.messages.batches.results(batch.id)}


def counts(batch):
    return batch.request_counts.to_dict()


def test_each_request_is_answered_as_the_call_would_be_at_the_tier_of_batches(anthropic_client, provider):
    batch = submit(anthropic_client, asked("a"), asked("b", model="claude-haiku-4-5", max_tokens=2))
    assert (batch.processing_status, batch.results_url, batch.ended_at) == ("in_progress", None, None)
    assert counts(batch) == {"processing": 2, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    batch = anthropic_client.messages.batches.retrieve(batch.id)
    assert batch.processing_status == "ended"
    assert batch.results_url == f"{provider.url}/v1/messages/batches/{batch.id}/results"
    assert counts(batch) == {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 0, "expired": 0}
    found = results(anthropic_client, batch)
    first, second = found["a"].message, found["b"].message
    assert (first.content[0].text, first.usage.input_tokens, first.usage.service_tier) == (
        DEFAULT_TEXT,
        2,
        "batch",
    )
    assert (second.model, second.usage.output_tokens, second.stop_reason) == (
        "claude-haiku-4-5",
        2,
        "max_tokens",
    )


def test_a_plan_rules_what_each_request_is_answered(anthropic_client):
    usage = {"input_tokens": 12, "output_tokens": 310, "cache_read_input_tokens": 18000}
    batch = submit(anthropic_client, asked("a"), usage=usage, text="as told")
    message = results(anthropic_client, batch)["a"].message
    assert (message.to_dict()["usage"], message.content[0].text) == (usage, "as told")


def test_a_request_that_is_none_is_errored_and_a_planned_one_too(anthropic_client):
    batch = submit(
        anthropic_client, asked("a"), asked("b", max_tokens=0), asked("c"), batch={"errored": ["c"]}
    )
    found = results(anthropic_client, batch)
    assert {name: result.type for name, result in found.items()} == {
        "a": "succeeded",
        "b": "errored",
        "c": "errored",
    }
    assert (found["b"].error.type, found["b"].error.error.type) == ("error", "invalid_request_error")
    assert "max_tokens" in found["b"].error.error.message


@pytest.mark.parametrize(
    ("ends", "kind"), [("expired", "expired"), ("cancelled", "canceled"), ("failed", "errored")]
)
def test_what_was_not_done_when_it_ended_says_so(anthropic_client, ends, kind):
    batch = submit(anthropic_client, asked("a"), asked("b"), batch={"ends": ends, "done": 1})
    found = results(anthropic_client, batch)
    assert [found[name].type for name in "ab"] == ["succeeded", kind]
    assert kind != "errored" or found["b"].error.error.type == "api_error"


def test_a_batch_is_canceled_and_then_deleted(anthropic_client):
    batches = anthropic_client.messages.batches
    batch = submit(anthropic_client, asked("a"), asked("b"), batch={"polls": 1000, "done": 1})
    assert batches.retrieve(batch.id).processing_status == "in_progress"
    with pytest.raises(anthropic.AnthropicError, match="No `results_url`"):
        batches.results(batch.id)
    with pytest.raises(anthropic.BadRequestError, match="in progress"):
        batches.delete(batch.id)
    cancelled = batches.cancel(batch.id)
    assert cancelled.processing_status == "canceling"
    assert cancelled.cancel_initiated_at is not None
    assert [one.type for one in results(anthropic_client, batch).values()] == ["succeeded", "canceled"]
    with pytest.raises(anthropic.BadRequestError, match="has ended"):
        batches.cancel(batch.id)
    assert batches.delete(batch.id).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        batches.retrieve(batch.id)


def test_results_may_break_off_and_lie_on_the_wire_as_planned(anthropic_client, provider):
    batch = submit(
        anthropic_client, *map(asked, "abcd"), split_bytes=5, batch={"breaks": 1, "malformed": ["d"]}
    )
    with pytest.raises(Exception, match="peer closed connection"):
        results(anthropic_client, batch)
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    path = f"/v1/messages/batches/{batch.id}/results"
    *whole, spoiled = provider.call("GET", path, headers=headers)[2].splitlines()
    assert [json.loads(line)["custom_id"] for line in whole] == ["a", "b", "c"]
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoiled)


def test_results_before_the_end_are_not_found(anthropic_client, provider):
    batch = submit(anthropic_client, asked("a"), batch={"polls": 1})
    headers = {"x-api-key": "any", "anthropic-version": "2023-06-01"}
    assert provider.call("GET", f"/v1/messages/batches/{batch.id}/results", headers=headers)[0] == 404


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([], "1 to 100000"),
        ([asked("a"), asked("a")], "unique"),
        ([asked("has a space")], "requests.0.custom_id"),
        ([{"custom_id": "a"}], "params"),
    ],
)
def test_a_submission_that_cannot_be_is_refused(anthropic_client, requests, message):
    with pytest.raises(anthropic.BadRequestError, match=message):
        submit(anthropic_client, *requests)


def test_lists_and_strangers_are_refused(anthropic_client, provider):
    with pytest.raises(anthropic.NotFoundError):
        anthropic_client.messages.batches.list()
    assert provider.call("GET", "/v1/messages/batches/any", headers={"anthropic-version": "any"})[0] == 401
