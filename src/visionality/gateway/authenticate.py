"""Who is calling: one virtual key, wherever the SDK put it (docs/reference/headers.md, promise G4).

The same key in two places is fine, some clients do that; two different ones are refused. Nothing is looked up before
the shape holds, the checksum only tells a typing error from a key that is not ours, and what is not a key is never
echoed.
"""

from datetime import datetime

from visionality.core.call import Headers, Refusal
from visionality.core.handle import has_shape, is_well_formed
from visionality.gateway.state import Gateway
from visionality.registry.snapshot import Grant, Snapshot

_PLAIN = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key"})
KEY_LIMIT = 4096


def presented(headers: Headers) -> str:
    """The one credential of a request. Raises Refusal."""
    found = set()
    for name, value in headers:
        if name in _PLAIN:
            found.add(value.strip())
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                found.add(token.strip())
    found.discard(b"")
    if not found:
        raise Refusal(
            401,
            "spend_token_missing",
            "no virtual key was sent: put your visk_… key where the provider's key would go",
        )
    if len(found) > 1:
        raise Refusal(400, "multiple_credentials", "two different keys were sent: send one")
    return found.pop()[: KEY_LIMIT + 1].decode("latin-1")


def grant_of(gateway: Gateway, snapshot: Snapshot, key: str) -> Grant:
    """The grant behind a key, whatever its state. Raises Refusal when there is none."""
    grant = gateway.grant(snapshot, key) if has_shape(key) else None
    if grant is not None:
        return grant
    if is_well_formed(key):
        raise Refusal(401, "spend_token_invalid", "this virtual key is not known here")
    raise Refusal(
        401, "spend_token_malformed", "this is not a virtual key: expected one that starts with visk_live_"
    )


def check(grant: Grant, now: datetime) -> None:
    """Raise Refusal when a known key may no longer be used."""
    if grant.revoked_at is not None:
        raise Refusal(401, "spend_token_revoked", "this virtual key was revoked")
    if grant.expires_at <= now:
        raise Refusal(401, "spend_token_expired", "this virtual key has expired")
