"""Binary streams out of fixtures that a person can read (tests/conformance/usage/README.md)."""

import base64
import json
import re

from visionality.core.eventstream import Frames, event, exception

_LINE = re.compile(rb"(damaged )?(event|exception) (\w+) (\{.*\})")
_HEADER = re.compile(rb"([a-z0-9-]+): (\S+)\n")


def is_written(answer: bytes) -> bool:
    """Whether an answer is written down as frames."""
    return _LINE.match(answer) is not None


def made(answer: bytes) -> bytes:
    """The stream of an answer that is written down as frames."""
    return b"".join(map(_made, answer.splitlines()))


def _made(line: bytes) -> bytes:
    found = _LINE.fullmatch(line)
    assert found, f"{line!r} is no frame"
    damaged, message, kind, payload = found.groups()
    if kind == b"chunk":
        payload = json.dumps({"bytes": base64.b64encode(payload).decode(), "p": "abcdefghij"}).encode()
    frame = (event if message == b"event" else exception)(kind.decode(), payload)
    return frame[:-1] + bytes([frame[-1] ^ 1]) if damaged else frame


def split(answer: bytes) -> list[bytes]:
    """The frames of a stream, and what is none."""
    reader = Frames()
    found = [frame.raw for frame in reader.feed(answer)]
    rest = reader.take_rest()
    return [*found, rest] if rest else found


def headed(answer: bytes) -> tuple[tuple[tuple[bytes, bytes], ...], bytes]:
    """The headers that an answer begins with, and its body."""
    headers = []
    while found := _HEADER.match(answer):
        headers.append((found[1], found[2]))
        answer = answer[found.end() :]
    return tuple(headers), answer


class Ending:
    """Finds the frame that ends an answer, as a pattern finds an event."""

    def match(self, data: bytes) -> bool:
        return any(map(_ends, Frames().feed(data)[:1]))

    def search(self, data: bytes) -> bool:
        return any(map(_ends, Frames().feed(data)))


def _ends(frame) -> bool:
    if frame.kind != "chunk":
        return frame.kind == "metadata"
    native = json.loads(base64.b64decode(json.loads(frame.payload)["bytes"]))
    return native.get("type") == "message_stop" or "amazon-bedrock-invocationMetrics" in native
