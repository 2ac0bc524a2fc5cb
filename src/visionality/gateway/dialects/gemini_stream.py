"""A streamed answer of Gemini, in both of its forms: server-sent events (`alt=sse`), and a JSON array that grows.

No event says that it is the last. So from the chunk on in which every candidate has finished, the newest chunk is kept
until another one follows or the answer ends; of an array, so is the bracket that closes it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask
from visionality.core.sse import Events, payload
from visionality.core.usage import Metered, Usage
from visionality.gateway.dialects._core import EMITTED_LIMIT, NOT_JSON, TAIL_LIMIT
from visionality.gateway.dialects.gemini_usage import Answer, Report, emitted_in, read

CHUNK_LIMIT = 32 * 1024 * 1024
"""A chunk longer than this is passed on in pieces, unread; an image of the largest size stays below."""

_BLANK = b" \t\r\n"
_MARK = re.compile(rb'["{}\[\]]')
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_DEPTH = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}


class Elements:
    """Feed bytes of a JSON array, get its elements, each with what stands before it; at last its closing bracket.

    Sans-I/O and unchanged, as `core.sse.Events` is. An element longer than CHUNK_LIMIT comes in pieces, unread.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._at = 0
        self._depth = 0
        self._in_string = False
        self.closed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What has ended in these bytes; after the closing bracket, everything. Each byte is looked at once.

        `closed` is so from the closing bracket's piece on.
        """
        buffer = self._rest
        buffer += data
        start, end = 0, self._next(self._at)
        while end is not None:
            yield bytes(buffer[start:end])
            start, end = end, self._next(end)
        if (self.closed and start < len(buffer)) or len(buffer) - start > CHUNK_LIMIT:
            yield bytes(buffer[start:])
            self._at = start = len(buffer)
        del buffer[:start]
        self._at -= start

    def take_rest(self) -> bytes:
        """What has not ended yet; it is then no longer kept."""
        rest = bytes(self._rest)
        self._rest.clear()
        self._at = 0
        return rest

    def _next(self, at: int) -> int | None:
        """Where the element that `at` lies in ends, or the array; None when that has not come."""
        buffer = self._rest
        while not self.closed:
            if self._in_string:
                string = _STRING.match(buffer, at)
                assert string is not None
                at = string.end()
                if buffer[at : at + 1] != b'"':
                    break
                at += 1
                self._in_string = False
            mark = _MARK.search(buffer, at)
            if mark is None:
                at = len(buffer)
                break
            at = mark.end()
            turn = _DEPTH.get(buffer[at - 1])
            if turn is None:
                self._in_string = True
                continue
            self._depth += turn
            self.closed = self._depth <= 0
            if turn < 0 and self._depth <= 1:
                return at
        self._at = at
        return None


class GeminiStream:
    """The chunks of one streamed answer."""

    def __init__(self, ask: Ask) -> None:
        self._pieces: Events | Elements | None = None
        self._start = b""
        self._report = Report(ask.model)
        self._held = b""
        self._tail = b""
        self._sent = False
        self._chunks: list[bytes] = []
        self._kept_bytes = 0
        self._emitted_bytes = 0
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        if self._pieces is None:
            data = self._start = self._start + data
            first = data.lstrip(_BLANK)[:1]
            if not first:
                return b""
            self._start = b""
            self._pieces = Elements() if first == b"[" else Events(CHUNK_LIMIT)
        out = b"".join([self._read(piece) for piece in self._pieces.feed(data)])
        self._sent |= bool(out)
        return out

    def finish(self) -> bytes:
        rest = self._start if self._pieces is None else self._pieces.take_rest()
        held = self._held + self._tail + rest
        self._held = self._tail = self._start = b""
        self.complete |= self._report.ended
        return held

    def framed(self, error: bytes) -> bytes:
        """An error event at the place in the answer where it will stand: in an array as its last element."""
        if not isinstance(self._pieces, Elements):
            return error
        return (b",\r\n" if self._sent else b"[") + payload(error) + b"\r\n]\r\n"

    def metered(self, document: Mapping[str, Any]) -> Metered:
        report = self._report
        has_ended = report.ended or (self.complete and report.finish != "upstream_error")
        if has_ended and report.reports(self._emitted):
            return report.metered("provider_final")
        problem = "the usage is not whole" if has_ended and report.usage else None
        return report.estimated(document, self._emitted(), problem)

    def _emitted(self) -> Usage:
        emitted = Usage()
        for chunk in self._chunks:
            emitted += emitted_in(read(chunk).candidates)
        if self._emitted_bytes > self._kept_bytes:
            counts = emitted.counts().items()
            scaled = {name: number * self._emitted_bytes // self._kept_bytes for name, number in counts}
            emitted = msgspec.structs.replace(emitted, **scaled)
        return emitted

    def _read(self, piece: bytes) -> bytes:
        if self.complete:
            self._tail = (self._tail + piece)[:TAIL_LIMIT]
            return b""
        if isinstance(self._pieces, Elements):
            self.complete = self._pieces.closed
            data = piece[max(0, piece.find(b"{")) :]
        else:
            data = payload(piece)
        chunk = None if self.complete or len(piece) > CHUNK_LIMIT else _chunk(data)
        if chunk is None:
            return self._passed(piece)
        self._report.add(chunk)
        self._emitted_bytes += len(data)
        if self._kept_bytes < EMITTED_LIMIT:
            self._chunks.append(data)
            self._kept_bytes += len(data)
        out, self._held, self._tail = self._held + self._tail, b"", b""
        self.complete = chunk.error is not None
        if not self.complete and not self._report.ended:
            return out + piece
        self._held = piece
        return out

    def _passed(self, piece: bytes) -> bytes:
        """What is no chunk: a comment, the end of an array, nonsense."""
        if not self.complete and not self._held:
            return piece
        self._tail = (self._tail + piece)[:TAIL_LIMIT]
        return b""


def _chunk(data: bytes) -> Answer | None:
    try:
        return read(data)
    except NOT_JSON:
        return None
