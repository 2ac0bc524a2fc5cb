"""What the sandbox has seen: the evidence that tests compare with the gateway's own records.

In memory and per process, so the sandbox runs as one worker.
"""

import base64
import hashlib
from collections import deque
from typing import Final

import msgspec

from visionality.sandbox.exchange import Exchange, Header

MOST_IDS: Final = 100_000
LONGEST_ID_BYTES: Final = 512  # OpenAI's documented limit for x-client-request-id


class Seen(msgspec.Struct):
    """The answer of `GET /sandbox/seen`.

    `count` counts every model request; `ids` are the latest MOST_IDS of the
    `x-client-request-id` headers among them, oldest first.
    """

    count: int
    ids: list[str]
    disconnects: int


class LastRequest(msgspec.Struct):
    """The answer of `GET /sandbox/last`: a POST request as it came. Header names are in lower case."""

    path: str
    headers: list[tuple[str, str]]
    body_sha256: str
    body: str


class SeenLog:
    """Counts model requests, keeps their ids, and holds the last one whole."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._count = 0
        self._disconnects = 0
        self._ids: deque[bytes] = deque(maxlen=MOST_IDS)
        self._last: tuple[bytes, list[Header], bytes] | None = None

    def hold(self, exchange: Exchange, body: bytes) -> None:
        self._last = (exchange.target, exchange.header_pairs, body)

    def record(self, exchange: Exchange) -> None:
        self._count += 1
        if request_id := exchange.headers.get(b"x-client-request-id"):
            self._ids.append(request_id[:LONGEST_ID_BYTES])

    def count_disconnect(self) -> None:
        self._disconnects += 1

    def seen(self) -> bytes:
        ids = [request_id.decode("latin-1") for request_id in self._ids]
        return msgspec.json.encode(Seen(self._count, ids, self._disconnects))

    def last(self) -> bytes | None:
        if self._last is None:
            return None
        target, headers, body = self._last
        return msgspec.json.encode(
            LastRequest(
                path=target.decode("latin-1"),
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers],
                body_sha256=hashlib.sha256(body).hexdigest(),
                body=base64.b64encode(body).decode(),
            )
        )
