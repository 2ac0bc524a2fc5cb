"""What was refused and why, the keys to look at, whether history can still not be changed, and the audit as a file."""

from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from ninja import Query
from pydantic import BaseModel, Field

from visionality.core.money import usd
from visionality.evidence.verifications import standing
from visionality.ledger import audit
from visionality.ledger.refusals import refusals as refusals_of
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.reports import CSV, Days, whole_file
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_AUDIT
from visionality.web.api.shapes import Day, Moment, Text255, Told
from visionality.web.reading import reading
from visionality.web.seats.audit import Asked, writer_of
from visionality.web.seats.csv_file import csv_file
from visionality.web.seats.security import KEYS, key_lines, keys_to_look_at

LogName = Literal["admin", "keys"]


class Counted(Told):
    day: Day
    status: int
    binding_status: str
    reason: str
    calls: int
    cost_usd: str
    answered: int = Field(description="Rows that a provider answered: none, where refusing works.")
    last_at: Moment


class OfKey(Told):
    key_id: UUID | None
    agent: str | None
    project: str | None
    calls: int
    last_at: Moment


class OfClient(Told):
    client: str
    caller: str
    calls: int
    last_at: Moment


class Refusal(Told):
    row_id: UUID
    created_at: Moment
    status: int
    reason: str
    binding_status: str
    agent: str | None
    project: str | None
    calls: int


class Refusals(Told):
    items: list[Counted] = Field(description="By UTC day, status, state of the proof and reason.")
    keys: list[OfKey] = Field(description="The ten that were refused most.")
    clients: list[OfClient] = Field(description="The ten that were refused most.")
    newest: list[Refusal] = Field(description="The newest twenty.")


class KeyRisk(Told):
    key_id: UUID
    shown: str
    agent: str
    owner: str
    project: str
    level: int
    floor: int
    why: str
    last_call_at: Moment | None
    expires_at: Moment


class KeyRisks(Told):
    items: list[KeyRisk]


class AppendOnly(Told):
    """The last answer to whether any application role can change an audit table (promise L2)."""

    holds: bool | None = Field(description="Null before the jobs looked for the first time.")
    checked_at: Moment | None
    since: Moment | None = Field(description="Since when it is so.")
    findings: list[str]


class LedgerCheck(Told):
    """The last whole check of the ledger against its seals (promise L3), and what samples and heads kept elsewhere said since."""

    intact: bool | None = Field(description="Null before the first whole check.")
    checked_at: Moment | None
    rows: int
    findings: list[str]
    failing_places: int = Field(description="Places that have not got the newest heads.")


class AskedAudit(BaseModel):
    log: LogName | None = None
    kind: Annotated[str, Field(max_length=80)] | None = None
    actor: Text255 | None = None
    subject: Text255 | None = None
    first: Day | None = Field(None, description="UTC days, the last one included.")
    last: Day | None = None


class AuditEvent(Told):
    id: UUID
    log: LogName
    seq: int
    created_at: Moment
    kind: str
    actor: str
    subject: str | None
    key_id: UUID | None
    source_ip: str | None
    detail: dict[str, Any] | None
    leaf_hash: str
    leaf_hash_agrees: bool = Field(
        description="Whether the event, read back, still hashes to the leaf stored with it."
    )


@API.on("GET", "refusals", *READ_AUDIT, answer=Refusals)
def refusals(ask: Ask, asked: Query[Days]) -> dict[str, Any]:
    """What was refused in these days, and what of it a provider saw."""
    start, end = asked.range()
    with reading(ask.act.org_id) as connection:
        found = refusals_of(connection, ask.act.org_id, start, end)
    counted = ("day", "status", "binding_status", "reason", "calls", "answered", "last_at")
    one_of = ("created_at", "status", "reason", "binding_status", "calls")
    return {
        "items": [
            {name: getattr(one, name) for name in counted} | {"cost_usd": usd(one.cost_nusd)}
            for one in found.counted
        ],
        "keys": [
            {
                "key_id": one.key_id,
                "agent": one.agent_sub,
                "project": one.project_id,
                "calls": one.calls,
                "last_at": one.last_at,
            }
            for one in found.keys
        ],
        "clients": [{name: getattr(one, name) for name in OfClient.model_fields} for one in found.clients],
        "newest": [
            {name: getattr(one, name) for name in one_of}
            | {"row_id": one.id, "agent": one.agent_sub, "project": one.project_id}
            for one in found.newest
        ],
    }


@API.on("GET", "key-risks", *READ_AUDIT, answer=KeyRisks)
def key_risks(ask: Ask) -> dict[str, Any]:
    """Live keys below their floor, of agents that nobody owns, or unused for 30 days."""
    items = [
        {
            "key_id": one.key.id,
            "shown": one.key.shown,
            "agent": one.key.agent_sub,
            "owner": one.key.owner,
            "project": one.key.project or "",
            "level": one.key.level,
            "floor": one.key.floor,
            "why": one.why,
            "last_call_at": one.last_at,
            "expires_at": one.key.expires_at,
        }
        for one in keys_to_look_at(ask.act.org_id, ask.act.now)
    ]
    return {"items": items}


@API.on("GET", "key-risks.csv", *READ_AUDIT, answer=None, extra=CSV)
def key_risks_file(ask: Ask) -> HttpResponse:
    """The same as a file. That it was taken is in the audit."""
    return csv_file(f"keys-{ask.act.now:%Y-%m-%d}", KEYS, key_lines(ask.act))


@API.on("GET", "append-only", *READ_AUDIT, answer=AppendOnly)
def append_only(ask: Ask) -> dict[str, Any]:
    """Whether any application role could change the ledger or an audit log, when the jobs last tried."""
    with reading(ask.act.org_id) as connection:
        found = standing(connection, ask.act.org_id).append_only
    if found is None:
        return {"holds": None, "checked_at": None, "since": None, "findings": []}
    told = {"checked_at": found.checked_at, "since": found.since, "findings": found.findings}
    return told | {"holds": not found.findings}


@API.on("GET", "ledger-check", *READ_AUDIT, answer=LedgerCheck)
def ledger_check(ask: Ask) -> dict[str, Any]:
    """Whether every row is still the one that was sealed, when the jobs last looked."""
    with reading(ask.act.org_id) as connection:
        found = standing(connection, ask.act.org_id)
    return {
        "intact": None if found.checked_at is None and not found.findings else not found.findings,
        "checked_at": found.checked_at,
        "rows": found.rows,
        "findings": list(found.findings),
        "failing_places": found.failing_places,
    }


@API.on("GET", "audit.csv", *READ_AUDIT, answer=None, extra=CSV)
def audit_file(ask: Ask, asked: Query[AskedAudit]) -> StreamingHttpResponse:
    """Events of both logs, the newest first. That it was taken is in the audit."""
    days = {"since": asked.first, "until": asked.last}
    texts = {name: getattr(asked, name) or "" for name in ("log", "kind", "actor", "subject")}
    said = Asked(**texts, **{name: day.isoformat() if day else "" for name, day in days.items()})
    response = whole_file(ask, "audit", writer_of(ask.act.org_id, said.wanted))
    ask.act.record("audit_exported", {"asked": said.query() or "everything"})
    return response


@API.on("GET", "audit-events/{event_id}", *READ_AUDIT, answer=AuditEvent)
def audit_event(ask: Ask, event_id: UUID) -> dict[str, Any]:
    """One event of either log in full, and whether it still hashes to its leaf."""
    with reading(ask.act.org_id) as connection:
        found = audit.event(connection, ask.act.org_id, event_id)
    if found is None:
        raise Problem(404, f"there is no event {event_id}")
    names = ("id", "log", "seq", "created_at", "kind", "actor", "subject", "key_id", "source_ip", "detail")
    return {name: found[name] for name in names} | {
        "leaf_hash": bytes(found["leaf_hash"]).hex(),
        "leaf_hash_agrees": audit.hash_agrees(found),
    }
