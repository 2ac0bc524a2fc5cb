"""Rate limits: how many requests and tokens a minute a key, an agent or a project may have."""

from typing import TypedDict

from visionality.core.scope import LIMITED, Scope
from visionality.web.policy.acts import Act, BadName, Unknown, alone, told
from visionality.web.policy.models import RateLimit
from visionality.web.policy.scopes import Warnings, checked


class Rates(TypedDict, total=False):
    """What is said; what is left out stays as it was. None does not limit."""

    requests_per_minute: int | None
    tokens_per_minute: int | None


def set_limit(act: Act, scope: Scope, rates: Rates) -> tuple[RateLimit, Warnings]:
    """Make a limit, or edit the one that there is. Raises Unknown, or BadName where nothing would be limited."""
    if scope.kind not in LIMITED:
        raise BadName(f"{scope} cannot have a rate limit: expected {', '.join(LIMITED)}")
    scope, warnings = checked(act, scope)
    alone(act)
    named = {"org_id": act.org_id, "scope_kind": scope.kind, "scope_value": scope.value}
    existing = RateLimit.objects.filter(retired_at=None, **named).first()
    limit, before = existing or RateLimit(**named), _told(existing) if existing else {}
    for name, value in rates.items():
        setattr(limit, name, value)
    if limit.requests_per_minute is None and limit.tokens_per_minute is None:
        raise BadName(
            f"nothing would be limited: say --requests-per-minute or --tokens-per-minute, or `vis limit remove {scope}`"
        )
    limit.save()
    act.record("limit_set", told(before, {"scope": str(scope), **_told(limit)}))
    return limit, warnings


def remove_limit(act: Act, scope: Scope) -> None:
    """Retire a limit. Raises Unknown."""
    live = RateLimit.objects.filter(org_id=act.org_id, retired_at=None)
    limit = live.filter(scope_kind=scope.kind, scope_value=scope.value).first()
    if limit is None:
        raise Unknown(f"there is no limit of {scope}: `vis limit list` shows them")
    limit.retired_at = act.now
    limit.save(update_fields=["retired_at"])
    act.record("limit_removed", told(_told(limit), {"scope": str(scope)}))


def _told(limit: RateLimit) -> dict[str, str]:
    rates = {"requests_per_minute": limit.requests_per_minute, "tokens_per_minute": limit.tokens_per_minute}
    return {name: "" if rate is None else str(rate) for name, rate in rates.items()}
