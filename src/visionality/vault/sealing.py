"""A secret at rest: AES-256-GCM under a key of its own, bound to whose and what it is, with a key commitment.

    record = 0x02 | 0x01 | generation(u32) | salt(16) | nonce(12) | commitment(16) | ciphertext | tag(16)
    aad    = LP("vis:bk:v2") LP(org) LP(scope) LP(kek id) LP(generation) LP(purpose)      LP(x) = u32 length | x
    k | c  = HKDF-SHA256(KEK, salt, "vis/wrap/v2" | aad, 48)

One key a record removes the limit on random nonces; the commitment keeps one ciphertext from opening under two
keys, which GCM alone does not promise.
"""

import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_HEAD = b"\x02\x01"
_GENERATION, _SALT, _NONCE, _COMMIT, _TAG = 4, 16, 12, 16, 16


class SealBroken(Exception):
    """A secret does not open: another master key, another owner, or changed bytes."""


@dataclass(frozen=True, slots=True)
class Context:
    """Whose secret it is and what for; a record moved to another context does not open."""

    org: str
    scope: str
    kek_id: str
    generation: int
    purpose: str

    def aad(self) -> bytes:
        parts = ("vis:bk:v2", self.org, self.scope, self.kek_id, str(self.generation), self.purpose)
        return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def seal(kek: bytes, context: Context, secret: bytes) -> bytes:
    """The record to store for a secret, under a 32-byte key-encryption key."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    key, commitment = _derive(kek, salt, context)
    head = _HEAD + context.generation.to_bytes(_GENERATION, "big")
    return head + salt + nonce + commitment + AESGCM(key).encrypt(nonce, secret, context.aad())


def unseal(kek: bytes, context: Context, record: bytes) -> bytes:
    """The secret again. Raises SealBroken, which says no more than that."""
    if record[:2] != _HEAD or len(record) < 2 + _GENERATION + _SALT + _NONCE + _COMMIT + _TAG:
        raise SealBroken("this is no sealed record")
    generation, salt, nonce, stored, sealed = _cut(record[2:], _GENERATION, _SALT, _NONCE, _COMMIT)
    if generation != context.generation.to_bytes(_GENERATION, "big"):
        raise SealBroken("the record is of another generation of the key")
    key, commitment = _derive(kek, salt, context)
    if not hmac.compare_digest(commitment, stored):
        raise SealBroken("the record was sealed under another key or for another owner")
    try:
        return AESGCM(key).decrypt(nonce, sealed, context.aad())
    except InvalidTag:
        raise SealBroken("the record was changed") from None


def _derive(kek: bytes, salt: bytes, context: Context) -> tuple[bytes, bytes]:
    derived = HKDF(SHA256(), 48, salt, b"vis/wrap/v2" + context.aad()).derive(kek)
    return derived[:32], derived[32:]


def _cut(data: bytes, *lengths: int) -> tuple[bytes, ...]:
    parts, at = [], 0
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return (*parts, data[at:])
