"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep, or too heavy to be a real request.

A name that comes twice is only seen once everything has been made of the body, and what that costs depends on what is
in it. So a large body is weighed first, in slices, and weighing ends where it becomes too heavy: reading whatever
passed is cheap, valid or not. A small body cannot become too heavy.
"""

from typing import Any, NamedTuple

import msgspec

WEIGHT_LIMIT = 44_000_000
"""What reading one body may cost, in bytes of plain text; 32 MiB of that pass, with 10 million left for structure."""
DEPTH_LIMIT = 200
MARGIN_LIMIT = 64 * 1024
"""White space before the object, or after it."""

AT_ONCE = 64 * 1024
"""A body up to this size is read without being weighed: were every byte of it the heaviest, it would pass."""
SLICE = 16 * 1024

# What the contents of a slice weigh beside its bytes, of which each weighs 1. A byte of plain text takes about a
# nanosecond of one core; the others were measured against it, the worst of a kind, duplicates and all.
WIDE = 2
"""A byte of a slice that is not all ASCII, `\\u` included, or of a string that has one: an emoji makes it all four times as large."""
WIDE_QUOTE = 80
"""A quotation mark in such a slice, beside its weight as any: even short texts are made dearly there."""
ESCAPED = 1
"""A byte of a slice with an escape, since the escapes must be counted."""
QUOTED = 2
"""A byte of a slice with an escaped quotation mark, and again of one with an escaped backslash before one."""
ESCAPE = 7
QUOTE = 50
NAME = 150
CONTAINER = 350
ELEMENT = 75
OUTSIDE = 8
"""A byte that is in no string and no white space."""
LONG = 20
"""Such a byte of a slice whose numbers are longer than a machine's: those are read digit by digit."""
DIGITS = 10
"""More than these a number, on the average of a slice, means that long ones are among them."""
SPACE = 2
"""A byte that is in no string."""
POINT = 100
EXPONENT = 600
"""A float with an exponent may be the dearest to read: 1e300, 5e-324."""


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


def parsed(body: bytes) -> dict[str, Any]:
    """The body's object. Raises BadBody."""
    measured = _weighed_as_object(body) if len(body) > AT_ONCE else None
    document = _read(body)
    if type(document) is not dict:
        raise _no_object()
    names = _names(document, DEPTH_LIMIT)
    if measured is not None:
        is_each_once = names == measured.names
    else:  # mostly no string has a colon, and then there is nothing to take out
        is_each_once = names == body.count(b":") or names == _outside_of_strings(body).count(b":")
    if not is_each_once:
        raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
    return document


def _read(body: bytes) -> Any:
    try:
        return _decode(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadBody("bad_request", f"the body is not valid JSON: {error}") from None


def _weighed_as_object(body: bytes) -> Weighed:
    if not body[:MARGIN_LIMIT].lstrip().startswith(b"{") or not body[-MARGIN_LIMIT:].rstrip().endswith(b"}"):
        raise _no_object()
    return weighed(body)


def weighed(body: bytes) -> Weighed:
    """What reading the body costs, up to its first fault if it has one. Raises BadBody as soon as it is too heavy."""
    scale = _Scale()
    at = 0
    while at < len(body):
        piece = body[at : at + SLICE]
        if _ends_within_an_escape(piece):
            piece = body[at : at + SLICE + 1]
        at += len(piece)
        scale.add(piece)
        if scale.weight > WEIGHT_LIMIT:
            raise _too_heavy()
    return Weighed(scale.weight, scale.names)


class _Scale:
    """Weighs a body slice by slice; no slice ends within an escape."""

    def __init__(self) -> None:
        self.weight = self.names = 0
        self._is_in_string = False
        self._is_wide = False
        """Whether what has come of the string that is open is weighed as wide; otherwise, so many bytes are not."""
        self._narrow = 0

    def add(self, piece: bytes) -> None:
        has_escapes = b"\\" in piece
        is_ascii = piece.isascii() and not (has_escapes and rb"\u" in piece)
        self.weight += len(piece)
        if has_escapes:
            self.weight += ESCAPED * len(piece) + ESCAPE * piece.count(b"\\")
        if is_ascii and not self._is_wide:
            self._narrow += len(piece)
        else:
            self.weight += WIDE * (self._narrow + len(piece))
            self.weight += WIDE_QUOTE * piece.count(b'"')
            self._narrow, self._is_wide = 0, True
        if self._is_in_string and b'"' not in piece:
            return
        parts = piece.split(b'"')
        self.weight += QUOTE * (len(parts) - 1)
        if has_escapes and rb"\"" in piece:
            self.weight += QUOTED * len(piece)
            if b'\\\\"' in piece:
                self.weight += QUOTED * len(piece)
                piece = piece.replace(rb"\\", b"")
            parts = piece.replace(rb"\"", b"").split(b'"')
        self._add_structure(b"".join(parts[self._is_in_string :: 2]))
        if len(parts) > 1:
            self._is_in_string ^= len(parts) % 2 == 0
            self._is_wide = self._is_in_string and not is_ascii
            self._narrow = 0 if self._is_wide else len(parts[-1])

    def _add_structure(self, structure: bytes) -> None:
        dense = structure.translate(None, b" \t\r\n")
        names = dense.count(b":")
        exponents = dense.count(b"e") + dense.count(b"E") - dense.count(b"true") - dense.count(b"false")
        elements, containers = dense.count(b","), dense.count(b"[") + dense.count(b"{")
        is_long = len(dense) > DIGITS * (names + elements + containers + 1)
        self.names += names
        self.weight += (
            SPACE * len(structure)
            + (OUTSIDE + LONG if is_long else OUTSIDE) * len(dense)
            + NAME * names
            + ELEMENT * elements
            + CONTAINER * containers
            + POINT * dense.count(b".")
            + EXPONENT * exponents
        )


def _ends_within_an_escape(piece: bytes) -> bool:
    return piece.endswith(b"\\") and (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def _outside_of_strings(piece: bytes) -> bytes:
    """A body without its strings: in valid JSON, every colon is then a name."""
    if b"\\" in piece:  # without escapes, every other quote ends a string
        piece = piece.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(piece.split(b'"')[::2])


def _names(value: Any, levels: int) -> int:
    """How many names a parsed value has, duplicates having become one. Raises BadBody below that many levels."""
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


def _no_object() -> BadBody:
    return BadBody("bad_request", "the body must be a JSON object")


def _too_deep() -> BadBody:
    return BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")


def _too_heavy() -> BadBody:
    return BadBody(
        "bad_request",
        "the body is too large for what is in it: send fewer messages or less text, or shorter lists of names and numbers",
    )
