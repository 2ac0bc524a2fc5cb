"""A client's connection: uvicorn's HTTP protocol with the bounds that it lacks.

llhttp keeps a request's head for as long as it grows, and uvicorn waits for it for as long as it takes; both would let
a stranger fill the memory. A field that comes after the body, as a trailer, is no header and is dropped.
"""

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

PRESENCE = "visionality.presence"
"""Where an ASGI scope's state holds the client's Presence."""
HEAD_LIMIT = 64 * 1024
"""Bytes that may come without a whole head or any of the body, give or take what one read brings."""
HEAD_SECONDS = 30.0

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Presence:
    """Whether a client is still connected. `watchers` are called once, when it leaves.

    An ASGI application otherwise learns it from `receive` alone, which takes a task a call to wait on.
    """

    __slots__ = ("gone", "watchers")

    def __init__(self) -> None:
        self.gone = False
        self.watchers: set[Callable[[], None]] = set()

    def left(self) -> None:
        self.gone = True
        for watcher in list(self.watchers):
            watcher()


class BoundedProtocol(HttpToolsProtocol):
    """To be given to uvicorn as `http`."""

    _unread = 0
    _in_head = True
    _too_slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._presence = Presence()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)
        self._presence.left()

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._unread > HEAD_LIMIT and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][PRESENCE] = self._presence
        self._in_head = True
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unread, self._in_head = 0, False
        self._head_came()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

    def _await_head(self) -> None:
        if self._too_slow is None:
            self._too_slow = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_came(self) -> None:
        if self._too_slow is not None:
            self._too_slow.cancel()
            self._too_slow = None
