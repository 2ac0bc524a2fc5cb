"""Batches through the official SDKs, and what the ledger says of them."""

import json
from typing import Any

import anthropic
import openai

from gateway.calls import CLAUDE, GPT, recomputed
from product import Product
from visionality.sandbox.generation import DEFAULT

CHAT, BATCHES, FILES = "/v1/chat/completions", "/v1/batches", "/v1/files"
MESSAGE_BATCHES = "/v1/messages/batches"
HAIKU = "claude-haiku-4-5"
SAID = [{"role": "user", "content": "one two three"}]
BODIES = {
    CHAT: {"model": GPT, "max_tokens": 100, "messages": SAID},
    "/v1/responses": {"model": "gpt-5.1", "max_output_tokens": 100, "input": "one two three"},
    "/v1/embeddings": {"model": "text-embedding-3-small", "input": "one two three"},
    "/v1/moderations": {"input": "one two three"},
    "/v1/images/generations": {"model": "gpt-image-1", "prompt": "one two three"},
}
GPT_IN, GPT_OUT = 1_250, 5_000
"""Nano-USD a token of gpt-4o in a batch: half of 2.50 and 10 USD per million."""
CHAT_COST = 3 * GPT_IN + DEFAULT.output_tokens * GPT_OUT
CLAUDE_COST = 3 * 1_500 + DEFAULT.output_tokens * 7_500
HAIKU_COST = 3 * 500 + DEFAULT.output_tokens * 2_500
UNENDING = {"polls": 1_000_000}

Row = dict[str, Any]


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


def line(custom_id: str, url: str = CHAT, **fields: object) -> dict[str, Any]:
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": BODIES[url] | fields}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def request(custom_id: str, **fields: object) -> dict[str, Any]:
    params = {"model": CLAUDE, "max_tokens": 100, "messages": SAID} | fields
    return {"custom_id": custom_id, "params": params}


def submit(
    client: openai.OpenAI, call_id: str, *lines: dict[str, Any], url: str = CHAT, **plan: object
) -> openai.types.Batch:
    file = client.files.create(file=("lines.jsonl", jsonl(*lines)), purpose="batch")
    headers = sending(call_id, **plan)
    return client.batches.create(
        input_file_id=file.id, endpoint=url, completion_window="24h", extra_headers=headers
    )


def ended(client: openai.OpenAI, batch: openai.types.Batch) -> openai.types.Batch:
    """Look until it has ended."""
    while batch.status in {"validating", "in_progress", "finalizing", "cancelling"}:
        batch = client.batches.retrieve(batch.id)
    return batch


def message_batch(
    client: anthropic.Anthropic, call_id: str, *requests: dict[str, Any], **plan: object
) -> Any:
    return client.messages.batches.create(requests=requests, extra_headers=sending(call_id, **plan))


def all_ended(client: anthropic.Anthropic, batch: Any) -> Any:
    while batch.processing_status != "ended":
        batch = client.messages.batches.retrieve(batch.id)
    return batch


def submission(product: Product, call_id: str) -> Row:
    """The row of the request that submitted a batch."""
    (row,) = [row for row in product.rows_of(call_id) if row["entry"] == "call"]
    return row


def held(product: Product, row: Row) -> list[int]:
    """What still stands of a batch's holds, in nano-USD."""
    found = "select amount_nusd from vis.budget_holds where request_id = %s"
    return [hold["amount_nusd"] for hold in product.query(found, row["request_id"])]


def line_rows(product: Product, batch_id: str) -> list[Row]:
    found = "select * from vis.request_logs where entry = 'true_up' and tags->>'batch_id' = %s order by created_at, id"
    return product.query(found, batch_id)


def collected(product: Product, call_id: str, batch_id: str) -> dict[str, Row]:
    """The rows of a batch's lines, once nothing of it is held any more. Their holds and their money are checked."""
    begun = submission(product, call_id)
    product.until(lambda: held(product, begun) == [])
    rows = line_rows(product, batch_id)
    named = {row["tags"]["custom_id"]: row for row in rows}
    assert len(named) == len(rows), "a line has two rows"
    check_begun(begun)
    for row in rows:
        check_line(row, begun)
    check_events(product, begun, rows)
    return named


def check_begun(row: Row) -> None:
    assert (row["cost_nusd"], row["billed_nusd"], row["usage"]) == (0, 0, None)
    assert (row["usage_source"], row["decision"], row["status_code"]) == ("none", "allowed", 200)


def check_line(row: Row, begun: Row) -> None:
    assert (row["corrects"], row["request_id"]) == (begun["id"], begun["request_id"])
    whose = ("key_id", "agent_sub", "project_id", "task_id", "task_class", "memo", "provider", "cost_center")
    assert [row[name] for name in whose] == [begun[name] for name in whose]
    if row["price_state"] == "known" and row["usage"]:
        assert recomputed(row) == row["cost_nusd"]
    assert row["billed_nusd"] == row["cost_nusd"]


def check_events(product: Product, begun: Row, rows: list[Row]) -> None:
    """Every hold of a batch was made once and taken once, and what was settled is what its lines cost."""
    found = "select hold_id, kind, amount_nusd, actual_nusd from vis.budget_events where request_id = %s"
    events = product.query(found, begun["request_id"])
    made = [event["hold_id"] for event in events if event["kind"] == "reserve"]
    taken = [event["hold_id"] for event in events if event["kind"] in {"settle", "release", "expire"}]
    assert len(made) == len(set(made))
    assert sorted(made) == sorted(taken)
    settled = sum(event["actual_nusd"] for event in events if event["kind"] == "settle")
    assert settled == sum(row["cost_nusd"] for row in rows)


def check_done(row: Row, model: str, usage: dict[str, int], cost_nusd: int) -> None:
    """The row of a line that was answered and reported its usage."""
    assert (row["decision"], row["status_code"], row["reason"]) == ("allowed", 200, None)
    assert (row["model_used"], row["usage"]) == (model, usage)
    assert (row["cost_nusd"], row["usage_source"], row["price_state"]) == (cost_nusd, "batch_result", "known")
    assert "usage_problem" not in row["tags"]


def check_free(row: Row, reason: str) -> None:
    """The row of a line that has no answer."""
    assert (row["decision"], row["reason"], row["cost_nusd"]) == ("failed", reason, 0)
    assert (row["usage"], row["usage_source"], row["price_state"]) == (None, "none", "known")
