"""One member of a JSON object, taken out or put in without touching another byte of it."""

import re
from collections.abc import Mapping, Sequence

import msgspec

Members = Mapping[str, msgspec.Raw]

_NAME = re.compile(rb'[\s,]*("(?:[^"\\]++|\\.)*+")\s*:\s*')

members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""The members of an object with their values as they are written. Raises msgspec.DecodeError."""
_name = msgspec.json.Decoder(str).decode
_text = msgspec.json.Encoder().encode


def member_of(data: bytes, members: Members, name: str) -> tuple[int, int, int]:
    """Where a member stands: the start of its name, the start and the end of its value.

    Raises KeyError when the object has no such member, or has a name twice, so that a place would be a guess.
    """
    at = data.index(b"{") + 1
    for each, raw in members.items():
        head = _NAME.match(data, at)
        if head is None or _name(head[1]) != each:
            break
        value, at = head.end(), head.end() + memoryview(raw).nbytes
        if each == name and data[value:at] == bytes(raw):
            return head.start(1), value, at
    raise KeyError(name)


def is_each_once(data: bytes, members: Members) -> bool:
    """Whether the object has no name twice: its members, one after the other, are then all of it."""
    at = data.index(b"{") + 1
    for each, raw in members.items():
        head = _NAME.match(data, at)
        if head is None or _name(head[1]) != each or not data.startswith(bytes(raw), head.end()):
            return False
        at = head.end() + memoryview(raw).nbytes
    return data[at:].strip() == b"}"


def with_member(data: bytes, members: Members, member: bytes) -> bytes:
    """The object with one more member at its end."""
    end = data.rindex(b"}")
    return data[:end] + (b"," if members else b"") + member + data[end:]


def with_value(data: bytes, name: str, value: str) -> bytes | None:
    """The object with another text as the value of a member; None when that has no one place."""
    try:
        _, start, end = member_of(data, members_of(data), name)
    except (KeyError, ValueError, msgspec.DecodeError):
        return None
    return data[:start] + _text(value) + data[end:]


def without_member(data: bytes, members: Members, name: str) -> bytes:
    """The object without one member, the comma beside it included; as it is when the member has no one place."""
    try:
        start, _, end = member_of(data, members, name)
    except KeyError:
        return data
    before, after = data[:start].rstrip(), data[end:]
    if before.endswith(b","):
        return before[:-1] + after
    return data[:start] + re.sub(rb"^\s*,\s*", b"", after)


def with_number(data: bytes, path: Sequence[str], number: int) -> bytes | None:
    """The object with a number at a path of names, in place of what is there, or at the end of what is.

    An object that the path needs and that is missing or null is made. None where the number's place would be a guess.
    """
    name, *inner = path
    try:
        members = members_of(data)
        if not is_each_once(data, members):
            return None
        if name not in members:
            made = b"%d" % number
            for outer in reversed(path):
                made = b'{"%b":%b}' % (outer.encode(), made)
            return with_member(data, members, made[1:-1])
        start, end = member_of(data, members, name)[1:]
    except (KeyError, msgspec.ValidationError):
        return None
    held: bytes | None = b"%d" % number
    if inner:
        held = with_number(b"{}" if data[start:end] == b"null" else data[start:end], inner, number)
    return None if held is None else data[:start] + held + data[end:]
