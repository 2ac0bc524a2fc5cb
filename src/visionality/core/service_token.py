"""The token of a program that speaks to the control plane: `visa_...`.

`visa_`, 22 base62 digits that name its organisation, 32 that are secret (190 bits), and 6 of CRC-32 by which a scanner finds a
leaked one. The organisation stands in it so that it is looked up among that organisation's tokens only. At rest there is
HMAC-SHA256(pepper, token), as for virtual keys (core/handle.py).
"""

import re
from uuid import UUID

from visionality.core.handle import BODY_DIGITS, CRC_DIGITS, base62, checksum, number_of

SHOWN = 31
"""How many leading characters may be shown again: the organisation and four of the secret digits."""
SCOPES = {
    "identities:read": "read the identity table",
    "identities:write": "read and change the identity table",
    "read:ledger": "read rows, totals, coverage, the queue and chargebacks",
    "read:audit": "read administrative acts, the life of keys, refusals, and keys to look at",
    "read:evidence": "read controls and their exceptions, packs, heads and the keys that sign them",
    "write:evidence": "make packs",
    "read:policy": "read projects, people, keys, budgets, rules, prices, providers, the map, connectors and alerts",
    "read:people": "read who can reach a model and what they spent, and the evidence of leavers",
    "read:members": "read who may sign in and as what, and the organisation's sign-on",
    "write:policy": "change all of these but keys",
    "write:keys": "issue, rotate and revoke keys, and what proves them",
    "write:corrections": "book rows again",
    "write:figures": "sign figures of the ledger",
    "write:members": "invite, change and remove members, in roles that may no more than the token, and keep the sign-on up",
}
"""What a token may do. Who may write may read what they write."""
_ORG_DIGITS = 22
_HEAD = "visa_"
_SHAPE = re.compile(rf"{_HEAD}[0-9A-Za-z]{{{_ORG_DIGITS + BODY_DIGITS + CRC_DIGITS}}}")


def from_entropy(org_id: UUID, entropy: bytes) -> str:
    """The token of an organisation that 32 random bytes give."""
    assert len(entropy) == 32
    secret = base62(int.from_bytes(entropy, "big") % 62**BODY_DIGITS, BODY_DIGITS)
    text = f"{_HEAD}{base62(org_id.int, _ORG_DIGITS)}{secret}"
    return text + checksum(text)


def organisation_of(text: str) -> UUID | None:
    """The organisation that a token says it is of; None for what is no token."""
    if _SHAPE.fullmatch(text) is None or checksum(text[:-CRC_DIGITS]) != text[-CRC_DIGITS:]:
        return None
    number = number_of(text[len(_HEAD) : len(_HEAD) + _ORG_DIGITS])
    return UUID(int=number) if number < 1 << 128 else None
