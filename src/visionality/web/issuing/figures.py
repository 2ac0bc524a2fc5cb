"""Figures of the ledger that an organisation has signed (promise F6): the act, the key of a signature, the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from visionality.core.money import usd
from visionality.core.period import Period
from visionality.core.signed_figure import Organisation as Named
from visionality.core.signed_figure import Signed, Statement, sign
from visionality.evidence import keys as evidence_keys
from visionality.evidence.heads import newest
from visionality.ledger.sums import Dim, sums
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.web.accounts.models import Organisation
from visionality.web.issuing.installation import installation_id
from visionality.web.issuing.models import SigningKey
from visionality.web.issuing.signing_keys import kid
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

LIVE_FOR = timedelta(days=90)
"""How long a figure's page compares it with the ledger. The file stays checkable for ever."""
CURRENCY = "USD"
EVENT = "figure_signed"
SCOPES: dict[tuple[str, ...], Dim] = {
    (): "all",
    ("project",): "project",
    ("customer",): "customer",
    ("team",): "team",
    ("agent",): "agent",
    ("person",): "person",
    ("project", "agent"): "project_agent",
    ("project", "person"): "project_person",
    ("project", "customer"): "project_customer",
}
"""What a figure can be about, in the order of the parts, with the sums that give it."""

_SQL = statements("visionality.web.issuing", "figures.sql")


@dataclass(frozen=True, slots=True)
class Figure:
    """What the ledger gives."""

    cost_nusd: int = 0
    billed_nusd: int = 0
    calls: int = 0


class Signer(NamedTuple):
    """A key that signed a figure."""

    name: str
    """Its fingerprint; of a figure from before packs, its `kid`."""
    public: bytes
    revoked_at: datetime | None


class BadScope(Exception):
    """No figure is about this; the message says what one can be about."""


def figure(
    connection: psycopg.Connection[Any], org_id: UUID, period: Period, scope: Mapping[str, str]
) -> Figure:
    """What the ledger gives for a scope now, in USD, without what was simulated. Raises BadScope."""
    parts = next((known for known in SCOPES if set(known) == set(scope)), None)
    if parts is None:
        raise BadScope(
            "a figure is about all, a project, a customer, a team, an agent or a person, "
            "or about a customer, an agent or a person in a project"
        )
    keys = [[scope[name]] for name in parts]
    found = sums(
        connection,
        org_id,
        SCOPES[parts],
        period.first,
        period.after,
        keys=keys[0] if keys else None,
        keys2=keys[1] if len(keys) > 1 else None,
    )
    ours = [one for one in found if one.currency == CURRENCY]
    return Figure(
        sum(one.cost_nusd for one in ours),
        sum(one.billed_nusd for one in ours),
        sum(one.calls for one in ours),
    )


def sign_figure(
    act: Act,
    connection: psycopg.Connection[Any],
    keys: KeyProvider,
    period: Period,
    scope: Mapping[str, str],
    found: Figure,
) -> tuple[Statement, str]:
    """Sign a figure that was read in this connection's snapshot, under the organisation's key of packs.

    Raises BadFigure when its names are too long for a link, and NoKeyYet.
    """
    key, private = evidence_keys.active(connection, keys, act.org_id, "pack")
    head = newest(connection, act.org_id, "request_logs")
    whose = Organisation.objects.get(pk=act.org_id)
    statement = Statement(
        id=str(uuid7()),
        installation=installation_id(),
        organisation=Named(str(act.org_id), whose.name, whose.slug),
        period=period,
        scope=dict(scope),
        currency=CURRENCY,
        cost_usd=usd(found.cost_nusd),
        billed_usd=usd(found.billed_nusd),
        calls=found.calls,
        signed_at=act.now,
        signed_by=act.actor,
        live_until=act.now + LIVE_FOR,
        checkpoint=None if head is None else head.note,
    )
    text = sign(statement, private)
    detail = {
        "figure": statement.id,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        **scope,
        "currency": CURRENCY,
        "cost_usd": statement.cost_usd,
        "billed_usd": statement.billed_usd,
        "calls": str(found.calls),
        "fingerprint": key.fingerprint,
        "live_until": statement.live_until.isoformat(),
        "signed": text,
    }
    act.record(EVENT, detail)
    return statement, text


def access_signer(connection: psycopg.Connection[Any], signed: Signed) -> Signer | None:
    """The key of the figure's organisation that signed it; None for what no key of it signed while it was in use.

    The connection is of that organisation.
    """
    org_id, at = UUID(signed.statement.organisation.id), signed.statement.signed_at
    if signed.kid is not None:
        return _signer_before_packs(org_id, signed)
    for key in evidence_keys.everything(connection, org_id):
        is_in_use = key.active_from <= at and (key.verify_until is None or at <= key.verify_until)
        if key.role == "pack" and is_in_use and signed.is_by(key.public):
            return Signer(key.fingerprint, key.public, key.revoked_at)
    return None


def _signer_before_packs(org_id: UUID, signed: Signed) -> Signer | None:
    """The key of tokens that signed a figure of the form before packs."""
    at = signed.statement.signed_at
    with organisation_context(org_id):
        for key in SigningKey.objects.filter(org_id=org_id, active_from__lte=at):
            is_in_use = key.active_until is None or at <= key.active_until
            if kid(key) == signed.kid and is_in_use and signed.is_by(bytes(key.public)):
                return Signer(kid(key), bytes(key.public), key.revoked_at)
    return None


def access_signed(connection: psycopg.Connection[dict[str, Any]], org_id: UUID) -> list[dict[str, Any]]:
    """The figures that an organisation signed, the newest first, a hundred at most: `created_at`, `actor`, `detail`."""
    return connection.execute(_SQL["signed"], {"org_id": org_id, "kind": EVENT}).fetchall()
