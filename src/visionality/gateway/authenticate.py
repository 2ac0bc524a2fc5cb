"""Who is calling: one virtual key, wherever the SDK put it (docs/reference/headers.md, promise G4).

The same key in two places is fine, some clients do that; two different ones are refused. Nothing is looked up before
the shape holds, the checksum only tells a typing error from a key that is not ours, and what is not a key is never
echoed.
"""

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import unquote_plus

from visionality.core.aws_signature import BadSignature, Signature, is_signed, read, verify
from visionality.core.call import Headers, Refusal, Request
from visionality.core.handle import has_shape, is_well_formed
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.registry.snapshot import Grant, Snapshot

_PLAIN = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key"})
_HANDLE = "visk_live_"
KEY_LIMIT = 4096


def presented(headers: Headers, in_query: Iterable[str] = ()) -> str:
    """The one credential of a request. Raises Refusal."""
    found = {key.strip().encode() for key in in_query}
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


def without_keys(
    query: str, names: frozenset[str], unsent: frozenset[str] = frozenset()
) -> tuple[str, list[str]]:
    """A query without the parameters of these names, and their values.

    What else holds a virtual key is dropped too, and the parameters that are `unsent`.
    """
    kept, keys = [], []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) in names:
            keys.append(unquote_plus(value))
        elif _HANDLE not in unquote_plus(part) and unquote_plus(name) not in unsent:
            kept.append(part)
    return "&".join(kept), keys


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


def signature(target: Target, headers: Headers) -> Signature | None:
    """The signature that a request carries instead of a key, where its provider's clients sign. Raises Refusal."""
    if target.provider.signer is None:
        return None
    said = next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")
    if not is_signed(said):
        return None
    try:
        return read(said)
    except BadSignature as bad:
        raise _not_believed(bad) from None


def grant_that_signs(snapshot: Snapshot, signed: Signature) -> Grant:
    """The grant whose key pair has this access key, whoever signed. Raises Refusal when there is none."""
    grant = snapshot.grants.get(signed.handle_at_rest)
    if grant is None:
        raise Refusal(
            401,
            "spend_token_invalid",
            "this AWS access key is not one of the pairs issued here: sign with one of `vis key issue --aws-pair`, "
            "or send a virtual key as AWS_BEARER_TOKEN_BEDROCK",
        )
    return grant


def check_signature(gateway: Gateway, grant: Grant, signed: Signature, request: Request) -> None:
    """Raise Refusal unless the grant's own key pair signed this very request. `path` is as received."""
    try:
        verify(signed, gateway.aws_secret(grant), request, gateway.clock())
    except BadSignature as bad:
        raise _not_believed(bad) from None


def _not_believed(bad: BadSignature) -> Refusal:
    return Refusal(401, "signature_invalid", str(bad))


def check(grant: Grant, now: datetime) -> None:
    """Raise Refusal when a known key may no longer be used."""
    if grant.revoked_at is not None:
        raise Refusal(401, "spend_token_revoked", "this virtual key was revoked")
    if grant.expires_at <= now:
        raise Refusal(401, "spend_token_expired", "this virtual key has expired")
