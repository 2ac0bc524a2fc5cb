"""The published key document: with which keys an organisation signs its tokens, for those who check them offline.

    {"iss","issued_at","keys":[{"active_from","alg":"Ed25519","kid","public","revoked_at","verify_until"}],"org",
     "signature":{"alg":"Ed25519","public","value"},"v":1}
    value = Ed25519("visionality token keys v1" NUL | the document without `signature`)      (RFC 8032)

JSON with sorted names and no spaces; bytes are base64url without padding, times RFC 3339 in UTC. The signature is by an
offline root, which a verifier knows from elsewhere; what a document says of its own signer is only a hint.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec.structs import replace

from visionality.core.spend_token import TrustedKey
from visionality.core.window import EVER

_DOMAIN = b"visionality token keys v1\0"

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class BadDocument(Exception):
    """A key document that cannot be used; the message says why."""


class PublishedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key. What it signed is believed from `active_from` until `verify_until`, and not at all once it is revoked."""

    kid: str
    """4 bytes in hex."""
    alg: Literal["Ed25519"] = "Ed25519"
    public: str
    active_from: Moment
    verify_until: Moment | None
    """None while it signs."""
    revoked_at: Moment | None


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By the offline root."""

    alg: Literal["Ed25519"] = "Ed25519"
    public: str
    value: str


class KeyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """All keys of one organisation of one installation."""

    v: Literal[1]
    iss: str
    org: str
    issued_at: Moment
    keys: list[PublishedKey]
    signature: Signature | None = None


written = msgspec.json.Encoder(order="sorted").encode
"""The document as it is published."""

_read = msgspec.json.Decoder(KeyDocument).decode


def spelled(content: bytes) -> str:
    """Bytes in base64url, without padding."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def bytes_of(text: str) -> bytes:
    """What base64url spells in its one right way. Raises ValueError."""
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if spelled(content) != text:
        raise ValueError("this is not base64url without padding")
    return content


def signed(document: KeyDocument, root: Ed25519PrivateKey) -> KeyDocument:
    """The document under the signature of an offline root."""
    public, value = root.public_key().public_bytes_raw(), root.sign(_covered(document))
    return replace(document, signature=Signature(public=spelled(public), value=spelled(value)))


def read(text: bytes) -> KeyDocument:
    """The document of these bytes; nothing of it is believed yet. Raises BadDocument."""
    try:
        return _read(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadDocument(f"this is no key document of version 1: {error}") from None


def check_root(document: KeyDocument, root: bytes) -> None:
    """Raise BadDocument unless this root, a public key of 32 bytes, signed it."""
    if document.signature is None:
        raise BadDocument("the key document is not signed, and a root was named")
    try:
        value = bytes_of(document.signature.value)
        Ed25519PublicKey.from_public_bytes(root).verify(value, _covered(document))
    except (InvalidSignature, ValueError):
        raise BadDocument("the key document was not signed by this root") from None


def trusted(document: KeyDocument) -> list[TrustedKey]:
    """The keys that tokens may be checked with. Raises BadDocument for one that is no key."""
    try:
        return [
            TrustedKey(document.org, bytes_of(key.public), key.active_from, key.verify_until or EVER[1])
            for key in document.keys
            if key.revoked_at is None
        ]
    except ValueError as error:
        raise BadDocument(f"the key document has a public key that is none: {error}") from None


def _covered(document: KeyDocument) -> bytes:
    return _DOMAIN + written(replace(document, signature=None))
