"""The caller's side of a call: its body read within limits, its answer sent."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple

from visionality.core.body import LARGE, Preview
from visionality.core.call import Headers, Refusal
from visionality.gateway.connection import WHOLE, Presence
from visionality.gateway.deadline import NEVER, Deadline

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SWALLOW_SECONDS = 2.0
SWALLOW_TIMES = 4
"""How much of a body that is too large is still read and dropped, in bodies of the largest size."""


class ClientGone(Exception):
    """The client left before its request was whole."""


@dataclass(slots=True)
class Client:
    """Whoever made the call, and when what is being done for them must be over."""

    receive: Receive
    send: Send
    presence: Presence
    deadline: Deadline


class Arrived(NamedTuple):
    """A whole body, and what was seen of it while it came."""

    body: bytes
    preview: Preview | None
    """Of a large one."""
    sha256: bytes


async def body(client: Client, headers: Headers, limit: int, seconds: float, now: float) -> Arrived:
    """The request's body, within so many seconds of `now`, the loop's time. Raises Refusal (408, 413, 415) or ClientGone."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            await _swallow(client.receive, limit)
            raise _too_large(limit)
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise Refusal(415, "unsupported_encoding", "send the body without content-encoding")
    client.deadline.at = now + seconds
    try:
        first = await client.receive()
        if first.get("more_body") is False and len(first["body"]) <= limit:
            return Arrived(first["body"], None, sha256(first["body"]).digest())
        arrived, ended = await _within(client.receive, limit, first)
    except asyncio.CancelledError:
        if not client.deadline.caught():
            raise
        raise Refusal(408, "body_timeout", f"the body did not arrive within {seconds:g} s") from None
    finally:
        client.deadline.at = NEVER
    if arrived is not None:
        return arrived
    if not ended:
        await _swallow(client.receive, limit)
    raise _too_large(limit)


async def _within(receive: Receive, limit: int, message: Message) -> tuple[Arrived | None, bool]:
    """The body that begins with a message, or None when it is larger, and whether all of it came. Raises ClientGone."""
    whole = BytesIO()  # which grows where it is, and gives away its bytes without a copy
    preview: Preview | None = None
    digest = sha256()
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk, ended = message.get("body", b""), not message.get("more_body")
        size += len(chunk)
        if size > limit:
            return None, ended
        digest.update(chunk)
        preview = preview or Preview()
        preview.add(chunk)
        whole.write(chunk)
        if ended:
            return Arrived(whole.getvalue(), preview if size > LARGE else None, digest.digest()), True
        message = await receive()


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
    await send({"type": "http.response.start", "status": status, "headers": headers, WHOLE: content})
