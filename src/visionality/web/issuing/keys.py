"""Issuing, rotating and revoking virtual keys: the change and its `key_events` row in one transaction."""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from visionality.core.aws_signature import access_key, secret_key
from visionality.core.handle import SHOWN, at_rest, from_entropy
from visionality.core.money import usd
from visionality.core.scope import Scope
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import AWS_PAIRS, HANDLE_PEPPER
from visionality.web.accounts.models import Organisation
from visionality.web.issuing.bindings import BadBinding, Bindings, check, checked_networks, longest_life
from visionality.web.issuing.events import record, uuid_of
from visionality.web.issuing.models import CALL, EXCHANGE, Service, VirtualKey
from visionality.web.issuing.signing_keys import active
from visionality.web.policy.acts import Act, Unknown, found, told
from visionality.web.policy.budgets import set_budget
from visionality.web.policy.models import AgentIdentity, EndCustomer, Project

LONGEST_OVERLAP = timedelta(days=7)
"""After that a handle that was rotated away has stopped working."""


def issue(act: Act, keys: KeyProvider, bound: Bindings, reason: str = "") -> tuple[VirtualKey, str]:
    """A new key and its handle, which is shown now and never again. Raises BadBinding or Unknown."""
    org = Organisation.objects.get(pk=act.org_id)
    agent = found(act, AgentIdentity, "agent", sub=bound.agent)
    project = found(act, Project, "project", key=bound.project) if bound.project else None
    level = _in_force(bound.level, org, project)
    check(bound, level)
    if EXCHANGE in bound.scopes and agent.person is None:
        raise BadBinding(
            f"a device's credential is one person's, and {agent.sub} has none: `vis identity set {agent.sub} --person SUB`"
        )
    handle = from_entropy(os.urandom(32))
    key = VirtualKey.objects.create(
        org_id=act.org_id,
        handle_hmac=at_rest(keys.secret(HANDLE_PEPPER), handle),
        shown=handle[:SHOWN],
        agent=agent,
        project=project,
        customer=found(act, EndCustomer, "customer", key=bound.customer) if bound.customer else None,
        task_id=bound.task,
        task_class=bound.task_class,
        memo=bound.memo,
        url=bound.url,
        level=bound.level,
        projects=_once(found(act, Project, "project", key=claimed).key for claimed in bound.claims),
        scopes=_once(bound.scopes),
        model_globs=_once(bound.models),
        providers=_once(bound.providers),
        networks=_once(checked_networks(bound.networks)),
        callers=_once(bound.callers),
        service=found(act, Service, "service", key=bound.service) if bound.service else None,
        org_epoch=org.epoch,
        person_epoch=agent.person.epoch if agent.person else 1,
        issued_at=act.now,
        expires_at=act.now + (bound.lifetime or longest_life(bound.scopes, level)),
    )
    if bound.cap is not None:
        cap_nusd, period = bound.cap
        set_budget(act, Scope("key", str(key.id)), period, cap_nusd, {"hard": True})
    if set(bound.scopes) != {CALL}:
        active(act, keys)
    record(act, "issued", key.id, agent.sub, reason, _told(key, bound))
    return key, handle


def rotate(act: Act, keys: KeyProvider, name: str, overlap: timedelta, reason: str) -> tuple[VirtualKey, str]:
    """A new handle for the same key, whose budgets go on. The old one works until the overlap ends.

    It lives as long again as it was to live, or as its level allows by now. Raises Unknown, or BadBinding for a key that
    has ended.
    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise BadBinding(f"--overlap: an old handle can go on for at most {LONGEST_OVERLAP.days} days")
    key = one(act, name)
    if (now_is := state(key, act.now)) != "live":
        raise BadBinding(f"key {key.id} is {now_is}: issue a new one with `vis key issue`")
    before = {"shown": key.shown, "rotation": str(key.rotation), "expires_at": key.expires_at.isoformat()}
    handle = from_entropy(os.urandom(32))
    lifetime = key.expires_at - (key.rotated_at or key.issued_at)
    most = longest_life(key.scopes, _in_force(key.level, key.org, key.project))
    key.previous_hmac = key.handle_hmac if overlap else None
    key.previous_until = min(act.now + overlap, key.expires_at) if overlap else None
    key.handle_hmac = at_rest(keys.secret(HANDLE_PEPPER), handle)
    key.shown = handle[:SHOWN]
    key.rotation += 1
    key.rotated_at = act.now
    key.expires_at = act.now + min(lifetime, most)
    key.save()
    detail = {
        "shown": key.shown,
        "rotation": str(key.rotation),
        "previous_until": key.previous_until.isoformat() if key.previous_until else "",
        "expires_at": key.expires_at.isoformat(),
    }
    record(act, "rotated", key.id, key.agent.sub, reason, told(before, detail))
    return key, handle


def revoke(act: Act, name: str, reason: str) -> VirtualKey:
    """Revoke by id. Gateways refuse the key within two seconds. Raises Unknown."""
    key = one(act, name)
    if key.revoked_at is None:
        key.revoked_at = act.now
        key.save(update_fields=["revoked_at"])
        record(act, "revoked", key.id, key.agent.sub, reason, {"shown": key.shown})
    return key


def aws_pair(keys: KeyProvider, handle: str) -> tuple[str, str]:
    """The access key id and the secret key that stand for a handle, for AWS's clients that sign their requests."""
    stored = at_rest(keys.secret(HANDLE_PEPPER), handle)
    return access_key(stored), secret_key(keys.secret(AWS_PAIRS), stored)


def everything(act: Act) -> list[VirtualKey]:
    """All keys of the organisation, the newest first."""
    return list(_with_names(act).order_by("-issued_at"))


def one(act: Act, name: str) -> VirtualKey:
    """The key of this id. Until this transaction ends nobody else rotates or revokes it. Raises Unknown."""
    key_id = uuid_of(name, "key", "vis key list")
    key = _with_names(act).select_for_update(of=("self",)).filter(id=key_id).first()
    if key is None:
        raise Unknown(f"there is no key {name}: `vis key list` shows them")
    return key


def access_virtual_key(act: Act, key_id: UUID) -> VirtualKey:
    """The key of this id, to look at. Raises Unknown."""
    key = _with_names(act).filter(id=key_id).first()
    if key is None:
        raise Unknown(f"there is no key {key_id}: `vis key list` shows them")
    return key


def state(key: VirtualKey, now: datetime) -> str:
    """`live`, `revoked` (itself, or with its person or organisation) or `expired`."""
    person = key.agent.person
    ended = key.org_epoch < key.org.epoch or (person is not None and key.person_epoch < person.epoch)
    if key.revoked_at is not None or ended:
        return "revoked"
    return "expired" if key.expires_at <= now else "live"


def _with_names(act: Act) -> QuerySet[VirtualKey]:
    named = ("org", "agent__person", "agent__team", "project__customer", "customer", "service")
    return VirtualKey.objects.filter(org_id=act.org_id).select_related(*named)


def _in_force(level: int, org: Organisation, project: Project | None) -> int:
    return max(level, org.level_floor, project.level_floor if project else 0)


def _once(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _told(key: VirtualKey, bound: Bindings) -> dict[str, str]:
    cap_nusd, period = bound.cap or (0, "")
    told = {
        "shown": key.shown,
        "project": bound.project,
        "claims": " ".join(key.projects),
        "customer": bound.customer,
        "task": bound.task,
        "expires_at": key.expires_at.isoformat(),
        "level": str(key.level),
        "scopes": " ".join(key.scopes),
        "models": " ".join(key.model_globs),
        "providers": " ".join(key.providers),
        "networks": " ".join(key.networks),
        "callers": " ".join(key.callers),
        "service": bound.service,
        "cap": f"{usd(cap_nusd)}/{period}" if bound.cap else "",
    }
    return {name: value for name, value in told.items() if value}
