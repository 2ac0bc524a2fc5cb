"""The sandbox: a SIMULATED model provider that speaks two providers' wire formats.

Nothing it answers comes from a model, and each answer says so (`x-sandbox: simulated`).
It is the upstream of the quick start, of the tests and of the load benchmark. Run it with
one worker, because what it has seen is kept in memory:

    uvicorn visionality.sandbox.app:application --host 127.0.0.1 --port 8099 --no-access-log
"""

import re
from typing import Final

from visionality.sandbox import azure, bedrock, gemini, models
from visionality.sandbox.audio import Speech, Transcription, Translation
from visionality.sandbox.call import answer_call, refuse
from visionality.sandbox.chat_completions import ChatCompletions
from visionality.sandbox.dialect import JSON, SIMULATED, Dialect, Refusal, new_serial
from visionality.sandbox.embeddings import Embeddings, Moderations
from visionality.sandbox.exchange import ClientGone, Exchange, Header, Receive, Scope, Send
from visionality.sandbox.files import PATH as FILES_PATH
from visionality.sandbox.images import Images
from visionality.sandbox.message_batches import PATH as MESSAGE_BATCHES_PATH
from visionality.sandbox.message_batches import MessageBatches
from visionality.sandbox.messages import CountTokens, Messages
from visionality.sandbox.openai_batches import PATH as OPENAI_BATCHES_PATH
from visionality.sandbox.openai_batches import OpenAIBatches
from visionality.sandbox.plan import NO_PLAN
from visionality.sandbox.responses import PATH as RESPONSES_PATH
from visionality.sandbox.responses import Compaction, Responses, answer_kept
from visionality.sandbox.seen import SeenLog

CHAT_COMPLETIONS: Final = ChatCompletions()
MESSAGES: Final = Messages()
RESPONSES: Final = Responses()
COMPACTION: Final = Compaction()
CALLS: Final[dict[str, Dialect]] = {
    "/v1/chat/completions": CHAT_COMPLETIONS,
    "/v1/messages": MESSAGES,
    "/v1/messages/count_tokens": CountTokens(),
    RESPONSES_PATH: RESPONSES,
    "/v1/responses/compact": COMPACTION,
    "/v1/embeddings": Embeddings(),
    "/v1/images/generations": Images("image_generation"),
    "/v1/images/edits": Images("image_edit"),
    "/v1/audio/speech": Speech(),
    "/v1/audio/transcriptions": Transcription(),
    "/v1/audio/translations": Translation(),
    "/v1/moderations": Moderations(),
}
LISTED: Final = re.compile(r"(?:/openai|/v1|/openai/v1)/models(?:/(.*))?")
OWN_HEADERS: Final[tuple[Header, ...]] = (SIMULATED, JSON)


class Sandbox:
    """The ASGI application."""

    def __init__(self) -> None:
        self._seen = SeenLog()
        self._openai_batches = OpenAIBatches(self._seen)
        self._message_batches = MessageBatches(self._seen)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            try:
                await self._answer(Exchange(scope, receive, send))
            except ClientGone:
                self._seen.count_disconnect()

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.path
        if exchange.method == "POST" and (dialect := called(exchange)) is not None:
            await answer_call(exchange, dialect, self._seen)
        elif path.startswith(RESPONSES_PATH + "/"):
            await answer_kept(exchange, RESPONSES)
        elif path.startswith(MESSAGE_BATCHES_PATH):
            await self._message_batches.answer(exchange)
        elif path.startswith((OPENAI_BATCHES_PATH, FILES_PATH)):
            await self._openai_batches.answer(exchange)
        elif path.startswith("/sandbox/"):
            await self._answer_own(exchange)
        elif exchange.method == "GET" and gemini.is_for_google(exchange):
            await answer_google_models(exchange, path)
        elif exchange.method == "GET" and (listed := LISTED.fullmatch(path)):
            await answer_models(exchange, listed[1] or "")
        else:
            await answer_unknown(exchange)

    async def _answer_own(self, exchange: Exchange) -> None:
        match exchange.method, exchange.path:
            case "GET", "/sandbox/health":
                await exchange.answer(200, OWN_HEADERS, b'{"status":"ok","simulated":true}')
            case "GET", "/sandbox/seen":
                await exchange.answer(200, OWN_HEADERS, self._seen.seen())
            case "GET", "/sandbox/last" if (last := self._seen.last()) is not None:
                await exchange.answer(200, OWN_HEADERS, last)
            case "POST", "/sandbox/reset":
                self._seen.reset()
                await exchange.answer(200, OWN_HEADERS, b"{}")
            case _:
                await answer_unknown(exchange)


def called(exchange: Exchange) -> Dialect | None:
    """The dialect of a model call; None for another request."""
    path = exchange.path
    named = CALLS.get(path) or azure.dialect_of(path) or bedrock.dialect_of(path)
    return named or gemini.dialect_of(exchange)


async def live(receive: Receive, send: Send) -> None:
    """The lifespan protocol, of which the sandbox needs nothing."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def dialect_of(exchange: Exchange) -> Dialect:
    """The dialect of a request to a path that both providers have, or neither."""
    speaks_anthropic = b"anthropic-version" in exchange.headers or b"x-api-key" in exchange.headers
    return MESSAGES if speaks_anthropic else CHAT_COMPLETIONS


async def answer_models(exchange: Exchange, name: str) -> None:
    dialect: Dialect = MESSAGES if b"anthropic-version" in exchange.headers else CHAT_COMPLETIONS
    if exchange.path.startswith("/openai/"):
        dialect = azure.CHAT
    serial = new_serial()
    try:
        dialect.check_headers(exchange.headers)
        body = models_body(dialect, name)
    except Refusal as refusal:
        await refuse(exchange, dialect, refusal, serial)
    else:
        await exchange.answer(200, [*dialect.headers(serial, NO_PLAN), JSON], body)


async def answer_google_models(exchange: Exchange, path: str) -> None:
    dialect, serial = gemini.CATALOGUE, new_serial()
    try:
        dialect.check_headers(exchange.headers)
        body = gemini.models_body(path)
    except Refusal as refusal:
        await refuse(exchange, dialect, refusal, serial)
    else:
        await exchange.answer(200, [*dialect.headers(serial, NO_PLAN), JSON], body)


def models_body(dialect: Dialect, name: str) -> bytes:
    """The list, or the named model. Raises Refusal when that is not listed."""
    is_anthropic = dialect is MESSAGES
    if not name:
        return models.ANTHROPIC_LIST if is_anthropic else models.OPENAI_LIST
    model = (models.ANTHROPIC_MODELS if is_anthropic else models.OPENAI_MODELS).get(name)
    if model is None:
        raise dialect.invalid(f"model: {name}" if is_anthropic else f"The model '{name}' does not exist", 404)
    return model


async def answer_unknown(exchange: Exchange) -> None:
    dialect = dialect_of(exchange)
    message = f"Invalid URL ({exchange.method} {exchange.path}); the sandbox has no such route."
    await refuse(exchange, dialect, dialect.invalid(message, 404), new_serial())


application: Final = Sandbox()
