"""Whether what a scope names is there.

Something that must be added before it can be used is refused, with the command that adds it. What a call may bring by
itself (an agent of another organisation chart, a kind of work, a new model) is worth a warning only: a typing error
there would guard nothing, and nobody would see it.
"""

from collections.abc import Callable
from uuid import UUID

from django.db import connection

from visionality.core.family import model_family
from visionality.core.scope import Scope
from visionality.pricebook.book import snapshot
from visionality.runtime.sql import statements
from visionality.web.accounts.models import Person
from visionality.web.policy.acts import Act, BadName, Unknown, found
from visionality.web.policy.models import AgentIdentity, EndCustomer, PriceOverride, Project, Team

Warnings = list[str]

_SQL = statements("visionality.web.policy", "scopes.sql")


def checked(act: Act, scope: Scope) -> tuple[Scope, Warnings]:
    """The scope as rows have it, and what to warn of. Raises Unknown or BadName."""
    check = _CHECKS.get(scope.kind)
    if check is None or scope.is_each:
        return scope, []
    value, warnings = check(act, scope.value)
    return Scope(scope.kind, value), warnings


def warnings_of_model(act: Act, model: str) -> Warnings:
    """That no price list has this model or family, if so."""
    if model_family(model) == model and model in _families(act):
        return []
    if any(provider.find_model(model) for provider in snapshot().providers):
        return []
    if PriceOverride.objects.filter(org_id=act.org_id, model=model).exists():
        return []
    return [f"{model} is in no price list: check how it is written"]


def _project(act: Act, key: str) -> tuple[str, Warnings]:
    return found(act, Project, "project", key=key).key, []


def _customer(act: Act, key: str) -> tuple[str, Warnings]:
    return found(act, EndCustomer, "customer", key=key).key, []


def _team(act: Act, key: str) -> tuple[str, Warnings]:
    return found(act, Team, "team", key=key).key, []


def _business_unit(act: Act, name: str) -> tuple[str, Warnings]:
    for model in (Project, Team):
        if model.objects.filter(org_id=act.org_id, business_unit=name).exists():
            return name, []
    raise Unknown(
        f"no project and no team is of the business unit {name}: "
        f"say which is with `vis project set KEY --business-unit {name}`"
    )


def _key(act: Act, name: str) -> tuple[str, Warnings]:
    try:
        key_id = UUID(name)
    except ValueError:
        raise Unknown(f"{name!r} is no key id: `vis key list` shows them") from None
    if not _exists(act, "key", str(key_id)):
        raise Unknown(f"there is no key {name}: `vis key list` shows them")
    return str(key_id), []


def _person(act: Act, sub: str) -> tuple[str, Warnings]:
    if Person.objects.filter(org_id=act.org_id, sso_sub=sub).exists():
        return sub, []
    return sub, [f"there is no person {sub} yet: `vis person add {sub}` adds them"]


def _agent(act: Act, sub: str) -> tuple[str, Warnings]:
    if AgentIdentity.objects.filter(org_id=act.org_id, sub=sub).exists():
        return sub, []
    return sub, [f"there is no agent {sub} yet: `vis agent add {sub}` adds it"]


def _task_class(act: Act, name: str) -> tuple[str, Warnings]:
    if _exists(act, "task_class", name):
        return name, []
    return name, [f"no key is for {name} yet: `vis key issue --task-class {name}` makes one"]


def _model_family(act: Act, name: str) -> tuple[str, Warnings]:
    family = model_family(name)
    if family != name:
        raise BadName(f"{name} is a model of the family {family}: say model-family:{family}")
    return name, [] if name in _families(act) else [f"no listed model is of the family {name}"]


def _exists(act: Act, query: str, value: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_SQL[query], {"org_id": act.org_id, "value": value})
        return cursor.fetchone() is not None


def _families(act: Act) -> set[str | None]:
    listed = {model_family(model.id) for provider in snapshot().providers for model in provider.models}
    own = PriceOverride.objects.filter(org_id=act.org_id).values_list("model", flat=True)
    return listed | {model_family(model) for model in own}


_CHECKS: dict[str, Callable[[Act, str], tuple[str, Warnings]]] = {
    "business_unit": _business_unit,
    "project": _project,
    "customer": _customer,
    "team": _team,
    "person": _person,
    "agent": _agent,
    "task_class": _task_class,
    "model_family": _model_family,
    "key": _key,
}
