"""Issuing and revoking virtual keys: the change and its `key_events` row in one transaction."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from visionality.core.aws_signature import access_key, secret_key
from visionality.core.handle import SHOWN, at_rest, from_entropy
from visionality.ledger.administration import append_key_event
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import AWS_PAIRS, HANDLE_PEPPER
from visionality.web.issuing.models import VirtualKey
from visionality.web.policy.acts import Act, Unknown, found
from visionality.web.policy.models import AgentIdentity, EndCustomer, Project

LONGEST = timedelta(days=90)
"""A bearer key lives at most this long (security design, level L0)."""


class BadBinding(Exception):
    """A binding that a key cannot have."""


@dataclass(frozen=True, slots=True)
class Bindings:
    """What a key is bound to; empty means not bound."""

    agent: str
    project: str = ""
    customer: str = ""
    task: str = ""
    task_class: str = ""
    memo: str = ""
    url: str = ""
    lifetime: timedelta = LONGEST


def issue(act: Act, keys: KeyProvider, bound: Bindings) -> tuple[VirtualKey, str]:
    """A new key and its handle, which is shown now and never again."""
    _check(bound)
    handle = from_entropy(os.urandom(32))
    key = VirtualKey.objects.create(
        org_id=act.org_id,
        handle_hmac=at_rest(keys.secret(HANDLE_PEPPER), handle),
        shown=handle[:SHOWN],
        agent=found(act, AgentIdentity, "agent", sub=bound.agent),
        project=found(act, Project, "project", key=bound.project) if bound.project else None,
        customer=found(act, EndCustomer, "customer", key=bound.customer) if bound.customer else None,
        task_id=bound.task,
        task_class=bound.task_class,
        memo=bound.memo,
        url=bound.url,
        issued_at=act.now,
        expires_at=act.now + bound.lifetime,
    )
    detail = {
        "shown": key.shown,
        "project": bound.project,
        "task": bound.task,
        "expires_at": key.expires_at.isoformat(),
    }
    _record(act, "issued", key, detail)
    return key, handle


def aws_pair(keys: KeyProvider, handle: str) -> tuple[str, str]:
    """The access key id and the secret key that stand for a handle, for AWS's clients that sign their requests."""
    stored = at_rest(keys.secret(HANDLE_PEPPER), handle)
    return access_key(stored), secret_key(keys.secret(AWS_PAIRS), stored)


def everything(act: Act) -> list[VirtualKey]:
    """All keys of the organisation, the newest first."""
    keys = VirtualKey.objects.filter(org_id=act.org_id).select_related("agent", "project", "customer")
    return list(keys.order_by("-issued_at"))


def revoke(act: Act, name: str) -> VirtualKey:
    """Revoke by id. Gateways refuse the key within two seconds. Raises Unknown."""
    key = VirtualKey.objects.filter(org_id=act.org_id, id=_uuid(name)).select_related("agent").first()
    if key is None:
        raise Unknown(f"there is no key {name}: `vis key list` shows them")
    if key.revoked_at is None:
        key.revoked_at = act.now
        key.save(update_fields=["revoked_at"])
        _record(act, "revoked", key, {"shown": key.shown})
    return key


def state(key: VirtualKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at <= now else "live"


def _check(bound: Bindings) -> None:
    if not timedelta(0) < bound.lifetime <= LONGEST:
        raise BadBinding(f"a key can live at most {LONGEST.days} days")
    for name, limit in (("memo", 200), ("url", 400), ("task", 80), ("task_class", 40)):
        text = getattr(bound, name)
        if len(text) > limit or not (text.isprintable()):
            raise BadBinding(f"--{name.replace('_', '-')} must be printable and at most {limit} characters")
    if bound.url and not bound.url.startswith("https://"):
        raise BadBinding("--url must start with https://")


def _record(act: Act, kind: str, key: VirtualKey, detail: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        append_key_event(cursor, act.org_id, act.now, kind, key.id, key.agent.sub, act.actor, detail)


def _uuid(name: str) -> str:
    try:
        return str(UUID(name))
    except ValueError:
        raise Unknown(f"{name!r} is no key id: `vis key list` shows them") from None
