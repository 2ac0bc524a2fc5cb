"""The receipt of an offboarding (H3): when each key ended and by whom, and what the ledger has of it since."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from visionality.core.canonical import timestamp
from visionality.core.csv_line import csv_line, guarded
from visionality.ledger.uses import GRACE, SinceEnd, since_ends
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.doing import doing
from visionality.web.issuing import holders
from visionality.web.issuing.holders import KeyOf
from visionality.web.policy.acts import Act
from visionality.web.reading import reading

COVERS = (
    "every key that was issued to the agents that are this person's now, and every token minted from one",
    "every call that a gateway of this installation has written to the ledger up to the time below",
)
NOT_COVERED = (
    "keys of providers that they hold themselves, and calls that go past the gateway",
    "calls under way when access ended: they go on to their end and are counted apart",
    "agents that were handed to somebody else: their keys were revoked with that, and stand with whom has them now",
    "keys of services and builds that they could read; those are of no person",
)


class KeyLine(msgspec.Struct, frozen=True):
    """A key. Times are UTC; an empty `ended_at` is a key that works."""

    key_id: str
    shown: str
    agent: str
    issued_at: str
    ended_at: str
    how: str
    ended_by: str
    reason: str
    last_served_before: str
    served_after: int
    served_within_grace: int
    under_way: int
    refused_after: int
    last_refused: str


class Evidence(msgspec.Struct, frozen=True):
    """All of it, as JSON has it."""

    document: str
    organisation: str
    sso_sub: str
    name: str
    generated_at: str
    generated_by: str
    access_ended_at: str
    """When the last of the keys ended; empty while one works."""
    ended_by: str
    reason: str
    live_keys: int
    calls_served_after: int
    calls_served_within_grace: int
    grace_seconds: int
    calls_under_way: int
    attempts_refused_after: int
    last_served_before: str
    is_shown: bool
    """Whether no key works and nothing was served that began more than the grace after its key's end."""
    keys: list[KeyLine]
    covers: tuple[str, ...]
    does_not_cover: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Act:
    """By whom and why somebody's access was ended, the last time."""

    at: datetime
    actor: str
    reason: str


@for_roles(Role.PEOPLE)
@require_safe
def page(request: HttpRequest, person_id: UUID) -> HttpResponse:
    """For people and printers."""
    context = {"room": "people", "of": _evidence(request, person_id), "person_id": person_id}
    return render(request, "offboarding.html", context)


@for_roles(Role.PEOPLE)
@require_GET
def as_json(request: HttpRequest, person_id: UUID) -> HttpResponse:
    found = _evidence(request, person_id)
    body = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
    return _download(request, found, "json", "application/json", body)


@for_roles(Role.PEOPLE)
@require_GET
def as_csv(request: HttpRequest, person_id: UUID) -> HttpResponse:
    found = _evidence(request, person_id)
    return _download(request, found, "csv", "text/csv; charset=utf-8", csv_of(found))


def csv_of(found: Evidence) -> bytes:
    """A line a key."""
    head = csv_line("sso_sub", "name", *KeyLine.__struct_fields__, "generated_at")
    lines = [
        csv_line(
            *(
                guarded(str(cell))
                for cell in (found.sso_sub, found.name, *msgspec.structs.astuple(one), found.generated_at)
            )
        )
        for one in found.keys
    ]
    return head + b"".join(lines)


def _download(request: HttpRequest, of: Evidence, form: str, kind: str, body: bytes) -> HttpResponse:
    with doing(request) as act:
        note_export(act, of, form)
    name = f"offboarding-{of.generated_at[:10]}.{form}"
    return HttpResponse(
        body, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def note_export(act: Act, of: Evidence, form: str) -> None:
    """That the evidence was taken, as `json` or `csv`, is an event of the audit log."""
    act.record("offboarding_exported", {"person": of.sso_sub, "form": form})


def _evidence(request: HttpRequest, person_id: UUID) -> Evidence:
    """Raises Http404."""
    with doing(request) as act:
        found = evidence(act, person_id)
    if found is None:
        raise Http404
    return found


def evidence(act: Act, person_id: UUID) -> Evidence | None:
    """The receipt as of the act's moment, made for its actor; None for somebody whom the organisation does not know."""
    person = holders.access_person(act, person_id)
    if person is None:
        return None
    life = holders.lives(act, [person_id])[person_id]
    said = next(
        (
            _Act(one["created_at"], one["actor"], str(one["detail"].get("reason", "")))
            for one in life.steps
            if one["kind"] == "person_revoked"
        ),
        None,
    )
    ends = [(one.key.id, one.key.agent.sub, one.end.at) for one in life.keys if one.end]
    with reading(act.org_id) as connection:
        since = since_ends(connection, act.org_id, ends)
    live = sum(one.end is None for one in life.keys)
    last = max((one.end.at for one in life.keys if one.end), default=said.at if said else None)
    served = sum(one.served for one in since.values())
    return Evidence(
        document="offboarding evidence",
        organisation=person.organisation,
        sso_sub=person.sso_sub,
        name=person.name,
        generated_at=timestamp(act.now),
        generated_by=act.actor,
        access_ended_at="" if live else _time(last),
        ended_by=said.actor if said else "",
        reason=said.reason if said else "",
        live_keys=live,
        calls_served_after=served,
        calls_served_within_grace=sum(one.served_in_grace for one in since.values()),
        grace_seconds=int(GRACE.total_seconds()),
        calls_under_way=sum(one.under_way for one in since.values()),
        attempts_refused_after=sum(one.refused for one in since.values()),
        last_served_before=_time(_latest(one.last_before for one in since.values())),
        is_shown=not live and not served,
        keys=[_line(one, since.get(one.key.id)) for one in life.keys],
        covers=COVERS,
        does_not_cover=NOT_COVERED,
    )


def _line(one: KeyOf, since: SinceEnd | None) -> KeyLine:
    key, end = one.key, one.end
    return KeyLine(
        key_id=str(key.id),
        shown=key.shown,
        agent=key.agent.sub,
        issued_at=timestamp(key.issued_at),
        ended_at=timestamp(end.at) if end else "",
        how=end.how if end else "",
        ended_by=end.actor if end else "",
        reason=end.reason if end else "",
        last_served_before=_time(since.last_before if since else None),
        served_after=since.served if since else 0,
        served_within_grace=since.served_in_grace if since else 0,
        under_way=since.under_way if since else 0,
        refused_after=since.refused if since else 0,
        last_refused=_time(since.last_refused if since else None),
    )


def _latest(moments: Iterable[datetime | None]) -> datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else ""
