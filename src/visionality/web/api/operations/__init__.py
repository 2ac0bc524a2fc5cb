"""Every operation of the API, one file a subject."""

from typing import Any

from django.urls import URLPattern, URLResolver

from visionality.web.api.operations import (
    alerts,
    audit,
    budgets,
    connectors,
    evidence,
    figures,
    identities,
    keys,
    ledger,
    mapping,
    members,
    names,
    organisation,
    people,
    proofs,
    providers,
    queue,
    reports,
    rules,
    security,
    sign_on,
    spend,
    totals,
)
from visionality.web.api.routing import API

__all__ = [
    "alerts",
    "audit",
    "budgets",
    "connectors",
    "evidence",
    "figures",
    "identities",
    "keys",
    "ledger",
    "mapping",
    "members",
    "names",
    "organisation",
    "people",
    "proofs",
    "providers",
    "queue",
    "reports",
    "rules",
    "security",
    "sign_on",
    "spend",
    "totals",
]


def patterns() -> list[URLPattern | URLResolver]:
    return API.patterns()


def described() -> dict[str, Any]:
    """The OpenAPI file."""
    return API.openapi()
