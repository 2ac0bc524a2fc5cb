"""The HTTP client towards providers: HTTP/1.1 on asyncio and httptools (RFC 9110, RFC 9112).

Bytes come back as the provider sent them: no decompression, no redirects, no cookies. What failed says how far the
request had come, because that decides whether anything may have been billed. Connections are kept per address and
credential, so that no two customers' answers ever share one. A request is sent a second time only when a kept
connection turned out to be closed before the first byte of an answer.
"""

import asyncio
import re
import select
import ssl
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import cast
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httptools

from visionality.core.call import Headers
from visionality.runtime.destination import is_refused

READ_AHEAD = 256 * 1024
"""Bytes of an answer that wait for their reader before the provider is made to wait."""
HEAD_LIMIT = 64 * 1024
"""Bytes that may come without a whole head or any of the body, give or take what one read brings."""
KEEP_ALIVE = 30.0
"""Seconds that an unused connection is kept; providers close theirs after a minute or more."""
JOINED = 64 * 1024
"""A body up to this size leaves in one piece with its head."""

Taker = Callable[[bytes], bool]
"""Takes a piece of an answer; whether it goes on taking."""

_PORTS = {"http": 80, "https": 443}
_CHUNKED = ([b"chunked"], "1.1")


class UpstreamUnreachable(Exception):
    """No connection: nothing of the call left."""


class UpstreamBroke(Exception):
    """The connection failed after the call may have left."""


class UpstreamSilent(UpstreamBroke):
    """Nothing came for longer than the idle time-out."""


class _Stale(UpstreamBroke):
    """A kept connection was closed before it brought a byte: its provider had hung up already."""


class Upstream:
    """The connections to all providers. Proxies are those that the environment names at the start."""

    def __init__(self, connect_timeout: float, idle_timeout: float) -> None:
        self._connect_timeout = connect_timeout
        self._idle_timeout = idle_timeout
        self._proxies = getproxies()
        self._origins: dict[tuple[str, tuple[bytes, bytes]], _Origin] = {}

    def close(self) -> None:
        for origin in self._origins.values():
            for link in list(origin.links):
                link.abort()

    async def send(
        self,
        base_url: str,
        credential: tuple[bytes, bytes],
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
    ) -> "Answer":
        """Send a request and wait for the head of its answer. `target` is path and query behind the base address.

        Raises UpstreamUnreachable or UpstreamBroke.
        """
        origin = self._origins.get((base_url, credential)) or self._origin(base_url, credential)
        head = origin.head(method, target, headers, body)
        kept = origin.kept()
        if kept is not None:
            with suppress(_Stale):
                return await kept.ask(head, body).come()
        link = await origin.connect(self._connect_timeout, self._idle_timeout)
        return await link.ask(head, body).come()

    def _origin(self, base_url: str, credential: tuple[bytes, bytes]) -> "_Origin":
        try:
            place = _Place.of(base_url)
            origin = _Origin(place, credential, self._proxy(place))
        except ValueError as error:
            raise UpstreamUnreachable(f"its address or key cannot be used: {error}") from None
        self._origins[base_url, credential] = origin
        return origin

    def _proxy(self, place: "_Place") -> "_Proxy | None":
        bypassed = proxy_bypass(f"{place.host}:{place.port}")
        url = None if bypassed else self._proxies.get("https" if place.tls else "http")
        if not url:
            return None
        try:
            return _Proxy.of(url if "://" in url else f"http://{url}")
        except ValueError as error:
            raise ValueError(f"the proxy that the environment names: {error}") from None


class Answer:
    """The head of an answer and its body as it comes. Every answer is released when it was read, or closed."""

    __slots__ = (
        "_fault",
        "_link",
        "_taker",
        "_waiter",
        "ended",
        "headers",
        "held",
        "parts",
        "status",
        "waiting_since",
    )

    def __init__(self, link: "_Link") -> None:
        self.status = 0
        self.headers: Headers = ()
        self.ended = False
        self.waiting_since = 0.0
        self.parts: list[bytes] = []
        self.held = 0
        """Bytes of the parts."""
        self._link = link
        self._fault: Exception | None = None
        self._taker: Taker | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """What has come since the last read, at least a byte; nothing at the end. Raises UpstreamBroke."""
        while not self.parts:
            if self._fault is not None:
                raise self._fault
            if self.ended:
                return b""
            await self._more()
        return self.taken()

    async def pass_on(self, take: "Taker") -> None:
        """Give `take` what comes, the moment it comes, until it answers False or nothing more will come.

        It saves a turn of the loop for each piece of a stream. What has come before, and all that goes wrong, is for `read` to tell:
        what `take` raises as well.
        """
        self._taker = take
        try:
            while self._taker is not None and not (self.parts or self.ended or self._fault):
                await self._more()
        finally:
            self._taker = None

    async def whole(self, limit: int) -> bytes:
        """All of the body. Raises UpstreamBroke, also for one of more than `limit` bytes."""
        if self.ended and self._fault is None and self.held <= limit:
            return self.taken()
        parts, size = [], 0
        while part := await self.read():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise UpstreamBroke(f"the provider's answer is larger than {limit} bytes")
        return b"".join(parts)

    def close(self) -> None:
        """End the connection, whatever is still to come."""
        self._link.close(self)

    def release(self) -> None:
        """Give the connection back for the next call, when the body was read to its end."""
        self._link.release(self)

    async def come(self) -> "Answer":
        """Itself, once its head is there. Its connection ends when that does not come. Raises UpstreamBroke."""
        try:
            while not self.status and self._fault is None:
                await self._more()
        except BaseException:
            self._link.abort()
            raise
        if self._fault is not None and not self.status:
            self._link.abort()
            raise self._fault
        return self

    def _more(self) -> asyncio.Future[None]:
        """What to wait for until more came, or will not."""
        loop = self._link.loop
        self.waiting_since = loop.time()
        self._waiter = waiter = loop.create_future()
        return waiter

    def since(self, now: float) -> float:
        """Since when, on the loop's clock, somebody has waited for the provider; `now` when nobody does."""
        waits = self._waiter is not None and not self._waiter.done()
        return self.waiting_since if waits else now

    def came(self) -> None:
        """All that one read brought is there."""
        taker = self._taker
        if taker is not None:
            self.waiting_since = self._link.loop.time()
            try:
                goes_on = not self.parts or taker(self.taken())
            except Exception as error:  # noqa: BLE001 -- it is raised where somebody waits for it
                self._fault, goes_on = error, False
            if not goes_on:
                self._taker = None
            elif not self.ended and self._fault is None:
                return
        self.wake()

    def taken(self) -> bytes:
        """What has come, which is then no longer here."""
        parts, self.parts = self.parts, []
        if self.held > READ_AHEAD:
            self._link.resume(self)
        self.held = 0
        return b"".join(parts)

    def fail(self, fault: UpstreamBroke) -> None:
        if not self.ended and self._fault is None:
            self._fault = fault
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Link(asyncio.Protocol):
    """One connection to a provider, carrying one call at a time.

    What is written goes to `_transport`. All else is asked of `_wire`, the TCP connection below: uvloop's TLS forgets
    what it holds for a paused reader when the provider hangs up, and does not count what the network has not taken.
    """

    def __init__(self, links: set["_Link"], idle: list["_Link"], patience: float) -> None:
        self._links, self._idle, self._patience = links, idle, patience
        self._parser = httptools.HttpResponseParser(self)
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._wire: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answer: Answer | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._calls = 0
        self._unread = 0
        self._idle_since = 0.0
        self._in_head = self._touched = self._keep = self._until_close = self._paused = False
        self._spoiled = self._hung_up = False

    def begin(self, transport: asyncio.Transport, wire: asyncio.Transport) -> None:
        self._transport, self._wire = transport, wire
        self._links.add(self)
        self._timer = self.loop.call_later(min(self._patience, KEEP_ALIVE), self._look)
        if sys.platform != "win32":  # which has no poll()
            self._arrivals = select.poll()
            self._arrivals.register(wire.get_extra_info("socket"), select.POLLIN)

    # ------------------------------------------------------------------ towards the caller

    def quiet(self) -> bool:
        """Whether nothing came since the last answer: no byte and no end, not even one that the loop has yet to read."""
        assert self._wire is not None
        if self._wire.is_closing():
            return False
        return sys.platform == "win32" or not self._arrivals.poll(0)

    def ask(self, head: bytes, body: bytes) -> Answer:
        """Send a request. Its answer is still to come."""
        assert self._transport is not None
        self._answer = answer = Answer(self)
        self._calls += 1
        self._unread = 0
        self._touched = self._keep = self._until_close = False
        if len(body) <= JOINED:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))
        return answer

    def release(self, answer: Answer) -> None:
        if self._answer is not answer or self._wire is None:
            return
        self._answer = None
        idle = answer.ended and self._keep and not self._spoiled and not self._wire.is_closing()
        if not idle or self._wire.get_write_buffer_size():
            self.abort()
            return
        if self._paused:
            self._resume()
        self._idle_since = self.loop.time()
        self._idle.append(self)

    def close(self, answer: Answer) -> None:
        if self._answer is answer:
            self.abort()

    def abort(self) -> None:
        self._spoiled = True
        if self._wire is not None:
            self._wire.abort()

    def resume(self, answer: Answer) -> None:
        if self._answer is answer:
            self._resume()

    def _resume(self) -> None:
        if self._paused and self._wire is not None and not self._wire.is_closing():
            self._paused = False
            self._wire.resume_reading()

    # ------------------------------------------------------------------ from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = cast("asyncio.Transport", transport)  # uvloop's is one, but not by class
        self.begin(wire, wire)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked: whatever this is, it must not become the answer to the next call
            self.abort()
            return
        self._touched = True
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._spoil("the provider changed the protocol, which nobody asked for")
        except httptools.HttpParserError as error:
            self._spoil(f"the provider's answer is no HTTP: {error}")
        if self._unread > HEAD_LIMIT:
            self._spoil(
                f"the provider sent more than {HEAD_LIMIT} bytes that are neither a whole head nor body"
            )
        if self._spoiled:
            self.abort()
        answer.came()

    def eof_received(self) -> None:
        """The provider hung up in good order; with TLS that is its word, not just the end of TCP (RFC 9112 section 9.8)."""
        self._hung_up = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._links.discard(self)
        if self in self._idle:
            self._idle.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        answer = self._answer
        if answer is None or answer.ended:
            return
        if self._until_close and self._hung_up:
            answer.ended = True
            answer.wake()
        elif self._calls > 1 and not self._touched and not self._spoiled:
            answer.fail(_Stale("the provider had closed the connection"))
        else:
            why = exc or ("the connection was closed" if answer.status else "it closed the connection")
            what = "the provider's answer broke off" if answer.status else "the provider did not answer"
            answer.fail(UpstreamBroke(f"{what}: {why}"))

    def _look(self) -> None:
        """See now and then whether a reader has waited for too long, or nobody has used this connection.

        The time that an answer waits for its own reader is not the provider's.
        """
        now, answer = self.loop.time(), self._answer
        if answer is None:
            patience, since = KEEP_ALIVE, self._idle_since
        else:
            patience, since = self._patience, answer.since(now)
        left = since + patience - now
        if left > 0:
            self._timer = self.loop.call_later(min(left, self._patience, KEEP_ALIVE), self._look)
            return
        if answer is not None:
            what = "stopped sending" if answer.status else "did not answer"
            answer.fail(UpstreamSilent(f"the provider {what}"))
        self.abort()

    def _spoil(self, why: str) -> None:
        """Never use this connection again; a whole answer that came before stands."""
        self._spoiled = True
        if self._answer is not None:
            self._answer.fail(UpstreamBroke(why))

    # ------------------------------------------------------------------ from the parser

    def on_message_begin(self) -> None:
        assert self._answer is not None
        if self._answer.ended:
            self._spoiled = True
        self._in_head = not self._spoiled
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            self._spoil(f"the provider's answer has the status {status}, which nobody asked for")
        if self._spoiled or status < 200:
            return
        assert self._answer is not None
        self._in_head = False
        self._unread = 0
        codings, is_sized = [], False
        for name, value in self._headers:
            if name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"content-length":
                is_sized = True
        if codings and (codings, self._parser.get_http_version()) != _CHUNKED:
            self._spoil("the provider's answer has a transfer coding other than chunked of HTTP/1.1")
            return
        self._until_close = not codings and not is_sized
        self._answer.status, self._answer.headers = status, tuple(self._headers)

    def on_body(self, body: bytes) -> None:
        if self._spoiled:
            return
        self._unread = 0
        answer = self._answer
        assert answer is not None
        answer.parts.append(body)
        answer.held += len(body)
        if answer.held > READ_AHEAD and not self._paused:
            assert self._wire is not None
            self._paused = True
            self._wire.pause_reading()

    def on_message_complete(self) -> None:
        if self._in_head or self._spoiled:  # an interim answer, or one that nobody asked for
            return
        assert self._answer is not None
        self._answer.ended = True
        self._keep = self._parser.should_keep_alive()


@dataclass(frozen=True, slots=True)
class _Place:
    """A base address, taken apart."""

    tls: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> "_Place":
        """Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname or any(char <= " " for char in url):
            raise ValueError("expected http:// or https:// and a host, without a space")
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        return cls(parts.scheme == "https", host, parts.port or _PORTS[parts.scheme], parts.path.rstrip("/"))

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def authority(self) -> str:
        """The address without the port that goes without saying."""
        return self.address.removesuffix(f":{_PORTS['https' if self.tls else 'http']}")


@dataclass(frozen=True, slots=True)
class _Proxy:
    """A proxy, with the `proxy-authorization` lines that it wants."""

    place: _Place
    credential: tuple[bytes, ...]

    @classmethod
    def of(cls, url: str) -> "_Proxy":
        """Raises ValueError."""
        parts = urlsplit(url)
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        line = b"proxy-authorization: Basic " + b64encode(user.encode())
        return cls(_Place.of(url), (line,) if parts.username is not None else ())


@dataclass(slots=True)
class _Origin:
    """A provider's address with a credential, and the connections that are kept for the two. Raises ValueError."""

    place: _Place
    credential: tuple[bytes, bytes]
    proxy: _Proxy | None
    links: set[_Link] = field(default_factory=set)
    idle: list[_Link] = field(default_factory=list)
    _before: str = ""
    _fixed: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        self._before = self.place.path
        self._before.encode("ascii")  # or it is no address
        lines = [b"host: " + self.place.authority.encode(), b"accept-encoding: identity"]
        if self.credential[0]:  # a signed request has its own
            lines.append(b"%b: %b" % self.credential)
        if self.proxy is not None and not self.place.tls:
            self._before = f"http://{self.place.authority}{self._before}"
            lines += self.proxy.credential
        self._fixed = tuple(lines)

    def head(self, method: str, target: str, headers: Headers, body: bytes) -> bytes:
        """The bytes of a request's head. Raises UpstreamUnreachable when what it is made of would end a line."""
        try:
            start = f"{method} {self._before}{target} HTTP/1.1".encode("latin-1")
        except UnicodeEncodeError:
            raise UpstreamUnreachable("its path has characters that HTTP does not know") from None
        lines = [start, *self._fixed, *[b"%b: %b" % header for header in headers]]
        ends = len(lines) + 1
        if body or method != "GET":
            lines.append(b"content-length: %d" % len(body))
            ends += 1
        head = b"\r\n".join([*lines, b"", b""])
        if head.count(b"\r") != ends or head.count(b"\n") != ends or " " in target:
            raise UpstreamUnreachable(
                "its path, key or headers have a line break in them, or its path a space"
            )
        return head

    def kept(self) -> _Link | None:
        """The connection that was used last, if there is one that can be used again."""
        while self.idle:
            link = self.idle.pop()
            if link.quiet():
                return link
            link.abort()
        return None

    async def connect(self, seconds: float, patience: float) -> _Link:
        """A new connection. Raises UpstreamUnreachable."""
        try:
            async with asyncio.timeout(seconds):
                return await self._connected(_Link(self.links, self.idle, patience))
        except TimeoutError:
            raise UpstreamUnreachable(f"no connection within {seconds:g} s") from None
        except (OSError, ValueError) as error:
            raise UpstreamUnreachable(str(error) or type(error).__name__) from None

    async def _connected(self, link: _Link) -> _Link:
        place, near = self.place, self.place if self.proxy is None else self.proxy.place
        loop = asyncio.get_running_loop()
        if not place.tls and not near.tls:
            try:
                transport, _ = await loop.create_connection(lambda: link, near.host, near.port)
                _check_end(transport, near)
            except BaseException:
                link.connection_lost(None)  # uvloop does not tell it when this task is cancelled
                raise
            return link
        tunnel = _Tunnel() if self.proxy is not None and place.tls else None
        wire, _ = await loop.create_connection(lambda: tunnel or asyncio.Protocol(), near.host, near.port)
        try:
            _check_end(wire, near)
            transport = await _secured(wire, tunnel or link, near.host) if near.tls else wire
            if tunnel is not None and self.proxy is not None:
                await tunnel.to(transport, place.address, self.proxy.credential)
                transport = await _secured(transport, link, place.host)
        except BaseException:
            wire.abort()
            raise
        link.begin(transport, wire)
        return link


def _check_end(transport: asyncio.BaseTransport, place: _Place) -> None:
    """Raise ConnectionError, before a byte is sent, when the place's name led to where nothing may be sent."""
    host = transport.get_extra_info("peername")[0]
    if is_refused(host):
        transport.close()
        raise ConnectionError(f"{place.host} leads to {host}, a metadata service")


class _Tunnel(asyncio.Protocol):
    """A proxy's CONNECT (RFC 9110 section 9.3.6), up to the point where TLS begins."""

    def __init__(self) -> None:
        self._said = b""
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def to(self, transport: asyncio.Transport, authority: str, credential: tuple[bytes, ...]) -> None:
        """Make `transport` lead to the place behind the proxy. Raises ConnectionError."""
        lines = [f"CONNECT {authority} HTTP/1.1".encode(), b"host: " + authority.encode(), *credential]
        transport.write(b"\r\n".join([*lines, b"", b""]))
        await self._opened

    def data_received(self, data: bytes) -> None:
        self._said += data
        _, ended, rest = self._said.partition(b"\r\n\r\n")
        if self._opened.done() or (not ended and len(self._said) <= HEAD_LIMIT):
            return
        answer = re.match(rb"HTTP/1\.[01] (\d{3}(?: [^\r\n]*)?)\r\n", self._said)
        if answer and not answer[1].startswith(b"2"):
            said = answer[1].decode("latin-1")[:100]
            self._opened.set_exception(ConnectionError(f"the proxy refused the tunnel: {said}"))
        elif not answer or not ended or rest:
            self._opened.set_exception(ConnectionError("the proxy's answer is no HTTP"))
        else:
            self._opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_exception(exc or ConnectionError("the proxy closed the connection"))


class _Resuming(ssl.SSLContext):
    """Offers each host the session of the last connection there, so that it need not prove itself again."""

    def __init__(self, _protocol: int) -> None:
        super().__init__()
        # The connections themselves: OpenSSL takes back the session of one that is freed and was not closed in order.
        self.last: dict[str, ssl.SSLObject] = {}

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        last = self.last.get(str(server_hostname))
        return super().wrap_bio(
            incoming, outgoing, server_side, server_hostname, last.session if last else session
        )


async def _secured(transport: asyncio.Transport, protocol: asyncio.Protocol, host: str) -> asyncio.Transport:
    context, loop = _tls(), asyncio.get_running_loop()
    made = await loop.start_tls(transport, protocol, context, server_hostname=host)
    assert made is not None
    context.last[host] = made.get_extra_info("ssl_object")
    return made


@cache
def _tls() -> _Resuming:
    """Verified against the system's certificates, or those that SSL_CERT_FILE names."""
    context = _Resuming(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
