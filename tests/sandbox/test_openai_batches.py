"""The official OpenAI client submits batches to the sandbox, and takes their files for the real thing."""

import http.client
import json

import openai
import pytest

from visionality.sandbox.generation import DEFAULT_TEXT

CHAT = "/v1/chat/completions"
BODIES = {
    CHAT: {"model": "gpt-4o", "messages": [{"role": "user", "content": "two words"}]},
    "/v1/responses": {"model": "gpt-5.1", "input": "two words"},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "two words"},
    "/v1/moderations": {"input": "two words"},
    "/v1/images/generations": {"model": "gpt-image-1", "prompt": "two words"},
}


def line(custom_id, url=CHAT, **fields):
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": BODIES[url] | fields}


def jsonl(*lines):
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def submit(client, content, *, url=CHAT, **plan):
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    headers = {"x-sandbox-plan": json.dumps(plan)} if plan else {}
    return client.batches.create(
        input_file_id=file.id, endpoint=url, completion_window="24h", extra_headers=headers
    )


def read(client, file_id):
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_a_file_is_kept_byte_for_byte_until_it_is_deleted(openai_client):
    content = jsonl(line("a"), line("é"))[:-1]
    file = openai_client.files.create(file=("in.jsonl", content), purpose="batch")
    assert (file.filename, file.bytes, file.purpose, file.object) == (
        "in.jsonl",
        len(content),
        "batch",
        "file",
    )
    assert openai_client.files.retrieve(file.id) == file
    assert openai_client.files.content(file.id).content == content
    assert openai_client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File"):
        openai_client.files.retrieve(file.id)


@pytest.mark.parametrize("url", BODIES)
def test_every_endpoint_answers_each_line_as_it_would_answer_the_call(openai_client, url):
    batch = submit(openai_client, jsonl(line("a", url), line("b", url)), url=url)
    assert (batch.status, batch.output_file_id) == ("validating", None)
    batch = openai_client.batches.retrieve(batch.id)
    assert (batch.status, batch.error_file_id, batch.request_counts.completed) == ("completed", None, 2)
    answers = read(openai_client, batch.output_file_id)
    assert [answer["custom_id"] for answer in answers] == ["a", "b"]
    for answer in answers:
        assert (answer["error"], answer["response"]["status_code"]) == (None, 200)
        assert answer["id"].startswith("batch_req_")
        assert answer["response"]["request_id"]
        body = answer["response"]["body"]
        live = openai_client.post(url.removeprefix("/v1"), body=BODIES[url], cast_to=dict[str, object])
        assert body.keys() == live.keys()
        assert body.get("usage") == live.get("usage")


def test_a_plan_rules_what_each_line_is_answered(openai_client):
    usage = {"prompt_tokens": 1000, "completion_tokens": 7, "total_tokens": 1007}
    batch = submit(openai_client, jsonl(line("a")), text="as told", usage=usage, served_model="gpt-4o-dated")
    batch = openai_client.batches.retrieve(batch.id)
    (answer,) = read(openai_client, batch.output_file_id)
    body = answer["response"]["body"]
    assert (body["usage"], body["model"]) == (usage, "gpt-4o-dated")
    assert body["choices"][0]["message"]["content"] == "as told"
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (1000, 7)


def test_a_batch_is_unfinished_for_as_many_looks_as_planned(openai_client):
    batch = submit(openai_client, jsonl(line("a")), batch={"outages": 1, "polls": 2})
    with pytest.raises(openai.InternalServerError):
        openai_client.batches.retrieve(batch.id)
    seen = [openai_client.batches.retrieve(batch.id).status for _ in range(4)]
    assert seen == ["in_progress", "in_progress", "completed", "completed"]


def test_a_batch_that_is_cancelled_has_what_was_done_by_then(openai_client):
    batch = submit(openai_client, jsonl(line("a"), line("b"), line("c")), batch={"polls": 1000, "done": 2})
    assert openai_client.batches.cancel(batch.id).status == "cancelling"
    batch = openai_client.batches.retrieve(batch.id)
    assert (batch.status, batch.request_counts.completed, batch.error_file_id) == ("cancelled", 2, None)
    assert [answer["custom_id"] for answer in read(openai_client, batch.output_file_id)] == ["a", "b"]
    with pytest.raises(openai.ConflictError):
        openai_client.batches.cancel(batch.id)


def test_what_a_batch_did_not_do_before_it_expired_stands_in_the_error_file(openai_client):
    batch = submit(openai_client, jsonl(line("a"), line("b")), batch={"ends": "expired", "done": 1})
    batch = openai_client.batches.retrieve(batch.id)
    assert (batch.status, batch.expired_at is not None) == ("expired", True)
    assert [answer["custom_id"] for answer in read(openai_client, batch.output_file_id)] == ["a"]
    (expired,) = read(openai_client, batch.error_file_id)
    assert (expired["custom_id"], expired["response"], expired["error"]["code"]) == (
        "b",
        None,
        "batch_expired",
    )


def test_a_batch_that_fails_ran_nothing(openai_client):
    batch = submit(openai_client, jsonl(line("a")), batch={"ends": "failed"})
    batch = openai_client.batches.retrieve(batch.id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.errors.data[0].code == "token_limit_exceeded"
    assert batch.request_counts.total == 0


@pytest.mark.parametrize(
    ("content", "code", "number"),
    [
        (b"", "empty_file", None),
        (jsonl(line("a")) + b"{\n", "invalid_json_line", 2),
        (jsonl(line("a"), line("b"), line("a")), "duplicate_custom_id", 3),
        (jsonl(line("a", "/v1/responses")), "mismatched_url", 1),
        (b'{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{}}\n', "mismatched_url", 1),
    ],
)
def test_a_file_that_cannot_be_run_makes_the_batch_fail_and_names_the_line(
    openai_client, content, code, number
):
    batch = openai_client.batches.retrieve(submit(openai_client, content).id)
    assert (batch.status, batch.errors.data[0].code, batch.errors.data[0].line) == ("failed", code, number)


def test_a_line_that_is_no_request_is_refused_by_itself(openai_client):
    lines = jsonl(line("a"), line("b", messages=[]), line("c", stream=True), line("d"))
    batch = submit(openai_client, lines, batch={"errored": ["d"]})
    batch = openai_client.batches.retrieve(batch.id)
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 1, 3)
    refused = {answer["custom_id"]: answer for answer in read(openai_client, batch.error_file_id)}
    assert refused.keys() == {"b", "c", "d"}
    for answer in refused.values():
        assert (answer["response"]["status_code"], answer["error"]) == (400, None)
        assert answer["response"]["body"]["error"]["message"]


def test_lines_without_usage_and_lines_that_are_no_json_come_as_planned(openai_client):
    planned = {"unreported": ["a"], "malformed": ["b"]}
    batch = submit(openai_client, jsonl(line("a"), line("b"), line("c")), batch=planned)
    batch = openai_client.batches.retrieve(batch.id)
    first, spoiled, last = openai_client.files.content(batch.output_file_id).text.splitlines()
    assert "usage" not in json.loads(first)["response"]["body"]
    assert json.loads(last)["response"]["body"]["usage"]["prompt_tokens"] == 2
    with pytest.raises(json.JSONDecodeError):
        json.loads(spoiled)


def test_results_come_in_any_order_and_complete_however_they_come(openai_client):
    names = [f"line-{number}" for number in range(40)]
    batch = submit(openai_client, jsonl(*map(line, names)), split_bytes=7, batch={"shuffled": True})
    batch = openai_client.batches.retrieve(batch.id)
    orders = [[one["custom_id"] for one in read(openai_client, batch.output_file_id)] for _ in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(names)


def test_a_fetch_of_results_breaks_off_amid_a_line_as_often_as_planned(openai_client, provider):
    batch = submit(openai_client, jsonl(*map(line, "abcd")), batch={"breaks": 1})
    batch = openai_client.batches.retrieve(batch.id)
    headers = {"authorization": "Bearer any"}
    with pytest.raises(http.client.IncompleteRead) as broken:
        provider.call("GET", f"/v1/files/{batch.output_file_id}/content", headers=headers)
    received = broken.value.partial
    assert received.count(b"\n") == 2
    assert not received.endswith(b"\n")
    assert len(read(openai_client, batch.output_file_id)) == 4


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"endpoint": "/v1/audio/speech"}, openai.BadRequestError),
        ({"completion_window": "48h"}, openai.BadRequestError),
        ({"input_file_id": "file-unknown"}, openai.NotFoundError),
        ({"input_file_id": 7}, openai.BadRequestError),
    ],
)
def test_a_submission_that_cannot_be_is_refused(openai_client, fields, error):
    file = openai_client.files.create(file=("in.jsonl", jsonl(line("a"))), purpose="batch")
    asked = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | fields
    with pytest.raises(error):
        openai_client.batches.create(**asked)


def test_unknown_batches_lists_and_strangers_are_refused(openai_client, provider):
    with pytest.raises(openai.NotFoundError):
        openai_client.batches.retrieve("batch_unknown")
    with pytest.raises(openai.NotFoundError):
        openai_client.batches.list()
    with pytest.raises(openai.NotFoundError):
        openai_client.files.list()
    assert provider.call("GET", "/v1/files/file-any")[0] == 401


def test_a_submission_can_be_refused_by_plan_and_counts_as_seen(openai_client, provider):
    with pytest.raises(openai.RateLimitError):
        submit(openai_client, jsonl(line("a")), status=429)
    submit(openai_client, jsonl(line("a")))
    assert provider.get("/sandbox/seen")["count"] == 1
    assert provider.get("/sandbox/last")["path"] == "/v1/batches"


def test_a_batched_answer_says_that_it_is_simulated(openai_client):
    batch = openai_client.batches.retrieve(submit(openai_client, jsonl(line("a"))).id)
    raw = openai_client.files.with_raw_response.content(batch.output_file_id)
    assert raw.headers["x-sandbox"] == "simulated"
    assert DEFAULT_TEXT in raw.text


def test_the_answer_to_a_submission_can_be_lost_although_it_was_taken(openai_client, provider):
    with pytest.raises(openai.APIConnectionError):
        submit(openai_client, jsonl(line("a")), content_length_lie=True)
    assert provider.get("/sandbox/seen")["count"] == 1
