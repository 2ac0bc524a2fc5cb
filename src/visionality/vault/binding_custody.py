"""Handing a binding key over to the service that it is made for, so that nobody between can read it.

HPKE in base mode (RFC 9180): X25519, HKDF-SHA256, AES-256-GCM, single shot. `info` binds the text to the key's id and to
the gateways that it is for.
"""

from base64 import urlsafe_b64encode
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from visionality.core.binding import thumbprint

PUBLIC_BYTES = 32
_DOMAIN = b"visionality binding key v1\0"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class BadPublicKey(Exception):
    """No X25519 public key that anything can be sealed to."""


class SealedToService(msgspec.Struct, frozen=True):
    """What a service is given; only the holder of its private key gets the binding key out of it."""

    v: Literal[1]
    key_id: str
    service: str
    aud: str
    kem: Literal["x25519"]
    enc_ct: str
    """The encapsulated key and the sealed binding key, 80 bytes in base64url."""
    thumbprint: str
    """SHA-256 of the binding key in hex, as envelopes name it."""


def info(key_id: str, aud: str) -> bytes:
    """What the sealed text is bound to."""
    return _DOMAIN + key_id.encode() + b"\0" + aud.encode()


def check_public_key(public: bytes) -> None:
    """Raise BadPublicKey for anything but a point that keeps a secret."""
    if len(public) != PUBLIC_BYTES:
        raise BadPublicKey(f"expected an X25519 public key of {PUBLIC_BYTES} bytes, got {len(public)}")
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise BadPublicKey("this X25519 public key is of small order: make another") from None


def seal_to(public: bytes, secret: bytes, key_id: str, service: str, aud: str) -> SealedToService:
    """A binding key, sealed to the X25519 key of its service."""
    recipient = X25519PublicKey.from_public_bytes(public)
    sealed = _SUITE.encrypt(secret, recipient, info=info(key_id, aud))
    spelled = urlsafe_b64encode(sealed).rstrip(b"=").decode()
    return SealedToService(1, key_id, service, aud, "x25519", spelled, thumbprint(secret))
