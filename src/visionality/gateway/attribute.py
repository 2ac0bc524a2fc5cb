"""Who pays for a call: the draft of its row, from the bindings of the key.

Level 1 of the resolver: what is bound into the key is proven. The other levels choose among what a wide key allows
(gateway/purpose.py); none of them can widen it.
"""

from decimal import Decimal
from uuid import UUID

from visionality.core.allocation import MULTIPLIER
from visionality.core.call import Ask, Headers, clean
from visionality.core.family import model_family
from visionality.core.row import Row
from visionality.gateway.budgets import BUSINESS_UNIT
from visionality.gateway.principal import Principal
from visionality.gateway.routes import Target
from visionality.registry.snapshot import Grant, Organisation

RESOLVER_VERSION = 1
BOUND_LEVEL = 1
UNATTRIBUTED_LEVEL = 8

_TAGS = {b"x-client-request-id": "client_request_id", b"x-stainless-retry-count": "client_retry"}
_CATALOGUE_CLASS = "catalogue"
ASKS_NO_MODEL = frozenset({"catalogue", "result", "batch_state", "upload", "download"})
_DEFAULT_CLASS = "chat"


def draft(
    request_id: UUID,
    organisation: Organisation,
    principal: Principal,
    target: Target,
    multiplier: Decimal,
    headers: Headers,
) -> Row:
    """The row as far as the key, the route and the headers tell it, and by what its cost is multiplied to be billed."""
    grant = principal.grant
    tags = {
        _TAGS[name]: said
        for name, value in reversed(headers)
        if name in _TAGS and (said := clean(value.decode("latin-1"), 128))
    }
    if principal.checkout is not None:
        tags["exchanged_key"] = principal.checkout.key_id
    if grant.business_unit or multiplier != 1:
        tags |= _charged_to(grant, multiplier)
    return Row(
        org_id=organisation.org_id,
        request_id=request_id,
        agent_sub=grant.agent_sub,
        agent_owner=grant.agent_owner,
        sso_sub=grant.sso_sub,
        team_id=grant.team_id,
        key_id=grant.key_id,
        spend_token_id=principal.token_id,
        project_id=grant.project_id,
        customer_id=grant.customer_id,
        task_id=grant.task_id,
        task_class=_CATALOGUE_CLASS
        if target.route.kind in ASKS_NO_MODEL
        else grant.task_class or _DEFAULT_CLASS,
        cost_center=grant.cost_center,
        gl_code=grant.gl_code,
        memo=grant.memo,
        url=grant.url,
        attribution_level=BOUND_LEVEL if grant.project_id else UNATTRIBUTED_LEVEL,
        confidence=100 if grant.project_id else 0,
        resolver_version=RESOLVER_VERSION,
        provider=target.provider.name,
        dialect=target.route.dialect.name,
        price_state="known",
        policy_revision=organisation.revision,
        tags=tags or None,
    )


def charge_to(row: Row, grant: Grant, multiplier: Decimal) -> None:
    """Note the business unit, and the multiplier, of a project that was found out after the draft."""
    tags = {name: said for name, said in (row.tags or {}).items() if name not in {BUSINESS_UNIT, MULTIPLIER}}
    row.tags = {**tags, **_charged_to(grant, multiplier)} or None


def _charged_to(grant: Grant, multiplier: Decimal) -> dict[str, str]:
    unit = {BUSINESS_UNIT: grant.business_unit} if grant.business_unit else {}
    return unit if multiplier == 1 else {**unit, MULTIPLIER: f"{multiplier.normalize():f}"}


def with_model(row: Row, ask: Ask) -> None:
    """Add the model that was asked for."""
    row.model_requested = ask.model
    row.model_family = model_family(ask.model)
