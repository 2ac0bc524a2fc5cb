"""How many connections each worker of a port has, where all of them see it."""

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from visionality.runtime.settings import MOST_WORKERS

_COUNT = struct.Struct("=i")
_NOBODY = 2**31 - 1


class Tally:
    """How many connections each worker has. A place without a worker has more than any."""

    def __init__(self, place: Path, number: int) -> None:
        self._at = number * _COUNT.size
        descriptor = os.open(place / "connections", os.O_RDWR)
        self._counts = mmap.mmap(descriptor, _COUNT.size * (MOST_WORKERS + 1))
        os.close(descriptor)

    @staticmethod
    def make(place: Path) -> None:
        (place / "connections").write_bytes(_COUNT.pack(_NOBODY) * (MOST_WORKERS + 1))

    def say(self, count: int) -> None:
        _COUNT.pack_into(self._counts, self._at, count)

    def fewest(self) -> int:
        counts: Iterator[tuple[int]] = _COUNT.iter_unpack(self._counts)
        return min(count for (count,) in counts)
