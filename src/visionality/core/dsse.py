"""DSSE envelopes: bytes, what they are, and who signed both (https://github.com/secure-systems-lab/dsse, protocol v1).

A signature is over the type and the payload, with their lengths, and never over a form that a reader must make again: who
checks it does so before reading anything. Of docs/audit/formats.md section 5. A pack can be larger than memory, so the parts
of an envelope that stand before and after its payload are given apart.
"""

import hashlib
from base64 import b64encode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
OPENING = b'{"payload":"'
"""What stands in an envelope before the base64 of its payload."""


def pae_head(length: int, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """What stands before a payload of so many bytes in what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d " % (len(kind), kind, length)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Pre-authentication encoding: what is signed."""
    return pae_head(len(payload), payload_type) + payload


def fingerprint(public: Ed25519PublicKey) -> str:
    """SHA-256 of the 32 bytes of a public key, in hex: its name in envelopes and lists of keys."""
    return hashlib.sha256(public.public_bytes_raw()).hexdigest()


def closing(private: Ed25519PrivateKey, signed: bytes | memoryview) -> bytes:
    """What stands after the payload: its type and the signature over `signed`, the payload as `pae` encodes it."""
    return _closing(fingerprint(private.public_key()), private.sign(signed))


def envelope(payload: bytes, private: Ed25519PrivateKey) -> bytes:
    """The envelope whole, for a payload that fits into memory."""
    return OPENING + b64encode(payload) + closing(private, pae(payload))


def put_together(payload: bytes, keyid: str, signature: bytes) -> bytes:
    """The envelope of a payload that was signed before."""
    return OPENING + b64encode(payload) + _closing(keyid, signature)


def _closing(keyid: str, signature: bytes) -> bytes:
    sig = b64encode(signature).decode()
    return f'","payloadType":"{PAYLOAD_TYPE}","signatures":[{{"keyid":"{keyid}","sig":"{sig}"}}]}}'.encode()
