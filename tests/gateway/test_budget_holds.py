"""Promises B1, L4: what a call may cost is held until it is settled, whatever becomes of it, and never freed on a guess."""

import asyncio
import json
from base64 import b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from gateway.budgets import (
    HOUSE,
    INPUT_NUSD,
    NOTHING_NUSD,
    OUTPUT_NUSD,
    SMALL,
    SMALL_NUSD,
    STREAMED_WORST,
    WORST,
    Spender,
    at_worst,
    cap,
    check_books,
    price_house,
    question,
    row_of,
    set_budget,
    somebody,
    spender,
    streaming,
    window,
    worst,
)
from gateway.calls import CHAT, MESSAGES, Reply, ask, body_of, new_id, opened
from gateway.scripted import Scripted, closed_port, scripted
from product import Product
from visionality.core.money import NANO, usd

PRICES = ("--input", str(INPUT_NUSD / 1000), "--output", str(OUTPUT_NUSD / 1000), "--yes")


@pytest.fixture(scope="module", autouse=True)
def books(product: Product) -> Iterator[None]:
    price_house(product)
    yield
    check_books(product)


@pytest.fixture
def one(product: Product) -> Spender:
    return somebody(product)


def provider(product: Product, name: str, base_url: str, *words: str) -> str:
    """The path of a provider by another name, at the same prices."""
    product.run("provider", "add", name, "--base-url", base_url, *words, stdin="sk-any\n")
    product.run("price", "set", name, HOUSE, *PRICES)
    return f"/{name}{CHAT}"


# ---------------------------------------------------------------- in flight, and broken off


def test_a_call_in_flight_holds_its_worst_case_and_what_does_not_fit_beside_it_is_refused(product, one):
    budget = cap(one, STREAMED_WORST + WORST - 1)
    with streaming(one, call_id := new_id(), chunks=20, chunk_delay_ms=100, usage=SMALL) as answer:
        answer.read1()
        assert window(product, budget) == (0, STREAMED_WORST)
        assert at_worst(one).status == 402
        assert answer.read().rstrip().endswith(b"[DONE]")
    assert row_of(one, call_id)["cost_nusd"] == SMALL_NUSD
    assert window(product, budget) == (SMALL_NUSD, 0)
    product.until(lambda: at_worst(one).status == 200)


def test_a_stream_whose_client_leaves_stays_held_until_its_usage_is_known(product, one):
    budget = cap(one, STREAMED_WORST)
    with streaming(one, call_id := new_id(), chunks=20, chunk_delay_ms=100, usage=SMALL) as answer:
        answer.read1()
    assert window(product, budget) == (0, STREAMED_WORST)
    row = row_of(one, call_id)
    assert (row["finish"], row["usage_source"]) == ("client_abort", "provider_final")
    assert window(product, budget) == (SMALL_NUSD, 0)


def test_a_stream_that_is_cut_with_its_client_keeps_the_uncertain_rest_held(product, one):
    path = provider(product, "cutting", f"{product.sandbox}/v1", "--on-abort", "cancel")
    budget = cap(one, STREAMED_WORST)
    with streaming(one, call_id := new_id(), path, chunks=200, chunk_delay_ms=100) as answer:
        answer.read1()
    check_rest(one, budget, row_of(one, call_id))


@pytest.mark.parametrize(
    "plan", [{"break_after_chunks": 3}, {"truncate": True, "chunks": 5}, {"omit_usage": True}], ids=str
)
def test_a_stream_that_ends_without_a_report_keeps_the_uncertain_rest_held(product, one, plan):
    budget = cap(one, STREAMED_WORST)
    with streaming(one, call_id := new_id(), **plan) as answer:
        answer.read()
    check_rest(one, budget, row_of(one, call_id))


def test_a_call_that_times_out_is_not_given_back_on_a_guess(product, one):
    budget = cap(one, WORST)
    reply = one.post(CHAT, call_id := new_id(), question(), hang=True)
    assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
    check_rest(one, budget, row_of(one, call_id), WORST)


def check_rest(who: Spender, budget: str, row: dict[str, Any], held: int = STREAMED_WORST) -> None:
    """An estimate is spent, the rest up to the worst case is held, and let go when its time has come."""
    product = who.product
    assert row["usage_source"] == "tokenizer_estimate"
    assert 0 < row["cost_nusd"] < held
    assert window(product, budget) == (row["cost_nusd"], held - row["cost_nusd"])
    assert at_worst(who).status == 402
    expired = product.query(
        "update vis.budget_holds set expires_at = now() - interval '1 s' where request_id = %s returning 1",
        row["request_id"],
    )
    assert len(expired) == 1
    product.until(lambda: window(product, budget) == (row["cost_nusd"], 0))


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_call_that_its_provider_refuses_costs_nothing_and_holds_nothing(product, one, status):
    budget = cap(one, WORST)
    assert one.post(CHAT, new_id(), question(), status=status).status == status
    assert window(product, budget) == (0, 0)
    assert at_worst(one).status == 200


# ---------------------------------------------------------------- prices that nobody knows

CEILING = NANO // 2
NOBODYS = "model-of-nobody"


def unknown(who: Spender, call_id: str = "", **plan: object) -> Reply:
    return who.post(CHAT, call_id or new_id(), body_of(CHAT, model=NOBODYS), **plan)


def test_an_unknown_price_passes_under_a_soft_budget_and_says_that_it_is_unknown(product, one):
    budget = set_budget(one, f"key:{one.key_id}", NOTHING_NUSD)
    assert unknown(one, call_id := new_id()).status == 200  # noqa: RUF018 -- one line, as everywhere here
    row = row_of(one, call_id)
    assert (row["price_state"], row["cost_nusd"]) == ("unknown", 0)
    assert window(product, budget) == (0, 0)


def test_an_unknown_price_is_refused_under_a_hard_budget_until_one_is_set(product, one):
    """Lessons, row 11: what nobody knows is not zero."""
    budget = cap(one, 1000 * NANO)
    body = body_of(CHAT, model="model-of-tomorrow", max_tokens=64)
    reply = one.post(CHAT, call_id := new_id(), body)
    assert (reply.status, reply.error["code"]) == (402, "price_unknown")
    assert call_id not in one.seen_ids()
    product.run("price", "set", "openai", "model-of-tomorrow", *PRICES)
    product.until(lambda: one.post(CHAT, new_id(), body, usage=SMALL).status == 200)
    assert window(product, budget) == (SMALL_NUSD, 0)


def test_an_unknown_price_is_held_and_counted_at_the_operators_ceiling(product, one):
    budget = cap(one, 2 * CEILING + WORST, "--unknown-price-ceiling", usd(CEILING))
    headers = one.headers(CHAT, first := new_id(), chunks=10, chunk_delay_ms=100)
    body = body_of(CHAT, model=NOBODYS, stream=True)
    with opened(product.gateway, "POST", CHAT, headers, body) as answer:
        answer.read1()
        assert window(product, budget) == (0, CEILING)
        answer.read()
    row = row_of(one, first)
    assert (row["price_state"], row["cost_nusd"]) == ("unknown", 0)
    assert window(product, budget) == (CEILING, 0)
    assert [unknown(one).status for _ in range(2)] == [200, 402]
    assert window(product, budget) == (2 * CEILING, 0)
    assert at_worst(one).status == 200  # its price is known, and there is enough left for it


def test_an_unknown_price_that_its_provider_refused_counts_nothing(product, one):
    budget = cap(one, CEILING, "--unknown-price-ceiling", usd(CEILING))
    assert unknown(one, status=500).status == 500
    assert window(product, budget) == (0, 0)


def test_the_highest_ceiling_is_held_in_all_budgets_and_each_hard_one_needs_its_own(product, one):
    wide = cap(one, 10 * NANO, "--unknown-price-ceiling", usd(CEILING), period="month")
    narrow = cap(one, 10 * NANO, period="day")
    assert unknown(one).error["code"] == "price_unknown"
    cap(one, 10 * NANO, "--unknown-price-ceiling", usd(2 * CEILING), period="day")
    assert unknown(one).status == 200
    assert [window(product, budget) for budget in (wide, narrow)] == [(2 * CEILING, 0)] * 2


# ---------------------------------------------------------------- a shorter answer near the cap

ROOM = 64
"""Bytes that a limit may add to a body; their price is left too."""


def enough_for(who: Spender, tokens: int, body: bytes) -> str:
    """A budget that can pay for this question and an answer of so many tokens."""
    return cap(who, (len(body) + ROOM) * INPUT_NUSD + tokens * OUTPUT_NUSD, "--near-cap", "clamp")


def asked_of_provider(who: Spender) -> dict[str, Any]:
    """The body of the last call that reached it."""
    return dict(json.loads(b64decode(who.seen()["body"])))


def limits(who: Spender, call_id: str) -> tuple[str | None, str | None]:
    """What limit a call came with and what it was sent with, by its row."""
    tags = row_of(who, call_id)["tags"]
    return tags.get("output_limit_asked"), tags.get("output_limit")


def test_near_its_cap_a_call_gets_a_shorter_answer_and_its_row_says_so(product, one):
    budget = enough_for(one, 400, question(1000))
    reply = one.post(CHAT, call_id := new_id(), question(1000), usage=SMALL)
    assert reply.status == 200
    assert asked_of_provider(one) == json.loads(question(400))
    assert limits(one, call_id) == ("1000", "400")
    assert window(product, budget) == (SMALL_NUSD, 0)


def test_a_call_without_a_limit_gets_one_near_the_cap(one):
    body = body_of(CHAT, model=HOUSE)
    enough_for(one, 300, body)
    reply = one.post(CHAT, call_id := new_id(), body, usage=SMALL)
    assert reply.status == 200
    asked = asked_of_provider(one)
    (name,) = asked.keys() - json.loads(body).keys()
    assert (name, asked[name]) == ("max_tokens", 300)
    assert limits(one, call_id) == ("none", "300")


PARTS = [{"role": "user", "parts": [{"text": "one two three"}]}]
BLOCKS = [{"role": "user", "content": [{"text": "one two three"}]}]
SAID = [{"role": "user", "content": "one two three"}]
FORMATS: dict[str, tuple[str, str, dict[str, Any], tuple[str, ...]]] = {
    "messages": ("anthropic", MESSAGES, {"model": HOUSE, "messages": SAID}, ("max_tokens",)),
    "responses": ("openai", "/v1/responses", {"model": HOUSE, "input": "one"}, ("max_output_tokens",)),
    "gemini": (
        "google",
        f"/v1beta/models/{HOUSE}:generateContent",
        {"contents": PARTS},
        ("generationConfig", "maxOutputTokens"),
    ),
    "gemini stream": (
        "google",
        f"/v1beta/models/{HOUSE}:streamGenerateContent?alt=sse",
        {"contents": PARTS},
        ("generationConfig", "maxOutputTokens"),
    ),
    "converse": (
        "bedrock",
        f"/bedrock/model/{HOUSE}/converse",
        {"messages": BLOCKS},
        ("inferenceConfig", "maxTokens"),
    ),
}
"""Of each wire format: the provider, the path, a question, and where its output limit stands."""
ASKED = 4000


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_shorter_answer_in_its_own_words(product, one, name):
    vendor, path, asked, place = FORMATS[name]
    product.run("price", "set", vendor, HOUSE, *PRICES)
    limit: Any = ASKED
    for member in reversed(place):
        limit = {member: limit}
    body = json.dumps(asked | limit).encode()
    enough_for(one, 450, body)
    headers = one.headers(path, call_id := new_id())
    if vendor == "google":
        headers = [("x-goog-api-key", one.key), *headers[1:]]
    reply = ask(product.gateway, "POST", path, headers, body)
    assert reply.status == 200
    sent: Any = asked_of_provider(one)
    for member in place:
        sent = sent[member]
    assert 256 <= sent <= 450
    assert limits(one, call_id) == (str(ASKED), str(sent))


def test_an_answer_of_less_than_256_tokens_is_refused_rather_than_cut_short(product, one):
    budget = enough_for(one, 255, question(1000))
    reply = one.post(CHAT, call_id := new_id(), question(1000), usage=SMALL)
    assert (reply.status, reply.header("x-vis-blocked-by")) == (402, "key")
    assert call_id not in one.seen_ids()
    assert window(product, budget) == (0, 0)


def test_a_call_that_fits_is_sent_as_it_came(one):
    enough_for(one, 1000, question(900))
    reply = one.post(CHAT, call_id := new_id(), question(900), usage=SMALL)
    assert (reply.status, asked_of_provider(one)) == (200, json.loads(question(900)))
    assert limits(one, call_id) == (None, None)


def test_a_budget_that_refuses_is_not_softened_by_one_that_would_clamp(one):
    enough_for(one, 400, question(1000))
    cap(one, worst(400), period="day")
    assert one.post(CHAT, new_id(), question(1000), usage=SMALL).status == 402


async def test_many_that_are_shortened_at_once_stay_below_the_cap(product, one):
    body = question(4000)
    budget = enough_for(one, 20_000, body)
    calls = (
        asyncio.to_thread(one.post, CHAT, new_id(), body, usage=SMALL, first_delay_ms=200) for _ in range(40)
    )
    statuses = [reply.status for reply in await asyncio.gather(*calls)]
    assert set(statuses) <= {200, 402}
    assert window(product, budget) == (statuses.count(200) * SMALL_NUSD, 0)


# ---------------------------------------------------------------- calls that go on, and attempts


def test_a_background_response_stays_held_until_its_answer_is_seen_and_is_charged_once(product, one):
    budget = cap(one, 10 * NANO)
    usage = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
    headers = {"x-client-request-id": new_id(), "x-sandbox-plan": json.dumps({"usage": usage})}
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=one.key, max_retries=0) as client:
        response = client.responses.create(
            model="gpt-5.1", input="one", background=True, max_output_tokens=100, extra_headers=headers
        )
        spent, held = window(product, budget)
        assert spent == 0
        assert held > 0
        cap(one, held)
        assert at_worst(one).status == 402
        while response.status in {"queued", "in_progress"}:
            response = client.responses.retrieve(response.id)
        for _ in range(3):
            client.responses.retrieve(response.id)
    assert window(product, budget) == (1000 * 1_250 + 100 * 10_000, 0)


BUSY = b"HTTP/1.1 503 Busy\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
BUSY_FOR_LONG = BUSY.replace(b"content-type", b"retry-after: 5\r\ncontent-type")
CHOICE = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}
ANSWER = json.dumps(
    {"id": "c1", "object": "chat.completion", "model": HOUSE, "choices": [CHOICE], "usage": SMALL}
).encode()
FINE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


@pytest.fixture(scope="module")
def retried(product: Product) -> Iterator[Scripted]:
    """A provider that is tried again twice."""
    with scripted() as made:
        provider(product, "retried", f"{made.address}/v1", "--retries", "2")
        made.answer = FINE % (len(ANSWER), ANSWER)
        yield made


def test_each_attempt_is_held_and_given_back_in_its_turn(product, one, retried):
    budget = cap(one, 2 * WORST)
    retried.first = [BUSY, BUSY]
    reply = one.post(f"/retried{CHAT}", call_id := new_id(), question())
    assert reply.status == 200
    told = [(row["entry"], row["decision"], row["cost_nusd"]) for row in product.rows_of(call_id)]
    assert told == [("attempt", "failed", 0), ("attempt", "failed", 0), ("call", "allowed", SMALL_NUSD)]
    assert window(product, budget) == (SMALL_NUSD, 0)


def test_an_attempt_that_does_not_fit_is_not_made_and_the_client_has_the_providers_own_answer(
    product, one, retried
):
    budget = cap(one, WORST)
    retried.first = [BUSY]
    reply = one.post(f"/retried{CHAT}", call_id := new_id(), question())
    assert (reply.status, reply.body, retried.first) == (503, b"{}", [])
    (row,) = product.rows_of(call_id)
    assert (row["entry"], row["decision"], row["status_code"]) == ("call", "failed", 503)
    assert window(product, budget) == (0, 0)
    assert one.post(f"/retried{CHAT}", new_id(), question()).status == 200


def test_an_attempt_of_a_call_that_was_shortened_is_as_short_and_its_row_says_so_too(product, one, retried):
    """The money that another call held is there again when the second attempt is made."""
    body = question(1000)
    enough = (len(body) + ROOM) * INPUT_NUSD + 300 * OUTPUT_NUSD
    budget = cap(one, worst(1000) + enough, "--near-cap", "clamp")
    retried.first = [BUSY_FOR_LONG]
    with ThreadPoolExecutor() as pool:
        other = pool.submit(one.post, CHAT, new_id(), body, first_delay_ms=1500, usage=SMALL)
        product.until(lambda: window(product, budget) == (0, worst(1000)))
        reply = one.post(f"/retried{CHAT}", call_id := new_id(), body)
        assert (other.result().status, reply.status) == (200, 200)
    rows = product.rows_of(call_id)
    assert [row["attempt"] for row in rows] == [1, 2]
    assert [row["tags"]["output_limit"] for row in rows] == ["300", "300"]
    assert window(product, budget) == (2 * SMALL_NUSD, 0)


def test_a_provider_that_is_not_there_costs_nothing(product, one):
    path = provider(product, "nowhere", f"{closed_port()}/v1", "--retries", "1")
    budget = cap(one, 2 * WORST)
    assert one.post(path, new_id(), question()).status == 502
    assert window(product, budget) == (0, 0)


@pytest.mark.usefixtures("retried")
def test_a_path_without_a_meter_is_held_at_its_declared_price_and_refused_without_one(product):
    product.run("project", "add", "PASSED")
    who = spender(product, agent="alice@arctrade", project="PASSED")
    budget = cap(who, 2 * NANO // 100)

    def call() -> Reply:
        return who.post("/retried/v1/threads", new_id(), b"{}")

    product.run("project", "passthrough", "PASSED", "retried", "on")
    product.until(lambda: call().status != 404)
    assert call().error["code"] == "price_unknown"
    product.run("project", "passthrough", "PASSED", "retried", "on", "--usd-per-request", "0.01")
    product.until(lambda: call().status == 200)
    assert [call().status for _ in range(2)] == [200, 402]
    assert window(product, budget) == (2 * NANO // 100, 0)
