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

import msgspec

FORM = 1
"""The version of the byte form. A new column is a new form; old rows keep theirs."""

MONEY_COLUMNS = frozenset({"cost_nusd", "billed_nusd", "amount_nusd", "actual_nusd"})

_encode = msgspec.json.Encoder(order="sorted").encode


def timestamp(moment: datetime) -> str:
    """RFC 3339, UTC, always six fractional digits."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def row_bytes(columns: Mapping[str, Any]) -> bytes:
    """The bytes that are hashed: every column but `leaf_hash`, and the form's number as `v`."""
    plain = dict(columns)
    for name, value in columns.items():
        if convert := _FORMS.get(type(value)):
            plain[name] = convert(value)
        elif name in MONEY_COLUMNS and value is not None:
            plain[name] = str(value)
    plain["v"] = FORM
    return _encode(plain)


def leaf_hash(columns: Mapping[str, Any]) -> bytes:
    """RFC 6962 leaf hash of a row, 32 bytes."""
    return hashlib.sha256(b"\x00" + row_bytes(columns)).digest()


def _no_float(value: float) -> str:
    raise TypeError(f"{value!r} is a float; a row holds integers and strings only")


_FORMS: dict[type, Any] = {datetime: timestamp, bytes: bytes.hex, float: _no_float}
"""How values that JSON does not have are written. UUIDs need no entry: the encoder writes them hyphenated."""
