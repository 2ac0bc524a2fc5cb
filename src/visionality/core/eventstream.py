"""`application/vnd.amazon.eventstream`: binary frames with two checksums, cut where they end.

A frame is `total length u32, headers length u32, CRC-32 of these eight bytes, headers, payload, CRC-32 of all before`,
big-endian. A header is `name length u8, name, type u8, value`. Source: Smithy specification, "Amazon Event Stream
Specification"; botocore.eventstream, which is the judge in the tests.

Sans-I/O: bytes come in as the network cut them and go out as whole frames, each with the very bytes that it came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

HEADERS_LIMIT = 128 * 1024
PAYLOAD_LIMIT = 24 * 1024 * 1024
"""Bytes of one frame, as the specification has them."""

Value = bool | int | bytes | str

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_LENGTH = Struct(">H")
_PRELUDE_CRC_AT = 8
_LEAST = _PRELUDE.size + _CRC.size

_TRUE, _FALSE, _BYTES, _STRING = 0, 1, 6, 7
_INTEGERS = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q"), 8: Struct(">q")}
"""Integers of 8 to 64 bits; 8 is a time stamp in milliseconds."""
_UUID, _UUID_SIZE = 9, 16


class BadFrame(Exception):
    """The bytes are no frame: a checksum, a length or a header is wrong."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its headers, its payload, and all of its bytes."""

    headers: Mapping[str, Value]
    payload: bytes
    raw: bytes

    @property
    def is_event(self) -> bool:
        """Whether it is what the stream is made of, and neither an exception nor an error."""
        return self.headers.get(":message-type") == "event"

    @property
    def kind(self) -> str:
        """The event's type, or the exception's."""
        kind = self.headers.get(":event-type" if self.is_event else ":exception-type")
        return kind if isinstance(kind, str) else ""


class Frames:
    """Feed bytes, get whole frames. From the first bad frame on nothing is cut any more, and `fault` says why."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._wanted = _PRELUDE.size
        self.fault: str | None = None

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that end in these bytes. Time grows with the bytes fed, however small the pieces."""
        self._rest += data
        found: list[Frame] = []
        if self.fault is not None:
            return found
        start = 0
        try:
            while len(self._rest) - start >= self._wanted:
                if self._wanted == _PRELUDE.size:
                    self._wanted = _total_length(self._rest[start : start + _PRELUDE.size])
                    continue
                found.append(_frame(bytes(self._rest[start : start + self._wanted])))
                start += self._wanted
                self._wanted = _PRELUDE.size
        except BadFrame as bad:
            self.fault = str(bad)
        del self._rest[:start]
        return found

    def take_rest(self) -> bytes:
        """What has not become a frame; it is then no longer kept."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def _total_length(prelude: bytes | bytearray) -> int:
    """The length of the frame that begins so. Raises BadFrame."""
    total, headers, crc = _PRELUDE.unpack(prelude)
    if crc32(prelude[:_PRELUDE_CRC_AT]) != crc:
        raise BadFrame("the checksum of a frame's prelude is wrong")
    if headers > HEADERS_LIMIT or not _LEAST <= total - headers <= _LEAST + PAYLOAD_LIMIT:
        raise BadFrame(f"a frame of {total} bytes with {headers} bytes of headers passes the limits")
    return int(total)


def _frame(raw: bytes) -> Frame:
    """Raises BadFrame."""
    end = len(raw) - _CRC.size
    if crc32(raw[:end]) != _CRC.unpack_from(raw, end)[0]:
        raise BadFrame("the checksum of a frame is wrong")
    headers_end = _PRELUDE.size + _PRELUDE.unpack_from(raw)[1]
    return Frame(_headers(raw[_PRELUDE.size : headers_end]), raw[headers_end:end], raw)


def _headers(data: bytes) -> dict[str, Value]:
    """Raises BadFrame."""
    headers: dict[str, Value] = {}
    at = 0
    try:
        while at < len(data):
            name, at = _taken(data, at + 1, data[at])
            kind = data[at]
            text = name.decode()
            if text in headers:
                raise BadFrame(f"a frame has the header {text!r} twice")
            headers[text], at = _value(kind, data, at + 1)
    except (IndexError, UnicodeDecodeError):
        raise BadFrame("the headers of a frame cannot be read") from None
    return headers


def _value(kind: int, data: bytes, at: int) -> tuple[Value, int]:
    """A header's value and where it ends. Raises BadFrame, or IndexError where the bytes end too early."""
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE, at
    if kind in _INTEGERS:
        integer = _INTEGERS[kind]
        raw, at = _taken(data, at, integer.size)
        return int(integer.unpack(raw)[0]), at
    if kind == _UUID:
        return _taken(data, at, _UUID_SIZE)
    if kind not in (_BYTES, _STRING):
        raise BadFrame(f"a frame has a header of the unknown type {kind}")
    raw, at = _taken(data, at, _LENGTH.size)
    raw, at = _taken(data, at, _LENGTH.unpack(raw)[0])
    return (raw.decode() if kind == _STRING else raw), at


def _taken(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    end = at + size
    if end > len(data):
        raise IndexError
    return data[at:end], end


def encoded(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A frame with headers of text."""
    block = b"".join(_text_header(name.encode(), value.encode()) for name, value in headers.items())
    assert len(block) <= HEADERS_LIMIT
    assert len(payload) <= PAYLOAD_LIMIT
    lengths = _PRELUDE.pack(_LEAST + len(block) + len(payload), len(block), 0)[:_PRELUDE_CRC_AT]
    frame = lengths + _CRC.pack(crc32(lengths)) + block + payload
    return frame + _CRC.pack(crc32(frame))


def _text_header(name: bytes, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([_STRING]) + _LENGTH.pack(len(value)) + value


def event(kind: str, payload: bytes) -> bytes:
    """An event with a JSON payload."""
    return encoded(_described("event", kind), payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An exception with a JSON payload: what a service sends when it fails in the middle of a stream."""
    return encoded(_described("exception", kind), payload)


def _described(message: str, kind: str) -> dict[str, str]:
    return {f":{message}-type": kind, ":content-type": "application/json", ":message-type": message}
