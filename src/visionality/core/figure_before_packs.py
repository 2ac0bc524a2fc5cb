"""The form that figures were signed in before they were packs of one figure. It is read, and no longer signed.

    text  = B64URL(statement) "." B64URL(signature)
    signature = Ed25519("visionality figure v1" NUL | statement)      (RFC 8032)

The statement is JSON with sorted names and no spaces; base64url has no padding, money is decimal dollars, times are RFC 3339
in UTC. Links in this form are out in the world, and what was signed stays signed.
"""

from base64 import b64encode
from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DOMAIN = b"visionality figure v1\0"
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Statement(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    rename={"first": "from", "last": "to", "organisation": "org_name"},
):
    """What is said: of these UTC days and this scope the ledger gave this cost, when it was signed."""

    v: Literal[1] = 1
    id: str
    iss: str
    """The installation."""
    org: str
    organisation: str
    first: date
    last: date
    """Included."""
    scope: dict[str, str]
    """Which rows: all of them, or those of a project, a customer, a team, an agent, a person (by the sign-on's subject)."""
    currency: str
    cost_usd: str
    billed_usd: str
    calls: int
    signed_at: Moment
    signed_by: str
    live_until: Moment
    """Until then its page compares it with the ledger of the day."""
    kid: str
    """The key that signed: 4 bytes in hex, as in the published key document."""


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Statement).decode


def said(content: bytes) -> Statement:
    """What a text of this form says. Raises ValueError for what is not in its one spelling."""
    statement = _decode(content)
    if _encode(statement) != content:
        raise ValueError("it has another spelling")
    return statement


def as_file(content: bytes, signature: bytes, public: bytes) -> bytes:
    """The file for checking it without us: the statement, and beside it what openssl takes, in base64 with padding."""
    statement, key = said(content), Ed25519PublicKey.from_public_bytes(public)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    check = {
        "algorithm": "Ed25519",
        "kid": statement.kid,
        "public_key": pem,
        "message": b64encode(DOMAIN + content).decode(),
        "signature": b64encode(signature).decode(),
        "how": [
            "jq -r .check.public_key figure.json > key.pem",
            "jq -r .check.message figure.json | base64 -d > message",
            "jq -r .check.signature figure.json | base64 -d > signature",
            "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in message -sigfile signature",
            f"tail -c +{len(DOMAIN) + 1} message",
        ],
        "then": "what the last line shows is what was signed; the key must be the one of this kid in the organisation's "
        "published key document, which it gives out with `vis token keys`",
    }
    return msgspec.json.format(msgspec.json.encode({"figure": statement, "check": check}), indent=2) + b"\n"
