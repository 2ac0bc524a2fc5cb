"""Model hints: "for derek@arctrade, prefer a Haiku model for refactoring".

A hint names whom it is for, what it replaces and by what. One hint decides about a call, the most specific one; what
it prefers is not looked up again. Whether the call can be sent with that model (its provider, its dialect, its price)
is for the gateway to say.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

from visionality.core.family import model_family


class Hint(Protocol):
    """One rule. An empty text stands for any; `model_from` is the name of a model or a family."""

    @property
    def agent_sub(self) -> str: ...
    @property
    def project(self) -> str: ...
    @property
    def task_class(self) -> str: ...
    @property
    def model_from(self) -> str: ...
    @property
    def prefer(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


_H = TypeVar("_H", bound=Hint)


def preferred(
    hints: Iterable[_H],
    agent_sub: str | None,
    project_id: str | None,
    task_class: str | None,
    model: str | None,
) -> _H | None:
    """The hint that decides about this call, or None when the model asked for stays.

    A hint for the agent goes before one for the project, that before one for the task class, that before one for the
    model by name, and that before one for its family; among equals the newest counts. When the one that decides
    prefers the model that was asked for, the call has what it should have, and no other hint is asked.
    """
    if not model:
        return None
    facts = ((agent_sub,), (project_id,), (task_class,), (model, model_family(model)))
    fitting = [((fit, hint.created_at), hint) for hint in hints if (fit := _fit(hint, facts)) is not None]
    if not fitting:
        return None
    _, hint = max(fitting, key=lambda found: found[0])
    return None if hint.prefer == model else hint


def _fit(hint: Hint, facts: tuple[tuple[str | None, ...], ...]) -> tuple[int, ...] | None:
    """How closely the hint names each fact, 0 for any; None when it is for another call."""
    fit = []
    for name, names in zip(
        (hint.agent_sub, hint.project, hint.task_class, hint.model_from), facts, strict=True
    ):
        if name and name not in names:
            return None
        fit.append(len(names) - names.index(name) if name else 0)
    return tuple(fit)
