"""Revoking more than one key at once (promise K7): all of a person, all of the organisation; and one minted token.

The first two move a counter that only grows. What was issued under an earlier count has ended on every gateway within two
seconds; what is issued after it carries the new one.
"""

from datetime import datetime
from uuid import UUID

from visionality.web.accounts.models import Person
from visionality.web.issuing.events import record
from visionality.web.issuing.models import RevokedToken, VirtualKey
from visionality.web.policy.acts import Act, BadName, Unknown, alone, found, told


def revoke_person(act: Act, sso_sub: str, reason: str) -> Person:
    """End every key and token of a person. Raises Unknown."""
    alone(act)
    person = found(act, Person, "person", sso_sub=sso_sub)
    person.epoch += 1
    person.save(update_fields=["epoch"])
    record(
        act,
        "person_revoked",
        person.id,
        sso_sub,
        reason,
        told({"epoch": str(person.epoch - 1)}, {"epoch": str(person.epoch)}),
    )
    return person


def revoke_all(act: Act, reason: str) -> int:
    """End every key and token of the organisation. Returns the new count."""
    org = alone(act)
    org.epoch += 1
    org.save(update_fields=["epoch"])
    record(
        act,
        "all_revoked",
        org.id,
        org.slug,
        reason,
        told({"epoch": str(org.epoch - 1)}, {"epoch": str(org.epoch)}),
    )
    return org.epoch


def revoke_token(act: Act, jti: UUID, until: datetime, reason: str) -> None:
    """End one minted token, which would have expired at `until` or before. Raises Unknown for a key, BadName for the past."""
    if until <= act.now:
        raise BadName(f"--until {until:%Y-%m-%d %H:%M} has passed: say when the token would have expired")
    if VirtualKey.objects.filter(org_id=act.org_id, id=jti).exists():
        raise Unknown(
            f"{jti} is a key and no minted token: `vis key revoke {jti}` ends it with its envelopes"
        )
    _, is_new = RevokedToken.objects.get_or_create(
        org_id=act.org_id, jti=jti, defaults={"until": until, "revoked_at": act.now}
    )
    if is_new:
        record(act, "token_revoked", jti, "", reason, {"until": until.isoformat()})
