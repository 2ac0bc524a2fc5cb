"""Row ids: UUIDv7 (RFC 9562), made by the process that makes the row."""

import os
import time
from uuid import UUID


def uuid7() -> UUID:
    """A fresh id: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=(milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (noise >> 68 & 0xFFF) << 64
        | 0b10 << 62
        | noise & (1 << 62) - 1
    )
