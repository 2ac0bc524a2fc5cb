"""The caller's side of a call: its body read within limits, its answer sent, its leaving noticed."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from visionality.core.call import Headers, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SWALLOW_SECONDS = 2.0
SWALLOW_TIMES = 4
"""How much of a body that is too large is still read and dropped, in bodies of the largest size."""


class ClientGone(Exception):
    """The client left before its request was whole."""


async def body(headers: Headers, receive: Receive, limit: int, seconds: float) -> bytes:
    """The request's body. Raises Refusal (408, 413, 415) or ClientGone."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            await _swallow(receive, limit)
            raise _too_large(limit)
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise Refusal(415, "unsupported_encoding", "send the body without content-encoding")
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                chunk = message.get("body", b"")
                size += len(chunk)
                if size > limit:
                    break
                chunks.append(chunk)
                if not message.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise Refusal(408, "body_timeout", f"the body did not arrive within {seconds:g} s") from None
    chunks.clear()
    if message.get("more_body"):
        await _swallow(receive, limit)
    raise _too_large(limit)


async def _swallow(receive: Receive, limit: int) -> None:
    """Drop what a client is still sending, within bounds: closed at once, it would see a reset and not the refusal."""
    size = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(SWALLOW_SECONDS):
            while size <= SWALLOW_TIMES * limit:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "body_too_large", f"the body is larger than {limit} bytes")


async def answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
    """A whole answer at once."""
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": content})


class Leaving:
    """Watches for the client's disconnect and then calls `left` once."""

    def __init__(self, receive: Receive, left: Callable[[], None]) -> None:
        self._receive = receive
        self._left = left
        self.happened = False
        self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.happened = True
        self._left()

    def stop(self) -> None:
        self._task.cancel()
