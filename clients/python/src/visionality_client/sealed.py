"""Opens a binding key that was sealed to this backend's own X25519 key, so that nobody between could read it.

HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; `enc_ct` is the encapsulated key and
then the ciphertext. What is sealed is bound to the key's id and to the installation that it is for.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from visionality_client.binding_key import BadBindingKey, BindingKey

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def new_keypair() -> tuple[X25519PrivateKey, str]:
    """A private key to keep, and its public half as `vis service add --x25519` takes it (base64url)."""
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return private, urlsafe_b64encode(public).rstrip(b"=").decode()


def open_sealed(private: X25519PrivateKey, sealed: str | bytes | Mapping[str, Any]) -> BindingKey:
    """The binding key that was sealed to this private key. Raises BadBindingKey."""
    try:
        said = json.loads(sealed) if isinstance(sealed, (str, bytes)) else sealed
        version, kem = said["v"], said["kem"]
        key_id, aud, thumbprint = str(said["key_id"]), str(said["aud"]), said["thumbprint"]
        sealed_key = urlsafe_b64decode(said["enc_ct"] + "=" * (-len(said["enc_ct"]) % 4))
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise BadBindingKey("expected JSON with v, key_id, aud, kem, enc_ct and thumbprint") from None
    if version != 1 or kem != "x25519":
        raise BadBindingKey("expected version 1 and kem x25519: a newer gateway needs a newer client")
    try:
        key = _SUITE.decrypt(sealed_key, private, info=_info(key_id, aud))
    except (InvalidTag, ValueError):
        raise BadBindingKey("it does not open: it was sealed to another key, or changed on its way") from None
    if hashlib.sha256(key).hexdigest() != thumbprint:
        raise BadBindingKey("what was sealed is not the key that its thumbprint names")
    return BindingKey(key_id, key, aud)


def _info(key_id: str, aud: str) -> bytes:
    return b"visionality binding key v1\0" + key_id.encode() + b"\0" + aud.encode()
