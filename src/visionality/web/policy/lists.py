"""What there is, by kind, as records for a person or a program to read."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db.models import QuerySet

from visionality.core.scope import Scope
from visionality.web.accounts.models import Person
from visionality.web.policy.acts import Act
from visionality.web.policy.identities import identities
from visionality.web.policy.models import (
    CostSplit,
    EndCustomer,
    Markup,
    ModelHint,
    PriceOverride,
    Project,
    ProviderCredential,
    RateLimit,
    Team,
)

ANY = "any"
_OF_A_PART = ("cost_center", "gl_code", "share")
Records = Iterable[dict[str, object]]
_Rule = TypeVar("_Rule", Markup, CostSplit)


def records(act: Act, kind: str) -> list[dict[str, object]]:
    """Every object of a kind (a name in `_KINDS`), in the order of its name or of its making."""
    return list(_KINDS[kind](act))


def _projects(act: Act) -> Records:
    for one in Project.objects.filter(org_id=act.org_id).select_related("customer").order_by("key"):
        yield {
            "key": one.key,
            "name": one.name,
            "customer": str(one.customer or ""),
            "gl_code": one.gl_code,
            "business_unit": one.business_unit,
            "passthrough": one.passthrough,
        }


def _customers(act: Act) -> Records:
    for one in EndCustomer.objects.filter(org_id=act.org_id).order_by("key"):
        yield {"key": one.key, "name": one.name}


def _teams(act: Act) -> Records:
    for one in Team.objects.filter(org_id=act.org_id).order_by("key"):
        yield {
            "key": one.key,
            "name": one.name,
            "cost_center": one.cost_center,
            "business_unit": one.business_unit,
        }


def _people(act: Act) -> Records:
    for one in Person.objects.filter(org_id=act.org_id).order_by("sso_sub"):
        yield {"sso_sub": one.sso_sub, "name": one.name}


def _agents(act: Act) -> Records:
    for one in identities(act, act.now).values():
        yield {"sub": one.agent_sub, "owner": one.owner, "team": one.team, "person": one.sso_sub}


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


def _hints(act: Act) -> Records:
    for one in ModelHint.objects.filter(org_id=act.org_id, retired_at=None).order_by("id"):
        yield {
            "id": one.id,
            "agent": one.agent_sub or ANY,
            "project": one.project or ANY,
            "task_class": one.task_class or ANY,
            "instead_of": one.model_from or ANY,
            "prefer": one.prefer,
        }


def _limits(act: Act) -> Records:
    for one in RateLimit.objects.filter(org_id=act.org_id, retired_at=None).order_by(
        "scope_kind", "scope_value"
    ):
        yield {
            "scope": str(Scope(one.scope_kind, one.scope_value)),
            "requests_per_minute": one.requests_per_minute,
            "tokens_per_minute": one.tokens_per_minute,
        }


def _allocations(act: Act) -> Records:
    """Markups, then splits; of each scope the newest first, and since when or until when each holds."""
    for one, state in _dated(act, Markup.objects.filter(org_id=act.org_id)):
        yield _rule(one, state) | {"markup": f"{one.multiplier.normalize():f}"}
    for split, state in _dated(act, CostSplit.objects.filter(org_id=act.org_id)):
        parts = [{name: part[name] for name in _OF_A_PART if part[name]} for part in split.parts]
        yield _rule(split, state) | {"parts": parts}


def _rule(one: Markup | CostSplit, state: str) -> dict[str, object]:
    scope = str(Scope(one.scope_kind, one.scope_value))
    return {"scope": scope, "state": state, "from": f"{one.effective_from:%Y-%m-%d %H:%M}"}


def _dated(act: Act, rules: QuerySet[_Rule]) -> Iterable[tuple[_Rule, str]]:
    """Each rule, and whether it is `in force`, `to come` or `past`."""
    decided = set()
    for rule in rules.order_by("scope_kind", "scope_value", "-effective_from", "-id"):
        scope = (rule.scope_kind, rule.scope_value)
        if rule.effective_from > act.now:
            yield rule, "to come"
        else:
            yield rule, "past" if scope in decided else "in force"
            decided.add(scope)


_KINDS: dict[str, Callable[[Act], Records]] = {
    "project": _projects,
    "customer": _customers,
    "team": _teams,
    "person": _people,
    "agent": _agents,
    "provider": _providers,
    "price": _prices,
    "hint": _hints,
    "limit": _limits,
    "allocation": _allocations,
}
