"""The signed envelope of a grant, `vis2_...`: who may spend, on what, how much and until when, checked without a server.

    token   = "vis2_" env "_" B64URL(body) "_" CRC                env = "live" | "test"
    body    = 0x02 | 0x01 | kid(4) | length(u16) | payload | signature(64)
    payload = claims as JSON in the canonical form of RFC 8785, UTF-8, at most 2048 bytes, no floats
    signature = Ed25519("visionality spend token v2" NUL | body up to the signature)       (RFC 8032)
    kid     = the first 4 bytes of SHA-256(public key): where to look, never whether to trust
    CRC     = 6 base62 digits of CRC-32 of all before the last "_": lets a scanner find a leak, is no security

One algorithm a version byte: nothing in a token chooses how it is checked. The text is decoded, encoded again and
compared, since base64 has several spellings of the same bytes, and the claims likewise, since JSON has.
"""

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from visionality.core.handle import CRC_DIGITS, checksum

PREFIX = "vis2_"
LONGEST_TOKEN = 4096
LONGEST_PAYLOAD = 2048
SHOWN = len(PREFIX) + len("live_")
"""How much of a token may ever be shown again; its display form adds the id."""

_DOMAIN = b"visionality spend token v2\0"
_VERSION, _ED25519 = 2, 1
_KID, _LENGTH, _SIGNATURE = slice(2, 6), slice(6, 8), 64
_HEAD = 8
_ENVS = ("live", "test")

Fault = Literal["malformed", "invalid", "expired", "not_yet_valid"]


class BadToken(Exception):
    """A token that is refused. `fault` is what its bearer is told, the text why."""

    def __init__(self, fault: Fault, why: str) -> None:
        super().__init__(why)
        self.fault: Fault = fault


class Allowance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that the token may spend. The truth is the ledger; this is a ceiling that its bearer can read."""

    cur: Literal["USD"]
    max: str
    """Decimal dollars."""
    win: str
    """`total`, or the period in which it is renewed."""
    warn: tuple[int, ...] = ()
    """Percents at which the operator is told."""


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The second factor."""

    lvl: int
    bk: str | None = None
    """The id of the binding key."""
    th: str | None = None
    """SHA-256 of that very key in hex: a row with another key under the same id is not it."""
    clr: tuple[str, ...] = ()
    """Who may sign; empty is anybody who has the key."""
    alg: Literal["b1"] = "b1"


class Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a token says. Times are Unix seconds; an absent list allows all that its issuer allows."""

    v: Literal[2]
    jti: str
    iss: str
    aud: str
    """The gateways that it is for, by the installation's id."""
    org: str
    agt: str
    iat: int
    nbf: int
    exp: int
    scp: tuple[str, ...]
    bnd: Bound
    gen: int
    """The organisation's epoch when it was issued."""
    sgen: int
    """The person's."""
    pol: int
    """The policy revision that it was issued under."""
    rot: int = 0
    """Which rotation of its grant it is, or was exchanged for."""
    sub: str | None = None
    """The person, by the subject of single sign-on."""
    prj: str | None = None
    cus: str | None = None
    """The end customer."""
    tsk: str | None = None
    tcl: str | None = None
    """The task class."""
    memo: str | None = None
    url: str | None = None
    bud: Allowance | None = None
    mdl: tuple[str, ...] = ()
    """Models, where `*` stands for any text."""
    prv: tuple[str, ...] = ()
    """Providers."""
    net: tuple[str, ...] = ()
    """Networks in CIDR notation."""
    par: str | None = None
    """The grant that it was derived from."""
    rep: str | None = None
    """The repository that it was handed out for, as a normalised remote (core.remote)."""
    brn: str | None = None
    """The branch."""
    cmt: str | None = None
    """The commit, in lower-case hex."""
    crit: tuple[str, ...] = ()
    """Claims that whoever does not know them must refuse."""


class TrustedKey(NamedTuple):
    """A public key that an organisation signs with, and between which moments what it signed is believed."""

    org: str
    public: bytes
    """32 bytes."""
    not_before: datetime
    not_after: datetime

    @property
    def kid(self) -> bytes:
        return kid_of(self.public)


class Parts(NamedTuple):
    """A token taken apart; nothing of it is believed yet."""

    kid: bytes
    signed: bytes
    payload: bytes
    signature: bytes


_encode = msgspec.json.Encoder(order="sorted").encode
_read = msgspec.json.Decoder().decode
_KNOWN = frozenset(Claims.__struct_fields__)


def has_shape(text: str) -> bool:
    """Whether this means to be a token."""
    return text.startswith(PREFIX)


def kid_of(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:4]


def sign(private: Ed25519PrivateKey, claims: Claims, env: str = "live") -> str:
    """The token. Raises ValueError when the claims are too long for one."""
    payload = _encode(claims)
    if len(payload) > LONGEST_PAYLOAD:
        raise ValueError(f"the claims have {len(payload)} bytes, at most {LONGEST_PAYLOAD} fit into a token")
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    head = bytes((_VERSION, _ED25519)) + kid_of(public) + len(payload).to_bytes(2, "big")
    body = head + payload + private.sign(_DOMAIN + head + payload)
    text = f"{PREFIX}{env}_{_spelled(body)}_"
    return text + checksum(text[:-1])


def display(text: str, jti: str) -> str:
    """A token as it may be shown: no byte of what makes it valid."""
    return f"{text[:SHOWN]}…{jti}"


def taken_apart(text: str) -> Parts:
    """A token's parts. Raises BadToken (malformed) for whatever is not written exactly as `sign` writes it."""
    if len(text) > LONGEST_TOKEN:
        raise BadToken("malformed", f"a token has at most {LONGEST_TOKEN} characters")
    whole, _, crc = text.rpartition("_")
    env, _, spelled = whole.removeprefix(PREFIX).partition("_")
    if not text.startswith(PREFIX) or env not in _ENVS or len(crc) != CRC_DIGITS or not text.isascii():
        raise BadToken("malformed", "expected vis2_live_…")
    if checksum(whole) != crc:
        raise BadToken("malformed", "the checksum at its end is not that of the rest")
    try:
        body = urlsafe_b64decode(spelled + "=" * (-len(spelled) % 4))
    except (binascii.Error, ValueError):
        raise BadToken("malformed", "it is not base64url") from None
    if _spelled(body) != spelled:
        raise BadToken("malformed", "it is not spelled as it would be written")
    if len(body) < _HEAD + _SIGNATURE or body[:2] != bytes((_VERSION, _ED25519)):
        raise BadToken("malformed", "it is of another version or algorithm")
    length = int.from_bytes(body[_LENGTH], "big")
    if length > LONGEST_PAYLOAD or len(body) != _HEAD + length + _SIGNATURE:
        raise BadToken("malformed", "its length is not the one that it says")
    end = _HEAD + length
    return Parts(body[_KID], body[:end], body[_HEAD:end], body[end:])


def verified(parts: Parts, trusted: Mapping[bytes, Sequence[TrustedKey]], now: datetime) -> Claims:
    """The claims of a token that a trusted key signed, whatever they say of times. Raises BadToken."""
    signer = next((key for key in trusted.get(parts.kid, ()) if _is_signed(parts, key.public)), None)
    if signer is None:
        raise BadToken("invalid", "no trusted key signed it")
    if not signer.not_before <= now < signer.not_after:
        raise BadToken("invalid", "the key that signed it is not trusted at this time")
    claims = _said(parts.payload)
    if claims.org != signer.org:
        raise BadToken("invalid", "another organisation's key signed it")
    return claims


def check_times(claims: Claims, now: datetime) -> None:
    """Raise BadToken unless it is valid at this moment: from `nbf` on, and before `exp`."""
    at = now.timestamp()
    if claims.iat > claims.exp or claims.nbf > claims.exp:
        raise BadToken("invalid", "it ends before it begins")
    if at < claims.nbf:
        raise BadToken("not_yet_valid", "it is not valid yet")
    if at >= claims.exp:
        raise BadToken("expired", "it has expired")


def by_kid(keys: Iterable[TrustedKey]) -> dict[bytes, list[TrustedKey]]:
    """Where to look for the key of a token; two keys may share a kid."""
    found: dict[bytes, list[TrustedKey]] = {}
    for key in keys:
        found.setdefault(key.kid, []).append(key)
    return found


def _said(payload: bytes) -> Claims:
    try:
        document = _read(payload)
        if _encode(document) != payload:
            raise BadToken("invalid", "its claims are not in canonical form")
        claims = msgspec.convert(document, Claims)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError):
        raise BadToken("invalid", "its claims are not those of a token") from None
    unknown = set(claims.crit) - _KNOWN
    if unknown:
        raise BadToken("invalid", "it has claims that must be understood and are not")
    return claims


def _is_signed(parts: Parts, public: bytes) -> bool:
    try:
        _public(public).verify(parts.signature, _DOMAIN + parts.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(64)
def _public(public: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public)


def _spelled(body: bytes) -> str:
    return urlsafe_b64encode(body).rstrip(b"=").decode()
