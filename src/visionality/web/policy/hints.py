"""Model hints: for an agent, a project or a kind of work, another model than the one asked for (promise B4)."""

from dataclasses import dataclass
from uuid import UUID

from visionality.core.scope import Scope
from visionality.web.policy.acts import Act, BadName, Unknown, alone
from visionality.web.policy.models import ModelHint
from visionality.web.policy.scopes import Warnings, checked, warnings_of_model


@dataclass(frozen=True, slots=True)
class Selectors:
    """Which calls a hint is for; empty is any."""

    agent: str = ""
    project: str = ""
    task_class: str = ""
    instead_of: str = ""
    """A model, or a family of models."""


def add_hint(act: Act, calls: Selectors, prefer: str) -> tuple[ModelHint, Warnings]:
    """From now on these calls get this model. An earlier hint for the same calls is retired in the same act.

    Raises Unknown for a project that is not there, BadName for a hint that would change nothing.
    """
    if prefer == calls.instead_of:
        raise BadName(f"the hint would replace {prefer} by itself")
    warnings = warnings_of_model(act, prefer)
    if calls.instead_of:
        warnings += warnings_of_model(act, calls.instead_of)
    for kind in ("agent", "project", "task_class"):
        if value := getattr(calls, kind):
            warnings += checked(act, Scope(kind, value))[1]
    selectors = {
        "agent_sub": calls.agent,
        "project": calls.project,
        "task_class": calls.task_class,
        "model_from": calls.instead_of,
    }
    alone(act)
    ModelHint.objects.filter(org_id=act.org_id, retired_at=None, **selectors).update(retired_at=act.now)
    made = ModelHint.objects.create(org_id=act.org_id, prefer=prefer, **selectors)
    act.record("hint_added", {"hint_id": str(made.id), "prefer": prefer, **selectors})
    return made, warnings


def remove_hint(act: Act, name: str) -> ModelHint:
    """Retire a hint by its id. Raises Unknown."""
    hint = ModelHint.objects.filter(org_id=act.org_id, retired_at=None, id=_uuid(name)).first()
    if hint is None:
        raise Unknown(f"there is no hint {name}: `vis hint list` shows them")
    hint.retired_at = act.now
    hint.save(update_fields=["retired_at"])
    act.record("hint_removed", {"hint_id": str(hint.id), "prefer": hint.prefer})
    return hint


def _uuid(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        raise Unknown(f"{name!r} is no id of a hint: `vis hint list` shows them") from None
