"""One person: their keys and what these may be used for, what was done with them, what was spent; and the end of it all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from visionality.ledger.sums import Sum, daily, sums
from visionality.ledger.uses import last_uses
from visionality.web.accounts.members import Member, for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.doing import LONGEST_REASON, doing
from visionality.web.issuing import holders
from visionality.web.issuing.holders import KeyOf, Known, Life
from visionality.web.issuing.models import CALL
from visionality.web.issuing.revocation import revoke_person
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, counted
from visionality.web.seats.remembered import Remembered

MONTHS = 6
STEPS = 50
NO_REASON = "Say why, in printable characters: the reason stands in the audit and on the receipt."
LARGEST = 10
"""Projects and models that are shown."""

_WORDS = {
    "issued": "issued",
    "rotated": "given a new handle",
    "revoked": "revoked",
    "person_revoked": "all access revoked",
    "token_minted": "token minted",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key as its line shows it. `url` is a link only when it is https."""

    id: UUID
    shown: str
    agent: str
    projects: str
    task: str
    memo: str
    url: str
    models: str
    level: int
    scopes: str
    issued_at: datetime
    expires_at: datetime
    ended: str
    ended_at: datetime | None
    ended_by: str

    @property
    def has_link(self) -> bool:
        return self.url.startswith("https://")


@dataclass(frozen=True, slots=True)
class Step:
    at: datetime
    what: str
    key: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Spent:
    name: str
    calls: str
    cost: Amount


@dataclass(frozen=True, slots=True)
class Use:
    """What the ledger has of a person: by day of MONTHS, this month by project and by agent and model; last uses by agent."""

    days: list[Sum]
    projects: list[Sum]
    models: list[Sum]
    lasts: Mapping[str, datetime]


_uses: Remembered[Use] = Remembered(least=20, times=50)


@for_roles(Role.PEOPLE)
@require_safe
def page(request: HttpRequest, person_id: UUID) -> HttpResponse:
    return _page(request, person_id)


@for_roles(Role.PEOPLE)
@require_POST
@needs_step_up
def revoke(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """End every key of a person; gateways hear of it within two seconds. Leads to the receipt."""
    with doing(request) as act:
        person = _found(act, person_id)
        if not act.reason or not act.reason.isprintable():
            return _page(request, person_id, NO_REASON)
        revoke_person(act, person.sso_sub, act.reason)
        act.record("access_revoked", {"person": person.sso_sub})
    return HttpResponseRedirect(reverse("offboarding", args=[person_id]))


def _found(act: Act, person_id: UUID) -> Known:
    person = holders.access_person(act, person_id)
    if person is None:
        raise Http404
    return person


def _page(request: HttpRequest, person_id: UUID, wrong: str = "") -> HttpResponse:
    member, now = member_of(request), plane().clock()
    with doing(request) as act:
        person = _found(act, person_id)
        life = holders.lives(act, [person_id])[person_id]
    use = _uses.get((member.org_id, person_id, now.date()), lambda: _use(member, person, now))
    first = now.date().replace(day=1)
    keys = [_key(one) for one in life.keys]
    months = _by_month(use.days, first)
    context = {
        "room": "people",
        "person": person,
        "teams": sorted(set(person.agents.values()) - {""}),
        "agents": [(sub, use.lasts.get(sub)) for sub in person.agents],
        "last_at": max(use.lasts.values(), default=None),
        "live": sum(not one.ended for one in keys),
        "keys": keys,
        "steps": [_step(one, life) for one in life.steps[:STEPS]],
        "more_steps": len(life.steps) > STEPS,
        "has_left": any(one["kind"] == "person_revoked" for one in life.steps),
        "months": months,
        "spent": months[0].cost if months else amount(0),
        "month": first,
        "projects": [_spent(one) for one in _dollars(use.projects)],
        "models": _by_model(use.models),
        "wrong": wrong,
        "reason": request.POST.get("reason", ""),
        "longest_reason": LONGEST_REASON,
    }
    return render(request, "person.html", context, status=400 if wrong else 200)


def _use(member: Member, person: Known, now: datetime) -> Use:
    today, sub = now.date(), person.sso_sub
    first, tomorrow = today.replace(day=1), today + timedelta(days=1)
    since, agents = _months_before(first, MONTHS - 1), list(person.agents)
    with reading(member.org_id) as connection:
        return Use(
            daily(connection, member.org_id, "person", since, tomorrow, keys=[sub]),
            sums(connection, member.org_id, "project_person", first, tomorrow, keys2=[sub], top=LARGEST),
            sums(connection, member.org_id, "agent_model", first, tomorrow, keys=agents),
            last_uses(connection, member.org_id, agents, now),
        )


def _key(one: KeyOf) -> Key:
    key, end = one.key, one.end
    return Key(
        id=key.id,
        shown=key.shown,
        agent=key.agent.sub,
        projects=str(key.project or "") or ", ".join(key.projects) or "any",
        task=key.task_id,
        memo=key.memo,
        url=key.url,
        models=", ".join(key.model_globs) or "any",
        level=key.level,
        scopes="" if key.scopes == [CALL] else ", ".join(key.scopes),
        issued_at=key.issued_at,
        expires_at=key.expires_at,
        ended=end.how if end else "",
        ended_at=end.at if end else None,
        ended_by=end.actor if end else "",
    )


def _step(row: Mapping[str, Any], life: Life) -> Step:
    shown = {held.key.id: held.key.shown for held in life.keys}
    kind = row["kind"]
    return Step(
        at=row["created_at"],
        what=_WORDS.get(kind, kind.replace("_", " ")),
        key=shown.get(row["key_id"], ""),
        actor=row["actor"],
        reason=str(row["detail"].get("reason", "")),
    )


def _dollars(lines: Sequence[Sum]) -> list[Sum]:
    return [one for one in lines if one.currency == "USD"]


def _spent(one: Sum) -> Spent:
    name = "others" if one.key is None else one.key or "none"
    return Spent(name, counted(one.calls), amount(one.cost_nusd))


def _by_model(lines: Sequence[Sum]) -> list[Spent]:
    """The dearest models of some agents."""
    found: dict[str, tuple[int, int]] = {}
    for one in _dollars(lines):
        calls, nusd = found.get(one.key2 or "", (0, 0))
        found[one.key2 or ""] = (calls + one.calls, nusd + one.cost_nusd)
    dearest = sorted(found.items(), key=lambda one: (-one[1][1], one[0]))[:LARGEST]
    return [Spent(name or "none", counted(calls), amount(nusd)) for name, (calls, nusd) in dearest]


def _by_month(days: Sequence[Sum], newest: date) -> list[Spent]:
    """This month and those before it, the newest first."""
    found: dict[date, tuple[int, int]] = {}
    for one in _dollars(days):
        assert one.day is not None
        month = one.day.replace(day=1)
        calls, nusd = found.get(month, (0, 0))
        found[month] = (calls + one.calls, nusd + one.cost_nusd)
    months = [_months_before(newest, count) for count in range(MONTHS)]
    return [
        Spent(f"{month:%B %Y}", counted(calls), amount(nusd))
        for month in months
        for calls, nusd in [found.get(month, (0, 0))]
    ]


def _months_before(first: date, count: int) -> date:
    """The first day of the month so many before."""
    years, month = divmod(first.year * 12 + first.month - 1 - count, 12)
    return date(years, month + 1, 1)
