"""How each client is called: made as its documentation makes it, with nothing changed but its address and its key."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import dataclass
from typing import Any

import anthropic
import boto3
import openai
from botocore.config import Config
from google import genai
from google.genai import types

GPT, RESPONDING, EMBEDDING, SPEAKING = "gpt-4o", "gpt-5.1", "text-embedding-3-small", "tts-1"
HEARING, DRAWING, ROUTED = "gpt-4o-transcribe", "gpt-image-1", "anthropic/claude-sonnet-4.6"
CLAUDE, FLASH, SONNET = (
    "claude-sonnet-4-6",
    "gemini-2.5-flash",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
)
DEPLOYMENTS = {"chat-prod": GPT, "search-prod": EMBEDDING}
SAID = [{"role": "user", "content": "one two three"}]
BLOCKS = [{"role": "user", "content": [{"text": "one two three"}]}]
RECORDING = ("call.mp3", b"\xff\xfb simulated", "audio/mpeg")

CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
RESPONSES_USAGE = {
    "input_tokens": 1000,
    "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 1100,
}
MESSAGES_USAGE = {
    "input_tokens": 100,
    "output_tokens": 80,
    "cache_read_input_tokens": 50,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
}
CONVERSE_USAGE = {
    "inputTokens": 100,
    "outputTokens": 80,
    "totalTokens": 260,
    "cacheReadInputTokens": 50,
    "cacheWriteInputTokens": 30,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
}
GEMINI_USAGE = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 200,
    "candidatesTokenCount": 60,
    "thoughtsTokenCount": 40,
    "totalTokenCount": 1100,
}
STATED_USD = "0.00123"

Headers = dict[str, str]


@dataclass(frozen=True)
class Place:
    """Where a client finds the gateway, and the key it has."""

    gateway: str
    secure: str
    """The same behind TLS: boto3 sends a bearer token to nobody else."""
    key: str


def sending(call_id: str, plan: dict[str, Any]) -> Headers:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


@dataclass(frozen=True)
class Client:
    """A client of a vendor's, at the gateway's address and a path behind it."""

    is_async: bool = False
    base: str = "/v1"

    def made(self, place: Place) -> Any:
        raise NotImplementedError


class OpenAI(Client):
    def made(self, place: Place) -> Any:
        kind = openai.AsyncOpenAI if self.is_async else openai.OpenAI
        return kind(base_url=place.gateway + self.base, api_key=place.key, max_retries=0)


class Azure(Client):
    def made(self, place: Place) -> Any:
        kind = openai.AsyncAzureOpenAI if self.is_async else openai.AzureOpenAI
        return kind(azure_endpoint=place.gateway, api_key=place.key, api_version="2024-10-21", max_retries=0)


class Anthropic(Client):
    def made(self, place: Place) -> Any:
        kind = anthropic.AsyncAnthropic if self.is_async else anthropic.Anthropic
        return kind(base_url=place.gateway, api_key=place.key, max_retries=0)


class AnthropicBedrock(Client):
    def made(self, place: Place) -> Any:
        kind = anthropic.AsyncAnthropicBedrock if self.is_async else anthropic.AnthropicBedrock
        base = f"{place.gateway}/bedrock"
        return kind(api_key=place.key, aws_region="us-east-1", base_url=base, max_retries=0)


class Google(Client):
    def made(self, place: Place) -> Any:
        client = genai.Client(api_key=place.key, http_options={"base_url": place.gateway})
        return client.aio if self.is_async else client


class Amazon(Client):
    def made(self, place: Place) -> Any:
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = place.key
        return boto3.Session().client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=f"{place.secure}/bedrock",
            config=Config(retries={"total_max_attempts": 1}),
        )


def chat(model: str, **more: Any) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.chat.completions.create(
        model=model, messages=SAID, extra_headers=headers, **more
    )


def respond(**more: Any) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.responses.create(
        model=RESPONDING, input="one two three", extra_headers=headers, **more
    )


def embed(model: str) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.embeddings.create(
        model=model, input="one two three", extra_headers=headers
    )


def draw(**more: Any) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.images.generate(
        model=DRAWING, prompt="a ledger", extra_headers=headers, **more
    )


def moderate(client: Any, headers: Headers) -> Any:
    return client.moderations.create(input="one two three", extra_headers=headers)


def count_input(client: Any, headers: Headers) -> Any:
    return client.responses.input_tokens.count(model=RESPONDING, input="one two three", extra_headers=headers)


def speak(client: Any, headers: Headers) -> Any:
    return client.audio.speech.create(
        model=SPEAKING, voice="alloy", input="Good morning, PJM.", extra_headers=headers
    )


def hear(**more: Any) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.audio.transcriptions.create(
        model=HEARING, file=RECORDING, extra_headers=headers, **more
    )


def message(model: str, **more: Any) -> Callable[[Any, Headers], Any]:
    return lambda client, headers: client.messages.create(
        model=model, max_tokens=99, messages=SAID, extra_headers=headers, **more
    )


def count_message(client: Any, headers: Headers) -> Any:
    return client.messages.count_tokens(model=CLAUDE, messages=SAID, extra_headers=headers)


def count_content(client: Any, headers: Headers) -> Any:
    config = types.CountTokensConfig(http_options=types.HttpOptions(headers=headers))
    return client.models.count_tokens(model=FLASH, contents="one two three", config=config)


def generate(client: Any, headers: Headers) -> Any:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
    return client.models.generate_content(model=FLASH, contents="one two three", config=config)


def generate_stream(client: Any, headers: Headers) -> Any:
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=headers))
    return client.models.generate_content_stream(model=FLASH, contents="one two three", config=config)


def embed_content(client: Any, headers: Headers) -> Any:
    config = types.EmbedContentConfig(http_options=types.HttpOptions(headers=headers))
    return client.models.embed_content(model="gemini-embedding-001", contents="one two three", config=config)


def amazon(operation: str, stream: str | None = None, **asked: Any) -> Callable[[Any, Headers], Any]:
    """One call of boto3, whose own hook adds the headers. `stream` is the member of the answer to read on."""

    def call(client: Any, headers: Headers) -> Any:
        def add(request: Any, **_: Any) -> None:
            for name, value in headers.items():
                request.headers[name] = value

        event = "before-sign.bedrock-runtime.*"
        client.meta.events.register(event, add)
        try:
            answer = getattr(client, operation)(modelId=SONNET, **asked)
        finally:
            client.meta.events.unregister(event, add)
        return answer[stream] if stream else answer

    return call


def native(**more: Any) -> str:
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99, "messages": SAID} | more)


def run(client: Client, ask: Callable[[Any, Headers], Any], place: Place, calls: Iterable[Headers], *, streamed: bool) -> None:  # fmt: skip
    """Make the calls one after the other, and read each answer to its end."""
    if client.is_async:
        asyncio.run(_run_async(client.made(place), ask, calls, streamed=streamed))
        return
    with closing(client.made(place)) as made:
        for headers in calls:
            answer = ask(made, headers)
            if streamed:
                list(answer)


async def _run_async(client: AbstractAsyncContextManager[Any], ask: Callable[[Any, Headers], Any], calls: Iterable[Headers], *, streamed: bool) -> None:  # fmt: skip
    async with client as made:
        for headers in calls:
            answer = await ask(made, headers)
            if streamed:
                async for _ in answer:
                    pass
