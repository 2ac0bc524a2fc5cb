"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep, or too heavy to be a real request.

A name that comes twice is only seen once everything has been made of the body, and what that costs depends on what is
in it. So a larger body is weighed first, in slices, and weighing ends where it becomes too heavy: reading whatever
passed is cheap, valid or not. A small body cannot become too heavy. A large one is looked at while it comes, and what
is wrong with it is known soon after its last byte (docs/adr/0015).
"""

import re
from bisect import bisect
from typing import Any, NamedTuple

import msgspec

from visionality.core.body_outline import Outline
from visionality.core.body_weight import SLICE, WEIGHT_LIMIT, Scale, is_within_an_escape

DEPTH_LIMIT = 200
MARGIN_LIMIT = 64 * 1024
"""White space before the object, or after it."""

AT_ONCE = 64 * 1024
"""A body up to this size is read without being weighed: were every byte of it the heaviest, it would pass."""
LARGE = 2 * 1024 * 1024
"""A body above this size is looked at while it comes. Below, to read the whole is as quick, and cheaper."""

_BYTE = re.compile(r"\(byte (\d+)\)")


class BadBody(Exception):
    """A body that is refused with 400; `code` is the error code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _float(text: str) -> float:
    """The number as msgspec itself reads it, which can take 15 microseconds for 1e300. Raises ValueError."""
    value = float(text)
    if value - value:  # infinity less itself is no number, which counts as true
        raise ValueError("number out of range")
    return value


_decode = msgspec.json.Decoder(float_hook=_float).decode
_CONTAINERS = frozenset({dict, list})


class Weighed(NamedTuple):
    weight: int
    names: int
    """Colons outside of strings."""


class Preview:
    """What is seen of a large body while it comes: how much it weighs, and its outline."""

    def __init__(self) -> None:
        self._size = 0
        self._unseen: list[bytes] = []
        self._scale = Scale()
        self._outline = Outline()
        self._starts: list[int] = []
        """Where in the outline each slice begins."""
        self._fault: BadBody | None = None
        self._weighed: Weighed | None = None

    def add(self, chunk: bytes) -> None:
        """Look at what comes next of the body."""
        self._size += len(chunk)
        self._unseen.append(chunk)
        if self._size > LARGE:
            self._look(at_all=False)

    def weighed(self, body: bytes) -> Weighed:
        """The whole body's; what was not added of it is looked at now. Raises BadBody for any fault that shows here."""
        if self._weighed is None:
            _check_ends(body)
            while self._size < len(body) and self._fault is None:
                self.add(body[self._size : self._size + SLICE])
            self._look(at_all=True)
            if self._fault is not None:
                raise self._fault
            if _names_in(self._outlined()) != self._scale.names:
                raise _duplicate()
            self._weighed, self._outline = Weighed(self._scale.weight, self._scale.names), Outline()
        return self._weighed

    def _look(self, *, at_all: bool) -> None:
        """Look at the slices that are whole, or at all that came. What is too heavy is not looked at any more."""
        data = b"".join(self._unseen)
        if not self._starts and data[:MARGIN_LIMIT].lstrip()[:1] not in b"{":  # nothing is in it
            self._fault = _no_object()
        at, end = 0, len(data) if at_all else len(data) - SLICE
        while at < end and self._fault is None:
            piece = _slice(data, at)
            at += len(piece)
            try:
                self._add(piece)
            except (msgspec.DecodeError, ValueError) as error:
                self._fault = _no_json(_BYTE.sub(_after(len(self._starts)), str(error)))
            if self._scale.weight > WEIGHT_LIMIT:
                self._fault, self._outline = _too_heavy(), Outline()
        self._unseen = [data[at:]] if self._fault is None else []

    def _add(self, piece: bytes) -> None:
        scale, outline = self._scale, self._outline
        self._starts.append(len(outline.text))
        opened = scale.is_in_string
        if opened and outline.takes(piece):
            scale.add(piece, is_text=True)
        else:
            parts = scale.add(piece)
            outline.add(parts, opened=opened, stays_open=scale.is_in_string)

    def _outlined(self) -> dict[str, Any]:
        try:
            return _object(self._outline.text)
        except BadBody as bad:
            told = _BYTE.sub(lambda place: _after(bisect(self._starts, int(place[1]))), str(bad))
            raise BadBody(bad.code, told) from None


def parsed(body: bytes, preview: Preview | None = None) -> dict[str, Any]:
    """The body's object; `preview` is what was seen of it while it came. Raises BadBody."""
    measured, size = None, len(body)
    if size > LARGE:
        measured = (preview or Preview()).weighed(body)
    elif size > AT_ONCE:
        _check_ends(body)
        measured = weighed(body)
    document = _object(body)
    names = _names_in(document)
    if measured is not None:
        is_each_once = names == measured.names
    else:  # mostly no string has a colon, and then there is nothing to take out
        is_each_once = names == body.count(b":") or names == _outside_of_strings(body).count(b":")
    if not is_each_once:
        raise _duplicate()
    return document


def _object(body: bytes | bytearray) -> dict[str, Any]:
    try:
        document = _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_json(str(error)) from None
    if type(document) is not dict:
        raise _no_object()
    return document


def _check_ends(body: bytes) -> None:
    if not body[:MARGIN_LIMIT].lstrip().startswith(b"{") or not body[-MARGIN_LIMIT:].rstrip().endswith(b"}"):
        raise _no_object()


def weighed(body: bytes) -> Weighed:
    """What reading the body costs, up to its first fault if it has one. Raises BadBody as soon as it is too heavy."""
    scale = Scale()
    at = 0
    while at < len(body):
        piece = _slice(body, at)
        at += len(piece)
        scale.add(piece)
        if scale.weight > WEIGHT_LIMIT:
            raise _too_heavy()
    return Weighed(scale.weight, scale.names)


def _slice(data: bytes, at: int) -> bytes:
    """The slice that begins there, with one byte more where it would end between a backslash and what it escapes."""
    piece = data[at : at + SLICE]
    return data[at : at + SLICE + 1] if is_within_an_escape(piece) else piece


def _outside_of_strings(piece: bytes) -> bytes:
    """A body without its strings: in valid JSON, every colon is then a name."""
    if b"\\" in piece:  # without escapes, every other quote ends a string
        piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(piece.split(b'"')[::2])


def _names_in(document: dict[str, Any]) -> int:
    """How many names a document has, duplicates having become one. Raises BadBody when it is too deep."""
    return _names(document, DEPTH_LIMIT)


def _names(value: Any, levels: int) -> int:
    if not levels:
        raise _too_deep()
    names = 0
    if type(value) is dict:
        names = len(value)
        value = value.values()
    for item in value:
        if type(item) in _CONTAINERS:
            names += _names(item, levels - 1)
    return names


def _duplicate() -> BadBody:
    return BadBody("duplicate_json_name", "the body has an object with the same name twice")


def _no_json(fault: str) -> BadBody:
    return BadBody("bad_request", f"the body is not valid JSON: {fault}")


def _after(slices: int) -> str:
    """Where something is that is in the last of so many slices, as a message says it."""
    return f"(after byte {SLICE * (slices - 1)})"


def _no_object() -> BadBody:
    return BadBody("bad_request", "the body must be a JSON object")


def _too_deep() -> BadBody:
    return BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")


def _too_heavy() -> BadBody:
    return BadBody(
        "bad_request",
        "the body is too large for what is in it: send fewer messages or less text, or shorter lists of names and numbers",
    )
