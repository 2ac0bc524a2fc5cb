"""One member of a JSON object, taken out or put in without touching another byte of it."""

import re
from collections.abc import Mapping

import msgspec

Members = Mapping[str, msgspec.Raw]

_NAME = re.compile(rb'[\s,]*("(?:[^"\\]++|\\.)*+")\s*:\s*')

members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
"""The members of an object with their values as they are written. Raises msgspec.DecodeError."""
_name = msgspec.json.Decoder(str).decode


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


def with_member(data: bytes, members: Members, member: bytes) -> bytes:
    """The object with one more member at its end."""
    end = data.rindex(b"}")
    return data[:end] + (b"," if members else b"") + member + data[end:]


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
