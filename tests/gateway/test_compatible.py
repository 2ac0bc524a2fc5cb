"""Providers by configuration alone: any server that speaks OpenAI's format, resellers that state what they bill, proxies."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.calls import GPT, Caller, ask, body_of, new_id, recomputed
from gateway.scripted import scripted
from gateway.test_sdks import ONE, OPENAI_USAGE, sending
from product import Product
from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.providers import named
from visionality.gateway.routes import find
from visionality.pricebook.book import PriceBook
from visionality.runtime.clock import utc_now

KEY = "sk-planted-5150"
LLAMA = "llama-3.3-70b"
ROUTED = "anthropic/claude-sonnet-4.6"


def add(product: Product, name: str, address: str, *words: str) -> None:
    product.run("provider", "add", name, "--base-url", address, *words, stdin=KEY)


def client_of(product: Product, caller: Caller, name: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{product.gateway}/{name}/v1", api_key=caller.key, max_retries=0)


def completed(client: openai.OpenAI, model: str, **plan: object) -> tuple[Any, str]:
    """A blocking call: its answer and the id of its row."""
    call_id = new_id()
    headers = sending(call_id, **({"usage": OPENAI_USAGE} | plan))
    return client.chat.completions.create(model=model, messages=ONE, extra_headers=headers), call_id


def streamed(client: openai.OpenAI, model: str, **plan: object) -> tuple[list[Any], str]:
    call_id = new_id()
    headers = sending(call_id, **({"usage": OPENAI_USAGE} | plan))
    with client.chat.completions.create(
        model=model, messages=ONE, stream=True, extra_headers=headers
    ) as stream:
        return list(stream), call_id


@pytest.fixture(scope="module")
def vllm(product, caller) -> Iterator[openai.OpenAI]:
    """An unmodified client of a server that only two words of configuration name."""
    add(product, "vllm", f"{product.sandbox}/v1", "--deployment", "house-chat=llama-3.3-70b")
    with client_of(product, caller, "vllm") as client:
        product.until(lambda: in_force(client))
        yield client


def in_force(client: openai.OpenAI) -> bool:
    try:
        client.models.list()
    except openai.APIStatusError:  # nobody's, or still that of a test before
        return False
    return True


def test_an_unknown_price_is_unknown_and_never_zero(caller, vllm):
    answer, call_id = completed(vllm, "model-of-the-house", text="A ledger.")
    assert answer.choices[0].message.content == "A ledger."
    row = caller.row(call_id)
    assert (row["provider"], row["dialect"]) == ("vllm", "chat_completions")
    assert (row["price_state"], row["cost_nusd"], row["rates"]) == ("unknown", 0, None)
    assert row["usage"] == {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
    chunks, call_id = streamed(vllm, "model-of-the-house")
    assert not any(chunk.usage for chunk in chunks)
    assert caller.row(call_id)["price_state"] == "unknown"


def test_a_price_of_the_operators_makes_its_cost_exact(product, caller, vllm):
    words = ("--input", "0.20", "--output", "0.40", "--cache-read", "0.05", "--yes")
    product.run("price", "set", "vllm", LLAMA, *words)
    product.until(lambda: caller.row(completed(vllm, LLAMA)[1])["price_state"] == "known")
    for call_id in (completed(vllm, LLAMA)[1], streamed(vllm, LLAMA)[1]):
        row = caller.row(call_id)
        assert row["cost_nusd"] == 800 * 200 + 200 * 50 + 100 * 400 == recomputed(row)
        assert (row["price_state"], row["model_used"]) == ("known", LLAMA)
    row = caller.row(completed(vllm, "house-chat")[1])
    assert (row["model_requested"], row["model_used"]) == ("house-chat", LLAMA)
    assert row["cost_nusd"] == 800 * 200 + 200 * 50 + 100 * 400


def test_its_key_goes_to_its_address_and_nowhere_else(caller, vllm):
    completed(vllm, LLAMA)
    seen = caller.seen()
    assert seen["path"] == "/v1/chat/completions"
    assert ["authorization", f"Bearer {KEY}"] in seen["headers"]
    assert caller.key not in str(seen)


def test_its_own_errors_pass_unchanged(caller, vllm):
    with pytest.raises(openai.RateLimitError) as caught:
        completed(vllm, LLAMA, status=429)
    assert "simulated" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "model", "per_million"),
    [("groq", "llama-3.3-70b-versatile", "0.59"), ("mistral", "mistral-large-2411", "2")],
)
def test_a_name_of_the_price_list_is_priced_by_it(product, caller, name, model, per_million):
    add(product, name, f"{product.sandbox}/v1")
    with client_of(product, caller, name) as client:
        product.until(lambda: in_force(client))
        _, call_id = completed(client, model)
    row = caller.row(call_id)
    assert (row["provider"], row["price_state"], row["rates"]["in_text"]) == (name, "known", per_million)
    assert row["cost_nusd"] == recomputed(row) > 0


@pytest.mark.parametrize("name", ["my-openai", "openai-eu", "groq-at-home", "google-mirror"])
def test_a_name_that_only_resembles_one_of_the_price_list_is_not_priced_by_it(name):
    assert PriceBook().card(named(name).price_list, GPT, utc_now(), {}, 1) is None


def test_an_operators_price_counts_where_the_price_list_has_another_name(product, caller):
    words = ("--input", "2", "--output", "4", "--yes")
    product.run("price", "set", "bedrock", "house.model-v1:0", *words)
    body = b'{"messages":[{"role":"user","content":[{"text":"one two three"}]}]}'

    def called() -> dict[str, Any]:
        call_id = new_id()
        path = "/bedrock/model/house.model-v1%3A0/converse"
        reply = ask(product.gateway, "POST", path, caller.headers("chat", call_id), body)
        assert reply.status == 200, reply.body
        return caller.row(call_id)

    product.until(lambda: called()["price_state"] == "known")
    row = called()
    assert (row["rates"]["in_text"], row["rates"]["out_text"]) == ("2", "4")
    assert row["cost_nusd"] == recomputed(row) > 0


def test_a_removed_provider_is_refused_in_the_dialect(product, caller):
    add(product, "leaver", f"{product.sandbox}/v1")
    with client_of(product, caller, "leaver") as client:
        product.until(lambda: in_force(client))
        product.run("provider", "remove", "leaver")
        product.until(lambda: not in_force(client))
        call_id = new_id()
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model=LLAMA, messages=ONE, extra_headers=sending(call_id))
    assert caught.value.code == "provider_not_configured"
    assert "vis provider add leaver" in caught.value.message
    (row,) = product.rows_of(call_id)
    assert (row["decision"], row["status_code"], row["provider"]) == ("refused", 403, "leaver")


@pytest.mark.parametrize("path", ["/vllm/v1/files", "/vllm/openai/v1/chat/completions", "/vllm/v1/messages",
                                  "/v1/v1/chat/completions", "/sandbox/v1/chat/completions", "/V/v1/models"])  # fmt: skip
def test_only_the_metered_routes_of_openais_format_stand_under_its_name(path):
    assert find("POST", path, ()) is None


# ------------------------------------------------------------------ a cost that the provider states

AMOUNTS = {
    "1e-7": 100, "0.0012345678901": 1_234_568, "0": 0, "0.0": 0, "3": 3_000_000_000, "1E-9": 1, "5e-10": 0, "15e-10": 2,
    "25e-10": 2, "0.1": 100_000_000, "0.30000000000000004": 300_000_000, "12.345678912345": 12_345_678_912,
    "1000000": 10**15,
}  # fmt: skip
NOT_STATED = ["-0.01", '"0.01"', "null", "true", "1000001", "{}", "[]", '"NaN"', "-1e-9"]


def report(cost: str, **more: object) -> dict[str, object]:
    return OPENAI_USAGE | {"cost": json.loads(cost)} | more


@pytest.fixture(scope="module")
def openrouter(product, caller) -> Iterator[openai.OpenAI]:
    with client_of(product, caller, "openrouter") as client:
        yield client


@pytest.mark.parametrize("cost", AMOUNTS)
def test_a_resellers_stated_cost_is_the_money_to_the_nanodollar(caller, openrouter, cost):
    for call in (completed, streamed):
        row = caller.row(call(openrouter, ROUTED, usage=report(cost))[1])
        assert row["cost_nusd"] == row["billed_nusd"] == AMOUNTS[cost]
        assert (row["price_state"], row["price_version"]) == ("known", None)
        assert row["rates"] == {"source": "stated by openrouter"}


@given(st.decimals(0, 1000, places=12).filter(lambda usd: len(usd.normalize().as_tuple().digits) <= 15))
def test_no_digit_of_a_stated_cost_is_lost(usd):
    answer = b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":%s}}'
    metered = CHAT_COMPLETIONS.metered_body(answer % f"{usd:f}".encode(), {})
    assert metered.stated_usd == usd


@pytest.mark.parametrize("cost", [*NOT_STATED, None])
def test_a_cost_that_is_none_falls_back_to_the_price_list(caller, openrouter, cost):
    usage = OPENAI_USAGE if cost is None else report(cost)
    row = caller.row(completed(openrouter, ROUTED, usage=usage)[1])
    assert (row["price_state"], row["rates"]["in_text"]) == ("known", "3")
    assert row["cost_nusd"] == recomputed(row) > 0
    row = caller.row(completed(openrouter, "nobody/no-model", usage=usage)[1])
    assert (row["price_state"], row["cost_nusd"]) == ("unknown", 0)


BYOK = {"is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}


@pytest.mark.parametrize(
    ("reported", "nusd"),
    [
        (report("0.001", **BYOK), 21_000_000),
        (report("0", **BYOK), 20_000_000),
        (report("0.001", **BYOK | {"is_byok": False}), 1_000_000),
        (report("0.001", **BYOK | {"is_byok": None}), 1_000_000),
        (report("0.001", is_byok=True), None),
        (report("0.001", is_byok=True, cost_details={"upstream_inference_cost": None}), None),
        (report("0.001", is_byok=True, cost_details={"upstream_inference_cost": -1}), None),
        (report("0.001", is_byok=True, cost_details=[]), None),
    ],
)
def test_with_a_key_of_ones_own_the_fee_is_not_the_whole_cost(caller, openrouter, reported, nusd):
    row = caller.row(completed(openrouter, ROUTED, usage=reported)[1])
    assert json.loads(row["raw_usage"])["is_byok"] is reported["is_byok"]
    if nusd is None:
        assert row["rates"]["in_text"] == "3"
        assert row["cost_nusd"] == recomputed(row) > 1_000_000
    else:
        assert (row["cost_nusd"], row["rates"]) == (nusd, {"source": "stated by openrouter"})


def test_comments_between_its_events_change_nothing(caller, openrouter):
    chunks, call_id = streamed(openrouter, ROUTED, text="A ledger.", comments=True, usage=report("0.5"))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "A ledger."
    assert caller.row(call_id)["cost_nusd"] == 500_000_000


def test_the_model_that_it_served_is_the_one_on_the_row(caller, openrouter):
    for call in (completed, streamed):
        _, call_id = call(openrouter, "openrouter/auto", served_model="openai/gpt-4o", usage=report("0.25"))
        row = caller.row(call_id)
        assert (row["model_requested"], row["model_used"]) == ("openrouter/auto", "openai/gpt-4o")
        assert row["cost_nusd"] == 250_000_000
        _, call_id = call(openrouter, "openrouter/auto", served_model="openai/gpt-4o")
        row = caller.row(call_id)
        assert (row["rates"]["in_text"], row["cost_nusd"]) == ("2.5", recomputed(row))


def test_a_cost_of_a_provider_that_does_not_bill_it_is_not_believed(caller, vllm):
    row = caller.row(completed(vllm, "model-of-the-house", usage=report("0.25"))[1])
    assert (row["price_state"], row["cost_nusd"]) == ("unknown", 0)


def test_a_stated_cost_is_shown_as_such_and_not_recomputed(product, caller, openrouter):
    row = caller.row(completed(openrouter, ROUTED, usage=report("0.0012345678901"))[1])
    shown = product.run("ledger", "show", str(row["id"]))
    assert "stated by              openrouter" in shown
    assert "0.001234568" in shown
    assert "recomputed" not in shown
    assert product.run("check").startswith("append-only")


# ------------------------------------------------------------------ prepared answers


def event(**chunk: object) -> bytes:
    document = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": ROUTED} | chunk
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def said(text: str, finish: str | None = None) -> dict[str, object]:
    return {
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": finish}]
    }


def whole(headers: str, body: bytes, kind: str = "application/json") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def stream(*events: bytes, headers: str = "") -> bytes:
    return whole(headers, b"".join(events), "text/event-stream")


COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": LLAMA,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        ],
        "usage": OPENAI_USAGE,
    }
).encode()


@contextmanager
def answering(product: Product, caller: Caller, name: str) -> Iterator[tuple[Any, openai.OpenAI]]:
    """A provider of this name that answers with prepared bytes, and its client."""
    with scripted() as provider, client_of(product, caller, name) as client:
        provider.answer = whole("x-scripted: yes\r\n", b'{"object":"list","data":[]}')
        add(product, name, provider.address)
        product.until(
            lambda: (
                "x-scripted" in client.models.with_raw_response.list().headers if in_force(client) else False
            )
        )
        try:
            yield provider, client
        finally:
            product.run("provider", "remove", name)


ERROR = event(error={"code": 502, "message": "Provider returned error"}, **said("", "error"))


def row_of_an_error(caller: Caller, client: openai.OpenAI) -> dict[str, Any]:
    """The row of a stream whose error the SDK raises; it stands by then."""
    call_id = new_id()
    with pytest.raises(openai.APIError, match="Provider returned error"):
        list(
            client.chat.completions.create(
                model=ROUTED, messages=ONE, stream=True, extra_headers=sending(call_id)
            )
        )
    row = caller.row(call_id)
    assert (row["decision"], row["reason"], row["finish"]) == ("failed", "upstream_error", "upstream_error")
    return row


def test_an_error_in_the_middle_of_its_stream_is_a_failure_on_the_row(product, caller):
    processing = b": OPENROUTER PROCESSING\n\n"
    usage = event(choices=[], usage=report("0.002"))
    with answering(product, caller, "openrouter") as (provider, client):
        for ending, nusd, source in (
            ((ERROR,), None, "tokenizer_estimate"),
            ((ERROR, usage), 2_000_000, "provider_final"),
            ((ERROR, usage, b"data: [DONE]\n\n"), 2_000_000, "provider_final"),
        ):
            provider.answer = stream(processing, event(**said("one two")), *ending)
            row = row_of_an_error(caller, client)
            assert row["usage_source"] == source
            assert row["provider"] == "openrouter"
            if nusd is not None:
                assert row["cost_nusd"] == nusd


def test_an_error_ends_a_stream_though_the_provider_does_not_hang_up(product, caller):
    with answering(product, caller, "openrouter") as (provider, client):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        provider.answer, provider.stays_open = head + event(**said("one two")) + ERROR, True
        row_of_an_error(caller, client)


def test_an_error_of_its_own_before_a_stream_passes_with_its_numeric_code(product, caller):
    body = b'{"error":{"code":402,"message":"Insufficient credits","metadata":{}},"user_id":"u"}'
    answer = whole("", body).replace(b"200 OK", b"402 Payment Required")
    with answering(product, caller, "openrouter") as (provider, client):
        provider.answer = answer
        call_id = new_id()
        with pytest.raises(openai.APIStatusError) as caught:
            completed(client, ROUTED)
        assert caught.value.response.content == body
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(
                model=ROUTED, messages=ONE, stream=True, extra_headers=sending(call_id)
            )
    row = caller.row(call_id)
    assert (row["reason"], row["status_code"], row["cost_nusd"]) == ("upstream_refused", 402, 0)


# ------------------------------------------------------------------ a proxy of the organisation's own

LITELLM_HEADERS = {
    "x-litellm-response-cost": "0.00012",
    "x-litellm-model-api-base": "https://internal.acme.example",
    "x-litellm-model-id": "deployment-7",
    "llm_provider-x-ratelimit-remaining-requests": "99",
}


def lines(**more: str) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in (LITELLM_HEADERS | more).items() if value)


def test_a_proxys_cost_is_kept_to_compare_and_is_not_the_money(product, caller):
    product.run("price", "set", "litellm", LLAMA, "--input", "1", "--output", "2", "--yes")
    with answering(product, caller, "litellm") as (provider, client):
        provider.answer = whole(lines(), COMPLETION)
        product.until(lambda: caller.row(_called(client)[1])["price_state"] == "known")
        answer, call_id = _called(client)
        row = caller.row(call_id)
        assert row["tags"]["stated_usd"] == "0.00012"
        assert row["cost_nusd"] == 1000 * 1000 + 100 * 2000 == recomputed(row)
        assert "x-litellm-model-api-base" not in answer.headers
        passed = set(LITELLM_HEADERS) - {"x-litellm-model-api-base"}
        assert {name: answer.headers[name] for name in passed} == {
            name: LITELLM_HEADERS[name] for name in passed
        }
        provider.answer = stream(event(**said("Yes.", "stop")), event(choices=[], usage=OPENAI_USAGE), b"data: [DONE]\n\n",
                                 headers=lines())  # fmt: skip
        _, call_id = streamed(client, LLAMA)
        assert caller.row(call_id)["tags"]["stated_usd"] == "0.00012"


@pytest.mark.parametrize("said", ["", "None", "-1", "nan", "1" * 60, "0.1 USD"])
def test_a_proxys_cost_that_is_none_is_not_kept(product, caller, said):
    with answering(product, caller, "litellm") as (provider, client):
        provider.answer = whole(lines(**{"x-litellm-response-cost": said}), COMPLETION)
        row = caller.row(_called(client)[1])
    assert "stated_usd" not in row["tags"]


def _called(client: openai.OpenAI) -> tuple[Any, str]:
    call_id = new_id()
    create = client.chat.completions.with_raw_response.create
    return create(model=LLAMA, messages=ONE, extra_headers={"x-client-request-id": call_id}), call_id


def test_a_proxy_is_told_not_to_retry(product, caller):
    add(product, "litellm", f"{product.sandbox}/v1")
    with client_of(product, caller, "litellm") as client:
        product.until(lambda: in_force(client))
        headers = {"x-litellm-num-retries": "5", "x-litellm-tags": "team-a"}
        client.chat.completions.create(model=LLAMA, messages=ONE, extra_headers=headers)
    seen = [(name, value) for name, value in caller.seen()["headers"] if name.startswith("x-litellm-")]
    assert sorted(seen) == [("x-litellm-num-retries", "0"), ("x-litellm-tags", "team-a")]


def test_a_proxy_nobody_set_up_is_no_sandbox(product, caller):
    product.try_run("provider", "remove", "litellm")
    product.until(lambda: ask(product.gateway, "POST", "/litellm/v1/chat/completions",
                              caller.headers("chat", new_id()), body_of("chat")).status == 403)  # fmt: skip
