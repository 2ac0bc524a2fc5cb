"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep or too wide to be a real request.
"""

import re
from typing import Any

import msgspec

NAMES_LIMIT = 200_000
"""Names and elements in one body; real conversations stay far below, and checking stays below 50 ms."""
DEPTH_LIMIT = 200

_decode = msgspec.json.Decoder().decode
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class BadBody(Exception):
    """A body that is refused with 400; `code` is the error code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def parsed(body: bytes) -> dict[str, Any]:
    """The body's object. Raises BadBody."""
    structure = _STRINGS.sub(b"", body)
    names = structure.count(b":")
    if names + structure.count(b",") > NAMES_LIMIT:
        raise BadBody("bad_request", f"the body has more than {NAMES_LIMIT} names and elements")
    if _depth(structure) > DEPTH_LIMIT:
        raise BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")
    try:
        document = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise BadBody("bad_request", f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadBody("bad_request", "the body must be a JSON object")
    if _names(document) != names:
        raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
    return document


def _depth(structure: bytes) -> int:
    brackets = structure.translate(None, _NOT_BRACKETS)
    if len(brackets) <= DEPTH_LIMIT:
        return 0
    depth = deepest = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > deepest:
            deepest = depth
            if deepest > DEPTH_LIMIT:
                break
    return deepest


def _names(value: Any) -> int:
    """How many names a parsed value has, duplicates having become one."""
    if type(value) is dict:
        return len(value) + sum(_names(item) for item in value.values() if type(item) in (dict, list))
    return sum(_names(item) for item in value if type(item) in (dict, list))
