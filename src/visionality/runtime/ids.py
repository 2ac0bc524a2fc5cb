"""Row ids: UUIDv7 (RFC 9562), made by the process that makes the row."""

import os
import time
from collections.abc import Iterator
from uuid import UUID

_POOL = 4096
"""Random bytes drawn at a time: a system call for each id costs more than the id."""


def _noise() -> Iterator[int]:
    """80 random bits at a time, from the system's generator; a fork starts a pool of its own."""
    owner, pool, at = 0, b"", _POOL
    while True:
        if at + 10 > len(pool) or owner != os.getpid():
            owner, pool, at = os.getpid(), os.urandom(_POOL), 0
        yield int.from_bytes(pool[at : at + 10], "big")
        at += 10


_next_noise = _noise().__next__


def uuid7() -> UUID:
    """A fresh id: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & (1 << 48) - 1
    noise = _next_noise()
    high = milliseconds << 16 | 0x7 << 12 | (noise >> 62 & 0xFFF)
    return UUID(int=high << 64 | 0b10 << 62 | noise & (1 << 62) - 1)
