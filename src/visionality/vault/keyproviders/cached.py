"""Unwrapped organisation keys in memory for a quarter of an hour, so that a key service is not asked for each call."""

from collections.abc import Callable
from threading import Lock

from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.sealing import Context

LONGEST = 15 * 60.0
"""Seconds after which a key is unwrapped again (security design D5)."""
MOST = 1024
"""Keys that are kept; the oldest goes first."""


class Cached:
    """Any KeyProvider, asked once for a key. `clock` gives monotonic seconds. Threads may share it."""

    def __init__(self, keys: KeyProvider, clock: Callable[[], float]) -> None:
        self.name = keys.name
        self._keys = keys
        self._clock = clock
        self._lock = Lock()
        self._opened: dict[tuple[Context, bytes], tuple[float, bytes]] = {}
        """By what was unwrapped: when, and the key; the oldest first."""

    def wrap(self, context: Context, key: bytes) -> bytes:
        return self._keys.wrap(context, key)

    def unwrap(self, context: Context, blob: bytes) -> bytes:
        now = self._clock()
        with self._lock:
            self._drop_until(now - LONGEST)
            found = self._opened.get((context, blob))
        if found is not None:
            return found[1]
        key = self._keys.unwrap(context, blob)
        with self._lock:
            self._opened.pop((context, blob), None)
            if len(self._opened) >= MOST:
                del self._opened[next(iter(self._opened))]
            self._opened[context, blob] = (now, key)
        return key

    def secret(self, purpose: str) -> bytes:
        return self._keys.secret(purpose)

    def health(self) -> None:
        self._keys.health()

    def _drop_until(self, moment: float) -> None:
        for name, (at, _) in list(self._opened.items()):
            if at > moment:
                break
            del self._opened[name]
