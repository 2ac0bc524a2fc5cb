"""One HTTP request and its answer over ASGI 3, with the ways in which an answer can go wrong.

Sources: the ASGI specification, version 3.0, and uvicorn's HTTP protocols (0.54).

**Breaking a connection.** ASGI has no message for it. An application that raises after
`http.response.start` makes uvicorn close the transport without the terminating chunk,
which is what a broken provider looks like, but uvicorn also logs the exception as an
error. `ConnectionBroken` is raised for that purpose only, and a filter on uvicorn's
logger drops the records that carry it. Bytes written before are still delivered.

**Noticing a client that has gone.** A pause is a `receive` with a time limit: the message
that ends it early is `http.disconnect`. No task has to watch beside the answer.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

LARGEST_BODY_BYTES: Final = 32 * 1024 * 1024  # Anthropic's limit for Messages; OpenAI states none


class ClientGone(Exception):
    """The client closed its connection before the answer was complete."""


class BodyTooLarge(Exception):
    """The request's body passes LARGEST_BODY_BYTES. The rest of it has not been read."""


class ConnectionBroken(Exception):
    """Raised to make the server close the connection in the middle of an answer."""


def is_not_a_planned_break(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionBroken))


logging.getLogger("uvicorn.error").addFilter(is_not_a_planned_break)


class Exchange:
    """A request being answered."""

    __slots__ = ("_receive", "_send", "header_pairs", "headers", "method", "path", "target")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.header_pairs: list[Header] = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(self.header_pairs)
        query: bytes = scope["query_string"]
        self.target: bytes = scope["raw_path"] + (b"?" + query if query else b"")

    async def body(self) -> bytes:
        """The whole body. Raises ClientGone or BodyTooLarge."""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            only: bytes = message.get("body", b"")
            return only
        received = bytearray()
        while message["type"] == "http.request":
            received += message.get("body", b"")
            if len(received) > LARGEST_BODY_BYTES:
                raise BodyTooLarge
            if not message.get("more_body"):
                return bytes(received)
            message = await self._receive()
        raise ClientGone

    async def start(self, status: int, headers: Iterable[Header]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def answer(self, status: int, headers: Iterable[Header], body: bytes) -> None:
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.finish(body)

    async def pause(self, delay_ms: int) -> None:
        """Wait. Raises ClientGone as soon as the client has closed its connection."""
        try:
            async with asyncio.timeout(delay_ms / 1000):
                await self.until_gone()
        except TimeoutError:
            return

    async def until_gone(self) -> None:
        """Wait for the client to close its connection, then raise ClientGone."""
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
