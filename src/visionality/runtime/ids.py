"""Row ids: UUIDv7 (RFC 9562), made by the process that makes the row."""

import os
from datetime import UTC, datetime
from time import time_ns
from uuid import UUID

from msgspec import convert

_AT_ONCE = 400
"""Ids for which random bytes are drawn at a time: a system call for each costs more than the id."""
_NOISE = 10
"""Bytes of an id that are not its time: 74 random bits, the version and the variant."""
_RANDOM = int.from_bytes(bytes.fromhex("0fff 3fff ffff ffff ffff") * _AT_ONCE, "big")
_FIXED = int.from_bytes(bytes.fromhex("7000 8000 0000 0000 0000") * _AT_ONCE, "big")

_YEAR_9999 = 253_370_764_800_000
"""Its first moment, in milliseconds."""

_pool: list[bytes] = []
os.register_at_fork(after_in_child=_pool.clear)  # else two processes would draw the same


def _draw() -> None:
    """From the system's generator."""
    drawn = int.from_bytes(os.urandom(_NOISE * _AT_ONCE), "big") & _RANDOM | _FIXED
    noise = drawn.to_bytes(_NOISE * _AT_ONCE, "big")
    _pool.extend([noise[at : at + _NOISE] for at in range(0, len(noise), _NOISE)])


def uuid7() -> UUID:
    """A fresh id: 48 bits of Unix milliseconds, then 74 random bits. Threads may make some at the same time."""
    return convert(fresh(), UUID)  # half the price of UUID(bytes=...)


def fresh() -> bytes:
    """The 16 bytes of a fresh id."""
    milliseconds = time_ns() // 1_000_000 & (1 << 48) - 1
    while True:
        try:
            return milliseconds.to_bytes(6, "big") + _pool.pop()
        except IndexError:
            _draw()


def made_at(made: UUID) -> datetime | None:
    """When an id was made; None for one of another kind, and of a time at whose side a calendar has no room."""
    milliseconds = made.int >> 80
    if made.version != 7 or milliseconds >= _YEAR_9999:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
