"""A JSON request body, read once and beside the bytes: the bytes themselves go on to the provider.

Two parsers that read one body differently are a hole (RFC 8259 section 4 leaves duplicate names open), so a body
with a duplicate name anywhere is refused, and so is one that is too deep or too wide to be a real request.
"""

from typing import Any

import msgspec

WIDTH_LIMIT = 200_000
"""Names, elements, or containers in one body; real conversations stay far below, and reading stays cheap."""
DEPTH_LIMIT = 200

_decode = msgspec.json.Decoder().decode
_CONTAINERS = frozenset({dict, list})


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
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, ValueError) as error:
        raise BadBody("bad_request", f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadBody("bad_request", "the body must be a JSON object")
    if _names(document) != structure.count(b":"):
        raise BadBody("duplicate_json_name", "the body has an object with the same name twice")
    return document


def _structure(body: bytes) -> bytes:
    """The body without its strings: in valid JSON, a colon is a name and a comma an element. Raises BadBody."""
    if b"\\" in body:  # without escapes, every other quote ends a string
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    pieces = body.split(b'"', 2 * (WIDTH_LIMIT + 2))
    if len(pieces) > 2 * (WIDTH_LIMIT + 2):
        raise _too_wide()
    structure = b"".join(pieces[::2])
    if structure.count(b",") > WIDTH_LIMIT or structure.count(b"[") + structure.count(b"{") > WIDTH_LIMIT:
        raise _too_wide()
    return structure


def _names(document: dict[str, Any]) -> int:
    """How many names a parsed body has, duplicates having become one. Raises BadBody when it is too deep."""
    names = depth = 0
    level: list[Any] = [document]
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            raise _too_deep()
        objects = [value for value in level if type(value) is dict]
        names += sum(map(len, objects))
        level = [item for value in objects for item in value.values() if type(item) in _CONTAINERS] + [
            item for value in level if type(value) is list for item in value if type(item) in _CONTAINERS
        ]
    return names


def _too_wide() -> BadBody:
    return BadBody("bad_request", f"the body has more than {WIDTH_LIMIT} names, elements or containers")


def _too_deep() -> BadBody:
    return BadBody("bad_request", f"the body is nested more than {DEPTH_LIMIT} levels deep")
