"""A JSON body without its long texts, made while the body comes, so that little is left to read after its last byte.

A text is left out once it was read by itself and is without a fault, and a long name is still told from every other.
So the outline has the faults of the body and no others. A body is refused for them, but none is accepted unread.
"""

import re

import msgspec

from visionality.core.body_weight import is_within_an_escape

LONG = 64
"""Bytes of a text that is left out: below, that would cost more than to read it twice."""
LONG_NAME = 128
"""Bytes of a name for which its hash stands; to take the hash is dearer."""
MANY = 512
"""Texts, and what is between them, in one slice. Where there are more, mostly none is long."""

_CUT = re.compile(
    rb"(?:\\u[dD][89abAB][0-9a-fA-F]{2})?(?:\\u[0-9a-fA-F]{0,3})?\Z|[\xc2-\xf4][\x80-\xbf]{0,2}\Z"
)
"""What may be half a character at the end of a text that goes on: UTF-8, an escape, or the first of a pair of them."""
_CUT_BYTES = 11

_text = msgspec.json.Decoder(str).decode
_texts = msgspec.json.Decoder(list[str]).decode
_encode = msgspec.json.Encoder().encode


class Outline:
    """Takes a body slice by slice; no slice ends between a backslash and what it escapes."""

    def __init__(self) -> None:
        self.text = bytearray()
        self._rest = b""
        """Half a character, at the end of what has come of the text that is open."""
        self._name: list[str] | None = None
        """What was left out of the text that is open, if it may be a name."""

    def takes(self, piece: bytes) -> bool:
        """Leave out a slice that goes on with the text that is open, and is nothing but text. False when it is not."""
        if b'"' in piece and b"\\" not in piece:
            return False
        text, rest = _cut(self._rest + piece)
        try:
            content = _text(b'"%b"' % text)
        except (msgspec.DecodeError, ValueError):
            return False
        self._rest = rest
        if self._name is not None:
            self._name.append(content)
        return True

    def add(self, parts: list[bytes], *, opened: bool, stays_open: bool) -> None:
        """Take a slice, cut at its quotation marks; whether it begins within a text, and whether it ends so.

        Raises msgspec.DecodeError or ValueError for a text with a fault; the body is then of no use.
        """
        last, rest = len(parts) - 1, b""
        if opened:
            parts[0], self._rest = self._rest + parts[0], b""
        if stays_open:
            parts[last], rest = _cut(parts[last])
        ends = [0] * opened + [last] * stays_open
        long = []
        if last < MANY or max(map(len, parts)) >= LONG:
            long = [at for at in range(2 if opened else 1, last, 2) if len(parts[at]) >= LONG]
        _text(b'"%b"' % b" ".join([parts[at] for at in ends + long]))
        _shorten(parts, long)
        if opened:
            parts[0] = self._ended(parts)
        if stays_open:
            self._begin(parts, rest)
        self.text += b'"'.join(parts)

    def _begin(self, parts: list[bytes], rest: bytes) -> None:
        """Leave out the text that the slice ends with."""
        can_be_a_name = parts[-2].rstrip()[-1:] not in {b":", b"["}
        self._name = [_text(b'"%b"' % parts[-1])] if can_be_a_name else None
        parts[-1], self._rest = b"", rest

    def _ended(self, parts: list[bytes]) -> bytes:
        """What stands for the text that ends with the first of the parts."""
        if self._name is None or not _may_follow_a_name(parts[1]):
            return b""
        return _named("".join([*self._name, _text(b'"%b"' % parts[0])]))


def _shorten(parts: list[bytes], long: list[int]) -> None:
    """Leave out these texts, each of which ends within the slice."""
    names = []
    for at in long:
        if not _may_follow_a_name(parts[at + 1]):
            parts[at] = b""
        elif len(parts[at]) >= LONG_NAME:
            names.append(at)
    if names:
        known = _texts(b'["%b"]' % b'","'.join([parts[at] for at in names]))
        for at, name in zip(names, known, strict=True):
            parts[at] = _named(name)


def _may_follow_a_name(structure: bytes) -> bool:
    return structure.lstrip()[:1] in b":"  # nothing is: the colon may come with the next slice


def _named(name: str) -> bytes:
    """A name as it stands in the outline. Python's hash has a key that nobody else knows (PEP 456)."""
    return _encode(name)[1:-1] if len(name) < LONG_NAME else str(hash(name)).encode()


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """A piece of text without the half character at its end, and that."""
    at = max(0, len(text) - _CUT_BYTES)
    while (found := _CUT.search(text, at)) and found[0]:
        if not is_within_an_escape(text[: found.start()]):
            return text[: found.start()], found[0]
        at = found.start() + 1
    return text, b""
