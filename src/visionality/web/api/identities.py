"""The identity table for programs (promise A4): read by pages, replaced for the agents that a request names."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from visionality.core.identity_table import BadTable, read_list, read_table
from visionality.web.api.bearer import under_a_token
from visionality.web.api.problem import Problem, answered, of_mistakes
from visionality.web.handler import LARGEST_BODY
from visionality.web.issuing.service_tokens import READ, WRITE
from visionality.web.policy.acts import Act, BadName, Unknown, alone
from visionality.web.policy.identities import (
    Numbered,
    Plan,
    apply_rows,
    identities,
    identity_of,
    periods_of,
    plan_of_rows,
)

PAGE, LARGEST_PAGE = 100, 1000
_READS = frozenset({READ, WRITE})
_WRITES = frozenset({WRITE})
_FORMATS = {"application/json": ("item", read_list), "text/csv": ("line", read_table)}


@under_a_token({"GET": _READS, "HEAD": _READS, "PUT": _WRITES})
def table(request: HttpRequest, act: Act) -> HttpResponse:
    """All agents, a page at a time; or what a request says of some of them."""
    return _replaced(request, act) if request.method == "PUT" else _page(request, act)


@under_a_token({"GET": _READS, "HEAD": _READS})
def agent(_request: HttpRequest, act: Act, agent_sub: str) -> HttpResponse:
    """One agent as it is now, and what was said of it from when on."""
    missing = Problem(404, f"there is no agent {agent_sub}")
    if "\0" in agent_sub:  # which no text of the database can hold
        raise missing
    try:
        now, periods = identity_of(act, agent_sub), periods_of(act, agent_sub)
    except Unknown:
        raise missing from None
    told = [
        {
            "valid_from": one.valid_from,
            "owner": one.owner,
            "team": str(one.team or ""),
            "cost_center": one.cost_center,
            "gl_code": one.gl_code,
            "made_at": one.made_at,
        }
        for one in periods
    ]
    return answered(asdict(now) | {"periods": told})


def _page(request: HttpRequest, act: Act) -> HttpResponse:
    limit, after = _limit(request), request.GET.get("after", "")
    if "\0" in after:
        raise Problem(
            422, "`after` cannot hold NUL", [{"field": "after", "detail": "expected an agent's subject"}]
        )
    day = _day(request, "at")
    at = day + timedelta(days=1, microseconds=-1) if day else act.now
    found = list(identities(act, at, after=after, limit=limit + 1).values())
    more = {"after": found[limit - 1].agent_sub, "limit": limit} if len(found) > limit else None
    if more and day:
        more["at"] = request.GET["at"]
    following = f"{reverse('api_identities')}?{urlencode(more)}" if more else None
    return answered({"items": [asdict(one) for one in found[:limit]], "next": following})


def _replaced(request: HttpRequest, act: Act) -> HttpResponse:
    place, rows = _rows(request)
    first_day, is_dry = _day(request, "from"), _says_yes(request, "dry_run")
    alone(act)
    try:
        plan = plan_of_rows(act, rows, first_day)
        _refuse_missing(request, plan)
        if not is_dry:
            apply_rows(act, rows, first_day, plan.changes)
    except BadTable as bad:
        raise of_mistakes(bad.mistakes, place) from None
    except BadName as bad:
        raise Problem(422, str(bad), [{"field": "from", "detail": str(bad)}]) from None
    changes = [{"kind": one.kind, "words": one.words} for one in plan.changes]
    return answered(
        {"dry_run": is_dry, "valid_from": plan.valid_from, "agents": len(plan.moved), "changes": changes}
    )


def _rows(request: HttpRequest) -> tuple[str, list[Numbered]]:
    """What a body says, and what its lines are called."""
    if request.content_type not in _FORMATS:
        raise Problem(415, f"expected {' or '.join(_FORMATS)}, and {request.content_type or 'nothing'} came")
    place, read = _FORMATS[request.content_type]
    content = request.read(LARGEST_BODY + 1)
    if len(content) > LARGEST_BODY:
        raise Problem(413, f"the body is larger than {LARGEST_BODY} bytes: send the agents in parts")
    try:
        return place, read(content)
    except BadTable as bad:
        raise of_mistakes(bad.mistakes, place) from None


def _refuse_missing(request: HttpRequest, plan: Plan) -> None:
    """Teams and people are made only where that is asked for."""
    if not (plan.new_teams or plan.new_people) or _says_yes(request, "create"):
        return
    errors = [{"field": "team", "detail": f"there is no team {key}"} for key in plan.new_teams]
    errors += [{"field": "sso_sub", "detail": f"there is no person {sub}"} for sub in plan.new_people]
    told = (
        "nothing was applied, since teams or people are not there: add them, or say create=1 to create them"
    )
    raise Problem(422, told, errors)


def _limit(request: HttpRequest) -> int:
    text = request.GET.get("limit", str(PAGE))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= LARGEST_PAGE):
        told = f"expected a number from 1 to {LARGEST_PAGE}"
        raise Problem(422, f"`limit`: {told}", [{"field": "limit", "detail": told}])
    return int(text)


def _day(request: HttpRequest, name: str) -> datetime | None:
    text = request.GET.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        told = "expected a day such as 2026-12-01"
        raise Problem(422, f"`{name}`: {told}", [{"field": name, "detail": told}]) from None


def _says_yes(request: HttpRequest, name: str) -> bool:
    text = request.GET.get(name, "0")
    if text not in {"0", "1"}:
        raise Problem(422, f"`{name}`: expected 0 or 1", [{"field": name, "detail": "expected 0 or 1"}])
    return text == "1"
