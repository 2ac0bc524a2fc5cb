"""What a KeyProvider can do. The master key itself never leaves it."""

from typing import Protocol

from visionality.vault.sealing import Context


class KeyDisabled(Exception):
    """The key service does not let us use the key: it is disabled, deleted, or not permitted to us."""


class KeysAway(Exception):
    """The key service cannot be asked at present: it throttles, is too slow or cannot be reached."""


class KeyProvider(Protocol):
    """Wraps organisation keys and gives the installation its few own secrets."""

    name: str

    def wrap(self, context: Context, key: bytes) -> bytes:
        """Wrap a 32-byte key for storage. Raises KeyDisabled and KeysAway."""

    def unwrap(self, context: Context, blob: bytes) -> bytes:
        """The key again. Raises SealBroken under another master key or context, KeyDisabled and KeysAway."""

    def secret(self, purpose: str) -> bytes:
        """A 32-byte secret of this installation that is the same at every start."""

    def health(self) -> None:
        """Raises KeyDisabled or KeysAway, with a sentence, when keys cannot be wrapped and unwrapped now."""
