"""A KeyProvider whose master key never leaves a key service.

A key is sealed by ourselves under a local key made for it, and the service encrypts that local key:

    blob = tag(1) | length(u8) | version | length(u16) | local key, encrypted by the service | record | mac(16)
    record = vault.sealing of the key under the local key
    mac    = HMAC-SHA256(root, "vis/service/v1" | all before it)

The tag tells which service; 0x02 is none of them, for that is how a record of the provider `env` begins. The version
is what the service calls the key that it used, so old blobs open after a rotation. The record is bound to its context
whether the service honours a context or not. The mac is under the installation's root: whoever can write into the
database and may use the service, or knows a vault's public key, still cannot put an own key in an organisation's place,
and no service is asked about bytes that are not ours.
"""

import hmac
import os
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visionality.vault.keyproviders._core import KeysAway
from visionality.vault.sealing import Context, SealBroken, seal, unseal

KEY_BYTES = 32
TRY_SECONDS = 1.0
"""How long one answer of a service may take to begin; a call has no patience for more."""
PATIENCE = 3.0
"""Seconds after which a service is not asked again."""
_PAUSES = (0.1, 0.3, 0.9)
_HEAD, _MAC = 4, 16

_PROBE = Context("installation", "health", "master", 1, "health")
_Answer = TypeVar("_Answer")


class KeyService(Protocol):
    """What is asked of a service: to encrypt 32 bytes under a key of its own. It may honour the context or not."""

    name: str
    tag: int
    """The first byte of a blob."""

    def encrypt(self, context: Context, local: bytes) -> tuple[str, bytes]:
        """The version of the key that was used, and the ciphertext. Raises KeyDisabled and KeysAway."""

    def decrypt(self, context: Context, version: str, ciphertext: bytes) -> bytes:
        """The 32 bytes again. Raises SealBroken, KeyDisabled and KeysAway."""


class ServiceKeyProvider:
    """The contract of `_core` by a service and the installation's root."""

    def __init__(self, service: KeyService, root: bytes) -> None:
        assert len(root) == KEY_BYTES
        self.name = service.name
        self._service = service
        self._root = root

    def wrap(self, context: Context, key: bytes) -> bytes:
        return wrapped(self._service, context, key, self._root)

    def unwrap(self, context: Context, blob: bytes) -> bytes:
        return unwrapped(self._service, context, blob, self._root)

    def secret(self, purpose: str) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, None, b"vis/secret/v1" + purpose.encode()).derive(self._root)

    def health(self) -> None:
        self.unwrap(_PROBE, self.wrap(_PROBE, os.urandom(KEY_BYTES)))


def wrapped(service: KeyService, context: Context, key: bytes, root: bytes = b"") -> bytes:
    """The blob of a 32-byte key. Only the root itself is wrapped without a root."""
    local = os.urandom(KEY_BYTES)
    version, ciphertext = patiently(lambda: service.encrypt(context, local))
    spelled = version.encode()
    head = bytes([service.tag, len(spelled)]) + spelled + len(ciphertext).to_bytes(2, "big")
    blob = head + ciphertext + seal(local, context, key)
    return blob + _mac(root, blob)


def unwrapped(service: KeyService, context: Context, blob: bytes, root: bytes = b"") -> bytes:
    """The key again. Raises SealBroken, KeyDisabled and KeysAway."""
    if not blob or blob[0] != service.tag:
        raise SealBroken(f"this record was not wrapped by {service.name}")
    content, mac = blob[:-_MAC], blob[-_MAC:]
    if len(content) < _HEAD or not hmac.compare_digest(mac, _mac(root, content)):
        raise SealBroken("the record was changed, or is of another installation")
    at = 2 + content[1]
    end = at + 2 + int.from_bytes(content[at : at + 2], "big")
    version, ciphertext, record = content[2:at].decode(errors="replace"), content[at + 2 : end], content[end:]
    local = patiently(lambda: service.decrypt(context, version, ciphertext))
    if len(local) != KEY_BYTES:
        raise SealBroken(f"the record holds a key of {len(local)} bytes, expected {KEY_BYTES}")
    return unseal(local, context, record)


def patiently(ask: Callable[[], _Answer]) -> _Answer:
    """What a service answers, asked again for some three seconds while it is away. Raises KeysAway."""
    give_up = time.monotonic() + PATIENCE
    for pause in _PAUSES:
        try:
            return ask()
        except KeysAway:
            if time.monotonic() + pause >= give_up:
                raise
            time.sleep(pause)
    return ask()


def _mac(root: bytes, content: bytes) -> bytes:
    return hmac.digest(root, b"vis/service/v1" + content, "sha256")[:_MAC]
