"""JSON without its dangers: no floats, no NaN, no name twice, no number beyond 2^53, no depth; and its one form.

The one form is RFC 8785 (JCS). Reading is Python's own scanner. Text whose names are in order and which has no escape
and no space that could be spelled otherwise is in its one form; any other is compared with what its value is written as.
"""

from __future__ import annotations

import json
import re
from typing import Any

LARGEST = 2**53 - 1
DEEPEST = 32


class NotStrict(Exception):
    """Text that is no JSON of this kind; the message says why, as half a sentence about it."""


class NotCanonical(Exception):
    """JSON in another spelling than its one form; the message says where."""


class _Integers(dict[str, int]):
    """Whole numbers by their digits. The first are kept, since rows have the same few again and again."""

    def __missing__(self, digits: str) -> int:
        if digits == "-0":
            raise NotCanonical("it has the number -0")
        number = int(digits) if len(digits) < 18 else LARGEST + 1
        if not -LARGEST <= number <= LARGEST:
            raise NotStrict("it has a number beyond 2^53, which is not read alike everywhere")
        if len(self) < 10_000:
            self[digits] = number
        return number


_integer = _Integers().__getitem__


def _nothing_else(spelled: str) -> Any:
    raise NotStrict(f"it has the number {spelled[:20]}, and floats and NaN have no place in it")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotStrict(f"it has the name {twice[:40]!r} twice in one object")
    return found


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names stand once each and in order."""
    found = dict(pairs)
    names = tuple(found)
    if len(names) != len(pairs):
        return _once(pairs)
    if names not in _known_names:
        if list(names) != sorted(names, key=place):
            raise NotCanonical("the names of an object in it are not in order")
        if len(_known_names) < 1000:
            _known_names.add(names)
    return found


_known_names: set[tuple[str, ...]] = set()
"""Names that were found to be in order: rows have the same ones again and again."""

_ordered = json.JSONDecoder(
    parse_int=_integer, parse_float=_nothing_else, parse_constant=_nothing_else, object_pairs_hook=_in_order
)
scan = _ordered.scan_once  # type: ignore[attr-defined]
"""The value that begins at a place of a text, and where it ends, when all names in it are in order.

Raises StopIteration, ValueError, RecursionError, NotStrict, NotCanonical.
"""

_loose_escape = re.compile(r"\\[u/]").search
_loose_space = re.compile(r" (?:[{}\[\]:,]|(?<=[{}\[\]:,] ))").search

_decoder = json.JSONDecoder(
    parse_int=_integer, parse_float=_nothing_else, parse_constant=_nothing_else, object_pairs_hook=_once
)
_encode = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False, allow_nan=False
).encode


def read(text: str) -> Any:
    """The value of a text that may be laid out in any way. Raises NotStrict."""
    try:
        value = _decoder.decode(text)
    except ValueError as error:
        raise NotStrict(f"it is not JSON ({str(error)[:80]})") from None
    except RecursionError:
        raise NotStrict("it is nested without end") from None
    check_depth(value)
    return value


def read_canonical(text: str) -> Any:
    """The value of a text in its one form. Raises NotStrict, NotCanonical."""
    value = read(text)
    if canonical(value) != text:
        raise NotCanonical("it is not spelled as RFC 8785 has it")
    return value


def canonical(value: Any) -> str:
    """The one form (RFC 8785) of a value that was read here."""
    text = _encode(value)
    return text if text.isascii() or not _has_wide_name(value) else _written(value)


def is_canonical(text: str, value: Any) -> bool:
    """Whether text from which `scan` made the value is in its one form.

    Most texts need not be written again. Of escapes only those with u or a slash have another spelling. The scanner lets
    no tab and no line feed stand within a string, and a space outside of strings touches a sign of JSON.
    """
    if _loose_escape(text) or "\t" in text or "\n" in text or "\r" in text:
        return canonical(value) == text
    if _loose_space(text):
        return canonical(value) == text
    return text.isascii() or not _has_wide_name(value) or canonical(value) == text


def exactly(text: str) -> Any:
    """The value that a text is in its one form. Raises ValueError where it is no JSON, NotStrict, NotCanonical."""
    try:
        value, end = scan(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("not JSON") from None
    check_depth(value)
    if end != len(text) or not is_canonical(text, value):
        raise NotCanonical("it is not spelled as RFC 8785 has it")
    return value


def check_depth(value: Any, left: int = DEEPEST) -> None:
    if isinstance(value, (dict, list)):
        if left == 0:
            raise NotStrict(f"it is nested deeper than {DEEPEST} levels")
        for item in value.values() if isinstance(value, dict) else value:
            check_depth(item, left - 1)


def place(name: str) -> bytes:
    """What names are sorted by: their UTF-16 code units, which past U+D7FF are not in the order of code points."""
    return name.encode("utf-16-be", "surrogatepass")


def _has_wide_name(value: Any) -> bool:
    if isinstance(value, dict):
        return any(max(name, default="") > "\ud7ff" or _has_wide_name(item) for name, item in value.items())
    return isinstance(value, list) and any(_has_wide_name(item) for item in value)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        names = sorted(value, key=place)
        return "{" + ",".join(f"{_encode(name)}:{_written(value[name])}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(item) for item in value) + "]"
    return _encode(value)
