"""A receipt: what the row of one call says, signed for whoever made it (docs/audit/formats.md section 7; promise S4).

    text      = B64URL(content) "." B64URL(signature)
    signature = Ed25519("visionality receipt v1" NUL | content)      (RFC 8032)

The content is JCS, as a row's bytes are: sorted names, strings and integers, money as decimal digits.
"""

from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from visionality.core.canonical import timestamp
from visionality.core.key_document import spelled

DOMAIN = b"visionality receipt v1\0"

_encode = msgspec.json.Encoder(order="sorted").encode


class Stood(NamedTuple):
    """What a receipt says of a row: columns of the ledger, and the leaf that is stored with them."""

    org_id: UUID
    id: UUID
    request_id: UUID
    created_at: datetime
    project_id: str | None
    currency: str
    cost_nusd: int
    billed_nusd: int
    price_version: int | None
    leaf_hash: bytes


class Signer(NamedTuple):
    """A receipt key and its fingerprint, by which receipts name it."""

    keyid: str
    private: Ed25519PrivateKey

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> "Signer":
        return cls(sha256(private.public_key().public_bytes_raw()).hexdigest(), private)


def receipt(row: Stood, signer: Signer, installation: UUID, signed_at: datetime) -> str:
    """The receipt of a row that stands. ASCII, for a header: 1 KB for names of a usual length."""
    content: dict[str, Any] = {
        "billed_nusd": str(row.billed_nusd),
        "cost_nusd": str(row.cost_nusd),
        "created_at": timestamp(row.created_at),
        "currency": row.currency,
        "installation": installation,
        "keyid": signer.keyid,
        "leaf": row.leaf_hash.hex(),
        "org_id": row.org_id,
        "price_version": row.price_version,
        "project_id": row.project_id,
        "request_id": row.request_id,
        "row_id": row.id,
        "signed_at": timestamp(signed_at),
        "type": "receipt",
        "v": 1,
    }
    said = _encode(content)
    return f"{spelled(said)}.{spelled(signer.private.sign(DOMAIN + said))}"
