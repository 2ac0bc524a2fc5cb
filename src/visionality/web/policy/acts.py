"""What an operator decides, one act a function: the change and its audit row in one transaction.

Run inside `web.start.organisation_context`. Raises Unknown and AlreadyThere with sentences for a person.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from django.db import connection, models
from django.db.models import Max

from visionality.core.scope import EACH
from visionality.core.vendors import ADDRESSES, RESERVED
from visionality.ledger.administration import append_admin_event
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import organisation_context, provider_context
from visionality.vault.sealing import seal
from visionality.web.accounts.models import Organisation, Person
from visionality.web.policy.models import (
    AgentIdentity,
    EndCustomer,
    OrganisationKey,
    PriceOverride,
    Project,
    ProviderCredential,
    Team,
)

FIRST_OVERRIDE = 2
"""Price version 1 is the bundled snapshot alone."""

WAS = "was_"
"""Before the name of what an act changed, in an audit row's detail."""

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_PROVIDER = re.compile(r"[a-z][a-z0-9-]{1,39}")
_SUB = re.compile(r"[A-Za-z0-9][^\s\x00-\x1f]{0,254}")
_Model = TypeVar("_Model", bound=models.Model)


class Unknown(Exception):
    """Something is named that is not there."""


class AlreadyThere(Exception):
    """The name is taken."""


class BadName(Exception):
    """A name that rows, files and addresses could not carry."""


@dataclass(frozen=True, slots=True)
class Act:
    """For which organisation, by whom, and when; with what its audit rows say beside that.

    `sso_sub` is the actor's subject at the company's sign-on, `reason` what they gave as one, `address` where they did it from;
    each may be unknown.
    """

    org_id: UUID
    actor: str
    now: datetime
    sso_sub: str = ""
    reason: str = ""
    address: str | None = None

    def record(self, kind: str, detail: Mapping[str, str]) -> None:
        """Append the act to `admin_events`."""
        said = {"sso_sub": self.sso_sub, "reason": self.reason}
        beside = {name: value for name, value in said.items() if value and name not in detail}
        with connection.cursor() as cursor:
            append_admin_event(
                cursor, self.org_id, self.now, kind, self.actor, {**detail, **beside}, self.address
            )


def told(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """What an audit row says of a change: what is so now, and as `was_NAME` what was otherwise before."""
    was = {f"{WAS}{name}": value for name, value in before.items() if after.get(name) != value}
    return {**after, **was}


def alone(act: Act) -> Organisation:
    """The organisation. Until this transaction ends nobody else makes or changes a rule of it."""
    return Organisation.objects.select_for_update(no_key=True).get(pk=act.org_id)


def found(act: Act, model: type[_Model], command: str, **named: str) -> _Model:
    """The one object of the organisation with this name. Raises Unknown, naming the command that adds it."""
    ((_, value),) = named.items()
    one = model._default_manager.filter(org_id=act.org_id, **named).first()  # noqa: SLF001 -- Django's public name for it
    if one is None:
        raise Unknown(f"there is no {command} {value}: add it with `vis {command} add {value}`")
    return one


def add_project(
    act: Act, key: str, name: str, customer: str | None, gl_code: str, business_unit: str = ""
) -> Project:
    """What spend is charged to."""
    paying = found(act, EndCustomer, "customer", key=customer) if customer else None
    return _add(
        act,
        Project,
        "project",
        {"key": checked_name(key)},
        name=name or key,
        customer=paying,
        gl_code=gl_code,
        business_unit=_unit(business_unit),
    )


def set_project(act: Act, key: str, business_unit: str) -> None:
    """Which business unit a project's rows are of from now on; none when empty."""
    project = found(act, Project, "project", key=key)
    before = {"business_unit": project.business_unit}
    project.business_unit = _unit(business_unit)
    project.save(update_fields=["business_unit"])
    act.record("project_set", told(before, {"project": key, "business_unit": business_unit}))


def set_team(act: Act, key: str, business_unit: str) -> None:
    """Which business unit a team's rows are of from now on, where their project has none; none when empty."""
    team = found(act, Team, "team", key=key)
    before = {"business_unit": team.business_unit}
    team.business_unit = _unit(business_unit)
    team.save(update_fields=["business_unit"])
    act.record("team_set", told(before, {"team": key, "business_unit": business_unit}))


def open_passthrough(act: Act, key: str, provider: str, usd_per_request: Decimal | None) -> None:
    """Let a project's keys call paths of a provider that have no meter, at a declared price a request or an unknown one."""
    project = found(act, Project, "project", key=key)
    before = _declared(project, provider)
    declared = None if usd_per_request is None else f"{usd_per_request:f}"
    project.passthrough = {**project.passthrough, provider: declared}
    project.save(update_fields=["passthrough"])
    detail = {"project": key, "provider": provider, **_declared(project, provider)}
    act.record("passthrough_opened", told(before, detail))


def close_passthrough(act: Act, key: str, provider: str) -> None:
    project = found(act, Project, "project", key=key)
    if provider not in project.passthrough:
        raise Unknown(f"project {key} passes nothing through to {provider}")
    before = _declared(project, provider)
    project.passthrough = {name: usd for name, usd in project.passthrough.items() if name != provider}
    project.save(update_fields=["passthrough"])
    act.record("passthrough_closed", told(before, {"project": key, "provider": provider}))


def add_customer(act: Act, key: str, name: str) -> EndCustomer:
    return _add(act, EndCustomer, "customer", {"key": checked_name(key)}, name=name or key)


def add_team(act: Act, key: str, name: str, cost_center: str, business_unit: str = "") -> Team:
    return _add(
        act,
        Team,
        "team",
        {"key": checked_name(key)},
        name=name or key,
        cost_center=cost_center,
        business_unit=_unit(business_unit),
    )


def add_person(act: Act, sso_sub: str, name: str) -> Person:
    return _add(act, Person, "person", {"sso_sub": checked_sub(sso_sub)}, name=name or sso_sub)


def add_agent(act: Act, sub: str, owner: str, team: str | None, person: str | None) -> AgentIdentity:
    """An agent identity: who owns what spends."""
    return _add(
        act,
        AgentIdentity,
        "agent",
        {"sub": checked_sub(sub)},
        owner=owner,
        team=found(act, Team, "team", key=team) if team else None,
        person=found(act, Person, "person", sso_sub=person) if person else None,
    )


def add_provider(
    act: Act,
    keys: KeyProvider,
    provider: str,
    base_url: str,
    on_abort: str,
    secret: bytes,
    options: Mapping[str, Any] | None = None,
) -> ProviderCredential:
    """Seal a provider's key. An earlier one of the same provider is retired in the same act."""
    kek, record = organisation_key(act, keys)
    live = ProviderCredential.objects.filter(org_id=act.org_id, provider=provider, retired_at=None)
    before = _of_provider(live.first())
    live.update(retired_at=act.now)
    credential_id = uuid7()
    context = provider_context(act.org_id, credential_id, record.id, record.generation)
    made = ProviderCredential.objects.create(
        id=credential_id,
        org_id=act.org_id,
        provider=provider,
        base_url=base_url,
        on_abort=on_abort,
        options=dict(options or {}),
        sealed=seal(kek, context, secret),
        organisation_key=record,
    )
    act.record("provider_added", told(before, {"provider": provider, **_of_provider(made)}))
    return made


def remove_provider(act: Act, provider: str) -> None:
    """Retire a provider's key; its calls are refused, or go to the sandbox where there is one."""
    live = ProviderCredential.objects.filter(org_id=act.org_id, provider=provider, retired_at=None)
    before = _of_provider(live.first())
    if not live.update(retired_at=act.now):
        raise Unknown(f"there is no live key of {provider}")
    act.record("provider_removed", told(before, {"provider": provider}))


def set_price(
    act: Act, provider: str, model: str, rates: Mapping[str, Decimal], effective_from: datetime, source: str
) -> PriceOverride:
    """Append a dated price, USD per million units by usage bucket, above the bundled snapshot."""
    lines = {bucket: f"{rate:f}" for bucket, rate in sorted(rates.items())}
    mine = PriceOverride.objects.filter(org_id=act.org_id)
    last = mine.aggregate(last=Max("version"))["last"]
    earlier = mine.filter(provider=provider, model=model).order_by("-version").first()
    content = {
        "provider": provider,
        "model": model,
        "rates": lines,
        "from": effective_from.isoformat(),
        "source": source,
    }
    made = PriceOverride.objects.create(
        org_id=act.org_id,
        version=(last or FIRST_OVERRIDE - 1) + 1,
        provider=provider,
        model=model,
        rates=lines,
        effective_from=effective_from,
        source=source,
        content_hash=hashlib.sha256(msgspec.json.encode(content, order="sorted")).digest(),
    )
    named = {"provider": provider, "model": model, "version": str(made.version)}
    dated = {"from": effective_from.isoformat(), "source": source}
    act.record("price_set", told(earlier.rates if earlier else {}, {**named, **lines, **dated}))
    return made


def organisation_key(act: Act, keys: KeyProvider) -> tuple[bytes, OrganisationKey]:
    """The 32 bytes that secrets of the organisation are sealed under, and their record; made when there is none."""
    record = _newest_key(act)
    if record is None:
        alone(act)  # of two that seal the first secret at once, one makes the key and the other takes it
        record = _newest_key(act)
    if record is not None:
        context = organisation_context(act.org_id, record.id, record.generation)
        return keys.unwrap(context, bytes(record.wrapped)), record
    kek, kek_id = os.urandom(32), uuid7()
    wrapped = keys.wrap(organisation_context(act.org_id, kek_id, 1), kek)
    return kek, OrganisationKey.objects.create(id=kek_id, org_id=act.org_id, generation=1, wrapped=wrapped)


def _declared(project: Project, provider: str) -> dict[str, str]:
    """The price that a project declared for a provider's paths without a meter, where it is open."""
    if provider not in project.passthrough:
        return {}
    return {"usd_per_request": project.passthrough[provider] or "unknown"}


def _of_provider(credential: ProviderCredential | None) -> dict[str, str]:
    if credential is None:
        return {}
    detail = {"base_url": credential.base_url, "on_abort": credential.on_abort}
    detail["credential_id"] = str(credential.id)
    if credential.options:
        detail["options"] = msgspec.json.encode(credential.options, order="sorted").decode()
    return detail


def _newest_key(act: Act) -> OrganisationKey | None:
    return OrganisationKey.objects.filter(org_id=act.org_id).order_by("-generation").first()


def _add(act: Act, model: type[_Model], kind: str, key: dict[str, str], **columns: Any) -> _Model:
    ((_, value),) = key.items()
    made, is_new = model._default_manager.get_or_create(org_id=act.org_id, **key, defaults=columns)  # noqa: SLF001
    if not is_new:
        raise AlreadyThere(f"{kind} {value} is there already")
    detail = {name: str(content) for name, content in columns.items() if content}
    act.record(f"{kind}_added", {kind: value, **detail})
    return made


def checked_provider(name: str) -> str:
    """The name of a provider that the gateway knows, or one of one's own for a server that speaks OpenAI's format.

    Raises BadName.
    """
    if name not in ADDRESSES and (name in RESERVED or not _PROVIDER.fullmatch(name)):
        raise BadName(
            f"{name!r} cannot be a provider: expected {', '.join(ADDRESSES)}, or a name of your own of 2 to 40 small letters, "
            "digits and hyphens that is none of the gateway's own paths"
        )
    return name


def checked_name(key: str) -> str:
    """The name as it is. Raises BadName."""
    if not _KEY.fullmatch(key):
        raise BadName(
            f"{key!r} cannot be a key: expected letters, digits, `.`, `_` or `-`, at most 80, a letter or digit first"
        )
    return key


def _unit(name: str) -> str:
    if name == EACH or len(name) > 80 or not name.isprintable() or name != name.strip():
        raise BadName(f"{name!r} cannot be a business unit: expected at most 80 printable characters")
    return name


def checked_sub(sub: str) -> str:
    """The subject as it is. Raises BadName."""
    if not _SUB.fullmatch(sub):
        raise BadName(
            f"{sub!r} cannot be a subject: expected no spaces, at most 255 characters, a letter or digit first"
        )
    return sub
