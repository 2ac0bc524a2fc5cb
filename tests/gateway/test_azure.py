"""Promises G1, G5: Azure OpenAI through the official clients. A deployment's name never says what it costs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest

from gateway.calls import Caller, ask, body_of, new_id, recomputed

SECRET = "azure-planted-11cc"
VERSION = "2024-10-21"
ONE = [{"role": "user", "content": "one two three"}]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
SERVED = "gpt-4o-2024-11-20"
COST = 1000 * 2_500 + 100 * 10_000
MAPPED = {
    "chat-prod": "gpt-4o",
    "search-prod": "text-embedding-3-small",
    "hear-prod": "whisper-1",
    "say-prod": "tts-1",
    "draw-prod": "gpt-image-1",
}
RECORDING = ("call.mp3", b"\xff\xfb simulated", "audio/mpeg")


@pytest.fixture(scope="module", autouse=True)
def resource(product, caller) -> Iterator[None]:
    """A resource of Azure's, whose place the sandbox takes."""
    deployments = [word for name, model in MAPPED.items() for word in ("--deployment", f"{name}={model}")]
    product.run("provider", "add", "azure", "--base-url", product.sandbox, *deployments, stdin=SECRET)
    path = f"/openai/models?api-version={VERSION}"
    headers = [("api-key", caller.key)]
    product.until(lambda: ask(product.gateway, "GET", path, headers).status == 200)
    yield
    product.run("provider", "remove", "azure")


@pytest.fixture(scope="module")
def clients(product, caller) -> Iterator[dict[str, openai.OpenAI]]:
    """The client of the dated paths, with the gateway for its endpoint and under the provider's name; and that of v1."""
    dated = {"api_key": caller.key, "api_version": VERSION, "max_retries": 0}
    with ExitStack() as stack:
        yield {
            "bare": stack.enter_context(openai.AzureOpenAI(azure_endpoint=product.gateway, **dated)),
            "named": stack.enter_context(
                openai.AzureOpenAI(azure_endpoint=f"{product.gateway}/azure", **dated)
            ),
            "v1": stack.enter_context(
                openai.OpenAI(
                    base_url=f"{product.gateway}/azure/openai/v1", api_key=caller.key, max_retries=0
                )
            ),
        }


every_client = pytest.mark.parametrize("which", ["bare", "named", "v1"])


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


def check(row: dict[str, Any], model: str, cost_nusd: int) -> None:
    assert (row["provider"], row["decision"], row["status_code"]) == ("azure", "allowed", 200)
    assert (row["price_state"], row["model_used"], row["cost_nusd"]) == ("known", model, cost_nusd)
    assert recomputed(row) == row["cost_nusd"]


def check_seen(caller: Caller, which: str, rest: str) -> None:
    """What reached Azure: its own key and no other, at its own path, with the version that the client asked for."""
    seen = caller.seen()
    dated = f"/openai/deployments/{rest}?api-version={VERSION}"
    assert seen["path"] == (f"/openai/v1/{rest.partition('/')[2]}" if which == "v1" else dated)
    headers = dict(seen["headers"])
    assert headers["api-key"] == SECRET
    assert "authorization" not in headers
    assert caller.key not in json.dumps(seen)


@every_client
def test_a_chat(caller, clients, which):
    headers = sending(call_id := new_id(), usage=USAGE, served_model=SERVED)
    answer = clients[which].chat.completions.create(model="chat-prod", messages=ONE, extra_headers=headers)
    assert answer.model == SERVED
    assert answer.prompt_filter_results
    check_seen(caller, which, "chat-prod/chat/completions")
    row = caller.row(call_id)
    check(row, SERVED, COST)
    assert (row["model_requested"], row["usage_source"]) == ("chat-prod", "provider_final")


@pytest.mark.parametrize("credential", ["api_key", "azure_ad_token"])
def test_a_client_that_is_made_for_one_deployment(product, caller, credential):
    made = {"azure_endpoint": product.gateway, "azure_deployment": "chat-prod", credential: caller.key}
    with openai.AzureOpenAI(api_version=VERSION, **made) as client:
        headers = sending(call_id := new_id(), usage=USAGE, served_model=SERVED)
        client.chat.completions.create(model="anything", messages=ONE, extra_headers=headers)
        assert list(client.models.list())
    check_seen(caller, "bare", "chat-prod/chat/completions")
    row = caller.row(call_id)
    check(row, SERVED, COST)
    assert row["model_requested"] == "chat-prod"


@pytest.mark.parametrize("asked", [True, False])
@every_client
def test_a_streamed_chat_with_the_results_of_the_filter_in_front(caller, clients, which, asked):
    headers = sending(call_id := new_id(), usage=USAGE, served_model=SERVED)
    options = {"stream_options": {"include_usage": True}} if asked else {}
    stream = clients[which].chat.completions.create(
        model="chat-prod", messages=ONE, stream=True, extra_headers=headers, **options
    )
    chunks = list(stream)
    assert (chunks[0].choices, bool(chunks[0].prompt_filter_results)) == ([], True)
    assert [bool(chunk.usage) for chunk in chunks].count(True) == asked
    check(caller.row(call_id), SERVED, COST)


async def test_the_asynchronous_client(product, caller):
    client = openai.AsyncAzureOpenAI(azure_endpoint=product.gateway, api_key=caller.key, api_version=VERSION)
    async with client:
        answer = await client.chat.completions.create(
            model="chat-prod", messages=ONE, extra_headers=sending(whole := new_id(), usage=USAGE)
        )
        assert answer.choices[0].message.content
        stream = await client.chat.completions.create(
            model="chat-prod",
            messages=ONE,
            stream=True,
            extra_headers=sending(streamed := new_id(), usage=USAGE),
        )
        assert [chunk async for chunk in stream]
        await client.embeddings.create(
            model="search-prod", input="one two three", extra_headers=sending(embedded := new_id())
        )
    for call_id in (whole, streamed):
        check(caller.row(call_id), "gpt-4o", COST)
    check(caller.row(embedded), "text-embedding-3-small", 60)


@every_client
def test_embeddings(caller, clients, which):
    headers = sending(call_id := new_id(), served_model="text-embedding-3-small")
    clients[which].embeddings.create(model="search-prod", input=["one two", "three"], extra_headers=headers)
    check_seen(caller, which, "search-prod/embeddings")
    check(caller.row(call_id), "text-embedding-3-small", 60)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@every_client
def test_sound_and_pictures_whose_answers_name_no_model_are_priced_by_the_map(caller, clients, which):
    client, calls = clients[which], [new_id() for _ in range(5)]
    client.audio.transcriptions.create(model="hear-prod", file=RECORDING, extra_headers=sending(
        calls[0], usage={"type": "duration", "seconds": 9}))  # fmt: skip
    check_seen(caller, which, "hear-prod/audio/transcriptions")
    client.audio.translations.create(
        model="hear-prod", file=RECORDING, extra_headers=sending(calls[1], text="x")
    )
    client.audio.speech.create(
        model="say-prod", voice="alloy", input="one two", extra_headers=sending(calls[2])
    )
    client.images.generate(model="draw-prod", prompt="one two", extra_headers=sending(calls[3]))
    client.images.edit(model="draw-prod", image=RECORDING, prompt="one two", extra_headers=sending(calls[4]))
    check_seen(caller, which, "draw-prod/images/edits")
    drawn = 2 * 5_000 + 1056 * 40_000
    expected = [
        ("whisper-1", 900_000),
        ("whisper-1", 100_000),
        ("tts-1", 7 * 15_000),
        ("gpt-image-1", drawn),
        ("gpt-image-1", drawn + 300 * 10_000),
    ]
    for call_id, (model, cost_nusd) in zip(calls, expected, strict=True):
        check(caller.row(call_id), model, cost_nusd)


@every_client
def test_responses(caller, clients, which):
    headers = sending(call_id := new_id(), served_model=SERVED)
    answer = clients[which].responses.create(model="chat-prod", input="one two three", extra_headers=headers)
    assert answer.output_text
    row = caller.row(call_id)
    assert (row["provider"], row["dialect"], row["model_used"]) == ("azure", "responses", SERVED)
    assert row["price_state"] == "known"


@every_client
def test_models_are_listed(clients, which):
    assert [model.id for model in clients[which].models.list()]


@pytest.mark.parametrize("deployment", ["nobodys", "gpt-4o"])
@every_client
def test_a_deployment_that_nobody_has_mapped_and_the_answer_does_not_name_is_unpriced(
    caller, clients, which, deployment
):
    headers = sending(call_id := new_id(), usage=USAGE, extra={"model": None})
    clients[which].chat.completions.create(model=deployment, messages=ONE, extra_headers=headers)
    row = caller.row(call_id)
    assert (row["price_state"], row["cost_nusd"], row["rates"]) == ("unknown", 0, None)
    assert (row["model_requested"], row["model_used"]) == (deployment, None)
    assert row["usage"] == {"in_text": 1000, "out_text": 100}


def test_sound_of_a_deployment_that_is_only_called_like_a_model_is_unpriced(caller, clients):
    headers = sending(call_id := new_id())
    clients["bare"].audio.speech.create(model="tts-1", voice="alloy", input="x", extra_headers=headers)
    (row,) = caller.product.rows_of(call_id)
    assert (row["price_state"], row["cost_nusd"], row["usage"]) == ("unknown", 0, {"chars": 1})


def test_the_answer_is_believed_before_the_map(caller, clients):
    headers = sending(call_id := new_id(), usage=USAGE, served_model="gpt-4o-mini-2024-07-18")
    clients["bare"].chat.completions.create(model="chat-prod", messages=ONE, extra_headers=headers)
    check(caller.row(call_id), "gpt-4o-mini-2024-07-18", 1000 * 150 + 100 * 600)


@every_client
def test_a_refusal_of_the_content_filter_is_azures_own(caller, clients, which):
    headers = sending(call_id := new_id(), status=400, error_type="content_filter")
    with pytest.raises(openai.BadRequestError) as caught:
        clients[which].chat.completions.create(model="chat-prod", messages=ONE, extra_headers=headers)
    assert caught.value.code == "content_filter"
    assert caught.value.body["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    row = caller.row(call_id)
    assert (row["reason"], row["status_code"], row["cost_nusd"]) == ("upstream_refused", 400, 0)


def test_a_bare_v1_path_is_openais(caller):
    reply = caller.post(
        "/openai/v1/chat/completions", call_id := new_id(), body_of("/openai/v1/chat/completions")
    )
    assert reply.status == 200
    assert caller.row(call_id)["provider"] == "sandbox"
    assert caller.seen()["path"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/chat-prod/completions",
        "/openai/deployments/chat-prod/extensions/chat/completions",
        "/openai/deployments//chat/completions",
        "/openai/deployments/a%2Fb/chat/completions",
        "/azure/openai/files",
        "/azure/openai/v1/moderations",
        "/azure/v1/chat/completions",
    ],
)
def test_a_path_without_a_meter_is_refused(caller, path):
    reply = caller.post(path, new_id(), body_of(path))
    assert (reply.status, reply.error["code"]) == (404, "route_not_metered")
