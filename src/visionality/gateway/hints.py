"""Model hints at the door: the model that an operator prefers stands in the request in place of the one asked for (B4).

Only within the same provider and format, only for a model of the same maker, and only for one whose price is known
there; else the call goes as it came.
The row keeps the model asked for, the one that was sent, and what the call would have cost as asked.
"""

from typing import Any, NamedTuple
from urllib.parse import quote

from msgspec.structs import replace

from visionality.core.call import Ask, Request
from visionality.core.family import model_family
from visionality.core.model_hints import preferred
from visionality.core.row import Row
from visionality.gateway.admit import Upstream
from visionality.gateway.dialects.member import with_value
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.registry.snapshot import Organisation

HINT = "hint"
MODEL_SENT = "model_sent"
_LINES = ("claude", "gemini", "nova", "titan", "llama", "mistral", "command", "deepseek", "qwen", "grok")
"""Lines of models, each of one maker."""
_IN_PATH = ("{model}", "{model_id}")


class Sent(NamedTuple):
    """A call as it is sent."""

    target: Target
    request: Request
    ask: Ask
    document: dict[str, Any]


def applied(gateway: Gateway, organisation: Organisation, row: Row, upstream: Upstream, sent: Sent) -> Sent:
    """The call with the model that a hint prefers for it; as it came where none does, or none can be applied."""
    target, _, ask, _ = sent
    if not organisation.hints or target.route.kind != "model_call" or ask.model is None:
        return sent
    book, now = gateway.books[row.org_id], gateway.clock()

    def is_served(prefer: str) -> bool:
        model = target.provider.model_of(prefer, upstream.models)
        return model is not None and book.dearest(target.provider.price_list, model, now) is not None

    hints = [
        hint
        for hint in organisation.hints
        if _maker(hint.prefer) == _maker(ask.model) and is_served(hint.prefer)
    ]
    hint = preferred(hints, row.agent_sub, row.project_id, row.task_class, ask.model)
    changed = _with_model(sent, hint.prefer) if hint else None
    if hint is None or changed is None:
        return sent
    row.tags = {**(row.tags or {}), HINT: str(hint.hint_id), MODEL_SENT: hint.prefer}
    row.model_family = model_family(target.provider.model_of(hint.prefer, upstream.models))
    return changed


def model_sent(row: Row) -> str | None:
    """The model in the request that left."""
    return (row.tags or {}).get(MODEL_SENT) or row.model_requested


def _maker(model: str) -> str:
    """Whose model it is, by its name; empty for those that go by numbers."""
    return next((line for line in _LINES if line in model.lower()), "")


def _with_model(sent: Sent, model: str) -> Sent | None:
    """The call for another model; None when its place in the request would be a guess."""
    target, request, ask, document = sent
    place = next((place for place in _IN_PATH if place in target.route.suffix), None)
    if place is not None:
        suffix = target.route.suffix.replace(place, quote(model, safe=":~"))
        if "{" in suffix:
            return None
        target, request = replace(target, suffix=suffix, model=model), replace(request, path=suffix)
    else:
        body = with_value(request.body, "model", model)
        if body is None:
            return None
        request = replace(request, body=body)
    return Sent(target, request, replace(ask, model=model), {**document, "model": model})
