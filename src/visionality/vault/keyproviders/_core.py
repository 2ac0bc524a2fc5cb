"""What a KeyProvider can do. The master key itself never leaves it."""

from typing import Protocol

from visionality.vault.sealing import Context


class KeyProvider(Protocol):
    """Wraps organisation keys and gives the installation its few own secrets."""

    name: str

    def wrap(self, context: Context, key: bytes) -> bytes:
        """Wrap a 32-byte key for storage."""

    def unwrap(self, context: Context, blob: bytes) -> bytes:
        """The key again. Raises SealBroken under another master key or context."""

    def secret(self, purpose: str) -> bytes:
        """A 32-byte secret of this installation that is the same at every start."""
