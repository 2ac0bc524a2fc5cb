"""Promises B1, K3: what the official SDKs, unmodified, make of a 402, and what a caller learns from it.

An SDK that repeats a refused call makes a cap a retry storm (lessons, the two from measurement). So each test counts what
arrived: the calls of its key, as rows and as what rows stand for.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import anthropic
import boto3
import openai
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors, types

from gateway.budgets import (
    NOTHING_NUSD,
    Spender,
    check_books,
    price_house,
    refused,
    set_budget,
    spender,
    windows,
)
from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, body_of, new_id
from gateway.terminator import terminated
from product import Product
from visionality.core.window import Period, bounds
from visionality.runtime.clock import utc_now

pytestmark = [
    # google-genai inherits from a class of aiohttp that warns of it
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

AGENT, PROJECT = "broke@arctrade", "SPENT"
FLASH = "gemini-2.5-flash"
SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ONE = [{"role": "user", "content": "one two three"}]
A_SUM = re.compile(r"[$€]|USD|dollar|\d", re.IGNORECASE)


@pytest.fixture(scope="module")
def budget(product: Product) -> str:
    """A project that has spent what it may; nothing of anybody else's."""
    product.run("project", "add", PROJECT)
    product.run("agent", "add", AGENT, "--owner", "B. Roke")
    price_house(product)
    first = spender(product, agent=AGENT, project=PROJECT)
    return set_budget(first, f"project:{PROJECT}", NOTHING_NUSD, "--hard", period="month")


@pytest.fixture
def broke(product: Product, budget: str) -> Spender:
    """A key of its own for each test: what one is refused does not count for another."""
    return spender(product, agent=AGENT, project=PROJECT)


def resets(period: Period = "month") -> str:
    """When the next window begins, as a caller is told."""
    _, ends_at = bounds(period, ZoneInfo("UTC"), utc_now())
    return f"{ends_at:%Y-%m-%dT%H:%M:%SZ}"


def check_refused(broke: Spender, headers: Any, message: str, call_id: str) -> None:
    """The 402 as everybody gets it, its only row, and that it was sent once."""
    assert (headers["x-acc-error"], headers["x-should-retry"]) == ("spend_token_blocked", "false")
    assert (headers["x-vis-blocked-by"], headers["x-vis-budget-resets"]) == ("project", resets())
    assert not {"retry-after", "retry-after-ms"} & {name.lower() for name in headers}
    assert f"project {PROJECT}" in message
    assert message.count(resets()) == 1
    assert not A_SUM.search(message.replace(resets(), ""))
    check_row(broke, call_id, headers["x-vis-request-id"])
    check_sent_once(broke)


def check_row(broke: Spender, call_id: str, request_id: str) -> None:
    product = broke.product
    (row,) = product.rows_of(call_id)
    assert str(row["request_id"]) == request_id
    assert (row["decision"], row["reason"], row["status_code"]) == ("refused", "spend_token_blocked", 402)
    assert (row["entry"], row["cost_nusd"], row["usage_source"], row["usage"]) == ("call", 0, "none", None)
    assert row["tags"]["blocked_by"] == f"project:{PROJECT}"
    assert "repeats" not in row["tags"]
    assert call_id not in broke.seen_ids()
    events = product.query(
        "select kind, windows, actual_nusd from vis.budget_events where request_id = %s", row["request_id"]
    )
    (month,) = product.query(
        "select window_id from vis.budget_windows where scope_value = %s and window_id <> budget_id", PROJECT
    )
    assert events == [{"kind": "deny", "windows": [month["window_id"]], "actual_nusd": None}]
    assert product.query("select 1 from vis.budget_holds where request_id = %s", row["request_id"]) == []


def check_sent_once(broke: Spender) -> None:
    """One call arrived before this one. Whatever an SDK had repeated would have been counted by now, or is with it."""
    reply = broke.post(CHAT, new_id())
    assert reply.status == 402
    broke.product.until(lambda: refused(broke) >= 2)
    assert refused(broke) == 2


def sending(call_id: str) -> dict[str, str]:
    return {"x-client-request-id": call_id}


# ---------------------------------------------------------------- the SDKs


def openai_client(broke: Spender) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{broke.product.gateway}/v1", api_key=broke.key)


OPENAI_CALLS = {
    "chat": lambda client, **given: client.chat.completions.create(model=GPT, messages=ONE, **given),
    "chat stream": lambda client, **given: client.chat.completions.create(
        model=GPT, messages=ONE, stream=True, **given
    ),
    "responses": lambda client, **given: client.responses.create(model="gpt-5.1", input="one", **given),
    "responses stream": lambda client, **given: client.responses.create(
        model="gpt-5.1", input="one", stream=True, **given
    ),
    "responses background": lambda client, **given: client.responses.create(
        model="gpt-5.1", input="one", background=True, **given
    ),
    "embeddings": lambda client, **given: client.embeddings.create(
        model="text-embedding-3-small", input="one", **given
    ),
    "speech": lambda client, **given: client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input="one", **given
    ),
}


@pytest.mark.parametrize("call", OPENAI_CALLS)
def test_openai(broke, call):
    with openai_client(broke) as client, pytest.raises(openai.APIStatusError) as caught:
        OPENAI_CALLS[call](client, extra_headers=sending(call_id := new_id()))
    check_openai(broke, caught.value, call_id)


def check_openai(broke: Spender, error: openai.APIStatusError, call_id: str) -> None:
    assert type(error) is openai.APIStatusError
    assert (error.status_code, error.code, error.type) == (402, "spend_token_blocked", "insufficient_quota")
    assert error.body["message"] in error.message
    check_refused(broke, error.response.headers, error.body["message"], call_id)


async def test_openai_async(broke):
    async with openai.AsyncOpenAI(base_url=f"{broke.product.gateway}/v1", api_key=broke.key) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(
                model=GPT, messages=ONE, extra_headers=sending(call_id := new_id())
            )
    check_openai(broke, caught.value, call_id)


@pytest.mark.parametrize("streamed", [False, True])
def test_anthropic(broke, streamed):
    with (
        anthropic.Anthropic(base_url=broke.product.gateway, api_key=broke.key) as client,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        client.messages.create(
            model=CLAUDE,
            max_tokens=64,
            messages=ONE,
            stream=streamed,
            extra_headers=sending(call_id := new_id()),
        )
    check_anthropic(broke, caught.value, call_id)


async def test_anthropic_async(broke):
    async with anthropic.AsyncAnthropic(base_url=broke.product.gateway, api_key=broke.key) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await client.messages.create(
                model=CLAUDE, max_tokens=64, messages=ONE, extra_headers=sending(call_id := new_id())
            )
    check_anthropic(broke, caught.value, call_id)


def check_anthropic(broke: Spender, caught: anthropic.APIStatusError, call_id: str) -> None:
    error = caught.body["error"]
    assert caught.status_code == 402
    assert (caught.body["type"], error["type"], error["code"]) == (
        "error",
        "billing_error",
        "spend_token_blocked",
    )
    assert caught.body["request_id"] == caught.response.headers["x-vis-request-id"]
    check_refused(broke, caught.response.headers, error["message"], call_id)


@pytest.mark.parametrize("streamed", [False, True])
def test_google(broke, streamed):
    call_id = new_id()
    asked = types.GenerateContentConfig(http_options=types.HttpOptions(headers=sending(call_id)))
    client = genai.Client(api_key=broke.key, http_options={"base_url": broke.product.gateway})
    models = client.models
    generate = models.generate_content_stream if streamed else models.generate_content
    with client, pytest.raises(errors.ClientError) as caught:
        list(generate(model=FLASH, contents="one", config=asked))
    error = caught.value
    assert (error.code, error.status) == (402, "RESOURCE_EXHAUSTED")
    (info,) = error.details["error"]["details"]
    assert (info["reason"], info["domain"]) == ("SPEND_TOKEN_BLOCKED", "gateway")
    assert info["metadata"]["requestId"] == error.response.headers["x-vis-request-id"]
    check_refused(broke, error.response.headers, error.message, call_id)


@pytest.fixture(scope="module")
def secure(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The gateway behind TLS, and the certificate to trust it by: boto3 sends a bearer token to nobody else."""
    folder = tmp_path_factory.mktemp("authority")
    with terminated(product.gateway, folder) as address:
        yield address, str(folder / "authority.pem")


@contextmanager
def amazon(secure: tuple[str, str], mode: str, call_id: str) -> Iterator[Any]:
    address, authority = secure
    client = boto3.Session().client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{address}/bedrock",
        verify=authority,
        config=Config(retries={"mode": mode}),
    )

    def add(request, **_):
        request.headers["x-client-request-id"] = call_id

    client.meta.events.register("before-sign.bedrock-runtime.*", add)
    with closing(client):
        yield client


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
@pytest.mark.parametrize("streamed", [False, True])
def test_amazon(broke, secure, monkeypatch, mode, streamed):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", broke.key)
    with amazon(secure, mode, call_id := new_id()) as client:
        converse = client.converse_stream if streamed else client.converse
        with pytest.raises(ClientError) as caught:
            converse(modelId=SONNET, messages=[{"role": "user", "content": [{"text": "one"}]}])
    said = caught.value.response
    assert said["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert said["ResponseMetadata"]["RetryAttempts"] == 0
    assert said["Error"]["Code"] == "AccessDeniedException"
    code, _, message = said["Error"]["Message"].partition(": ")
    assert code == "spend_token_blocked"
    check_refused(broke, said["ResponseMetadata"]["HTTPHeaders"], message, call_id)


# ---------------------------------------------------------------- what still passes


@pytest.fixture
def free_calls(broke: Spender) -> Iterator[dict[str, Any]]:
    product, headers = broke.product, {"x-client-request-id": new_id()}
    google = genai.Client(api_key=broke.key, http_options={"base_url": product.gateway, "headers": headers})
    with (
        openai.OpenAI(
            base_url=f"{product.gateway}/v1", api_key=broke.key, default_headers=headers
        ) as openais,
        anthropic.Anthropic(
            base_url=product.gateway, api_key=broke.key, default_headers=headers
        ) as anthropics,
        google,
    ):
        yield {
            "openai lists models": lambda: openais.models.list().data,
            "openai counts tokens": lambda: (
                openais.responses.input_tokens.count(model="gpt-5.1", input="one").input_tokens
            ),
            "openai moderates": lambda: (
                openais.moderations.create(model="omni-moderation-latest", input="one").results
            ),
            "anthropic lists models": lambda: anthropics.models.list().data,
            "anthropic counts tokens": lambda: (
                anthropics.messages.count_tokens(model=CLAUDE, messages=ONE).input_tokens
            ),
            "google lists models": lambda: list(google.models.list()),
            "google counts tokens": lambda: (
                google.models.count_tokens(model=FLASH, contents="one two").total_tokens
            ),
        }


def test_what_costs_nothing_passes_however_little_is_left(broke, free_calls):
    for name, call in free_calls.items():
        assert call(), name
    rows = broke.product.query("select * from vis.request_logs where key_id = %s", broke.key_id)
    assert {(row["decision"], row["cost_nusd"]) for row in rows} == {("allowed", 0)}
    assert len(rows) >= len(free_calls)


# ---------------------------------------------------------------- what a caller learns


def test_a_budget_for_the_total_has_no_end_to_tell(product, budget):
    product.run("project", "add", "ONCE")
    once = spender(product, agent=AGENT, project="ONCE")
    set_budget(once, "project:ONCE", NOTHING_NUSD, "--hard")
    reply = once.post(MESSAGES, new_id())
    assert (reply.status, reply.header("x-vis-blocked-by")) == (402, "project")
    assert reply.header("x-vis-budget-resets") is None
    assert "project ONCE" in reply.error["message"]
    assert "must be raised" in reply.error["message"]


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter"])
def test_the_next_window_is_told_in_utc_for_every_period(product, budget, period):
    key = spender(product, agent=AGENT, project="HPC")
    set_budget(key, f"key:{key.key_id}", NOTHING_NUSD, "--hard", period=period)
    before, reply, after = resets(period), key.post(MESSAGES, new_id()), resets(period)
    assert reply.header("x-vis-budget-resets") in {before, after}
    assert f"for the {period}" in reply.error["message"]
    assert key.key_id in reply.error["message"]


def test_the_narrowest_budget_that_refuses_is_the_one_that_is_named(product, broke):
    set_budget(broke, f"key:{broke.key_id}", NOTHING_NUSD, "--hard", period="week")
    reply = broke.post(MESSAGES, call_id := new_id())
    assert reply.header("x-vis-blocked-by") == "key"
    (row,) = product.rows_of(call_id)
    assert row["tags"]["blocked_by"] == f"key:{broke.key_id}"


def test_a_caller_learns_nothing_of_a_team_but_that_it_has_one(product, budget):
    product.run("team", "add", "quants", "--business-unit", "power")
    product.run("agent", "add", "q@arctrade", "--owner", "Q", "--team", "quants")
    one, other = (spender(product, agent="q@arctrade", project="HPC") for _ in range(2))
    for key, scope, kind, name in (
        (one, "team:quants", "team", "quants"),
        (other, "business-unit:power", "business_unit", "power"),
    ):
        set_budget(key, scope, NOTHING_NUSD, "--hard", period="month")
        reply = key.post(MESSAGES, call_id := new_id())
        assert reply.status == 402
        told = json.dumps(reply.headers) + reply.body.decode()
        assert name not in told
        assert f"this {kind.replace('_', ' ')} for the month" in reply.error["message"]
        assert reply.header("x-vis-blocked-by") == kind
        (row,) = product.rows_of(call_id)
        assert row["tags"]["blocked_by"] == f"{kind}:{name}"
        product.run("budget", "remove", scope)


def test_a_name_in_any_script_reaches_its_caller(product, budget):
    name = "jos\u00e9-\u7814\u7a76@arctrade"
    product.run("agent", "add", name, "--owner", "Jos\u00e9")
    who = spender(product, agent=name, project="HPC")
    set_budget(who, f"agent:{name}", NOTHING_NUSD, "--hard")
    with openai_client(who) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=GPT, messages=ONE)
    assert f"agent {name}" in caught.value.body["message"]
    assert caught.value.response.headers["x-vis-blocked-by"] == "agent"


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_model_of_unknown_price_is_refused_under_a_hard_cap_in_words_that_help(product, broke, path):
    body = body_of(path, model="model-of-nobody")
    reply = broke.post(path, call_id := new_id(), body)
    assert (reply.status, reply.error["code"]) == (402, "price_unknown")
    assert (reply.header("x-acc-error"), reply.header("x-should-retry")) == ("price_unknown", "false")
    assert reply.header("x-vis-blocked-by") is None
    assert "model-of-nobody" in reply.error["message"]
    assert "vis price set" in reply.error["message"]
    (row,) = product.rows_of(call_id)
    assert (row["decision"], row["reason"], row["status_code"]) == ("refused", "price_unknown", 402)
    assert row["cost_nusd"] == 0
    assert call_id not in broke.seen_ids()


def test_whoever_is_refused_has_spent_nothing_and_the_books_agree(product, budget, broke):
    assert broke.post(MESSAGES, new_id()).status == 402
    window = windows(product, budget)[PROJECT]
    assert (window["spent_nusd"], window["reserved_nusd"]) == (0, 0)
    check_books(product)
