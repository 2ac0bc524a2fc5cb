"""What signed values must look like before anything is made of them. Every function raises Refused (unreadable)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NoReturn

from vis_verify.note import BadNote, Note, read_note
from vis_verify.spelling import day, is_hash, is_moment_form, moment
from vis_verify.verdict import Code, Refused


def fields(value: Any, names: Collection[str], what: str) -> dict[str, Any]:
    """An object with exactly these names."""
    if not isinstance(value, dict) or set(value) != set(names):
        _refuse(f"{what} to be an object of {', '.join(sorted(names))}")
    found: dict[str, Any] = value
    return found


def has(value: Any, names: Collection[str], what: str) -> dict[str, Any]:
    """An object with at least these names."""
    if not isinstance(value, dict) or not set(names) <= set(value):
        missing = sorted(set(names) - set(value)) if isinstance(value, dict) else sorted(names)
        _refuse(f"{what} to be an object with {', '.join(missing)}")
    found: dict[str, Any] = value
    return found


def text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        _refuse(f"{what} to be text")
    return value


def texts(value: Any, what: str) -> list[str]:
    return [text(item, what) for item in items(value, what)]


def items(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(f"{what} to be a list")
    return value


def number(value: Any, what: str) -> int:
    """A whole number that is not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        _refuse(f"{what} to be a number from 0")
    return value


def time(value: Any, what: str) -> str:
    """A time in UTC; such texts stand in the order of the times they mean."""
    try:
        moment(text(value, what))
    except ValueError:
        _refuse(f"{what} to be a time in UTC with six digits of a second")
    assert is_moment_form(value)
    return str(value)


def a_day(value: Any, what: str) -> str:
    try:
        day(text(value, what))
    except ValueError:
        _refuse(f"{what} to be a day as YYYY-MM-DD")
    return str(value)


def digest(value: Any, what: str) -> bytes:
    if not is_hash(value):
        _refuse(f"{what} to be 64 hexadecimal digits in lower case")
    return bytes.fromhex(value)


def path(value: Any, what: str) -> list[bytes]:
    """The hashes of a proof: more than 64 no tree needs."""
    found = [digest(item, what) for item in items(value, what)]
    if len(found) > 64:
        _refuse(f"{what} to have at most 64 hashes")
    return found


def note(value: Any, what: str) -> Note:
    try:
        return read_note(text(value, what))
    except BadNote as bad:
        raise Refused(Code.UNREADABLE, f"{what} to be a signed head", str(bad), "refuse it") from None


def _refuse(what: str) -> NoReturn:
    raise Refused(Code.UNREADABLE, what, "it is something else", "refuse it, or get a newer verifier")
