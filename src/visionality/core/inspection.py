"""A token checked offline against a published key document: what holds of it, and what it says."""

from datetime import datetime

import msgspec

from visionality.core.key_document import KeyDocument, trusted
from visionality.core.spend_token import BadToken, Claims, by_kid, check_times, taken_apart, verified

HOLDS = "holds"
_UNREAD = "cannot be told"


class Inspection(msgspec.Struct, frozen=True):
    """Each check: `holds`, or why not. Claims are those that a trusted key signed, else none."""

    checksum: str
    signature: str = _UNREAD
    times: str = _UNREAD
    claims: Claims | None = None

    @property
    def is_valid(self) -> bool:
        return self.checksum == self.signature == self.times == HOLDS


def inspect(text: str, document: KeyDocument, now: datetime) -> Inspection:
    """What holds of a token at this moment. Revocation is not among it: that is the gateways' to know."""
    try:
        parts = taken_apart(text)
    except BadToken as bad:
        return Inspection(str(bad))
    try:
        claims = verified(parts, by_kid(trusted(document)), now)
    except BadToken as bad:
        return Inspection(HOLDS, str(bad))
    if claims.iss != document.iss:
        return Inspection(HOLDS, "another installation issued it")
    try:
        check_times(claims, now)
    except BadToken as bad:
        return Inspection(HOLDS, HOLDS, str(bad), claims)
    return Inspection(HOLDS, HOLDS, HOLDS, claims)
