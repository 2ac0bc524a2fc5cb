"""Who holds keys: people, what each may use, and how their access ended. Run inside `web.start.organisation_context`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from django.db import connection

from visionality.core.access_end import End, Held, Step, end_of
from visionality.runtime.sql import statements
from visionality.web.accounts.models import Person
from visionality.web.issuing.models import VirtualKey
from visionality.web.policy.acts import Act

SOON = timedelta(days=14)
"""A key that expires within this is told of."""
IDLE = timedelta(days=30)
MOST_KEYS = 500
"""Keys of one person that are shown, the newest."""
MOST_STEPS = 2000

Only = Literal["", "with", "without", "unused", "leavers"]

_SQL = statements("visionality.web.issuing", "holders.sql")


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of people and of live keys. `idle` keys and `leavers` are those of IDLE."""

    people: int
    with_access: int
    live_keys: int
    of_nobody: int
    """Keys whose agent is no person's."""
    expiring: int
    """Keys that end within SOON."""
    idle: int
    leavers: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A person, and what their live keys may be used for."""

    id: UUID
    sso_sub: str
    name: str
    live: int
    ends_at: datetime | None
    """When the first of the live keys expires."""
    left_at: datetime | None
    """When their access was last ended, within IDLE."""
    agents: frozenset[str]
    teams: frozenset[str]
    projects: frozenset[str]
    any_project: bool
    models: frozenset[str]
    any_model: bool


@dataclass(frozen=True, slots=True)
class Known:
    """A person, and the team of each of their agents as it is now, by the agent's subject; empty for none."""

    id: UUID
    sso_sub: str
    name: str
    organisation: str
    """Its name."""
    agents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Leaver:
    """Somebody whose access was ended, the last time."""

    id: UUID
    sso_sub: str
    name: str
    ended_at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyOf:
    """A key of a person, and its end if it has one."""

    key: VirtualKey
    end: End | None


@dataclass(frozen=True, slots=True)
class Life:
    """All keys of a person, the newest first, and what was done with them."""

    keys: list[KeyOf]
    steps: list[dict[str, Any]]


def access_person_id(act: Act, sso_sub: str) -> UUID | None:
    """Who has this subject at the company's sign-on."""
    return Person.objects.filter(org_id=act.org_id, sso_sub=sso_sub).values_list("id", flat=True).first()


def access_person(act: Act, person_id: UUID) -> Known | None:
    rows = _rows(_SQL["person"], {"org_id": act.org_id, "now": act.now, "person_id": person_id})
    if not rows:
        return None
    agents = {row["sub"]: row["team"] or "" for row in rows if row["sub"]}
    return Known(**{name: rows[0][name] for name in ("id", "sso_sub", "name", "organisation")}, agents=agents)


def page(
    act: Act, used: Collection[UUID], *, search: str = "", only: Only = "", after: str = "", limit: int = 50
) -> tuple[Totals, list[Holder]]:
    """Counts of all, and so many people after a subject. `used` are the keys that were used within IDLE."""
    rows = _rows(
        _SQL["page"],
        {
            "org_id": act.org_id,
            "now": act.now,
            "idle_since": act.now - IDLE,
            "soon": act.now + SOON,
            "used": list(used),
            "search": search,
            "only": only,
            "after": after,
            "limit": limit,
        },
    )
    whole = Totals(**{name: rows[0][name] for name in Totals.__dataclass_fields__})
    return whole, [_holder(row) for row in rows if row["id"]]


def _holder(row: Mapping[str, Any]) -> Holder:
    agents = _parsed(row["agents"])
    live = [one for one in agents if one["is_live"]]
    projects = [[one["project"]] if one["project"] else one["claims"] for one in live]
    return Holder(
        **{name: row[name] for name in ("id", "sso_sub", "name", "live", "ends_at", "left_at")},
        agents=frozenset(one["sub"] for one in agents),
        teams=frozenset(one["team"] for one in agents if one["team"]),
        projects=frozenset(name for names in projects for name in names),
        any_project=not all(projects),
        models=frozenset(name for one in live for name in one["models"]),
        any_model=not all(one["models"] for one in live),
    )


def leavers(act: Act, start: datetime, end: datetime, limit: int) -> list[Leaver]:
    """Whose access was ended in a half-open range, the newest first."""
    asked = {"org_id": act.org_id, "start": start, "end": end, "limit": limit}
    return [Leaver(**row) for row in _rows(_SQL["leavers"], asked)]


def lives(act: Act, people: Iterable[UUID]) -> dict[UUID, Life]:
    """The keys of these people with their ends, and the steps of each."""
    wanted = list(people)
    keys = list(
        VirtualKey.objects.filter(org_id=act.org_id, agent__person_id__in=wanted)
        .select_related("org", "agent__person", "project", "customer", "service")
        .order_by("-issued_at")[: MOST_KEYS * len(wanted)]
    )
    since = min((key.issued_at for key in keys), default=act.now)
    ids = [*wanted, act.org_id, *(key.id for key in keys)]
    asked = {"org_id": act.org_id, "ids": ids, "since": since, "limit": MOST_STEPS * len(wanted)}
    steps = [{**row, "detail": _parsed(row["detail"]) or {}} for row in _rows(_SQL["steps"], asked)]
    told: dict[UUID, list[Step]] = {}
    for step in steps:
        told.setdefault(step["key_id"], []).append(_step(step))
    lived: dict[UUID, Life] = {}
    for person_id in wanted:
        own = [key for key in keys if key.agent.person_id == person_id]
        known = {person_id, *(key.id for key in own)}
        lived[person_id] = Life(
            [KeyOf(key, _end(key, told, person_id, act)) for key in own],
            [step for step in steps if step["key_id"] in known],
        )
    return lived


def _end(key: VirtualKey, told: Mapping[UUID, list[Step]], person_id: UUID, act: Act) -> End | None:
    held = Held(key.expires_at, key.revoked_at, key.person_epoch, key.org_epoch)
    return end_of(held, told.get(key.id, ()), told.get(person_id, ()), told.get(act.org_id, ()), act.now)


def _step(row: Mapping[str, Any]) -> Step:
    detail = row["detail"]
    return Step(
        row["created_at"], row["kind"], row["actor"], detail.get("reason", ""), int(detail.get("epoch", 0))
    )


def _rows(query: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, asked)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _parsed(stored: Any) -> Any:
    return msgspec.json.decode(stored) if isinstance(stored, str) else stored
