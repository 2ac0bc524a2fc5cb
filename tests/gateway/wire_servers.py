"""Providers that do with a connection whatever a test wants, on the event loop that production runs on."""

import asyncio
import functools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from visionality.gateway.upstream import Answer, Upstream, _tls

KEY = (b"x-api-key", b"sk-one")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PATIENCE = 20
"""Seconds after which a test that waits is a test that hangs."""


def on_uvloop(test):
    """Run an async test on uvloop. It may not hang, and nothing may go wrong behind its back."""

    @functools.wraps(test)
    def run(*args: object, **kwargs: object) -> None:
        async def watched() -> None:
            unseen: list[dict] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
            async with asyncio.timeout(PATIENCE):
                await test(*args, **kwargs)
            await turns()
            assert not unseen

        uvloop.run(watched())

    return run


async def turns(count: int = 8) -> None:
    """Let the loop look at its sockets a few times: on loopback, what was written has arrived then."""
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Request:
    head: bytes
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        return self.head.removesuffix(b"\r\n\r\n").split(b"\r\n")


@dataclass
class Peer:
    """One connection, as the provider sees it."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the talk on it is over."""

    async def request(self) -> Request:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = [line[16:] for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
        return Request(head, await self.reader.readexactly(int(length[0]) if length else 0))

    async def say(self, *pieces: bytes) -> None:
        """Send pieces that arrive one by one."""
        for piece in pieces:
            if self.writer.is_closing():
                raise ConnectionResetError
            self.writer.write(piece)
            await self.writer.drain()
            await turns(3)

    async def gone(self) -> bytes:
        """Wait until the client has ended the connection; what else it sent."""
        rest = b""
        try:
            while more := await self.reader.read(1 << 20):
                rest += more
        except ConnectionError:
            pass
        return rest

    def reset(self) -> None:
        """Hang up like a machine that lost its power."""
        if self.writer.is_closing():
            return
        with self.writer.get_extra_info("socket").dup() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()


Talk = Callable[[Peer], Awaitable[None]]


@dataclass
class Provider:
    talks: tuple[Talk, ...]
    scheme: str = "http"
    port: int = 0
    peers: list[Peer] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(len(self.peers), reader, writer)
        self.peers.append(peer)
        self.changed.set()
        try:
            await self.talks[min(peer.number, len(self.talks) - 1)](peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client hung up, or the test is over
        except Exception as fault:
            self.faults.append(fault)
            raise
        finally:
            peer.ended.set()
            writer.close()

    async def peer(self, number: int) -> Peer:
        while len(self.peers) <= number:
            self.changed.clear()
            await self.changed.wait()
        return self.peers[number]


@asynccontextmanager
async def provider(
    *talks: Talk, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Provider]:
    """A provider whose n-th connection is served by the n-th talk, and all further ones by the last."""
    made = Provider(talks, "https" if tls else "http")
    tasks: set[asyncio.Task] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        await made.serve(reader, writer)

    server = await asyncio.start_server(serve, host, 0, limit=1 << 20, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in made.peers:
            peer.writer.transport.abort()
    assert not made.faults, made.faults


@asynccontextmanager
async def client(connect_timeout: float = 10, idle_timeout: float = 10) -> AsyncIterator[Upstream]:
    """The client. After it was closed, none of its connections is left."""
    upstream = Upstream(connect_timeout, idle_timeout)
    try:
        yield upstream
    finally:
        upstream.close()
        await turns()
    assert not any(origin.links or origin.idle for origin in upstream._origins.values())


async def ask(
    upstream: Upstream,
    url: str,
    target: str = "/v1/messages",
    body: bytes = b"{}",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    credential: tuple[bytes, bytes] = KEY,
) -> Answer:
    return await upstream.send(url, credential, "POST" if body else "GET", target, headers, body)


async def answered(upstream: Upstream, url: str, **request: object) -> tuple[int, tuple, bytes]:
    """A whole call: status, headers and body. Its connection is given back."""
    answer = await ask(upstream, url, **request)
    try:
        body = await answer.whole(1 << 30)
    except BaseException:
        answer.close()
        raise
    answer.release()
    return answer.status, answer.headers, body


def always(*pieces: bytes) -> Talk:
    """A talk that answers each request with the same."""

    async def talk(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*pieces)

    return talk


def once(*pieces: bytes, reset: bool = False, hold: bool = False) -> Talk:
    """A talk that answers one request and hangs up; or waits, with `hold`, for the client to do so."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(*pieces)
        if hold:
            await peer.gone()
        if reset:
            peer.reset()

    return talk


def trusting(monkeypatch, certificate: Path) -> None:
    """Let clients that are made from now on trust a certificate, and no other."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("SSL_CERT_DIR", str(certificate.parent))
    _tls.cache_clear()
