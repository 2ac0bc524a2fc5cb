"""The one byte form of a row, and its leaf hash.

JSON as RFC 8785 (JCS) writes it, over an object with fixed ASCII keys whose values are strings, integers below
2^53, booleans, null, or objects of those: no floats anywhere, money as decimal digits in a string, times as
RFC 3339 in UTC with six digits, ids in hyphenated lower case, bytes in lower-case hex. For such objects keys sorted
by code point are sorted as JCS wants them. The leaf is SHA-256(0x00 || bytes) as in RFC 6962.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

FORM = 1
"""The version of the byte form. A new column is a new form; old rows keep theirs."""

_encode = msgspec.json.Encoder(order="sorted").encode


def timestamp(moment: datetime) -> str:
    """RFC 3339, UTC, always six fractional digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def row_bytes(values: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: every column but `leaf_hash`, and the form's number as `v`."""
    plain: dict[str, Any] = {"v": FORM}
    for name, value in values.items():
        plain[name] = _plain(name, value)
    return _encode(plain)


def leaf_hash(values: Mapping[str, Any]) -> bytes:
    """RFC 6962 leaf hash of a row, 32 bytes."""
    return hashlib.sha256(b"\x00" + row_bytes(values)).digest()


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_nusd") and value is not None:
        return str(value)
    match value:
        case UUID():
            return str(value)
        case datetime():
            return timestamp(value)
        case bytes():
            return value.hex()
        case list() | tuple():
            return [_plain("", item) for item in value]
        case float():
            raise TypeError(f"{name} is a float; a row holds integers and strings only")
        case _:
            return value
