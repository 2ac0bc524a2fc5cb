"""A client's connection: HTTP/1.1 for an ASGI application, on httptools (RFC 9112, ASGI 3.0). Given to uvicorn as `http`.

uvicorn keeps the sockets, the signals and the order of a shutdown. Its own protocol lets a request's head grow and
last without end, tells of a client's leaving only through `receive`, and takes half as much CPU again.
What the application is given, and what it may send, is the same; the framing of an answer is ours alone.
"""

import asyncio
import logging
import re
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

import httptools

from visionality.gateway.turns import Turns

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

PRESENCE = "visionality.presence"
"""Where an ASGI scope's state holds the client's Presence."""
WHOLE = "visionality.body"
"""In ASGI's `http.response.start`: the whole body, after which nothing follows; its headers leave its length to us."""
HEAD_LIMIT = 64 * 1024
"""Bytes that may come without a whole head or any of the body, give or take one AT_ONCE."""
HEAD_SECONDS = 30.0
"""How long a whole head may take, from the first byte of the connection or of the head."""
LINGER_SECONDS = 10.0
"""How long a client may take to close, or to take something of its answer, after our last word to it."""
LOOK = 5.0
"""Seconds between looks at a connection's time bounds: none is kept more finely."""
LAST_REQUEST = 0.5
"""Seconds that a connection without a request stays open when its process retires: a client that uses it is told to leave with
its next answer, instead of finding a closed door on its way in."""
READ_AHEAD = 64 * 1024
"""Bytes of a body that wait for the application, and as many of what is not parsed yet, before nothing more is read."""
AT_ONCE = 64 * 1024
"""Bytes that are parsed before it is asked again whether the client must wait: many requests fit into one read."""

_STATUS = {
    status: b"HTTP/1.1 %d %b" % (status, HTTPStatus(status).phrase.encode() if status in known else b"")
    for known in [{status.value for status in HTTPStatus}]
    for status in range(200, 600)
}
_ASGI = {"version": "3.0", "spec_version": "2.3"}
_BODILESS = frozenset({204, 304})
_FRAMING = frozenset(
    {b"connection", b"content-length", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_HEEDED = frozenset({b"expect", b"host", b"transfer-encoding"})
_OURS = frozenset({b"connection", b"content-length", b"transfer-encoding"})
_REFUSAL = b"\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
_BREAKS = b"\r\n\0"
_DIGITS = 15
"""Of a length that is read here; a longer one is the parser's to read or to refuse."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,%d})[ \t]*\r\n" % _DIGITS, re.IGNORECASE)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time

log = logging.getLogger("uvicorn.error")

_turns: "WeakKeyDictionary[ServerState, Turns]" = WeakKeyDictionary()
"""What all connections of a server share."""


class Presence:
    """Whether a client is still connected. `watchers` are called once, when it leaves.

    An ASGI application otherwise learns it from `receive` alone, which takes a task a call to wait on.
    """

    __slots__ = ("gone", "pass_on", "watchers")

    def __init__(self, pass_on: Callable[[bytes], bool]) -> None:
        self.gone = False
        self.watchers: set[Callable[[], None]] = set()
        self.pass_on = pass_on
        """Writes a piece of the answer that has begun, of which more follows; False when the client should be waited for, as `send`
        does."""

    def left(self) -> None:
        if not self.gone:
            self.gone = True
            for watcher in list(self.watchers):
                watcher()


class _Head(NamedTuple):
    """A request's head that the parser accepted, as its bytes around the length of its body, and what was read in it.

    The same bytes around other digits mean the same but for that length. Of these heads one is kept per connection, and not longer:
    there is a credential in it.
    """

    before: bytes
    after: bytes
    start: int
    """Where the length stands."""
    reach: int
    """Where what is `after` a length ends at the latest."""
    length: bytes
    at: int
    """The length's place among the headers."""
    scope: dict[str, Any]

    @classmethod
    def of(cls, data: bytes, scope: dict[str, Any]) -> Self | None:
        """The head of one request, of which nothing but the end may be missing in what was read. None where it is not for us to read."""
        end = data.find(b"\r\n\r\n") + 4
        found = _LENGTH.search(data, 0, end)
        names = [name for name, _ in scope["headers"]]
        if found is None or len(data) - end > int(found[1]) or b"upgrade" in names:
            return None
        (start, stop), at = found.span(1), names.index(b"content-length")
        reach = start + _DIGITS + end - stop
        return cls(data[:start], data[stop:end], start, reach, found[1], at, {**scope, "state": None})

    def sized(self, length: bytes) -> Self:
        """The same head before a body of another length."""
        headers = list(self.scope["headers"])
        headers[self.at] = (b"content-length", length)
        return self._replace(length=length, scope={**self.scope, "headers": tuple(headers)})


class Connection(asyncio.Protocol):
    """One connection. Requests that come before the last is answered wait, and so does their client.

    A client that closes its half of the connection has left.
    """

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self.app = config.loaded_app
        self.server_state = server_state
        self.presence = Presence(_out_of_order)
        self.transport: asyncio.Transport
        self.blocked: asyncio.Event | None = None
        """Set when the client has taken enough of what was sent; None when there is nothing to wait for."""
        self._state = {**app_state, PRESENCE: self.presence}
        self._keep_alive = config.timeout_keep_alive
        self.loop = asyncio.get_running_loop()
        self._turns = _turns.setdefault(server_state, Turns(self.loop))
        self._timer: asyncio.TimerHandle | None = None
        self._quiet = 0.0
        self._unsent = 0
        self._parser = _parser(self)
        self._exchanges: deque[Exchange] = deque()
        self._receiving: Exchange | None = None
        self._refusal = b""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects = False
        self._in_head = True
        self._unread = 0
        self._between = True
        self._known: _Head | None = None
        self._owed = 0
        """Bytes of a body that the parser is not told of, because it was not of its head."""
        self._waiting: deque[bytes | memoryview] = deque()
        self._held = 0
        self.paused = self._stopped = False
        self._deaf = self._leaving = False
        self._defaults: list[tuple[bytes, bytes]] = []
        self._default_lines = b""

    # ------------------------------------------------------------------ from the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by class
        self._client = _address(transport.get_extra_info("peername"))
        self._server = _address(transport.get_extra_info("sockname"))
        self.server_state.connections.add(cast("Any", self))  # a set of its own protocols, by their classes
        self._timer = self.loop.call_later(LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- gone is gone
        self.server_state.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._deaf = True
        self._part()
        self._known = None
        # Both know this connection, which would wait for the garbage collector.
        del self._parser
        self.presence.pass_on = _out_of_order

    def data_received(self, data: bytes) -> None:
        if len(data) > AT_ONCE or self.paused:
            self._waiting.append(data)
            self._held += len(data)
            self._read_on()
        elif self._exchanges or not self._between:
            self._parse(data)
        elif not self._repeats(data):
            self._parse(data)
            self._remember(data)

    def pause_writing(self) -> None:
        self.blocked = asyncio.Event()

    def resume_writing(self) -> None:
        if self.blocked is not None:
            self.blocked.set()
            self.blocked = None

    def _look(self) -> None:
        """See now and then whether a head takes too long, nobody uses this connection, or its end does not come."""
        self._timer = self.loop.call_later(LOOK, self._look)
        unsent = self.transport.get_write_buffer_size()
        self._quiet = self._quiet + LOOK if unsent == self._unsent else 0.0
        self._unsent = unsent
        if self._exchanges:
            return
        if self._deaf:
            if self._quiet >= LINGER_SECONDS:
                self.transport.abort()
        elif self._quiet >= (HEAD_SECONDS if self._in_head else self._keep_alive):
            self._receiving = None
            self.end()

    # ------------------------------------------------------------------ from the parser

    def on_message_begin(self) -> None:
        self._url, self._headers, self._expects, self._in_head = b"", [], False, True
        self._between = False
        self._quiet = 0.0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if not self._in_head:  # a trailer is no header, but llhttp heeds these
            if name in _FRAMING:
                raise ValueError("a trailer that would change how the request is read")
            return
        value = value.rstrip()
        if name in _HEEDED:
            self._heed(name, value.lower())
        self._headers.append((name, value))

    def _heed(self, name: bytes, value: bytes) -> None:
        """Raises ValueError for a transfer coding that nobody undoes here: the body would not be the body.

        And for a request of two hosts (RFC 9112 section 3.2): somebody before us may have gone by the other.
        """
        if name == b"expect":
            self._expects = value == b"100-continue"
        elif name == b"host":
            if b"," in value or b" " in value or any(known == b"host" for known, _ in self._headers):
                raise ValueError("more than one host")
        elif value != b"chunked":
            raise ValueError("a transfer coding other than chunked")

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():  # see _read_plainly
            return
        self._unread, self._in_head = 0, False
        version = parser.get_http_version()
        is_current = version == "1.1"
        if not is_current and version != "1.0":
            raise ValueError(f"HTTP/{version}")
        keep = is_current and parser.should_keep_alive() and not self._leaving
        exchange = Exchange(self, self._scope(version), keep, self._expects and is_current)
        self._receiving = exchange
        self._exchanges.append(exchange)
        if len(self._exchanges) == 1:
            self._begin(exchange)
        else:
            self.balance()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        receiving = self._receiving
        if receiving is not None:
            receiving.add(body)
            if receiving.size > READ_AHEAD:
                self.balance()

    def on_message_complete(self) -> None:
        self._unread, self._between = 0, True
        receiving = self._receiving
        if receiving is not None:
            self._receiving = None
            self._deaf = not receiving.keep
            receiving.ended = True
            receiving.wake()

    def _scope(self, version: str) -> dict[str, Any]:
        """What the application is told. Raises HttpParserInvalidURLError for a target that is no path."""
        url = self._url
        if url.startswith(b"/") and b"#" not in url:
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": tuple(self._headers),
            "client": self._client,
            "server": self._server,
            "state": self._state.copy(),
        }

    # ------------------------------------------------------------------ reading

    def _parse(self, data: "bytes | memoryview") -> None:
        if self._owed and not self._deaf:
            data = self._rest(data)
        if self._deaf or not data:
            return
        self._unread += len(data)
        try:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._read_plainly(data, upgrade.args[0])
        except httptools.HttpParserError:
            self._refuse(400, b"Invalid HTTP request received.")
        if self._unread > HEAD_LIMIT and not self._deaf:
            self._refuse(431, b"")

    def _repeats(self, data: bytes) -> bool:
        """Begin a request without asking the parser, which is between two: its head is known, and nothing comes after it."""
        known = self._known
        if known is None or self._deaf or not data.startswith(known.before):
            return False
        end = data.find(known.after, known.start, known.reach)
        length = data[known.start : end]
        if end < 0 or not length.isdigit():
            return False
        body = data[end + len(known.after) :]
        owed = int(length) - len(body)
        if owed < 0:
            return False
        if length != known.length:
            self._known = known = known.sized(length)
        self._quiet, self._unread, self._owed = 0.0, 0, owed
        exchange = Exchange(self, {**known.scope, "state": self._state.copy()}, not self._leaving, False)
        if body:
            exchange.parts, exchange.size = [body], len(body)
        self._exchanges.append(exchange)
        if owed:
            self._receiving, self._between = exchange, False
        else:
            self._deaf, exchange.ended = not exchange.keep, True
        self._begin(exchange)
        return True

    def _remember(self, data: bytes) -> None:
        """Keep the head of what was parsed just now, if this began one request that its length ends and nothing changes."""
        if len(self._exchanges) == 1 and self._exchanges[0].keep and not (self._expects or self._in_head):
            self._known = _Head.of(data, self._exchanges[0].scope)

    def _rest(self, data: "bytes | memoryview") -> "bytes | memoryview":
        """Take what is owed of a body; what comes after it."""
        body = bytes(data[: self._owed])
        self._owed -= len(body)
        self.on_body(body)
        if not self._owed:
            self.on_message_complete()
        return data[len(body) :]

    def _read_plainly(self, data: "bytes | memoryview", end: int) -> None:
        """Read a head that asks for another protocol once more, as one that does not, and then what came after it.

        Nobody changes the protocol here, but to llhttp that head ends HTTP: a body would be taken for a request.
        """
        while True:
            method, version = self._parser.get_method(), self._parser.get_http_version()
            if method == b"CONNECT":
                raise httptools.HttpParserError("this is no proxy")
            headers = self._headers
            lines = [b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]
            start = b"%b %b HTTP/%b\r\n" % (method, self._url, version.encode())
            self._parser = _parser(self)
            self._parser.feed_data(b"".join([start, *lines, b"\r\n"]))
            self._exchanges[-1].scope["headers"] = tuple(headers)
            data = data[end:]
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                end = upgrade.args[0]
            else:
                return

    def _read_on(self) -> None:
        """Parse what has come, until the client must wait. A little more may come then, or we would not see it leave."""
        waiting = self._waiting
        while waiting and not self.paused:
            data = memoryview(waiting.popleft())
            if len(data) > AT_ONCE:
                waiting.appendleft(data[AT_ONCE:])
                data = data[:AT_ONCE]
            self._held -= len(data)
            self._parse(data)
        full = self._held > READ_AHEAD
        if full != self._stopped and not self.transport.is_closing():
            self._stopped = full
            if full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def balance(self) -> None:
        """Read on, or make the client wait: for its earlier request, or for its body to be taken."""
        receiving = self._receiving
        paused = len(self._exchanges) > 1 or (receiving is not None and receiving.size > READ_AHEAD)
        if paused != self.paused:
            self.paused = paused
            if not paused:
                self._read_on()

    # ------------------------------------------------------------------ the exchanges, in order

    def _begin(self, exchange: "Exchange") -> None:
        self.presence.pass_on = exchange.pass_on
        self._turns.take(exchange.begin)

    def default_lines(self) -> bytes:
        """Uvicorn's own headers, which it makes anew each second."""
        defaults = self.server_state.default_headers
        if defaults is not self._defaults:
            self._defaults = defaults
            self._default_lines = b"".join([b"\r\n%b: %b" % header for header in defaults])
        return self._default_lines

    def answered(self, exchange: "Exchange") -> None:
        """The exchange has sent all of its answer."""
        self._exchanges.popleft()
        self.server_state.total_requests += 1
        self._quiet = 0.0
        if not exchange.keep:
            self.end()
        elif self._exchanges:
            self._begin(self._exchanges[0])
        elif self._refusal:
            self.transport.write(self._refusal)
            self.end()
        elif self._leaving:
            self.loop.call_later(LAST_REQUEST, self._leave)
        if self.paused:
            self.balance()

    def shutdown(self) -> None:
        """End after what is being answered now; uvicorn calls it once."""
        if self._exchanges:
            self._exchanges[0].keep = False
        else:
            self.transport.close()

    def retire(self) -> None:
        """End with the next answer that can say so, or soon when nothing is asked. May be called again."""
        if self._leaving or self._deaf:
            return
        self._leaving = True
        if self._exchanges:
            last = self._exchanges[-1]
            last.keep = last.keep and last.started
        else:
            self.loop.call_later(LAST_REQUEST, self._leave)

    def _leave(self) -> None:
        if not (self._exchanges or self._deaf):
            self.end()

    def _refuse(self, status: int, text: bytes) -> None:
        """Say no to what is no request, after the answers that are owed, and read no more.

        When it is the body of the request that is being answered, that answer ends here; one that began, without a word.
        """
        refused, exchanges = self._receiving, self._exchanges
        self._deaf, self._refusal = True, _STATUS[status] + _REFUSAL % (len(text), text)
        if exchanges and exchanges[0] is not refused:
            if refused is not None:
                exchanges.pop()
            return
        if refused is None or not refused.started:
            self.transport.write(self._refusal)
        self._part()
        self.end(abruptly=refused is not None and refused.ends_by_closing)

    def _part(self) -> None:
        """Nobody is there any more to be answered."""
        self.presence.left()
        self.resume_writing()
        for exchange in self._exchanges:
            exchange.wake()

    def end(self, *, abruptly: bool = False) -> None:
        """Close, after what is on its way. A client that may be sending is heard out: a reset would take that from it.

        `abruptly` is for an answer that its client would take for whole if it ended in the usual way.
        """
        is_sending = self._receiving is not None or self._refusal
        self._deaf, self._quiet, self._receiving = True, 0.0, None
        self._exchanges.clear()
        if abruptly:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        elif is_sending:
            self.transport.write_eof()
            self.balance()
        else:
            self.transport.close()


class Exchange:
    """A request and its answer."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_expects",
        "_head",
        "_left",
        "_mute",
        "_news",
        "_told",
        "complete",
        "ended",
        "keep",
        "parts",
        "scope",
        "size",
        "started",
        "task",
    )

    def __init__(self, connection: Connection, scope: dict[str, Any], keep: bool, expects: bool) -> None:
        self._connection = connection
        self.scope = scope
        self._expects = expects
        self.parts: list[bytes] = []
        self._news: asyncio.Event | None = None
        self._head = b""
        self._left: int | None = 0
        self._told = self._chunked = self._mute = False
        self.keep = keep
        self.size = 0
        self.ended = self.started = self.complete = False
        self.task: asyncio.Task[None]

    # ------------------------------------------------------------------ from the connection

    @property
    def ends_by_closing(self) -> bool:
        """Whether nothing but the end of the connection shows where the answer ends."""
        return self.started and self._left is None and not self._chunked

    def add(self, body: bytes) -> None:
        """Take a part of the body; one that nobody will read any more is dropped."""
        if not self.complete:
            self.parts.append(body)
            self.size += len(body)
            self.wake()

    def wake(self) -> None:
        if self._news is not None:
            self._news.set()

    # ------------------------------------------------------------------ the application

    def begin(self) -> None:
        connection = self._connection
        self.task = connection.loop.create_task(self.run())
        connection.server_state.tasks.add(self.task)

    async def run(self) -> None:
        connection = self._connection
        try:
            await connection.app(self.scope, self.receive, self.send)
        except BaseException:
            log.exception("Exception in ASGI application\n")
        else:
            if not self.complete and not connection.presence.gone:
                log.error("The ASGI application returned without a whole answer")
        connection.server_state.tasks.discard(self.task)
        if not self.complete and not connection.presence.gone:
            self._break_off()

    def _break_off(self) -> None:
        """End an answer that the application did not end, so that nobody takes it for whole."""
        if self.started:
            self._flush()
            self._connection.end(abruptly=self.ends_by_closing)
            return
        text = b"Internal Server Error"
        self.keep = False
        self._start(500, [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))])
        self._continue(text, more=False)

    async def receive(self) -> dict[str, Any]:
        """ASGI's `http.request` and `http.disconnect`."""
        connection = self._connection
        if self._expects and not self.started and not connection.presence.gone:
            self._expects = False
            connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not (connection.presence.gone or self.complete):
            parts, ended = self.parts, self.ended
            if parts or (ended and not self._told):
                self.parts, self.size, self._told = [], 0, ended
                if connection.paused:
                    connection.balance()  # which may bring more at once
                return {"type": "http.request", "body": b"".join(parts), "more_body": not ended}
            self._news = self._news or asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        """ASGI's `http.response.start` and `http.response.body`. Raises RuntimeError for what no answer can be."""
        connection = self._connection
        while (blocked := connection.blocked) is not None:
            await blocked.wait()
        if connection.presence.gone:
            return
        kind = message["type"]
        if kind == "http.response.start" and not self.started:
            whole = message.get(WHOLE)
            if whole is None:
                self._start(message["status"], message.get("headers", ()))
                connection.loop.call_soon(self._flush)
            else:
                self._start(message["status"], message["headers"], len(whole))
                self._continue(whole, more=False)
        elif kind == "http.response.body" and self.started and not self.complete:
            self._continue(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is out of order")

    def pass_on(self, body: bytes) -> bool:
        """The same as `send` for a piece that is not the last, but without waiting: whether the client keeps up. Raises RuntimeError."""
        connection = self._connection
        if not self.started or self.complete:
            _out_of_order(body)
        if self._chunked and body and not self._head:
            connection.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        else:
            self._continue(body, more=True)
        return connection.blocked is None

    def _start(self, status: int, headers: Iterable[tuple[bytes, bytes]], length: int | None = None) -> None:
        """Make the head ready. It leaves with the first of the body, else as soon as the loop comes round.

        A client that waits for its 100 Continue may never send its body: its connection ends with the answer.
        """
        keep = self.keep and (self.ended or not self._expects)
        lines = []
        for name, value in headers:
            lowered = name.lower()
            if lowered not in _OURS:
                lines.append(b"\r\n%b: %b" % (lowered, value))
            elif lowered == b"content-length":
                if length is not None or not value.isdigit():
                    raise RuntimeError("the length of the body is not one number")
                length = int(value)
            elif lowered == b"connection" and b"close" in value.lower():
                keep = False
        fields = b"".join(lines)
        if len(fields.translate(None, _BREAKS)) != len(fields) - 2 * len(lines):
            raise RuntimeError("a header has a line break in it")
        self._head = b"".join(
            [_STATUS[status], self._connection.default_lines(), fields, self._framing(status, length, keep)]
        )
        self.started = True

    def _framing(self, status: int, length: int | None, keep: bool) -> bytes:
        """How the body ends, as the last lines of the head say it (RFC 9112, 6.3)."""
        self._mute = self.scope["method"] == "HEAD"
        said = b"\r\ncontent-length: %d" % length if length is not None and status != 204 else b""
        if self._mute or status in _BODILESS:
            self._left = 0
        elif length is not None:
            self._left = length
        elif self.scope["http_version"] == "1.1":
            self._chunked, said = True, b"\r\ntransfer-encoding: chunked"
        else:
            self._left, keep = None, False
        self.keep = keep
        return said + (b"\r\n\r\n" if keep else b"\r\nconnection: close\r\n\r\n")

    def _continue(self, body: bytes, *, more: bool) -> None:
        piece = body
        if self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                piece += b"0\r\n\r\n"
        elif self._mute:
            piece = b""
        elif self._left is not None:
            left = self._left - len(body)
            if left < 0 or (left and not more):
                raise RuntimeError("the body does not have the length that its head says")
            self._left = left
        head, self._head = self._head, b""
        if data := head + piece:
            self._connection.transport.write(data)
        if not more:
            self.complete = True
            self.parts, self.size = [], 0
            if self._news is not None:
                self._news.set()
            self._connection.answered(self)

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self._connection.presence.gone:
            self._connection.transport.write(head)


def _out_of_order(_: bytes) -> NoReturn:
    raise RuntimeError("a piece of an answer is out of order")


def _parser(connection: Connection) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(connection)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # what follows a last request is not read
    return parser


def _address(info: Any) -> tuple[str, int] | None:
    """Host and port, of an address that has them."""
    return (info[0], info[1]) if isinstance(info, tuple) else None
