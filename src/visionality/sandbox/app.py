"""The sandbox: a SIMULATED model provider that speaks two providers' wire formats.

Nothing it answers comes from a model, and each answer says so (`x-sandbox: simulated`).
It is the upstream of the quick start, of the tests and of the load benchmark. Run it with
one worker, because what it has seen is kept in memory:

    uvicorn visionality.sandbox.app:application --host 127.0.0.1 --port 8099 --no-access-log
"""

from typing import Final

from visionality.sandbox import models
from visionality.sandbox.call import answer_call, refuse
from visionality.sandbox.chat_completions import ChatCompletions
from visionality.sandbox.dialect import JSON, SIMULATED, Dialect, Refusal, new_serial
from visionality.sandbox.exchange import ClientGone, Exchange, Header, Receive, Scope, Send
from visionality.sandbox.messages import Messages
from visionality.sandbox.plan import NO_PLAN
from visionality.sandbox.seen import SeenLog

CHAT_COMPLETIONS: Final = ChatCompletions()
MESSAGES: Final = Messages()
MODELS_PATH: Final = "/v1/models"
OWN_HEADERS: Final[tuple[Header, ...]] = (SIMULATED, JSON)


class Sandbox:
    """The ASGI application."""

    def __init__(self) -> None:
        self._seen = SeenLog()

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
        match exchange.method, exchange.path:
            case "POST", "/v1/chat/completions":
                await answer_call(exchange, CHAT_COMPLETIONS, self._seen)
            case "POST", "/v1/messages":
                await answer_call(exchange, MESSAGES, self._seen)
            case "GET", path if path == MODELS_PATH or path.startswith(MODELS_PATH + "/"):
                await answer_models(exchange, path.removeprefix(MODELS_PATH).removeprefix("/"))
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
    dialect = MESSAGES if b"anthropic-version" in exchange.headers else CHAT_COMPLETIONS
    serial = new_serial()
    try:
        dialect.check_headers(exchange.headers)
        body = models_body(dialect, name)
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
