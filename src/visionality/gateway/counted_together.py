"""Rate limits of the workers of one port, counted in one place: a client that keeps one connection has its whole limit.

A table in a file that all of them map into memory: a slot for each limited value, with what it used in the last minute
(core/rate_limit). Their clock is the machine's, which goes on evenly for all processes. The kernel takes the lock from one
that dies.
"""

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Protocol
from uuid import UUID

from visionality.core.rate_limit import WINDOW, Limit, RateLimiter, Wait

Key = tuple[UUID, str]
"""A rule and the value that it limits."""
SLOTS = 65_536
PROBED = 8
"""Slots that a value may be in; when all are taken it has that of the one which was idle the longest."""
PATIENCE = 0.05
"""Seconds to wait for the lock. One that is stopped amid its count must not stop all others: then it is counted without."""
_HEAD = struct.Struct("=16sI")
_SECOND = struct.Struct("=IIq")
_SECONDS = WINDOW + 2
_SLOT = 1024


class Limiter(Protocol):
    """Somebody who counts: RateLimiter alone, or one of several together."""

    def take(self, now: float, limits: Mapping[Key, Limit], tokens: int) -> Wait[Key] | None: ...

    def correct(
        self, now: float, keys: Iterable[Key], taken_at: float, estimated: int, actual: int
    ) -> None: ...


class CountedTogether:
    """What all workers that meet in `place` count as one. Used like a RateLimiter."""

    def __init__(self, place: Path) -> None:
        self._file = os.open(place / "limits", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, SLOTS * _SLOT)  # sparse: what nobody uses takes no room
        self._table = mmap.mmap(self._file, SLOTS * _SLOT)

    def close(self) -> None:
        self._table.close()
        os.close(self._file)

    def take(self, now: float, limits: Mapping[Key, Limit], tokens: int) -> Wait[Key] | None:
        with self._counting(limits) as limiter:
            return limiter.take(now, limits, tokens)

    def correct(self, now: float, keys: Iterable[Key], taken_at: float, estimated: int, actual: int) -> None:
        known = list(keys)
        with self._counting(known) as limiter:
            limiter.correct(now, known, taken_at, estimated, actual)

    @contextmanager
    def _counting(self, keys: Iterable[Key]) -> Iterator[RateLimiter[Key]]:
        """Somebody who knows what these values used, and whose count is the common one afterwards."""
        is_locked = self._lock()
        try:
            limiter: RateLimiter[Key] = RateLimiter()
            slots = []
            for key in keys:
                digest = _digest(key)
                at = self._slot(digest)
                slots.append((key, digest, at))
                limiter.recall(key, self._read(digest, at))
            yield limiter
            for key, digest, at in slots:
                self._write(digest, at, limiter.seconds(key))
        finally:
            if is_locked:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() > until:
                    return False
                os.sched_yield()
            else:
                return True

    def _slot(self, digest: bytes) -> int:
        """Where a value is, or may be."""
        first = int.from_bytes(digest[:4], "big")
        places = [(first + step) % SLOTS * _SLOT for step in range(PROBED)]
        for at in places:
            if self._table[at : at + 16] == digest:
                return at
        return min(places, key=self._used_at)

    def _used_at(self, at: int) -> int:
        """The second in which a slot was used last; 0 for one that never was."""
        _, count = _HEAD.unpack_from(self._table, at)
        if not count:
            return 0
        moment, _, _ = _SECOND.unpack_from(self._table, at + _HEAD.size + (count - 1) * _SECOND.size)
        return int(moment)

    def _read(self, digest: bytes, at: int) -> list[tuple[int, int, int]]:
        found, count = _HEAD.unpack_from(self._table, at)
        if found != digest:
            return []
        begins = at + _HEAD.size
        return list(_SECOND.iter_unpack(self._table[begins : begins + count * _SECOND.size]))

    def _write(self, digest: bytes, at: int, seconds: list[tuple[int, int, int]]) -> None:
        kept = seconds[-_SECONDS:]
        _HEAD.pack_into(self._table, at, digest, len(kept))
        for number, second in enumerate(kept):
            _SECOND.pack_into(self._table, at + _HEAD.size + number * _SECOND.size, *second)


def _digest(key: Key) -> bytes:
    rule, value = key
    return blake2b(rule.bytes + value.encode("utf-8", "surrogatepass"), digest_size=16).digest()
