"""The one upstream of all: a bare asyncio protocol on uvloop in a process of its own.

A fixed answer of 1 KB, at once or after 50 ms where the prompt says SLOW; a stream of events 10 ms apart where one is asked
for. Where the paths and credentials of the peers differ, it does not care.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import httptools
import uvloop

SLOW = b"wait for it"
WAIT = 0.05
PACE = 0.01
EVENTS = 20
WORDS = "An answer of one kilobyte. " * 23
USAGE = {"prompt_tokens": 92, "completion_tokens": 140, "total_tokens": 232}
END = b"data: [DONE]"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _whole() -> bytes:
    message = {"role": "assistant", "content": WORDS, "refusal": None}
    body = _json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1790000000,
            "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": USAGE,
            "system_fingerprint": "fp_bench",
        }
    ).ljust(1024)
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    )


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _event(choices: list[object], usage: object) -> bytes:
    shape = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1790000000,
        "model": "gpt-4o",
    }
    return _chunk(b"data: " + _json(shape | {"choices": choices, "usage": usage}) + b"\n\n")


def _delta(delta: object, finish: str | None) -> bytes:
    return _event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], None)


WHOLE = _whole()
OPENING = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECES = (
    OPENING + _delta({"role": "assistant", "content": ""}, None),
    *(_delta({"content": f"word {at} "}, None) for at in range(EVENTS - 3)),
    _delta({}, "stop"),
    _event([], USAGE) + _chunk(END + b"\n\n") + b"0\r\n\r\n",
)


class Upstream(asyncio.Protocol):
    """Answers one request after another on a connection that is kept."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        if b'"stream":true' in body or b'"stream": true' in body:
            self._piece(0)
        elif SLOW in body:
            asyncio.get_running_loop().call_later(WAIT, self._write, WHOLE)
        else:
            self._write(WHOLE)

    def _piece(self, at: int) -> None:
        self._write(PIECES[at])
        if at + 1 < len(PIECES):
            asyncio.get_running_loop().call_later(PACE, self._piece, at + 1)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


@contextmanager
def upstream() -> Iterator[int]:
    """Its port, while it runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.peers.upstream"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        yield int(child.stdout.readline())
    finally:
        child.terminate()
        child.communicate()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
