"""Row ids: UUIDv7 (RFC 9562), made by the process that makes the row."""

import os
import time
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

import msgspec

_TWO_HALVES = Struct(">QQ")
_TWO_RANDOM_FIELDS = Struct(">HQ")
_POOL = 400 * _TWO_RANDOM_FIELDS.size
"""Random bytes drawn at a time: a system call for each id costs more than the id."""


_YEAR_9999 = 253_370_764_800_000
"""Its first moment, in milliseconds."""

_pool: list[tuple[int, int]] = []
os.register_at_fork(after_in_child=_pool.clear)  # else two processes would draw the same


def _next_noise() -> tuple[int, int]:
    """16 and 64 random bits from the system's generator; threads may draw at the same time."""
    while True:
        try:
            return _pool.pop()
        except IndexError:
            _pool.extend(_TWO_RANDOM_FIELDS.iter_unpack(os.urandom(_POOL)))


def uuid7() -> UUID:
    """A fresh id: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    a, b = _next_noise()
    high = milliseconds << 16 | 0x7 << 12 | a & 0xFFF
    low = 0b10 << 62 | b & (1 << 62) - 1
    return msgspec.convert(_TWO_HALVES.pack(high, low), UUID)  # half the price of UUID(bytes=...)


def made_at(made: UUID) -> datetime | None:
    """When an id was made; None for one of another kind, and of a time at whose side a calendar has no room."""
    milliseconds = made.int >> 80
    if made.version != 7 or milliseconds >= _YEAR_9999:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
