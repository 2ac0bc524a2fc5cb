"""Batches by the vendors' own clients, and what the ledger says of their lines: half the price of the calls."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from conformance import client_calls as by
from gateway.calls import new_id
from product import Product
from visionality.core.money import usd

LINES = 5
CHAT, RESPONSES, IMAGES = "/v1/chat/completions", "/v1/responses", "/v1/images/generations"
MESSAGES = "/v1/messages"
HEAD = ("client", "endpoint", "lines", "rows", "units expected", "found", "USD expected", "found", "still held", "equal")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A client, what each line of its batch asks, and what one line must come to."""

    name: str
    client: by.Client
    endpoint: str
    body: dict[str, Any]
    usage: dict[str, Any]
    units: dict[str, int]
    nusd: int


def both(name: str, make: Callable[[bool], by.Client], *rest: Any) -> list[Case]:
    return [Case(name, make(False), *rest), Case(f"{name} async", make(True), *rest)]


OPENAI_UNITS = {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
CLAUDE_UNITS = {"in_text": 100, "cache_read": 50, "cache_write_5m": 10, "cache_write_1h": 20, "out_text": 80}
PICTURE = {
    "input_tokens": 2,
    "input_tokens_details": {"text_tokens": 2, "image_tokens": 0},
    "output_tokens": 1056,
    "total_tokens": 1058,
}
CASES = (
    *both("openai", by.OpenAI, CHAT, {"model": by.GPT, "messages": by.SAID}, by.CHAT_USAGE, OPENAI_UNITS, 1000 * 1_250 + 100 * 5_000),
    *both("openai", by.OpenAI, RESPONSES, {"model": by.RESPONDING, "input": "one two three"}, by.RESPONSES_USAGE, OPENAI_UNITS, 800 * 625 + 200 * 125 // 2 + 100 * 5_000),
    *both("openai", by.OpenAI, IMAGES, {"model": by.DRAWING, "prompt": "a ledger"}, PICTURE, {"in_text": 2, "out_image": 1056}, 2 * 2_500 + 1056 * 20_000),
    *both("anthropic", by.Anthropic, MESSAGES, {"model": by.CLAUDE, "max_tokens": 99, "messages": by.SAID}, by.MESSAGES_USAGE, CLAUDE_UNITS, 100 * 1_500 + 50 * 150 + 10 * 1_875 + 20 * 3_000 + 80 * 7_500),
)  # fmt: skip


# ---------------------------------------------------------------- what a client does


def names() -> list[str]:
    return [f"line-{number}" for number in range(LINES)]


def input_file(case: Case) -> tuple[str, bytes]:
    lines = [
        {"custom_id": name, "method": "POST", "url": case.endpoint, "body": case.body} for name in names()
    ]
    return "lines.jsonl", b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def requests(case: Case) -> list[dict[str, Any]]:
    return [{"custom_id": name, "params": case.body} for name in names()]


def openai_batch(client: Any, case: Case, headers: by.Headers) -> str:
    """Submit a batch, look until it has ended, read its results; returns its id."""
    file = client.files.create(file=input_file(case), purpose="batch")
    asked = {"input_file_id": file.id, "endpoint": case.endpoint, "completion_window": "24h"}
    batch = client.batches.create(**asked, extra_headers=headers)
    while batch.status != "completed":
        batch = client.batches.retrieve(batch.id)
    client.files.content(batch.output_file_id)
    return str(batch.id)


async def openai_batch_async(client: Any, case: Case, headers: by.Headers) -> str:
    file = await client.files.create(file=input_file(case), purpose="batch")
    asked = {"input_file_id": file.id, "endpoint": case.endpoint, "completion_window": "24h"}
    batch = await client.batches.create(**asked, extra_headers=headers)
    while batch.status != "completed":
        batch = await client.batches.retrieve(batch.id)
    await client.files.content(batch.output_file_id)
    return str(batch.id)


def anthropic_batch(client: Any, case: Case, headers: by.Headers) -> str:
    batches = client.messages.batches
    batch = batches.create(requests=requests(case), extra_headers=headers)
    while batch.processing_status != "ended":
        batch = batches.retrieve(batch.id)
    list(batches.results(batch.id))
    return str(batch.id)


async def anthropic_batch_async(client: Any, case: Case, headers: by.Headers) -> str:
    batches = client.messages.batches
    batch = await batches.create(requests=requests(case), extra_headers=headers)
    while batch.processing_status != "ended":
        batch = await batches.retrieve(batch.id)
    async for _ in await batches.results(batch.id):
        pass
    return str(batch.id)


def made(place: by.Place, case: Case, headers: by.Headers) -> str:
    """The id of a batch of this case, whose results its client has read."""
    is_anthropic = case.endpoint == MESSAGES
    if case.client.is_async:
        act = anthropic_batch_async if is_anthropic else openai_batch_async
        return asyncio.run(_made_async(place, case, headers, act))
    with closing(case.client.made(place)) as client:
        return (anthropic_batch if is_anthropic else openai_batch)(client, case, headers)


async def _made_async(
    place: by.Place, case: Case, headers: by.Headers, act: Callable[[Any, Case, by.Headers], Awaitable[str]]
) -> str:
    async with case.client.made(place) as client:
        return await act(client, case, headers)


# ---------------------------------------------------------------- what the ledger says


def played(product: Product, place: by.Place, case: Case) -> tuple[tuple[str, ...], bool]:
    """The cells of one batch, and whether its rows are what they must be."""
    call_id = new_id()
    batch_id = made(place, case, by.sending(call_id, {"usage": case.usage}))
    (begun,) = product.query(
        "select * from vis.request_logs where entry = 'call' and tags->>'client_request_id' = %s", call_id
    )
    standing = (
        "select coalesce(sum(amount_nusd), 0)::bigint as held from vis.budget_holds where request_id = %s"
    )

    def held() -> int:
        return int(product.query(standing, begun["request_id"])[0]["held"])

    product.until(lambda: held() == 0)
    rows = product.query(
        "select * from vis.request_logs where entry = 'true_up' and tags->>'batch_id' = %s", batch_id
    )
    units, nusd = sum(sum(row["usage"].values()) for row in rows), sum(row["cost_nusd"] for row in rows)
    equal = (
        begun["cost_nusd"] == 0
        and sorted(row["tags"]["custom_id"] for row in rows) == names()
        and all((row["usage"], row["cost_nusd"]) == (case.units, case.nusd) for row in rows)
        and {row["usage_source"] for row in rows} == {"batch_result"}
    )
    cells = (
        case.name, case.endpoint, str(LINES), str(len(rows)), f"{LINES * sum(case.units.values()):,}", f"{units:,}",
        usd(LINES * case.nusd), usd(nusd), usd(held()), "yes" if equal else "NO",
    )  # fmt: skip
    return cells, equal
