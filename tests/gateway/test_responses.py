"""OpenAI Responses through the gateway, with the official SDK: each call one exact row, wherever its answer comes."""

import base64
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from gateway.calls import Caller, ask, new_id, opened, recomputed
from product import running, set_up

PATH = "/v1/responses"
MODEL = "gpt-5.1"
BASES = ["/openai/v1", "/v1"]
TOOL = {"name": "rebill", "arguments": {"zone": "PJM", "hours": [1, 2, 3]}}
SAYINGS = {
    "text": {"text": "A ledger is a book of accounts."},
    "tool": {"tool_call": TOOL},
    "reasoning": {"reasoning": "Think of books. Then of accounts.", "text": "It is a book."},
}
USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 1100,
}
COST = 800 * 1_250 + 200 * 125 + 100 * 10_000


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


@pytest.fixture(scope="module")
def clients(product, caller) -> dict[str, openai.OpenAI]:
    with ExitStack() as stack:
        yield {
            base: stack.enter_context(
                openai.OpenAI(base_url=product.gateway + base, api_key=caller.key, max_retries=0)
            )
            for base in BASES
        }


@pytest.fixture(scope="module")
def client(clients) -> openai.OpenAI:
    return clients["/v1"]


@pytest.fixture
async def client_async(product, caller) -> openai.AsyncOpenAI:
    async with openai.AsyncOpenAI(
        base_url=f"{product.gateway}/v1", api_key=caller.key, max_retries=0
    ) as client:
        yield client


def check(row: dict[str, Any], *, finish: str = "completed") -> None:
    assert row["usage"] == {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
    assert recomputed(row) == row["cost_nusd"] == COST
    assert (row["dialect"], row["model_used"], row["usage_source"]) == ("responses", MODEL, "provider_final")
    assert (row["decision"], row["status_code"], row["finish"]) == ("allowed", 200, finish)
    assert (row["project_id"], row["price_state"], row["served_tier"]) == ("HPC", "known", "default")


def check_said(response: Any, saying: str) -> None:
    kinds = [item.type for item in response.output]
    if saying == "tool":
        (call,) = response.output
        assert (call.type, call.name) == ("function_call", TOOL["name"])
        assert json.loads(call.arguments) == TOOL["arguments"]
        return
    assert response.output_text == SAYINGS[saying]["text"]
    assert kinds == (["reasoning", "message"] if saying == "reasoning" else ["message"])
    if saying == "reasoning":
        assert response.output[0].summary[0].text == SAYINGS[saying]["reasoning"]


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_blocking(caller, clients, base, saying):
    headers = sending(call_id := new_id(), usage=USAGE, **SAYINGS[saying])
    response = clients[base].responses.create(model=MODEL, input="one two", extra_headers=headers)
    check_said(response, saying)
    assert response.usage.to_dict() == USAGE
    check(caller.row(call_id))


@pytest.mark.parametrize("saying", SAYINGS)
async def test_blocking_async(caller, client_async, saying):
    headers = sending(call_id := new_id(), usage=USAGE, **SAYINGS[saying])
    check_said(
        await client_async.responses.create(model=MODEL, input="one two", extra_headers=headers), saying
    )
    check(caller.row(call_id))


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("base", BASES)
def test_streaming(caller, clients, base, saying):
    headers = sending(call_id := new_id(), usage=USAGE, **SAYINGS[saying])
    with clients[base].responses.stream(model=MODEL, input="one two", extra_headers=headers) as stream:
        numbers = [event.sequence_number for event in stream]
        response = stream.get_final_response()
    assert numbers == list(range(len(numbers)))
    check_said(response, saying)
    assert response.usage.to_dict() == USAGE
    check(caller.row(call_id))


@pytest.mark.parametrize("saying", SAYINGS)
async def test_streaming_async(caller, client_async, saying):
    headers = sending(call_id := new_id(), usage=USAGE, **SAYINGS[saying])
    async with client_async.responses.stream(model=MODEL, input="one two", extra_headers=headers) as stream:
        check_said(await stream.get_final_response(), saying)
    check(caller.row(call_id))


class River(BaseModel):
    name: str
    km: int


def test_answers_and_tool_calls_are_parsed(client):
    said = sending(new_id(), text='{"name":"Mur","km":464}')
    response = client.responses.parse(model=MODEL, input="one", text_format=River, extra_headers=said)
    assert response.output_parsed == River(name="Mur", km=464)
    called = sending(new_id(), tool_call={"name": "River", "arguments": {"name": "Inn", "km": 517}})
    tool = openai.pydantic_function_tool(River)["function"]
    parameters = {"type": "function", "name": "River", "parameters": tool["parameters"], "strict": True}
    response = client.responses.parse(model=MODEL, input="one", tools=[parameters], extra_headers=called)
    assert response.output[0].parsed_arguments == {"name": "Inn", "km": 517}


CODEX = {
    "model": MODEL,
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "List the files."}]},
        {"type": "reasoning", "id": "rs_0", "summary": [], "encrypted_content": "gAAAAABo"},
        {"type": "function_call", "call_id": "call_0", "name": "shell", "arguments": '{"command":["ls"]}'},
        {"type": "function_call_output", "call_id": "call_0", "output": "README.md"},
    ],
    "tools": [{"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
}


def test_a_coding_agents_request_goes_on_byte_for_byte_and_comes_back_whole(caller):
    body = json.dumps(CODEX, indent=1).encode()
    own = [
        ("originator", "codex_cli_rs"),
        ("session_id", CODEX["prompt_cache_key"]),
        ("accept", "text/event-stream"),
    ]
    plan = {"usage": USAGE, **SAYINGS["reasoning"]}
    headers = caller.headers(PATH, call_id := new_id(), **plan) + own
    reply = ask(caller.product.gateway, "POST", PATH, headers, body)
    seen = caller.seen()
    assert seen["path"] == PATH
    assert set(own) <= {tuple(header) for header in seen["headers"]}
    assert base64.b64decode(seen["body"]) == body
    events = [json.loads(part.partition(b"data: ")[2]) for part in reply.body.split(b"\n\n") if part]
    assert [events[0]["type"], events[-1]["type"]] == ["response.created", "response.completed"]
    check(caller.row(call_id))


@pytest.mark.parametrize("streamed", [False, True])
def test_a_limit_that_is_reached_is_how_it_finished(caller, client, streamed):
    headers = sending(call_id := new_id(), usage=USAGE)
    given = {"model": MODEL, "input": "one", "max_output_tokens": 3, "extra_headers": headers}
    if streamed:
        with client.responses.create(**given, stream=True) as stream:
            last = list(stream)[-1]
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = client.responses.create(**given)
    assert (response.status, response.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    check(caller.row(call_id), finish="max_output_tokens")


FAILURE = {"code": "server_error", "message": "The model failed."}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reports", [False, True])
def test_a_response_that_failed_costs_what_it_reports_or_an_estimate(caller, client, streamed, reports):
    use = {"usage": USAGE} if reports else {"omit_usage": True}
    headers = sending(call_id := new_id(), extra={"status": "failed", "error": FAILURE}, **use)
    answer = client.responses.create(model=MODEL, input="one", stream=streamed, extra_headers=headers)
    response = list(answer)[-1].response if streamed else answer
    assert (response.status, response.error.message) == ("failed", FAILURE["message"])
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "failed")
    assert row["usage_source"] == ("provider_final" if reports else "tokenizer_estimate")
    assert row["cost_nusd"] == COST if reports else row["cost_nusd"] > 0


def test_a_providers_error_in_a_stream_passes_as_it_is(caller, client):
    headers = sending(call_id := new_id(), stream_error_after_chunks=3)
    with client.responses.create(model=MODEL, input="one", stream=True, extra_headers=headers) as stream:
        last = list(stream)[-1]
    assert (last.type, last.code, last.sequence_number) == ("error", "server_error", 99)
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "upstream_error")
    assert (row["usage_source"], row["output_tokens"] > 0) == ("tokenizer_estimate", True)


def test_a_broken_stream_ends_with_an_error_that_the_sdk_raises(caller, client):
    headers = sending(call_id := new_id(), break_after_chunks=2)
    with (
        client.responses.create(model=MODEL, input="one", stream=True, extra_headers=headers) as stream,
        pytest.raises(openai.APIError, match="broke off") as raised,
    ):
        list(stream)
    assert raised.value.code == "upstream_broke"
    row = caller.row(call_id)
    assert (row["reason"], row["usage_source"], row["status_code"]) == (
        "upstream_broke",
        "tokenizer_estimate",
        200,
    )
    plan = {"break_after_chunks": 2}
    reply = caller.post(
        PATH, new_id(), json.dumps({"model": MODEL, "input": "x", "stream": True}).encode(), **plan
    )
    event = json.loads(reply.body.rpartition(b"event: error\ndata: ")[2])
    assert (event["type"], event["code"], event["param"]) == ("error", "upstream_broke", None)
    assert event["message"] == event["error"]["message"]
    assert isinstance(event["sequence_number"], int)


def test_a_stream_is_read_to_its_end_when_the_client_leaves(caller, client):
    headers = sending(call_id := new_id(), chunks=12, chunk_delay_ms=30)
    with client.responses.create(model=MODEL, input="one", stream=True, extra_headers=headers) as stream:
        next(event for event in stream if event.type == "response.output_text.delta")
    caller.product.until(lambda: caller.product.rows_of(call_id))
    row = caller.row(call_id)
    assert (row["finish"], row["usage_source"], row["output_tokens"]) == (
        "client_abort",
        "provider_final",
        12,
    )


def test_the_row_stands_before_the_client_has_the_last_event(caller):
    body = json.dumps({"model": MODEL, "input": "one", "stream": True}).encode()
    headers = caller.headers(PATH, call_id := new_id(), chunks=7, split_bytes=11)
    with opened(caller.product.gateway, "POST", PATH, headers, body) as answer:
        text = b""
        while b"event: response.completed" not in text:
            piece = answer.read1()
            assert piece, text
            text += piece
        assert len(caller.product.rows_of(call_id)) == 1
        text += answer.read()
    assert text.count(b"event: response.completed") == 1


ERRORS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("status", ERRORS)
def test_an_error_is_the_providers_own(caller, client, status, streamed):
    headers = sending(call_id := new_id(), status=status, retry_after=7)
    with pytest.raises(ERRORS[status]) as raised:
        client.responses.create(model=MODEL, input="one", stream=streamed, extra_headers=headers)
    assert "(simulated)" in raised.value.message
    assert raised.value.response.headers["retry-after"] == "7"
    row = caller.row(call_id)
    assert (row["reason"], row["cost_nusd"], row["status_code"]) == ("upstream_refused", 0, status)


@pytest.mark.parametrize(
    "field", [{"model": None}, {"model": 7}, {"max_output_tokens": 0}, {"max_output_tokens": "9"}]
)
def test_what_cannot_be_reserved_is_refused_in_the_dialect(caller, field):
    reply = caller.post(PATH, new_id(), json.dumps({"model": MODEL, "input": "x"} | field).encode())
    assert (reply.status, reply.error["code"], reply.error["type"]) == (
        400,
        "bad_request",
        "invalid_request_error",
    )
    found = "select decision, reason from vis.request_logs where request_id = %s"
    (row,) = caller.product.query(found, reply.header("x-vis-request-id"))
    assert (row["decision"], row["reason"]) == ("refused", "bad_request")


def test_an_upgrade_to_a_websocket_is_refused(caller):
    headers = [*caller.headers(PATH, new_id()), ("connection", "upgrade"), ("upgrade", "websocket")]
    reply = ask(caller.product.gateway, "GET", PATH, headers)
    assert (reply.status, reply.error["code"]) == (426, "upgrade_not_supported")


SEARCH = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "PJM"}}
FILES = {"type": "file_search_call", "status": "completed", "queries": ["PJM"]}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Done.", "annotations": []}],
}


@pytest.mark.parametrize("streamed", [False, True])
def test_searches_are_billed_beside_the_tokens(caller, client, streamed):
    output = [SEARCH | {"id": "ws_1"}, SEARCH | {"id": "ws_2"}, FILES | {"id": "fs_1"}, MESSAGE]
    headers = sending(call_id := new_id(), usage=USAGE, extra={"output": output})
    answer = client.responses.create(model=MODEL, input="one", stream=streamed, extra_headers=headers)
    if streamed:
        list(answer)
    row = caller.row(call_id)
    assert (row["usage"]["web_search"], row["usage"]["file_search"]) == (2, 1)
    assert row["cost_nusd"] == recomputed(row) == COST + 2 * 10_000_000 + 2_500_000
    assert "usage_problem" not in row["tags"]


@pytest.mark.parametrize(
    ("item", "bucket"),
    [
        ({"id": "ci_1", "type": "code_interpreter_call", "container_id": "cntr_1"}, "code_session"),
        ({"id": "ig_1", "type": "image_generation_call", "result": "iVBORw0KGgo="}, "images"),
    ],
)
def test_a_tool_without_a_price_makes_the_cost_unknown_and_never_less(caller, client, item, bucket):
    output = [item | {"status": "completed"}, MESSAGE]
    headers = sending(call_id := new_id(), usage=USAGE, extra={"output": output})
    client.responses.create(model=MODEL, input="one", extra_headers=headers)
    row = caller.row(call_id)
    assert (row["price_state"], row["cost_nusd"], row["usage"][bucket]) == ("unknown", 0, 1)
    assert row["tags"]["usage_problem"]
    assert (row["input_tokens"], row["output_tokens"]) == (800, 100)


def test_the_tier_is_the_one_that_was_served(caller, client):
    headers = sending(call_id := new_id(), usage=USAGE, service_tier="priority")
    client.responses.create(model=MODEL, input="one", service_tier="flex", extra_headers=headers)
    row = caller.row(call_id)
    assert (row["served_tier"], row["cost_nusd"]) == ("priority", 2 * COST)


def test_a_kept_response_is_fetched_listed_and_deleted_for_nothing(caller, client):
    response = client.responses.create(
        model=MODEL, input="one two", extra_headers=sending(call_id := new_id(), usage=USAGE)
    )
    ids = [new_id() for _ in range(4)]
    fetched = client.responses.retrieve(response.id, extra_headers=sending(ids[0]))
    assert (fetched.output_text, fetched.usage.to_dict()) == (response.output_text, USAGE)
    with client.responses.retrieve(response.id, stream=True, extra_headers=sending(ids[1])) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
    items = client.responses.input_items.list(response.id, extra_headers=sending(ids[2]))
    assert items.data[0].content[0].text == "one two"
    client.responses.delete(response.id, extra_headers=sending(ids[3]))
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
    check(caller.row(call_id))
    for one in ids:
        row = caller.row(one)
        assert (row["cost_nusd"], row["usage"], row["usage_source"]) == (0, None, "none")
        assert (row["task_class"], row["decision"], row["price_state"]) == ("catalogue", "allowed", "known")


def test_counting_input_costs_nothing(caller, client):
    headers = sending(call_id := new_id())
    counted = client.responses.input_tokens.count(model=MODEL, input="one two three", extra_headers=headers)
    assert counted.input_tokens == 3
    row = caller.row(call_id)
    assert (row["price_state"], row["cost_nusd"], row["model_requested"]) == ("free", 0, MODEL)


def test_a_compaction_is_a_call_like_any_other(caller, client):
    headers = sending(call_id := new_id(), usage=USAGE)
    compacted = client.responses.compact(model=MODEL, input="one two three", extra_headers=headers)
    assert compacted.output[-1].type == "compaction"
    row = caller.row(call_id)
    assert (row["cost_nusd"], row["model_used"], row["usage_source"]) == (COST, MODEL, "provider_final")


def begin(client: openai.OpenAI, call_id: str, **more: Any) -> Any:
    headers = sending(call_id, usage=USAGE)
    response = client.responses.create(
        model=MODEL, input="one", background=True, extra_headers=headers, **more
    )
    assert response.status == "queued"
    assert response.usage is None
    return response


def waiting(caller: Caller, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The holds of a call that goes on."""
    return caller.product.query(
        "select hold_id, amount_nusd from vis.budget_holds where request_id = %s", row["request_id"]
    )


def poll(client: openai.OpenAI, response: Any, **more: Any) -> Any:
    """Fetch it until it is complete."""
    while response.status in {"queued", "in_progress"}:
        response = client.responses.retrieve(response.id, **more)
    return response


def check_begun(caller: Caller, row: dict[str, Any]) -> None:
    """Its row says that nothing is known yet, and its worst case stays held."""
    assert (row["entry"], row["usage_source"], row["usage"]) == ("call", "none", None)
    assert (row["cost_nusd"], row["finish"], row["decision"]) == (0, "queued", "allowed")
    reserved = caller.product.query(
        "select amount_nusd from vis.budget_events where request_id = %s and kind = 'reserve' order by wseq",
        row["request_id"],
    )
    (held,) = waiting(caller, row)
    assert [event["amount_nusd"] for event in reserved] == [held["amount_nusd"]] * 2
    assert held["amount_nusd"] > COST


def check_charged(caller: Caller, call_id: str) -> None:
    """It is charged once, by a true-up of the row that began it, and nothing is held any more."""
    begun, charged = caller.product.rows_of(call_id)
    assert (charged["entry"], charged["corrects"]) == ("true_up", begun["id"])
    assert charged["request_id"] == begun["request_id"]
    check(charged)
    assert waiting(caller, begun) == []


def test_a_response_in_the_background_is_charged_once_when_its_answer_is_first_seen(caller, client):
    response = begin(client, call_id := new_id())
    (row,) = caller.product.rows_of(call_id)
    check_begun(caller, row)
    assert client.responses.retrieve(response.id).status == "in_progress"
    assert len(waiting(caller, row)) == 1
    fetch_id = new_id()
    done = client.responses.retrieve(response.id, extra_headers={"x-client-request-id": fetch_id})
    assert (done.status, done.usage.to_dict()) == ("completed", USAGE)
    check_charged(caller, call_id)
    assert caller.row(fetch_id)["cost_nusd"] == 0
    for _ in range(3):
        client.responses.retrieve(response.id)
    check_charged(caller, call_id)


def test_many_who_fetch_one_answer_at_once_charge_it_once(caller, client):
    begun = [(begin(client, call_id), call_id) for call_id in (new_id(), new_id(), new_id())]
    for response, _ in begun:
        client.responses.retrieve(response.id)
    with ThreadPoolExecutor(24) as pool:
        polled = list(pool.map(lambda at: poll(client, begun[at % 3][0]), range(48)))
    assert {response.status for response in polled} == {"completed"}
    for _, call_id in begun:
        check_charged(caller, call_id)


def test_an_answer_is_charged_to_who_asked_and_not_to_who_fetches(product, caller, client):
    response = begin(client, call_id := new_id())
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=product.issue(), max_retries=0) as other:
        poll(other, response)
    check_charged(caller, call_id)
    begun, charged = product.rows_of(call_id)
    assert charged["key_id"] == begun["key_id"]
    assert charged["task_id"] == "HPC-1234"


def test_a_background_stream_that_is_complete_is_an_ordinary_call(caller, client):
    headers = sending(call_id := new_id(), usage=USAGE)
    given = {"model": MODEL, "input": "one", "background": True, "extra_headers": headers}
    with client.responses.create(**given, stream=True) as stream:
        name = list(stream)[-1].response.id
    check(caller.row(call_id))
    client.responses.retrieve(name)
    check(caller.row(call_id))


def test_a_background_stream_that_broke_is_charged_when_it_is_taken_up_again(caller, client):
    headers = sending(call_id := new_id(), usage=USAGE, break_after_chunks=2)
    given = {"model": MODEL, "input": "one", "background": True, "extra_headers": headers}
    seen = []
    with client.responses.create(**given, stream=True) as stream, pytest.raises(openai.APIError):
        seen.extend(stream)
    (row,) = caller.product.rows_of(call_id)
    assert (row["reason"], row["usage_source"], row["cost_nusd"]) == ("upstream_broke", "none", 0)
    assert len(waiting(caller, row)) == 1
    name, last = seen[0].response.id, seen[-1].sequence_number
    with client.responses.retrieve(name, stream=True, starting_after=last) as stream:
        rest = list(stream)
    assert [event.sequence_number for event in rest] == list(range(last + 1, last + 1 + len(rest)))
    assert rest[-1].type == "response.completed"
    check_charged(caller, call_id)


async def test_a_background_response_async(caller, client_async):
    headers = sending(call_id := new_id(), usage=USAGE)
    response = await client_async.responses.create(
        model=MODEL, input="one", background=True, extra_headers=headers
    )
    while response.status in {"queued", "in_progress"}:
        response = await client_async.responses.retrieve(response.id)
    check_charged(caller, call_id)


def test_what_was_cancelled_and_reports_nothing_stays_held(caller, client):
    response = begin(client, call_id := new_id())
    assert client.responses.cancel(response.id).status == "cancelled"
    assert client.responses.retrieve(response.id).status == "cancelled"
    (row,) = caller.product.rows_of(call_id)
    check_begun(caller, row)


def test_what_nobody_fetches_is_charged_at_its_worst_case_once_its_hold_expires(caller, client):
    response = begin(client, call_id := new_id())
    (row,) = caller.product.rows_of(call_id)
    (held,) = waiting(caller, row)
    caller.product.query(
        "update vis.budget_holds set expires_at = now() - interval '1 s' where hold_id = %s returning hold_id",
        held["hold_id"],
    )
    caller.product.until(lambda: len(caller.product.rows_of(call_id)) == 2)
    poll(client, response)
    begun, charged = caller.product.rows_of(call_id)
    assert (charged["entry"], charged["corrects"]) == ("true_up", begun["id"])
    assert (charged["usage_source"], charged["reason"]) == ("reservation_ceiling", "in_doubt")
    assert charged["cost_nusd"] == held["amount_nusd"]


def test_under_another_name_it_is_the_same(caller):
    product = caller.product
    product.run("provider", "add", "shelf", "--base-url", f"{product.sandbox}/v1", stdin="sk-any\n")
    words = ("--input", "2", "--output", "8", "--yes")
    product.run("price", "set", "shelf", "books-1", *words)
    path, body = "/shelf/v1/responses", json.dumps({"model": "books-1", "input": "one"}).encode()

    def row() -> dict[str, Any]:
        reply = caller.post(path, call_id := new_id(), body, usage=USAGE)
        return caller.row(call_id) | {"status": reply.status}

    product.until(lambda: row()["price_state"] == "known" and row()["status"] == 200)
    priced = row()
    assert (priced["provider"], priced["dialect"]) == ("shelf", "responses")
    assert Decimal(priced["cost_nusd"]) == 1000 * 2_000 + 100 * 8_000


def test_a_gateway_that_was_killed_leaves_what_goes_on_to_the_next_one():
    with running(fence_after="2") as product:
        set_up(product)
        caller = Caller(product, product.issue())
        with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key, max_retries=8) as client:
            response = begin(client, call_id := new_id())
            os.kill(product.pid("gateway"), signal.SIGKILL)
            fenced = "select 1 from vis.writers where process = 'gateway' and fenced_at is not null"
            product.until(lambda: product.query(fenced))
            (row,) = product.rows_of(call_id)
            check_begun(caller, row)
            poll(client, response)
            check_charged(caller, call_id)
