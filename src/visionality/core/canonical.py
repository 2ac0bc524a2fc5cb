"""The one byte form of a row, and its leaf hash.

JSON as RFC 8785 (JCS) writes it, over an object with fixed ASCII keys whose values are strings, integers below
2^53, booleans, null, or objects and lists of those: no floats anywhere, money as decimal digits in a string, times as
RFC 3339 in UTC with six digits, ids in hyphenated lower case, bytes in lower-case hex. For such objects keys sorted
by code point are sorted as JCS wants them. The leaf is SHA-256(0x00 || bytes) as in RFC 6962.

`row_bytes` is the definition. A `Shape` writes the same bytes, in half the time, for the instances of one struct.
"""

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import reduce
from operator import itemgetter, or_
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import convert
from msgspec.structs import asdict, astuple

FORM = 1
"""The version of the byte form. A new column is a new form; old rows keep theirs."""
LARGEST = 2**53 - 1
"""The largest whole number that is written as one."""

MONEY_COLUMNS = frozenset({"cost_nusd", "billed_nusd", "amount_nusd", "actual_nusd"})

_encode = msgspec.json.Encoder(order="sorted").encode
_encode_in_order = msgspec.json.Encoder().encode


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
        elif value.__class__ is not int or not -LARGEST <= value <= LARGEST:
            plain[name] = _written(value)
    plain["v"] = FORM
    return _encode(plain)


def leaf_hash(columns: Mapping[str, Any]) -> bytes:
    """RFC 6962 leaf hash of a row, 32 bytes."""
    return hashlib.sha256(b"\x00" + row_bytes(columns)).digest()


class Shape:
    """The form of one struct's instances, prepared from the types that its columns are declared with.

    The columns of an instance are looked at in their order, and written as a struct whose columns stand in the form's.
    Where one holds anything but what was declared, `row_bytes` decides.
    """

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        hints = get_type_hints(struct)
        declared = [(name, hint if name in MONEY_COLUMNS else _exact(hint)) for name, hint in hints.items()]
        self._declared = msgspec.defstruct(f"{struct.__name__}Declared", declared, array_like=True)
        names = [*hints, "v"]
        in_order = sorted(names)
        self._form = msgspec.defstruct(f"{struct.__name__}Form", [(name, Any) for name in in_order])
        self._ordered = itemgetter(*(names.index(name) for name in in_order))
        self._rewrites = [
            (at, rewrite)
            for at, (name, hint) in enumerate(hints.items())
            if (rewrite := _rewrite(name, hint)) is not None
        ]

    def bytes_of(self, instance: msgspec.Struct) -> bytes:
        """What `row_bytes` gives for the instance's columns. Raises TypeError like it."""
        columns = astuple(instance)
        try:
            convert(columns, self._declared, builtin_types=_AS_DECLARED)
        except msgspec.ValidationError:
            return row_bytes(asdict(instance))
        values = [*columns, FORM]
        for at, rewrite in self._rewrites:
            value = values[at]
            if value is not None:
                values[at] = rewrite(value)
        return _encode_in_order(self._form(*self._ordered(values)))

    def leaf_hash(self, instance: msgspec.Struct) -> bytes:
        """RFC 6962 leaf hash of the instance, 32 bytes."""
        return hashlib.sha256(b"\x00" + self.bytes_of(instance)).digest()


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
    if abs(number) > LARGEST:
        raise TypeError(
            f"{number} is beyond 2^53: as a JSON number it would not be read back the same everywhere"
        )
    return number


def _exact(hint: Any) -> Any:
    """A declared type, with what the form asks of its values."""
    if hint in _EXACT:
        return _EXACT[hint]
    inner = tuple(_exact(one) for one in get_args(hint))
    if isinstance(hint, UnionType):
        return reduce(or_, inner)
    return get_origin(hint)[inner] if inner else hint


def _rewrite(name: str, hint: Any) -> Callable[[Any], Any] | None:
    """What turns a value of this type into one that the encoder writes as the form wants it; None when it is one."""
    if name in MONEY_COLUMNS:
        return _amount
    for one in (hint, *get_args(hint)):
        if rewrite := _REWRITES.get(get_origin(one) or one):
            return rewrite
    return None


def _amount(amount: int) -> Any:
    """Digits, of an integer that is nothing else besides."""
    return str(amount) if amount.__class__ is int else _written(amount)


def _moment(moment: datetime) -> datetime | str:
    """The encoder writes a time as the form does, as long as it is in UTC and has a fraction."""
    return moment if moment.microsecond and moment.tzinfo is UTC else timestamp(moment)


def _object(value: dict[str, Any]) -> msgspec.Raw:
    """An object in the form's bytes; those that are ASCII have no name that is not."""
    written = _encode(value)
    return msgspec.Raw(written if written.isascii() else _encode(_written(value)))


_AS_IT_IS = frozenset({str, type(None), UUID, bool})
"""What the encoder writes as the form wants it; UUIDs hyphenated in lower case."""
_AS_DECLARED = (UUID, datetime, bytes)
"""What is taken as it is only, and never out of a string."""
_EXACT = {
    int: Annotated[int, msgspec.Meta(ge=-LARGEST, le=LARGEST)],
    datetime: Annotated[datetime, msgspec.Meta(tz=True)],
}
_REWRITES: dict[Any, Callable[[Any], Any]] = {datetime: _moment, bytes: bytes.hex, dict: _object}
