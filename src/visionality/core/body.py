"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep or too wide to be a real request.

A refusal must be cheap too. So a large body is measured in slices before anything is made of it, and measuring ends at
the first limit that is passed; a body that fits into one look cannot pass any but the depth.
"""

import codecs
from collections.abc import Callable
from typing import Any

import msgspec

WIDTH_LIMIT = 200_000
"""Names, elements, or containers in one body; real conversations stay far below, and reading stays cheap."""
DEPTH_LIMIT = 200
QUOTE_LIMIT = 2_000_000
"""Quotation marks, those within strings included: one in every 16 bytes of the largest body."""
OUTSIDE_LIMIT = 8 * 1024 * 1024
"""Bytes that are in no string: numbers, punctuation, and the white space of an indented body."""
MARGIN_LIMIT = 64 * 1024
"""White space before the object, or after it."""

AT_ONCE = 64 * 1024
"""A body up to this size is read without being measured; it must not be able to pass a limit above."""
SLICE = 16 * 1024
_STRIDE = 61

_decode = msgspec.json.Decoder().decode
_skim = msgspec.json.Decoder(msgspec.Raw).decode
_CONTAINERS = frozenset({dict, list})


class BadBody(Exception):
    """A body that is refused with 400; `code` is the error code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parsed(body: bytes) -> dict[str, Any]:
    """The body's object. Raises BadBody."""
    measured = _measured(body) if len(body) > AT_ONCE else None
    document = _read(_decode, body)
    if type(document) is not dict:
        raise _no_object()
    names = _names(document, DEPTH_LIMIT)
    if measured is not None:
        is_each_once = names == measured
    else:  # mostly no string has a colon, and then there is nothing to take out
        is_each_once = names == body.count(b":") or names == _outside_of_strings(body).count(b":")
    if not is_each_once:
        raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
    return document


def _read(read: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return read(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadBody("bad_request", f"the body is not valid JSON: {error}") from None


def _measured(body: bytes) -> int:
    """How many colons a large body has outside of its strings. Raises BadBody when it is malformed or passes a limit.

    Skimming, which makes nothing of the body, is the quickest way to see that it is malformed; but where there is
    little else than punctuation or space, a limit is passed sooner. A sample of the bytes says what comes first.
    """
    if not body[:MARGIN_LIMIT].lstrip().startswith(b"{") or not body[-MARGIN_LIMIT:].rstrip().endswith(b"}"):
        raise _no_object()
    sample = body[::_STRIDE]
    is_crowded = _share(sample, b'[]{},:"') > 1 / 4 or _share(sample, b" \t\r\n") > 1 / 2
    if not is_crowded:
        _read(_skim, body)
    colons = _colons(body)
    if is_crowded:
        _read(_skim, body)
    if not body.isascii():
        _read(_check_utf8, body)
    return colons


def _share(sample: bytes, characters: bytes) -> float:
    return 1 - len(sample.translate(None, characters)) / len(sample)


def _check_utf8(body: bytes) -> None:
    """Raise UnicodeDecodeError, or return. Slice by slice, since text of this size is dear to make."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for at in range(0, len(body), SLICE):
        decoder.decode(body[at : at + SLICE])
    decoder.decode(b"", final=True)


def _outside_of_strings(piece: bytes) -> bytes:
    """The body without its strings: in valid JSON, a colon is a name and a comma an element."""
    if b"\\" in piece:  # without escapes, every other quote ends a string
        piece = _without_escapes(piece)
    return b"".join(piece.split(b'"')[::2])


def _without_escapes(piece: bytes) -> bytes:
    return piece.replace(rb"\\", b"").replace(rb"\"", b"")


def _colons(body: bytes) -> int:
    """The colons outside of strings, in slices. Raises BadBody as soon as a limit is passed."""
    names = elements = containers = quotes = outside = at = 0
    in_string = False
    while at < len(body):
        piece = body[at : at + SLICE]
        if _ends_within_an_escape(piece):
            piece = body[at : at + SLICE + 1]
        at += len(piece)
        if in_string and b'"' not in piece:
            continue
        parts = piece.split(b'"')
        quotes += len(parts) - 1
        if b"\\" in piece and any(part.endswith(b"\\") for part in parts):
            parts = _without_escapes(piece).split(b'"')
        structure = b"".join(parts[in_string::2])
        in_string ^= len(parts) % 2 == 0
        outside += len(structure)
        names += structure.count(b":")
        elements += structure.count(b",")
        containers += structure.count(b"[") + structure.count(b"{")
        if max(names, elements, containers) > WIDTH_LIMIT:
            raise BadBody(
                "bad_request", f"the body has more than {WIDTH_LIMIT} names, elements or containers"
            )
        if quotes > QUOTE_LIMIT or outside > OUTSIDE_LIMIT:
            raise BadBody(
                "bad_request",
                f"the body has more than {QUOTE_LIMIT} quotation marks, or more than {OUTSIDE_LIMIT} bytes outside of strings",
            )
    return names


def _ends_within_an_escape(piece: bytes) -> bool:
    return piece.endswith(b"\\") and (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def _names(value: Any, levels: int) -> int:
    """How many names a parsed value has, duplicates having become one. Raises BadBody below that many levels."""
    if not levels:
        raise _too_deep()
    names, items = (len(value), value.values()) if type(value) is dict else (0, value)
    for item in items:
        if type(item) in _CONTAINERS:
            names += _names(item, levels - 1)
    return names


def _no_object() -> BadBody:
    return BadBody("bad_request", "the body must be a JSON object")


def _too_deep() -> BadBody:
    return BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")
