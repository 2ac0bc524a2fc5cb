"""A cheap HTTP/1.1 caller: one kept-alive connection, prebuilt request bytes, no parsing that is not needed."""

import asyncio
import time
from typing import cast

HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Caller(asyncio.Protocol):
    """Sends the same request again and again; remembers when the first event and the whole answer came."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._done: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._chunked = False
        self._needed = 0
        self.first_event = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by class

    async def call(self, request: bytes) -> bytes:
        assert self._transport is not None
        self._buffer.clear()
        self._needed = 0
        self._chunked = False
        self.first_event = 0.0
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._done

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed and not self._chunked:
            end = self._buffer.find(HEAD_END)
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = head.find(b"content-length: ")
            if length < 0:
                self._chunked = True
            else:
                self._needed = end + 4 + int(head[length + 16 :].split(b"\r\n", 1)[0])
        if not self.first_event and self._chunked and b"data:" in self._buffer:
            self.first_event = time.perf_counter()
        ended = self._buffer.endswith(LAST_CHUNK) if self._chunked else len(self._buffer) >= self._needed
        if ended and self._done is not None and not self._done.done():
            self._done.set_result(bytes(self._buffer))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the connection was closed"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def request(port: int, path: str, key: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\nanthropic-version: 2023-06-01\r\ncontent-length: {len(body)}\r\n"
    )
    return head.encode() + b"\r\n" + body
