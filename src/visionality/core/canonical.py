"""The one byte form of a row, and its leaf hash.

JSON as RFC 8785 (JCS) writes it, over an object with fixed ASCII keys whose values are strings, integers below
2^53, booleans, null, or objects and lists of those: no floats anywhere, money as decimal digits in a string, times as
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

MONEY_COLUMNS = frozenset({"cost_nusd", "billed_nusd", "amount_nusd", "actual_nusd"})

_encode = msgspec.json.Encoder(order="sorted").encode


def timestamp(moment: datetime) -> str:
    """RFC 3339, UTC, always six fractional digits."""
    if moment.tzinfo is None:
        raise TypeError(f"{moment!r} has no time zone; a row's times are aware")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def row_bytes(columns: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: every column but `leaf_hash`, and the form's number as `v`.

    Raises TypeError for a value that the form has no way to write.
    """
    plain = dict(columns)
    for name in [name for name, value in columns.items() if value.__class__ not in _AS_IT_IS]:
        value = columns[name]
        if name in MONEY_COLUMNS and value.__class__ is int:
            plain[name] = str(value)
        elif value.__class__ is not int or not -_LARGEST <= value <= _LARGEST:
            plain[name] = _written(value)
    plain["v"] = FORM
    return _encode(plain)


def leaf_hash(columns: Mapping[str, Any]) -> bytes:
    """RFC 6962 leaf hash of a row, 32 bytes."""
    return hashlib.sha256(b"\x00" + row_bytes(columns)).digest()


def _written(value: Any) -> Any:
    """A value as the byte form has it. Raises TypeError."""
    match value:
        case bool() | str() | None | UUID():
            return value
        case int():
            return _whole(value)
        case datetime():
            return timestamp(value)
        case bytes():
            return value.hex()
        case dict():
            if not all(isinstance(name, str) and name.isascii() for name in value):
                raise TypeError("a name in a row is not ASCII: its place in the order would be ambiguous")
            return {name: _written(item) for name, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
    raise TypeError(f"{value!r} is a {type(value).__name__}; a row holds integers and strings only")


def _whole(number: int) -> int:
    if abs(number) > _LARGEST:
        raise TypeError(
            f"{number} is beyond 2^53: as a JSON number it would not be read back the same everywhere"
        )
    return number


_AS_IT_IS = frozenset({str, type(None), UUID, bool})
"""What the encoder writes as the form wants it; UUIDs hyphenated in lower case."""
_LARGEST = 2**53 - 1
