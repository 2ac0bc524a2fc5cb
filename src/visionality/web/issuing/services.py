"""Services: the backends that binding keys are made for. One is registered on the machine, once, with its X25519 key."""

from visionality.vault.binding_custody import check_public_key
from visionality.web.issuing.events import record
from visionality.web.issuing.models import Service
from visionality.web.policy.acts import Act, AlreadyThere, checked_name


def add_service(act: Act, key: str, x25519: bytes, reason: str) -> Service:
    """Register a backend. Raises BadName, BadPublicKey or AlreadyThere: a key that is registered is never replaced."""
    check_public_key(x25519)
    made, is_new = Service.objects.get_or_create(
        org_id=act.org_id,
        key=checked_name(key),
        defaults={"x25519": x25519, "registered_by": act.actor, "registered_at": act.now},
    )
    if not is_new:
        raise AlreadyThere(f"service {key} is there already: its key is never replaced, so choose a new name")
    record(act, "service_registered", made.id, key, reason, {"service": key, "x25519": x25519.hex()})
    return made


def services(act: Act) -> list[Service]:
    return list(Service.objects.filter(org_id=act.org_id).order_by("key"))
