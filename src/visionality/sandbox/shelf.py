"""What the sandbox keeps for a while: the latest things of a kind, as far as they fit."""

from typing import Final, Generic, TypeVar

MOST_KEPT: Final = 1000
MOST_BYTES: Final = 256 * 1024 * 1024

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """Things by name. The oldest are forgotten when they pass MOST_KEPT or, together, MOST_BYTES."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Kept, int]] = {}
        self._bytes = 0

    def put(self, name: str, one: Kept, size_bytes: int) -> None:
        self._kept[name] = (one, size_bytes)
        self._bytes += size_bytes
        while len(self._kept) > 1 and (len(self._kept) > MOST_KEPT or self._bytes > MOST_BYTES):
            self.drop(next(iter(self._kept)))

    def get(self, name: str) -> Kept | None:
        found = self._kept.get(name)
        return found[0] if found else None

    def drop(self, name: str) -> None:
        """Forget one that is kept."""
        self._bytes -= self._kept.pop(name)[1]
