"""Binding keys: made, handed over sealed to their service, rotated, revoked; never shown (promise K4).

The key is sealed twice when it is made and then forgotten: at rest under the organisation's key, which only a gateway
opens, and to the X25519 key that its service registered.
"""

import os
from datetime import datetime, timedelta

from django.db.models import QuerySet

from visionality.core.binding import KEY_BYTES, thumbprint
from visionality.runtime.ids import uuid7
from visionality.vault.binding_custody import SealedToService, seal_to
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import binding_context
from visionality.vault.sealing import seal
from visionality.web.issuing import signing_keys
from visionality.web.issuing.bindings import BadBinding
from visionality.web.issuing.events import record, uuid_of
from visionality.web.issuing.installation import issuer
from visionality.web.issuing.models import BindingKey, Service
from visionality.web.policy.acts import Act, Unknown, alone, found, organisation_key

LONGEST_OVERLAP = timedelta(days=7)


def create(act: Act, keys: KeyProvider, service: str, reason: str) -> SealedToService:
    """A new binding key, as its service alone can open it. Raises Unknown."""
    owner = found(act, Service, "service", key=service)
    made, handed_over = _make(act, keys, owner)
    record(act, "binding_key_created", made.id, owner.key, reason, _told(made))
    return handed_over


def rotate(act: Act, keys: KeyProvider, service: str, overlap: timedelta, reason: str) -> SealedToService:
    """A new binding key; the service's others prove something until the overlap ends. Raises Unknown or BadBinding."""
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadBinding(f"--overlap: an old binding key can go on for at most {LONGEST_OVERLAP.days} days")
    alone(act)
    owner = found(act, Service, "service", key=service)
    ends = act.now + overlap
    for other in _live(act, owner):
        if other.retires_at is None or other.retires_at > ends:
            other.retires_at = ends
            other.save(update_fields=["retires_at"])
    made, handed_over = _make(act, keys, owner)
    detail = {**_told(made), "others_until": ends.isoformat()}
    record(act, "binding_key_rotated", made.id, owner.key, reason, detail)
    return handed_over


def revoke(act: Act, name: str, reason: str) -> BindingKey:
    """Let a binding key prove nothing any more, within two seconds. Raises Unknown."""
    key_id = uuid_of(name, "binding key", "vis binding-key list")
    key = BindingKey.objects.filter(org_id=act.org_id, id=key_id).select_related("service").first()
    if key is None:
        raise Unknown(f"there is no binding key {name}: `vis binding-key list` shows them")
    if key.revoked_at is None:
        key.revoked_at = act.now
        key.save(update_fields=["revoked_at"])
        record(act, "binding_key_revoked", key.id, key.service.key, reason, _told(key))
    return key


def everything(act: Act) -> list[BindingKey]:
    """All of them, by service, the newest first."""
    keys = BindingKey.objects.filter(org_id=act.org_id).select_related("service")
    return list(keys.order_by("service__key", "-made_at", "-id"))


def newest(act: Act, service: Service) -> BindingKey:
    """The one that new envelopes are bound to. Raises BadBinding when the service has none."""
    live = _live(act, service).filter(retires_at=None).order_by("-made_at", "-id").first()
    if live is None:
        raise BadBinding(
            f"service {service.key} has no binding key: make one with `vis binding-key create {service.key}`"
        )
    return live


def state(key: BindingKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.retires_at is None:
        return "live"
    return "retiring" if now < key.retires_at else "retired"


def _live(act: Act, service: Service) -> QuerySet[BindingKey]:
    return BindingKey.objects.filter(org_id=act.org_id, service=service, revoked_at=None)


def _make(act: Act, keys: KeyProvider, owner: Service) -> tuple[BindingKey, SealedToService]:
    signing_keys.active(act, keys)  # what a service does with a binding key begins with a token
    kek, kek_record = organisation_key(act, keys)
    secret, key_id = os.urandom(KEY_BYTES), uuid7()
    made = BindingKey.objects.create(
        id=key_id,
        org_id=act.org_id,
        service=owner,
        organisation_key=kek_record,
        sealed=seal(kek, binding_context(act.org_id, key_id, kek_record.id, kek_record.generation), secret),
        thumbprint=bytes.fromhex(thumbprint(secret)),
        made_at=act.now,
    )
    return made, seal_to(bytes(owner.x25519), secret, str(key_id), owner.key, issuer())


def _told(key: BindingKey) -> dict[str, str]:
    return {"service": key.service.key, "thumbprint": bytes(key.thumbprint).hex()}
