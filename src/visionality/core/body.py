"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep or too wide to be a real request.
"""

import re
from itertools import accumulate
from typing import Any

import msgspec

WIDTH_LIMIT = 200_000
"""Names, elements, or containers in one body; real conversations stay far below, and reading stays cheap."""
DEPTH_LIMIT = 200

_decode = msgspec.json.Decoder().decode
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?', re.DOTALL)
"""A string, or what a broken body has of one: it always matches, so that no body makes it search again."""
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class BadBody(Exception):
    """A body that is refused with 400; `code` is the error code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parsed(body: bytes) -> dict[str, Any]:
    """The body's object. Raises BadBody."""
    structure = _structure(body)
    try:
        document = _decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise BadBody("bad_request", f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadBody("bad_request", "the body must be a JSON object")
    if _names(document) != structure.count(b":"):
        raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
    return document


def _structure(body: bytes) -> bytes:
    """The body without its strings: in valid JSON, a colon is a name and a comma an element. Raises BadBody."""
    structure, strings = _STRINGS.subn(b"", body, count=WIDTH_LIMIT + 2)
    if (
        strings > WIDTH_LIMIT + 1
        or structure.count(b",") > WIDTH_LIMIT
        or structure.count(b":") > WIDTH_LIMIT
    ):
        raise BadBody("bad_request", f"the body has more than {WIDTH_LIMIT} names or elements")
    brackets = structure.translate(None, _NOT_BRACKETS)
    if len(brackets) > 2 * WIDTH_LIMIT:
        raise BadBody("bad_request", f"the body has more than {WIDTH_LIMIT} objects and arrays")
    if len(brackets) > DEPTH_LIMIT and max(accumulate(map(_STEP.__getitem__, brackets))) > DEPTH_LIMIT:
        raise BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")
    return structure


def _names(document: dict[str, Any]) -> int:
    """How many names a parsed body has, duplicates having become one."""
    names = 0
    open_values: list[Any] = [document]
    while open_values:
        value = open_values.pop()
        if type(value) is dict:
            names += len(value)
            value = value.values()
        open_values += [item for item in value if type(item) is dict or type(item) is list]
    return names
