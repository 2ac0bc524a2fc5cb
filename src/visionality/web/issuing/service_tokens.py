"""Tokens of programs that speak to the control plane: scoped, expiring, revocable, and each act in `key_events`."""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from visionality.core.handle import at_rest
from visionality.core.service_token import SCOPES, SHOWN, from_entropy
from visionality.web.issuing.bindings import BadBinding
from visionality.web.issuing.events import record, uuid_of
from visionality.web.issuing.models import ServiceToken
from visionality.web.policy.acts import Act, Unknown

LONGEST_LIFE = timedelta(days=366)


def issue(
    act: Act, pepper: bytes, scopes: Iterable[str], lifetime: timedelta, reason: str
) -> tuple[ServiceToken, str]:
    """A new token, and its text, which is shown now and never again. Raises BadBinding."""
    wanted = sorted(set(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise BadBinding(f"--scope: expected one or more of {', '.join(SCOPES)}")
    if not timedelta(0) < lifetime <= LONGEST_LIFE:
        raise BadBinding(f"--expires: a service token lives at most {LONGEST_LIFE.days} days")
    text = from_entropy(act.org_id, os.urandom(32))
    token = ServiceToken.objects.create(
        org_id=act.org_id,
        token_hmac=at_rest(pepper, text),
        shown=text[:SHOWN],
        scopes=wanted,
        issued_by=act.actor,
        issued_at=act.now,
        expires_at=act.now + lifetime,
    )
    told = {"shown": token.shown, "scopes": " ".join(wanted), "expires_at": token.expires_at.isoformat()}
    record(act, "service_token_issued", token.id, "", reason, told)
    return token, text


def revoke(act: Act, name: str, reason: str) -> ServiceToken:
    """End a token by its id, at once. Raises Unknown."""
    token_id = uuid_of(name, "service token", "vis service-token list")
    token = ServiceToken.objects.select_for_update().filter(org_id=act.org_id, id=token_id).first()
    if token is None:
        raise Unknown(f"there is no service token {name}: `vis service-token list` shows them")
    if token.revoked_at is None:
        token.revoked_at = act.now
        token.save(update_fields=["revoked_at"])
        record(act, "service_token_revoked", token.id, "", reason, {"shown": token.shown})
    return token


def service_tokens(act: Act) -> list[ServiceToken]:
    """All of the organisation, the newest first."""
    return list(ServiceToken.objects.filter(org_id=act.org_id).order_by("-issued_at"))


def state(token: ServiceToken, now: datetime) -> str:
    """`live`, `revoked` or `expired`."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at <= now else "live"


def shown_by(org_id: UUID, pepper: bytes, text: str) -> ServiceToken | None:
    """The token of the organisation with this text, whatever its state. Within `organisation_context` of it."""
    return ServiceToken.objects.filter(org_id=org_id, token_hmac=at_rest(pepper, text)).first()
