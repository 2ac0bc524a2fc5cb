"""A real server with the gateway's own protocol, as production has it, before an application of the test's; and a client
that sends bytes as they are and reads answers strictly (RFC 9112)."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
import uvloop

from visionality.gateway.connection import PRESENCE, Connection, Presence

WITHIN = 30
RESET = struct.pack("ii", 1, 0)

Application = Callable[[Any, Any, Any], Awaitable[None]]
Pairs = list[tuple[bytes, bytes]]


class Broken(Exception):
    """The connection ended before the answer was whole."""


@dataclass(frozen=True)
class Seen:
    """A request as the application saw it."""

    method: str
    path: bytes
    query: bytes
    headers: Pairs
    body: bytes
    scope: Any

    @property
    def line(self) -> tuple[str, bytes, bytes, bytes]:
        return self.method, self.path, self.query, self.body


class Door:
    """The server. `app` answers; it may be changed between two requests."""

    def __init__(self, listener: socket.socket, **settings: Any) -> None:
        self.port = listener.getsockname()[1]
        self.app: Application = self.echo
        self.seen: list[Seen] = []
        self.faults: list[Any] = []
        """What reached the event loop's own exception handler: nothing ever should."""
        self.loop = uvloop.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.faults.append(context))
        self.server = uvicorn.Server(uvicorn.Config(self, http=Connection, **settings))
        self._listener = listener

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.server.serve([self._listener]))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": f"{kind}.complete"})
                if kind == "lifespan.shutdown":
                    return
        await self.app(scope, receive, send)

    async def echo(self, scope: Any, receive: Any, send: Any) -> None:
        """Remember the request and answer with its body."""
        body = await whole(receive)
        self.seen.append(
            Seen(
                scope["method"], scope["raw_path"], scope["query_string"], list(scope["headers"]), body, scope
            )
        )
        await answer(send, body)

    def ask(self, question: Callable[[], Any]) -> Any:
        """What a function returns in the server's thread."""
        told: Future[Any] = Future()

        def say() -> None:
            try:
                told.set_result(question())
            except BaseException as error:  # noqa: BLE001 -- it is raised again where it was asked
                told.set_exception(error)

        self.loop.call_soon_threadsafe(say)
        return told.result(WITHIN)

    @contextmanager
    def as_new(self) -> Iterator[Self]:
        """For one test of a module that shares the server; what came of it must have left no trace in the loop."""
        self.app = self.echo
        self.seen.clear()
        yield self
        self.ask(lambda: None)
        assert self.faults == []

    def client(self) -> "Client":
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=WITHIN))

    def spoken(self, sent: bytes) -> bytes:
        """Everything that comes back on a connection of its own, until the server closes it."""
        with self.client() as client:
            client.send(sent)
            return client.rest()


async def whole(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def piece(send: Any, body: bytes = b"", *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def answer(send: Any, body: bytes = b"", status: int = 200) -> None:
    await start(send, status, (b"content-length", b"%d" % len(body)))
    await piece(send, body, more=False)


def presence(scope: Any) -> Presence:
    return scope["state"][PRESENCE]


@contextmanager
def opened(app: Application | None = None, **options: Any) -> Iterator[Door]:
    """A server in a thread, with the settings of cli/serving.py."""
    settings: dict[str, Any] = {
        "loop": "uvloop",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,
        "log_config": None,
        "server_header": False,
        "date_header": True,
        "timeout_keep_alive": 75,
        "timeout_graceful_shutdown": 30,
    }
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 65536
    )  # so that a client soon notices that it must wait
    door = Door(listener, **settings | options)
    door.app = app or door.echo
    thread = threading.Thread(target=door.run, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.server.should_exit = True
        thread.join(WITHIN)
        assert not thread.is_alive(), "the server does not end"
        assert door.faults == []


@dataclass(frozen=True)
class Answer:
    version: str
    status: int
    phrase: bytes
    headers: Pairs
    body: bytes = b""

    def header(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.headers if key == name]
        assert len(values) < 2, f"{name!r} comes twice"
        return values[0] if values else None


class Client:
    """A connection from the outside."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def send_until_stuck(self, data: bytes) -> int:
        """How many bytes the server took before it made us wait."""
        sent = 0
        self.sock.settimeout(0.5)
        try:
            while sent < len(data):
                sent += self.sock.send(data[sent : sent + 65536])
        except TimeoutError:
            pass
        self.sock.settimeout(WITHIN)
        return sent

    def rest(self) -> bytes:
        """What comes until the server closes. A reset is an end like another."""
        try:
            while data := self.sock.recv(1 << 16):
                self._buffer += data
        except ConnectionError:
            pass
        data, self._buffer = self._buffer, b""
        return data

    def is_closed(self) -> bool:
        """Whether the server closes now and says nothing more."""
        return self.rest() == b""

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, whole. Raises Broken when it is not."""
        head = self.head()
        if method == "HEAD" or head.status in {204, 304} or head.status < 200:
            return head
        if head.header(b"transfer-encoding") == b"chunked":
            assert head.header(b"content-length") is None
            body = b"".join(iter(self.chunk, b""))
        elif (length := head.header(b"content-length")) is not None:
            body = self._take(int(length))
        else:
            body = self._until_closed()
        return Answer(head.version, head.status, head.phrase, head.headers, body)

    def head(self) -> Answer:
        first = self._line()
        version, status, phrase = first.split(b" ", 2)
        headers = []
        while line := self._line():
            name, value = line.split(b": ", 1)
            assert name == name.lower().strip()
            headers.append((name, value))
        return Answer(version.decode(), int(status), phrase, headers)

    def chunk(self) -> bytes:
        """The next chunk; an empty one is the last."""
        body = self._take(int(self._line(), 16))
        assert self._line() == b""
        return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        assert b"\n" not in line
        assert b"\r" not in line
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    def _until_closed(self) -> bytes:
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError:
                raise Broken from None
            if not data:
                body, self._buffer = self._buffer, b""
                return body
            self._buffer += data

    def _more(self) -> None:
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionError:
            raise Broken from None
        if not data:
            raise Broken
        self._buffer += data
