"""One upstream exchange: the request goes out, the answer comes in, and every byte is also shown to the meter.

Three endings are kept apart, because they cost differently: the provider answered; the call may have left and the
answer broke off; nothing left at all. When the client leaves, the provider's stream is read on to its usage report
within bounds (drain) or ended at once (cancel), by the provider's policy.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec.structs import replace

from visionality.core.call import Ask, Headers, Request
from visionality.core.usage import Metered
from visionality.gateway.admit import Upstream as Admitted
from visionality.gateway.client import Client
from visionality.gateway.deadline import NEVER
from visionality.gateway.dialects import Framing, StreamReader
from visionality.gateway.headers import downwards, upwards
from visionality.gateway.receipts.desk import ASKED, LATER
from visionality.gateway.routes import Target
from visionality.gateway.settle import NOTHING
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Answer, UpstreamBroke, UpstreamSilent, UpstreamUnreachable

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one blocking answer that are held until its row is durable."""
SHORTEST_SECRET = 16
"""Characters of a provider's key; what is shorter stands for none (`EMPTY`, `x`) and is also a word."""
TAIL_WAIT = 1.0
"""Seconds that a provider may take to end its answer after the terminal event; then its connection is closed."""

_READ = frozenset({"model_call", "result", "batch", "batch_state"})
"""The kinds of routes whose whole answer is read."""
_MUST_BE_READ = frozenset({"model_call", "batch"})


@dataclass(slots=True)
class Exchange:
    """What came of it. `failure` is (status, code, message) when the gateway must speak for the provider."""

    status: int = 0
    headers: Headers = ()
    body: bytes = b""
    metered: Metered = NOTHING
    finish: str | None = None
    failure: tuple[int, str, str] | None = None
    streaming: bool = False
    """Whether the client has the head of a stream already; `body` is then what was held back of it."""
    reader: StreamReader | Framing | None = None
    """Whoever reads that stream."""
    first_byte_at: float | None = None


@dataclass(slots=True)
class Forwarder:
    """Carries one call to one upstream."""

    gateway: Gateway
    client: Client
    target: Target
    upstream: Admitted
    request: Request
    ask: Ask
    document: Mapping[str, Any]
    request_id: str
    exchange: Exchange = field(default_factory=Exchange)
    _gone: bool = False
    _draining: bool = False

    async def run(self) -> Exchange:
        """Exchange with the provider. Never raises for what the provider or the client does."""
        exchange, presence, deadline = self.exchange, self.client.presence, self.client.deadline
        deadline.at = self.gateway.now() + self.gateway.settings.call_timeout
        presence.watchers.add(self._client_left)
        try:
            if presence.gone:
                self._client_left()
            await self._exchange()
        except UpstreamUnreachable as error:
            exchange.failure = (502, "upstream_unreachable", f"the provider could not be reached: {error}")
        except UpstreamSilent as error:
            self._broke(504, "upstream_timeout", str(error))
        except UpstreamBroke as error:
            self._broke(502, "upstream_broke", str(error))
        except asyncio.CancelledError:
            if not deadline.caught():
                # The server stops and its patience is over: what is known is still written, and the client told.
                self._broke(503, "gateway_stopped", "the gateway stopped before the answer was complete")
            elif self._gone:
                self._broke(499, "client_abort", "the client left before the answer was complete")
            else:
                self._broke(504, "upstream_timeout", "the call took longer than it may")
        finally:
            deadline.at = NEVER
            presence.watchers.discard(self._client_left)
            if self._draining:
                self.gateway.draining -= 1
        if self._gone:
            exchange.finish = "client_abort"
        return exchange

    async def _exchange(self) -> None:
        answer = await self._send(self.target.route.dialect.outgoing(self.request, self.ask))
        try:
            if answer.status == 400 and not self.ask.include_usage:
                answer = await self._without_injection(answer)
            self.exchange.status, self.exchange.headers = answer.status, answer.headers
            if answer.status == 200 and self.ask.stream and self.target.route.dialect.streams(answer.headers):
                await self._stream(answer, self.target.route.dialect.reader(self.ask))
            else:
                await self._whole(answer)
            answer.release()
        except BaseException:
            answer.close()
            raise

    def _send(self, body: bytes) -> Awaitable[Answer]:
        upstream, request = self.upstream, self.request
        target = f"{request.path}?{request.query}" if request.query else request.path
        headers = upwards(request.headers, self.target.provider.sends)
        if upstream.signer is not None:
            headers += upstream.signer.headers(request.method, target, headers, body)
        return self.gateway.upstream.send(
            upstream.base_url, upstream.credential, request.method, target, headers, body
        )

    async def _without_injection(self, refused: Answer) -> Answer:
        """A provider that rejects `stream_options` gets the client's very own body, once."""
        body = await refused.whole(ANSWER_LIMIT)
        if b"stream_options" not in body and b"include_usage" not in body:
            self.exchange.body = body
            return refused
        refused.release()
        return await self._send(self.request.body)

    async def _whole(self, answer: Answer) -> None:
        exchange, dialect = self.exchange, self.target.route.dialect
        exchange.body = exchange.body or await answer.whole(ANSWER_LIMIT)
        if answer.status >= 400:
            self._forget_our_key()
        kind = self.target.route.kind
        if kind not in _READ or answer.status >= 300:
            return
        body, headers = exchange.body, answer.headers
        metered = dialect.metered_body(body, self.document, headers) if answer.status == 200 else None
        if metered is not None:
            exchange.metered = metered
        elif kind in _MUST_BE_READ:
            exchange.metered = self._learned(dialect.reader(self.ask))
            exchange.failure = (502, "upstream_nonsense", "the provider's answer is not of the expected form")

    def _forget_our_key(self) -> None:
        """A provider's complaint may say the key back that it complains of; no client ever sees it."""
        exchange, secret = self.exchange, self.upstream.credential[1].rpartition(b" ")[2]
        if len(secret) < SHORTEST_SECRET:
            return
        exchange.body = exchange.body.replace(secret, b"[key]")
        exchange.headers = tuple((name, value.replace(secret, b"[key]")) for name, value in exchange.headers)

    async def _stream(self, answer: Answer, reader: StreamReader) -> None:
        exchange = self.exchange
        head = [*downwards(answer.headers, self.request_id), (b"x-accel-buffering", b"no")]
        if ASKED in self.request.headers:
            head.append(LATER)
        send = self.client.send
        await send({"type": "http.response.start", "status": 200, "headers": head})
        exchange.streaming, exchange.reader = True, reader
        try:
            while not reader.complete and (chunk := await answer.read()):
                if out := self._for_client(reader, chunk):
                    await send({"type": "http.response.body", "body": out, "more_body": True})
                if not reader.complete:
                    await answer.pass_on(partial(self._passed_on, reader))
            if reader.complete:
                await _tail(answer, reader)
        finally:
            exchange.metered = self._learned(reader)
            exchange.body = reader.finish()
            if exchange.body and exchange.first_byte_at is None:
                exchange.first_byte_at = self.gateway.now()
        if not reader.complete and exchange.metered.finish != "upstream_error":
            exchange.finish = "truncated"

    def _for_client(self, reader: StreamReader, chunk: bytes) -> bytes:
        """What of a piece the client may have now."""
        out = reader.feed(chunk)
        if self._gone:
            return b""
        if out and self.exchange.first_byte_at is None:
            self.exchange.first_byte_at = self.gateway.now()
        return out

    def _passed_on(self, reader: StreamReader, chunk: bytes) -> bool:
        """Let the client have it at once; whether the next piece may go the same way."""
        has_begun = self.exchange.first_byte_at is not None and not self._gone
        out = reader.feed(chunk) if has_begun else self._for_client(reader, chunk)
        client_follows = not out or self.client.presence.pass_on(out)
        return client_follows and not reader.complete

    def _learned(self, reader: StreamReader) -> Metered:
        """What a reader knows, and what the headers say of the tier."""
        metered = reader.metered(self.document)
        served = self.target.route.dialect.served_tier(self.exchange.headers)
        return replace(metered, tier=metered.tier | served) if served else metered

    def _client_left(self) -> None:
        settings, deadline = self.gateway.settings, self.client.deadline
        self._gone = True
        self._draining = self.upstream.drains and self.gateway.draining < settings.drain_at_once
        if self._draining:
            self.gateway.draining += 1
            deadline.at = min(deadline.at, self.gateway.now() + settings.drain_seconds)
        else:
            deadline.cut()

    def _broke(self, status: int, code: str, message: str) -> None:
        """The call may have left: its input, at least, may be billed."""
        exchange = self.exchange
        exchange.failure = (status, code, message)
        exchange.finish = code
        if (
            exchange.metered is NOTHING
            and self.target.route.kind == "model_call"
            and exchange.status in {0, 200}
        ):
            exchange.metered = self._learned(self.target.route.dialect.reader(self.ask))


async def _tail(answer: Answer, reader: StreamReader) -> None:
    """Read to the end of an answer that is complete, so that its connection serves the next call. No fault counts any more."""
    if answer.ended:
        reader.feed(await answer.read())
        return
    with suppress(TimeoutError, UpstreamBroke):
        async with asyncio.timeout(TAIL_WAIT):
            while chunk := await answer.read():
                reader.feed(chunk)
