"""The text in a request or an answer, for an estimate. Walked without recursion, keys left out."""

from typing import Any

import msgspec

_decode = msgspec.json.Decoder(str).decode
_MEDIA = frozenset({"data", "image_url", "file_data", "bytes", "thoughtSignature"})


def request_text(value: Any) -> str:
    """Every string in a parsed JSON value, joined; media given as base64 is left out."""
    found: list[str] = []
    open_values = [value]
    while open_values:
        item = open_values.pop()
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, dict):
            open_values.extend(part for name, part in item.items() if name not in _MEDIA)
        elif isinstance(item, list):
            open_values.extend(item)
    return " ".join(found)


def text_of(literal: bytes) -> str:
    """The text of a JSON string as it stands in a stream, quotes included."""
    try:
        return _decode(literal)
    except (msgspec.DecodeError, ValueError):
        return literal.decode(errors="replace")
