"""What there is, by kind, for an organisation."""

from collections.abc import Sequence

from django.db import models

from visionality.web.accounts.models import Person
from visionality.web.policy.acts import Act
from visionality.web.policy.models import AgentIdentity, EndCustomer, PriceOverride, Project, ProviderCredential, Team

_KINDS: dict[str, tuple[type[models.Model], str]] = {
    "project": (Project, "key"),
    "customer": (EndCustomer, "key"),
    "team": (Team, "key"),
    "person": (Person, "sso_sub"),
    "agent": (AgentIdentity, "sub"),
    "provider": (ProviderCredential, "created_at"),
    "price": (PriceOverride, "version"),
}


def everything(act: Act, kind: str) -> Sequence[models.Model]:
    """Every object of a kind, in the order of its name."""
    model, order = _KINDS[kind]
    return list(model._default_manager.filter(org_id=act.org_id).order_by(order))  # noqa: SLF001
