"""Who is calling: one virtual key, wherever the SDK put it (docs/reference/headers.md, promise G4).

The same key in two places is fine, some clients do that; two different ones are refused. Nothing is looked up before
the shape holds, the checksum only tells a typing error from a key that is not ours, and what is not a key is never
echoed.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from urllib.parse import unquote_plus

from visionality.core import spend_token
from visionality.core.aws_signature import BadSignature, Signature, is_signed, read, verify
from visionality.core.call import Headers, Refusal, Request
from visionality.core.handle import SHOWN, has_shape, is_well_formed
from visionality.core.spend_token import BadToken
from visionality.gateway.principal import Principal
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.gateway.strangers import Stranger
from visionality.registry.snapshot import Grant, Organisation, Snapshot

_OF_A_TOKEN = {
    "malformed": "this is not a spend token: expected one that starts with vis2_live_, whole and unchanged",
    "invalid": "this spend token is not valid here",
}
_PLAIN = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key"})
_OURS = ("visk_live_", "vis2_live_")
KEY_LIMIT = 4096


def presented(headers: Headers, in_query: Sequence[str] = ()) -> str:
    """The one credential of a request. Raises Refusal."""
    found = b""
    if in_query:
        headers = (*headers, *[(b"api-key", key.strip().encode()) for key in in_query])
    for name, value in headers:
        if name in _PLAIN:
            key = value.strip()
        elif name == b"authorization":
            scheme, _, token = value.strip().partition(b" ")
            key = token.strip() if scheme.lower() == b"bearer" else b""
        else:
            continue
        if key and key != found:
            if found:
                raise Refusal(400, "multiple_credentials", "two different keys were sent: send one")
            found = key
    if not found:
        raise Refusal(
            401,
            "spend_token_missing",
            "no virtual key was sent: put your visk_… key where the provider's key would go",
        )
    return found[: KEY_LIMIT + 1].decode("latin-1")


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
        elif not any(mark in unquote_plus(part) for mark in _OURS) and unquote_plus(name) not in unsent:
            kept.append(part)
    return "&".join(kept), keys


def principal_of(gateway: Gateway, snapshot: Snapshot, key: str) -> Principal:
    """Who a key or a token stands for now, whatever its state. Raises Stranger when it is nobody's."""
    return principal_at(gateway, snapshot, key, gateway.clock(), gateway.now())


def principal_at(
    gateway: Gateway, snapshot: Snapshot, key: str, now: datetime, monotonic: float
) -> Principal:
    """The same at a moment, told by both clocks."""
    digest = sha256(key.encode("latin-1")).digest()
    if spend_token.has_shape(key):
        try:
            return gateway.tokens.principal(snapshot, key, digest, now, monotonic)
        except BadToken as bad:
            raise Stranger(f"spend_token_{bad.fault}", _OF_A_TOKEN[bad.fault], shown(key)) from None
    at_rest = gateway.at_rest(key, digest)
    grant = snapshot.grants.get(at_rest)
    if grant is not None:
        return Principal(grant, digest, ended=_ended(grant, at_rest, now), rotation=_rotation(grant, at_rest))
    if is_well_formed(key):
        raise Stranger("spend_token_invalid", "this virtual key is not known here", shown(key))
    raise Stranger(
        "spend_token_malformed",
        "this is not a virtual key: expected one that starts with visk_live_ or vis2_live_",
        shown(key),
    )


def _ended(grant: Grant, at_rest: bytes, now: datetime) -> str | None:
    """Whether the handle is one that a rotation has ended."""
    is_current = at_rest == grant.handle_hmac
    return (
        None if is_current or (grant.previous_until is not None and now < grant.previous_until) else "revoked"
    )


def _rotation(grant: Grant, at_rest: bytes) -> int:
    """Which of its grant's handles it is."""
    return grant.rotation if at_rest == grant.handle_hmac else grant.rotation - 1


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


def shown(credential: str) -> str:
    """Where a credential comes from, without what makes it one; nothing of what is no credential of ours."""
    if spend_token.has_shape(credential):
        return f"{spend_token.PREFIX}…"
    return credential[:SHOWN] if has_shape(credential) else ""


def grant_that_signs(snapshot: Snapshot, signed: Signature) -> Grant:
    """The grant whose key pair has this access key, whoever signed. Raises Refusal when there is none."""
    grant = snapshot.grants.get(signed.handle_at_rest)
    if grant is None:
        raise Stranger(
            "spend_token_invalid",
            "this AWS access key is not one of the pairs issued here: sign with one of `vis key issue --aws-pair`, "
            "or send a virtual key as AWS_BEARER_TOKEN_BEDROCK",
        )
    return grant


def check_signature(gateway: Gateway, signed: Signature, request: Request) -> None:
    """Raise Refusal unless its own key pair signed this very request. `path` is as received."""
    try:
        verify(signed, gateway.aws_secret(signed.handle_at_rest), request, gateway.clock())
    except BadSignature as bad:
        raise _not_believed(bad) from None


def principal_that_signs(grant: Grant, signed: Signature, now: datetime) -> Principal:
    """Who made a signature that was checked."""
    digest = sha256(signed.access_key.encode()).digest()
    return Principal(grant, digest, ended=_ended(grant, signed.handle_at_rest, now))


def _not_believed(bad: BadSignature) -> Refusal:
    return Refusal(401, "signature_invalid", str(bad))


def check(organisation: Organisation, principal: Principal, now: datetime) -> None:
    """Raise Refusal when a known credential may not be used now."""
    grant = principal.grant
    is_left_behind = grant.org_epoch < organisation.epoch or grant.person_epoch < grant.person_epoch_now
    if grant.revoked_at is not None or is_left_behind or principal.ended == "revoked":
        raise Refusal(401, "spend_token_revoked", "this virtual key was revoked")
    if principal.ended == "not_yet_valid":
        raise Refusal(401, "spend_token_not_yet_valid", "this token is not valid yet")
    if grant.expires_at <= now or principal.ended == "expired":
        raise Refusal(401, "spend_token_expired", "this virtual key has expired")
