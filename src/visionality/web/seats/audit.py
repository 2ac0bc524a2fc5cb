"""The audit browser: what was done in an organisation, by whom, why and from where; page by page, one by one, or as a file.

It reads both logs, of administrators and of keys. The whole question lives in the address.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, BinaryIO
from urllib.parse import urlencode
from uuid import UUID

import msgspec
import psycopg
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from visionality.core.csv_line import csv_line, guarded
from visionality.core.period import BadPeriod, day
from visionality.ledger import audit
from visionality.ledger.audit import LOGS, Mark, Wanted
from visionality.ledger.reader import Record
from visionality.web import export
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.seats import audit_details
from visionality.web.seats.audit_kinds import ADMIN_KINDS, KEY_KINDS

PAGE = 50
BLOCK = 2000
"""Events of a download that are in memory at a time."""
COLUMNS = (
    *("created_at", "log", "seq", "kind", "actor", "sso_sub", "address", "subject", "key_id", "reason"),
    *("detail", "id", "leaf_hash"),
)
_TITLES = {audit.ADMIN: "Administration", audit.KEYS: "Keys"}
_json = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for, as it was written there."""

    log: str = ""
    kind: str = ""
    actor: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""

    @property
    def said(self) -> dict[str, str]:
        """What is asked for, by the names that it has in an address."""
        names = {"since": "from", "until": "to"}
        return {names.get(name, name): value for name, value in asdict(self).items() if value}

    def query(self, **more: str) -> str:
        return urlencode({**self.said, **more})

    @property
    def wanted(self) -> Wanted:
        """Raises BadRequest for what no form of ours says."""
        if self.log and self.log not in LOGS:
            raise BadRequest(f"expected log={' or log='.join(LOGS)}")
        if any("\0" in value for value in self.said.values()):
            raise BadRequest("a filter cannot hold NUL")
        start = _midnight("from", self.since) if self.since else None
        end = _midnight("to", self.until) + timedelta(days=1) if self.until else None
        return Wanted(
            self.log or None, self.kind or None, self.actor or None, self.subject or None, start, end
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One event as a page shows it."""

    id: UUID
    at: datetime
    log: str
    kind: str
    actor: str
    subject: str
    key_id: UUID | None
    sso_sub: str
    address: str
    reason: str
    told: str


@for_roles(Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The newest events that are asked for, and the way to those before them."""
    member, asked = member_of(request), _asked(request.GET)
    wanted, before = asked.wanted, _parsed_mark(request.GET.get("before"))
    with reading(member.org_id) as connection:
        found = audit.events(connection, member.org_id, wanted, PAGE + 1, before)
    shown = [_event(one) for one in found[:PAGE]]
    context = {
        "room": "audit",
        "events": shown,
        "asked": asked,
        "logs": [(log, _TITLES[log]) for log in LOGS],
        "kinds": [(_TITLES[audit.ADMIN], _kinds(ADMIN_KINDS)), (_TITLES[audit.KEYS], _kinds(KEY_KINDS))],
        "download": asked.query(),
        "newest": asked.query() if before else None,
        "older": asked.query(before=_mark(found[PAGE - 1])) if len(found) > PAGE else "",
    }
    return render(request, "audit.html", context)


@for_roles(Role.SECURITY)
@require_safe
def event(request: HttpRequest, event_id: UUID) -> HttpResponse:
    """One event in full, and whether it still hashes to its leaf."""
    member = member_of(request)
    with reading(member.org_id) as connection:
        found = audit.event(connection, member.org_id, event_id)
    if found is None:
        raise Http404
    context = {
        "room": "audit",
        "event": _event(found),
        "lines": audit_details.lines(found["detail"] or {}),
        "seq": found["seq"],
        "log_title": _TITLES[found["log"]],
        "leaf_hash": bytes(found["leaf_hash"]).hex(),
        "hash_agrees": audit.hash_agrees(found),
    }
    return render(request, "audit_event.html", context)


@for_roles(Role.SECURITY)
@require_GET
def download(request: HttpRequest) -> HttpResponseBase:
    """Every event that is asked for as CSV, the newest first. That it was taken is an event itself."""
    member, asked = member_of(request), _asked(request.GET)
    wanted = asked.wanted
    if export.is_full():
        told = "many downloads are being made: ask again in a minute\n"
        return HttpResponse(told, status=503, content_type="text/plain", headers={"Retry-After": "60"})
    with doing(request) as act:
        act.record("audit_exported", {"asked": asked.query() or "everything"})
    return StreamingHttpResponse(
        export.blocks(member.org_id, writer_of(member.org_id, wanted)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="audit-{plane().clock():%Y-%m-%d}.csv"'},
    )


def writer_of(org_id: UUID, wanted: Wanted) -> export.Write:
    """What writes every event that is wanted as CSV, the newest first."""

    def write(connection: psycopg.Connection[Any], file: BinaryIO) -> None:
        file.write(b"\xef\xbb\xbf" + csv_line(*COLUMNS))
        before: Mark | None = None
        while found := audit.events(connection, org_id, wanted, BLOCK, before):
            file.write(b"".join(map(_line, found)))
            before = found[-1]["created_at"], found[-1]["id"]

    return write


def _line(found: Record) -> bytes:
    one, detail = _event(found), found["detail"] or {}
    texts = (one.kind, one.actor, one.sso_sub, one.address, one.subject)
    return csv_line(
        one.at.astimezone(UTC).isoformat(),
        one.log,
        str(found["seq"]),
        *map(guarded, texts),
        str(one.key_id or ""),
        guarded(one.reason),
        _json(detail).decode(),
        str(one.id),
        bytes(found["leaf_hash"]).hex(),
    )


def _event(found: Record) -> Event:
    detail: dict[str, Any] = found["detail"] or {}
    return Event(
        id=found["id"],
        at=found["created_at"],
        log=found["log"],
        kind=found["kind"],
        actor=found["actor"],
        subject=found["subject"] or "",
        key_id=found["key_id"],
        sso_sub=audit_details.beside(detail, "sso_sub"),
        address=found["source_ip"] or audit_details.beside(detail, "address"),
        reason=audit_details.beside(detail, "reason"),
        told=audit_details.told(detail),
    )


def _kinds(kinds: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(kind, kind.replace("_", " ")) for kind in kinds]


def _asked(given: Mapping[str, str]) -> Asked:
    names = ("log", "kind", "actor", "subject", "from", "to")
    return Asked(*(given.get(name, "").strip() for name in names))


def _midnight(name: str, text: str) -> datetime:
    try:
        found: date = day(text)
    except BadPeriod as error:
        raise BadRequest(f"{name}: {error}") from None
    return datetime.combine(found, time(), UTC)


def _mark(last: Record) -> str:
    return f"{last['created_at'].isoformat()},{last['id']}"


def _parsed_mark(text: str | None) -> Mark | None:
    if not text:
        return None
    at, _, event_id = text.partition(",")
    try:
        mark = datetime.fromisoformat(at), UUID(event_id)
    except ValueError:
        raise BadRequest("expected before=time,id") from None
    if mark[0].tzinfo is None:
        raise BadRequest("expected before=time,id")
    return mark
