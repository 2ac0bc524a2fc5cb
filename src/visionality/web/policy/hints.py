"""Model hints: for an agent, a project or a kind of work, another model than the one asked for (promise B4)."""

from dataclasses import dataclass
from uuid import UUID

from visionality.core.scope import Scope
from visionality.web.policy.acts import Act, BadName, Unknown, alone, told
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
    earlier = ModelHint.objects.filter(org_id=act.org_id, retired_at=None, **selectors)
    before = [{"hint_id": str(one.id), "prefer": one.prefer} for one in earlier]
    earlier.update(retired_at=act.now)
    made = ModelHint.objects.create(org_id=act.org_id, prefer=prefer, **selectors)
    detail = {"hint_id": str(made.id), "prefer": prefer, **selectors}
    act.record("hint_added", told(before[0] if before else {}, detail))
    return made, warnings


def remove_hint(act: Act, name: str) -> ModelHint:
    """Retire a hint by its id. Raises Unknown."""
    hint = access_hint(act, _uuid(name))
    hint.retired_at = act.now
    hint.save(update_fields=["retired_at"])
    selectors = {name: getattr(hint, name) for name in ("agent_sub", "project", "task_class", "model_from")}
    act.record("hint_removed", told({"prefer": hint.prefer}, {"hint_id": str(hint.id), **selectors}))
    return hint


def access_hint(act: Act, hint_id: UUID) -> ModelHint:
    """A live hint. Raises Unknown."""
    hint = ModelHint.objects.filter(org_id=act.org_id, retired_at=None, id=hint_id).first()
    if hint is None:
        raise Unknown(f"there is no hint {hint_id}: `vis hint list` shows them")
    return hint


def calls_of(calls: Selectors) -> str:
    """The calls that a hint is for, in words."""
    parts = [
        f"calls for {calls.instead_of}" if calls.instead_of else "calls",
        f"of {calls.agent}" if calls.agent else "",
        f"on {calls.project}" if calls.project else "",
        f"for {calls.task_class} work" if calls.task_class else "",
    ]
    said = " ".join(part for part in parts if part)
    return "all calls" if said == "calls" else said


def _uuid(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        raise Unknown(f"{name!r} is no id of a hint: `vis hint list` shows them") from None
