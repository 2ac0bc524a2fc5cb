"""The second factor: a proof over the very request, made with a binding key that only the caller's backend holds.

    X-Acc-Caller:  svc:checkout-api                  visible ASCII, 1 to 128
    X-Acc-Binding: b1;k=<binding key's id>;t=<unix s>;n=<22 base64url: 16 random bytes>;s=<43 base64url>
    s = HMAC-SHA256(key, "ACC2-HMAC-SHA256" NUL | LP(b1) LP(k) LP(t) LP(n) LP(METHOD) LP(aud) LP(target)
                    LP(content-type) LP(content-encoding) LP(caller) LP(SHA-256(body)) LP(SHA-256(token)))
    LP(x) = length as u32, big end first | x

b1, k, t and n are covered as they are written in the header. `aud` is the installation's id, in place of a host that
an ingress may rewrite. The target is the path with `?` and the query where there is one, byte by byte as sent; the
headers are as sent, empty where there is none; the body is as sent, before any decoding. Lengths stand before every
field, so that no byte can move from one into the next.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, NamedTuple

ID = re.compile(r"[A-Za-z0-9-]{1,64}")
CALLER = re.compile(r"[!-~]{1,128}")
KEY_BYTES = 32
NONCE_BYTES = 16
EXPORT_PREFIX = "visb_"

_DOMAIN = b"ACC2-HMAC-SHA256\0"
_HEADER = re.compile(
    r"b1;k=([A-Za-z0-9-]{1,64});t=(0|[1-9][0-9]{0,11})"
    r";n=([A-Za-z0-9_-]{21}[AQgw]);s=([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"
)
"""The last digit of 16 and of 32 bytes has bits to spare, which are 0: so each has one spelling."""

Status = Literal[
    "not_required",
    "absent_allowed",
    "verified",
    "missing",
    "malformed",
    "key_unknown",
    "key_mismatch",
    "stale",
    "replayed",
    "mismatch",
    "caller_denied",
    "store_unavailable",
]
"""What became of the second factor, as `request_logs.binding_status` keeps it."""


class Proof(NamedTuple):
    """What an `X-Acc-Binding` header says; `signed_at` and `nonce` are text, as they were written."""

    key_id: str
    signed_at: str
    nonce: str
    mac: bytes


class Signed(NamedTuple):
    """What a proof covers of a request, byte by byte as it was received."""

    method: bytes
    target: bytes
    content_type: bytes
    content_encoding: bytes
    caller: bytes
    body_sha256: bytes
    token_sha256: bytes


def read(header: str) -> Proof | None:
    """What the header says; None for one that is not written exactly so."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return None
    key_id, signed_at, nonce, spelled = found.groups()
    return Proof(key_id, signed_at, nonce, urlsafe_b64decode(spelled + "="))


def mac_of(key: bytes, aud: str, key_id: str, signed_at: str, nonce: str, signed: Signed) -> bytes:
    """The 32 bytes that prove possession of the key."""
    fields = (
        b"b1",
        key_id.encode(),
        signed_at.encode(),
        nonce.encode(),
        signed.method,
        aud.encode(),
        signed.target,
        signed.content_type,
        signed.content_encoding,
        signed.caller,
        signed.body_sha256,
        signed.token_sha256,
    )
    text = b"".join([len(field).to_bytes(4, "big") + field for field in fields])
    return hmac.digest(key, _DOMAIN + text, "sha256")


def is_proven(key: bytes, aud: str, proof: Proof, signed: Signed) -> bool:
    """Whether whoever made the proof has the key and means this very request; takes the same time either way."""
    made = mac_of(key, aud, proof.key_id, proof.signed_at, proof.nonce, signed)
    return hmac.compare_digest(made, proof.mac)


def header(key: bytes, aud: str, key_id: str, signed_at: int, nonce: bytes, signed: Signed) -> str:
    """The value of `X-Acc-Binding`; a nonce is 16 bytes and used once."""
    at, once = str(signed_at), _spelled(nonce)
    mac = mac_of(key, aud, key_id, at, once, signed)
    return f"b1;k={key_id};t={at};n={once};s={_spelled(mac)}"


def replay_digest(proof: Proof) -> bytes:
    """By what a proof is known that was used: 32 bytes."""
    return hashlib.sha256(f"{proof.key_id}|{proof.nonce}".encode()).digest()


def thumbprint(key: bytes) -> str:
    """By what a token names the very key that it is bound to: SHA-256 in hex."""
    return hashlib.sha256(key).hexdigest()


def _spelled(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
