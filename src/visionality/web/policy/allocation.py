"""Allocation rules (promise B3): what an end customer is billed for a cost, and which cost centers share it.

They are dated and only ever appended to. A markup changes what later rows are billed, a split what a report shows.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from visionality.core.allocation import BadShares, Part, billionths
from visionality.core.scope import MARKED_UP, SPLIT, Scope
from visionality.web.policy.acts import Act, BadName, told
from visionality.web.policy.models import CostSplit, Markup
from visionality.web.policy.scopes import checked


def set_markup(act: Act, scope: Scope, multiplier: Decimal, effective_from: datetime) -> Markup:
    """From this moment on, what the rows of a scope are billed is their cost times this.

    Raises Unknown, or BadName for a day that has passed: rows keep what they were billed.
    """
    _check(act, scope, MARKED_UP, "a markup")
    if effective_from.date() < act.now.date():
        raise BadName(
            f"{effective_from:%Y-%m-%d} has passed, and rows keep what they were billed: "
            "a markup begins today at the earliest"
        )
    named = {"scope_kind": scope.kind, "scope_value": scope.value}
    earlier = Markup.objects.filter(org_id=act.org_id, effective_from__lte=effective_from, **named)
    before = [
        {"multiplier": f"{one.multiplier.normalize():f}"} for one in earlier.order_by("effective_from", "id")
    ]
    made = Markup.objects.create(
        org_id=act.org_id, multiplier=multiplier, effective_from=effective_from, **named
    )
    detail = {
        "scope": str(scope),
        "multiplier": f"{multiplier.normalize():f}",
        "from": effective_from.isoformat(),
    }
    act.record("markup_set", told(before[-1] if before else {}, detail))
    return made


def set_split(act: Act, scope: Scope, parts: Sequence[Part], effective_from: datetime) -> CostSplit:
    """From this moment on, reports divide the cost of a scope's rows so; with no parts, not any more.

    Raises Unknown, or BadName for shares that are not one in all.
    """
    _check(act, scope, SPLIT, "a split")
    if len({(part.cost_center, part.gl_code) for part in parts}) < len(parts):
        raise BadName("a cost center stands twice in the split: add its shares up")
    try:
        if parts:
            billionths([part.share for part in parts])
    except BadShares as error:
        raise BadName(str(error)) from None
    stored = [
        {"cost_center": part.cost_center, "gl_code": part.gl_code, "share": f"{part.share.normalize():f}"}
        for part in parts
    ]
    named = {"scope_kind": scope.kind, "scope_value": scope.value}
    earlier = CostSplit.objects.filter(org_id=act.org_id, effective_from__lte=effective_from, **named)
    before = [{"parts": _spelled(one.parts)} for one in earlier.order_by("effective_from", "id")]
    made = CostSplit.objects.create(org_id=act.org_id, parts=stored, effective_from=effective_from, **named)
    detail = {"scope": str(scope), "parts": _spelled(stored), "from": effective_from.isoformat()}
    act.record("split_set", told(before[-1] if before else {}, detail))
    return made


def _spelled(parts: Sequence[Mapping[str, str]]) -> str:
    return ", ".join(f"{part['cost_center']}:{part['gl_code']}={part['share']}" for part in parts)


def _check(act: Act, scope: Scope, kinds: tuple[str, ...], rule: str) -> None:
    if scope.is_each or scope.kind not in kinds:
        raise BadName(f"{scope} cannot have {rule}: expected {' or '.join(f'{kind}:KEY' for kind in kinds)}")
    checked(act, scope)
