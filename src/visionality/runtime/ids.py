"""Row ids: UUIDv7 (RFC 9562), made by the process that makes the row."""

import os
import time
from collections.abc import Iterator
from struct import Struct
from uuid import UUID

import msgspec

_TWO_HALVES = Struct(">QQ")
_TWO_RANDOM_FIELDS = Struct(">HQ")
_POOL = 400 * _TWO_RANDOM_FIELDS.size
"""Random bytes drawn at a time: a system call for each id costs more than the id."""


def _noise() -> Iterator[tuple[int, int]]:
    """16 and 64 random bits at a time, from the system's generator; a fork starts a pool of its own."""
    while True:
        owner = os.getpid()
        for fields in _TWO_RANDOM_FIELDS.iter_unpack(os.urandom(_POOL)):
            if owner != os.getpid():
                break
            yield fields


_next_noise = _noise().__next__


def uuid7() -> UUID:
    """A fresh id: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    a, b = _next_noise()
    high = milliseconds << 16 | 0x7 << 12 | a & 0xFFF
    low = 0b10 << 62 | b & (1 << 62) - 1
    return msgspec.convert(_TWO_HALVES.pack(high, low), UUID)  # half the price of UUID(bytes=...)
