"""What there is, by kind, as records for a person or a program to read."""

from collections.abc import Callable, Iterable

from visionality.web.accounts.models import Person
from visionality.web.policy.acts import Act
from visionality.web.policy.models import (
    AgentIdentity,
    EndCustomer,
    PriceOverride,
    Project,
    ProviderCredential,
    Team,
)

Records = Iterable[dict[str, object]]


def records(act: Act, kind: str) -> list[dict[str, object]]:
    """Every object of a kind in the order of its name: project, customer, team, person, agent, provider, price."""
    return list(_KINDS[kind](act))


def _projects(act: Act) -> Records:
    for one in Project.objects.filter(org_id=act.org_id).select_related("customer").order_by("key"):
        yield {
            "key": one.key,
            "name": one.name,
            "customer": str(one.customer or ""),
            "gl_code": one.gl_code,
            "passthrough": one.passthrough,
        }


def _customers(act: Act) -> Records:
    for one in EndCustomer.objects.filter(org_id=act.org_id).order_by("key"):
        yield {"key": one.key, "name": one.name}


def _teams(act: Act) -> Records:
    for one in Team.objects.filter(org_id=act.org_id).order_by("key"):
        yield {"key": one.key, "name": one.name, "cost_center": one.cost_center}


def _people(act: Act) -> Records:
    for one in Person.objects.filter(org_id=act.org_id).order_by("sso_sub"):
        yield {"sso_sub": one.sso_sub, "name": one.name}


def _agents(act: Act) -> Records:
    for one in (
        AgentIdentity.objects.filter(org_id=act.org_id).select_related("team", "person").order_by("sub")
    ):
        yield {
            "sub": one.sub,
            "owner": one.owner,
            "team": str(one.team or ""),
            "person": str(one.person or ""),
        }


def _providers(act: Act) -> Records:
    for one in ProviderCredential.objects.filter(org_id=act.org_id).order_by("created_at"):
        state = "live" if one.retired_at is None else "retired"
        yield {
            "provider": one.provider,
            "state": state,
            "on_abort": one.on_abort,
            "base_url": one.base_url,
            "options": one.options,
        }


def is_set_up(act: Act, provider: str) -> bool:
    """Whether a provider has a live key."""
    return ProviderCredential.objects.filter(org_id=act.org_id, provider=provider, retired_at=None).exists()


def _prices(act: Act) -> Records:
    for one in PriceOverride.objects.filter(org_id=act.org_id).order_by("version"):
        yield {
            "version": one.version,
            "provider": one.provider,
            "model": one.model,
            "from": f"{one.effective_from:%Y-%m-%d}",
            "input": one.rates.get("in_text", ""),
            "output": one.rates.get("out_text", ""),
            "source": one.source,
        }


_KINDS: dict[str, Callable[[Act], Records]] = {
    "project": _projects,
    "customer": _customers,
    "team": _teams,
    "person": _people,
    "agent": _agents,
    "provider": _providers,
    "price": _prices,
}
