"""The identity table (promise A4): from when on an agent has which owner, team, cost center and GL code.

Periods are only ever appended, and none begins in the past: a row keeps what was true when it was written. The person is not
dated. A key ends with the person that it was issued for, so an agent changes hands only when no key of it lives.
Run inside `web.start.organisation_context`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from django.db import connection

from visionality.core.change import Change, changes
from visionality.core.identity_table import BadTable, Identity, read_table, wrong_values
from visionality.core.mistake import Mistake
from visionality.runtime.sql import statements
from visionality.web.accounts.models import Person
from visionality.web.policy.acts import (
    Act,
    BadName,
    Unknown,
    add_agent,
    add_person,
    add_team,
    alone,
    found,
    told,
)
from visionality.web.policy.models import AgentIdentity, AgentIdentityPeriod, Team

_SQL = statements("visionality.web.policy", "identities.sql")
_NAMES = {"sso_sub": "person", "cost_center": "cost center", "gl_code": "GL code"}
Numbered = tuple[int, Identity]
_DATED = ("owner", "team", "cost_center", "gl_code")


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be changed from a moment on."""

    valid_from: datetime
    before: Mapping[str, Identity]
    after: Mapping[str, Identity]
    new_teams: tuple[str, ...]
    new_people: tuple[str, ...]
    changes: tuple[Change, ...]

    @property
    def moved(self) -> list[Identity]:
        """The agents that are new or change."""
        return [after for sub, after in self.after.items() if self.before.get(sub) != after]


def identities(act: Act, at: datetime, *, after: str = "", limit: int | None = None) -> dict[str, Identity]:
    """Every agent as it is at a moment, by its subject and in that order; or so many of those after one."""
    agents = AgentIdentity.objects.filter(org_id=act.org_id).select_related("team", "person").order_by("sub")
    agents = agents.filter(sub__gt=after)[:limit]
    said = {
        agent.id: Identity(agent.sub, agent.owner, str(agent.person or ""), str(agent.team or ""))
        for agent in agents
    }
    periods = AgentIdentityPeriod.objects.filter(org_id=act.org_id, valid_from__lte=at).select_related("team")
    if limit is not None:
        periods = periods.filter(agent_id__in=list(said))
    for period in periods.order_by("valid_from", "made_at", "id"):
        said[period.agent_id] = replace(
            said[period.agent_id],
            owner=period.owner,
            team=str(period.team or ""),
            cost_center=period.cost_center,
            gl_code=period.gl_code,
        )
    return {identity.agent_sub: identity for identity in said.values()}


def periods_of(act: Act, sub: str) -> list[AgentIdentityPeriod]:
    """What was said of an agent from when on, the earliest first. Raises Unknown."""
    agent = found(act, AgentIdentity, "agent", sub=sub)
    mine = AgentIdentityPeriod.objects.filter(org_id=act.org_id, agent=agent).select_related("team")
    return list(mine.order_by("valid_from", "made_at", "id"))


def identity_of(act: Act, sub: str) -> Identity:
    """An agent as it is now. Raises Unknown."""
    found(act, AgentIdentity, "agent", sub=sub)
    return identities(act, act.now)[sub]


def team_of(act: Act, sub: str) -> str:
    """The key of the team that an agent is of now; empty when it is of none."""
    return identities(act, act.now)[sub].team


def plan_of_file(act: Act, content: bytes, first_day: datetime | None) -> Plan:
    """What a CSV file would change. Raises BadTable with every mistake and its line, or BadName for a day that has passed."""
    return plan_of_rows(act, read_table(content), first_day)


def plan_of_rows(act: Act, rows: Sequence[Numbered], first_day: datetime | None) -> Plan:
    """The same of agents that were read already, each with its line."""
    decided = plan(act, [identity for _, identity in rows], first_day)
    lines = {identity.agent_sub: line for line, identity in rows}
    if refused := _refused(act, decided):
        raise BadTable([Mistake(lines[sub], words, "sso_sub") for sub, words in refused.items()])
    return decided


def plan(act: Act, wanted: Iterable[Identity], first_day: datetime | None) -> Plan:
    """What these identities would change from the start of a day on, or from now."""
    valid_from = _start(act, first_day)
    after = {identity.agent_sub: identity for identity in wanted}
    before = {sub: one for sub, one in identities(act, valid_from).items() if sub in after}
    teams = {one.team for one in after.values() if one.team}
    teams -= set(Team.objects.filter(org_id=act.org_id).values_list("key", flat=True))
    people = {one.sso_sub for one in after.values() if one.sso_sub}
    people -= set(Person.objects.filter(org_id=act.org_id).values_list("sso_sub", flat=True))
    lines = [
        *(Change("added", f"team {key}") for key in sorted(teams)),
        *(Change("added", f"person {sub}") for sub in sorted(people)),
        *changes("agent", _parts(before), _parts(after)),
    ]
    return Plan(valid_from, before, after, tuple(sorted(teams)), tuple(sorted(people)), tuple(lines))


def apply_file(act: Act, content: bytes, first_day: datetime | None, agreed: Sequence[Change]) -> Plan:
    """Make the identity table say what a CSV file says of its agents; others stay as they are.

    `agreed` are the changes that were shown; raises BadName when they are others by now, and BadTable.
    """
    return apply_rows(act, read_table(content), first_day, agreed)


def apply_rows(
    act: Act, rows: Sequence[Numbered], first_day: datetime | None, agreed: Sequence[Change]
) -> Plan:
    """The same of agents that were read already, each with its line."""
    alone(act)
    decided = plan_of_rows(act, rows, first_day)
    if decided.changes != tuple(agreed):
        raise BadName("the identity table was changed by somebody else meanwhile: look at the changes again")
    for key in decided.new_teams:
        add_team(act, key, "", "")
    for sub in decided.new_people:
        add_person(act, sub, "")
    for identity in decided.moved:
        _store(act, decided, identity)
    return decided


def set_identity(act: Act, sub: str, said: Mapping[str, str], first_day: datetime | None) -> Plan:
    """Change what is said of one agent, and nothing else of it. Raises Unknown or BadName."""
    alone(act)
    found(act, AgentIdentity, "agent", sub=sub)
    wanted = replace(identities(act, _start(act, first_day))[sub], **said)
    if wrong := wrong_values(wanted):
        raise BadName("; ".join(wrong))
    decided = plan(act, [wanted], first_day)
    for kind, missing in (("team", decided.new_teams), ("person", decided.new_people)):
        for name in missing:
            raise Unknown(f"there is no {kind} {name}: add it with `vis {kind} add {name}`")
    for words in _refused(act, decided).values():
        raise BadName(words)
    for identity in decided.moved:
        _store(act, decided, identity)
    return decided


def _start(act: Act, first_day: datetime | None) -> datetime:
    """When a change begins. Raises BadName for a day that has passed."""
    if first_day is None or first_day.date() == act.now.date():
        return act.now
    if first_day < act.now:
        raise BadName(
            f"{first_day:%Y-%m-%d} has passed, and rows keep what was true when they were written: "
            "a change begins today at the earliest"
        )
    return first_day


def _refused(act: Act, plan: Plan) -> dict[str, str]:
    """Why an agent cannot get another person, by its subject."""
    refused = {}
    for after in plan.moved:
        before = plan.before.get(after.agent_sub)
        if before is None or before.sso_sub == after.sso_sub:
            continue
        if plan.valid_from > act.now:
            refused[after.agent_sub] = (
                f"the person of {after.agent_sub} can only change at once: leave the day out"
            )
        elif before.sso_sub and _has_live_key(act, after.agent_sub):
            refused[after.agent_sub] = (
                f"{after.agent_sub} has keys that were issued to {before.sso_sub}, who would spend as "
                f"{after.sso_sub or 'nobody'}: end them first with `vis key revoke`"
            )
    return refused


def _store(act: Act, plan: Plan, identity: Identity) -> None:
    before = plan.before.get(identity.agent_sub)
    if before is None:
        add_agent(act, identity.agent_sub, identity.owner, identity.team or None, identity.sso_sub or None)
    agent = found(act, AgentIdentity, "agent", sub=identity.agent_sub)
    if before is not None and before.sso_sub != identity.sso_sub:
        _hand_over(act, agent, identity.sso_sub)
    begins = act.now if before is None else plan.valid_from
    if before is None or any(getattr(before, name) != getattr(identity, name) for name in _DATED):
        AgentIdentityPeriod.objects.create(
            org_id=act.org_id,
            agent=agent,
            owner=identity.owner,
            team=found(act, Team, "team", key=identity.team) if identity.team else None,
            cost_center=identity.cost_center,
            gl_code=identity.gl_code,
            valid_from=begins,
            made_at=act.now,
        )
    detail = asdict(identity) | {"from": begins.isoformat()}
    act.record("identity_set", told(asdict(before) if before else {}, detail))


def _hand_over(act: Act, agent: AgentIdentity, sso_sub: str) -> None:
    if agent.person:
        with connection.cursor() as cursor:
            cursor.execute(_SQL["end_keys"], {"org_id": act.org_id, "sub": agent.sub, "now": act.now})
    agent.person = found(act, Person, "person", sso_sub=sso_sub) if sso_sub else None
    agent.save(update_fields=["person"])


def _has_live_key(act: Act, sub: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_SQL["has_live_key"], {"org_id": act.org_id, "sub": sub, "now": act.now})
        ((is_live,),) = cursor.fetchall()
    return bool(is_live)


def _parts(table: Mapping[str, Identity]) -> dict[str, dict[str, str]]:
    return {
        sub: {_NAMES.get(name, name): value for name, value in asdict(one).items() if name != "agent_sub"}
        for sub, one in table.items()
    }
