"""What platforms of evidence pull: controls and their exceptions, packs, heads and the keys that sign them (S6); and packs of few rows that are made for them."""

from base64 import b64encode
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpResponse
from ninja import Query
from pydantic import Field

from visionality.core.control import Control
from visionality.core.pack import ScopeKind
from visionality.core.period import Period, between, month_of
from visionality.evidence.controls import COLLECTORS, Asked, collect, judge
from visionality.evidence.controls.mappings import mappings
from visionality.evidence.heads import LOGS, newest
from visionality.evidence.keys import published
from visionality.evidence.packs import Asked as PackAsked
from visionality.runtime.sql import statements
from visionality.web.api.bearer import Ask
from visionality.web.api.cursor import place_in_time
from visionality.web.api.operations.names import listed
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_EVIDENCE, WRITE_EVIDENCE
from visionality.web.api.shapes import Day, Given, Listed, Moment, Page, Text80, Told
from visionality.web.issuing.pack_making import NotMade, asked_here, make_here
from visionality.web.reading import reading

LONGEST = 366
"""Days that controls are judged over in one request: a year."""
_SQL = statements("visionality.web.api", "evidence.sql")
_JSON = {"responses": {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}}}

Status = Literal["satisfied", "not_satisfied", "not_operating"]


class AskedControls(Page):
    """UTC days, the last one included; without them, this month so far."""

    first: Day | None = None
    last: Day | None = None

    def period(self, now: datetime) -> Period:
        """Raises Problem."""
        if self.first is None and self.last is None:
            return month_of(now.astimezone(UTC).date())
        if self.first is None or self.last is None or self.last < self.first:
            raise _bad("`first` and `last` go together, and `last` is not before `first`")
        period = between(self.first, self.last)
        if period.days > LONGEST:
            raise _bad(f"controls are judged over {LONGEST} days at most, and {period.days} were asked for")
        return period


class Mechanism(Told):
    name: str
    operating: bool
    reason: str = Field(description="Why it does not operate; empty when it does.")


class ControlState(Told):
    """`id` stays the same from release to release; `passing` is true for `satisfied` alone."""

    id: str
    control: str
    title: str
    passing: bool
    status: Status
    population: int
    passed: int
    fail_count: int
    mechanisms: list[Mechanism]
    supports: dict[str, list[str]]
    query: str
    rows_sha256: str
    first: Day
    last: Day


class ControlException(Told):
    subject: str = Field(description="A kind and an id: no name of anybody.")
    detail: str


class PackState(Told):
    """`fingerprint` is SHA-256 of the payload; `is_kept` says whether its envelope can be had here."""

    pack_id: UUID
    generated_at: Moment
    generated_by: str
    scope_kind: Literal["organisation", "project", "customer"]
    scope_name: str
    projects: list[str]
    first: Day
    last: Day
    rows: Literal["embedded", "file", "none"]
    row_count: int
    fingerprint: str
    size: int
    is_kept: bool


class HeadState(Told):
    log: str
    size: int
    root: str
    sealed_at: Moment
    note: str


class Heads(Told):
    items: list[HeadState]


@API.on("GET", "evidence/controls", *READ_EVIDENCE, answer=Listed[ControlState])
def controls(ask: Ask, asked: Query[AskedControls]) -> dict[str, Any]:
    """Six SOC 2 controls, each judged over its whole population; no audit opinion."""
    period = asked.period(ask.act.now)
    with reading(ask.act.org_id) as connection:
        found = collect(connection, ask.act.org_id, period, ask.act.now)
    return listed(ask, [_control(one, period) for one in found], lambda one: (one["control"],), asked)


@API.on("GET", "evidence/controls/{control}/exceptions", *READ_EVIDENCE, answer=Listed[ControlException])
def exceptions(ask: Ask, control: str, asked: Query[AskedControls]) -> dict[str, Any]:
    """What failed of one control, such as `CC6.1` or `CC6.2-6.3`."""
    collector = next((one for one in COLLECTORS if one.slug == control), None)
    if collector is None:
        raise Problem(
            404, f"there is no control {control}: expected {', '.join(one.slug for one in COLLECTORS)}"
        )
    with reading(ask.act.org_id) as connection:
        found = judge(connection, ask.act.org_id, collector, Asked(asked.period(ask.act.now), ask.act.now))
    failed = ({"subject": one.subject, "detail": one.detail} for one in found.exceptions)
    return listed(ask, failed, lambda one: (one["subject"],), asked)


@API.on("GET", "evidence/packs", *READ_EVIDENCE, answer=Listed[PackState])
def packs(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """What was handed out, the newest first."""
    before, before_id = place_in_time(page.after) or (None, None)
    found = _packs(ask, before=before, before_id=before_id, limit=page.limit + 1)
    last = found[page.limit - 1] if len(found) > page.limit else None
    following = ask.next(last["generated_at"].isoformat(), last["pack_id"]) if last else None
    return {"items": found[: page.limit], "next": following}


class NewPack(Given):
    """Of a project, of a customer, or of the whole organisation; of UTC days, both included."""

    project: Text80 | None = Field(None, examples=["HPC"])
    customer: Text80 | None = None
    first: Day = Field(examples=["2026-11-01"])
    last: Day = Field(examples=["2026-11-30"])
    rows: Literal["embedded", "none"] = "none"

    def asked(self, org_id: UUID) -> PackAsked:
        """Raises Problem."""
        if self.project and self.customer:
            raise Problem(422, "a pack is of one thing: name a project, or a customer, or neither")
        days = (self.last - self.first).days + 1
        if not 0 < days <= LONGEST:
            raise _bad(f"expected `last` on or after `first`, and at most {LONGEST} days")
        kind: ScopeKind = "project" if self.project else "customer" if self.customer else "organisation"
        return asked_here(
            org_id, kind, self.project or self.customer or "", between(self.first, self.last), self.rows
        )


@API.on("POST", "evidence/packs", *WRITE_EVIDENCE, answer=PackState, status=201)
def make_pack(ask: Ask, body: NewPack) -> dict[str, Any]:
    """Make one of few rows, and wait for it; the command line makes those of any size."""
    try:
        made = make_here(body.asked(ask.act.org_id), nullcontext(ask.act))
    except NotMade as refusal:
        raise Problem(409, str(refusal)) from None
    pack = made.pack
    return {
        "pack_id": pack.pack_id,
        "generated_at": pack.generated_at,
        "generated_by": ask.act.actor,
        "scope_kind": pack.scope.kind,
        "scope_name": pack.scope.name,
        "projects": list(pack.scope.projects),
        "first": pack.period.first,
        "last": pack.period.last,
        "rows": made.rows,
        "row_count": made.row_count,
        "fingerprint": made.fingerprint.hex(),
        "size": made.size,
        "is_kept": True,
    }


@API.on("GET", "evidence/packs/{pack_id}", *READ_EVIDENCE, answer=PackState)
def pack(ask: Ask, pack_id: UUID) -> dict[str, Any]:
    found = _packs(ask, pack_id=pack_id)
    if not found:
        raise Problem(404, f"there is no pack {pack_id}")
    return found[0]


@API.on("GET", "evidence/packs/{pack_id}/envelope", *READ_EVIDENCE, answer=None, extra=_JSON)
def pack_envelope(ask: Ask, pack_id: UUID) -> HttpResponse:
    """The signed pack byte for byte, where it is small enough to be kept."""
    with reading(ask.act.org_id) as connection:
        found = connection.execute(
            _SQL["envelope"], {"org_id": ask.act.org_id, "pack_id": pack_id}
        ).fetchone()
    if found is None:
        raise Problem(404, f"there is no pack {pack_id}")
    if found["envelope"] is None:
        raise Problem(404, f"pack {pack_id} was too large to be kept: whoever made it has it")
    return HttpResponse(found["envelope"], content_type="application/json")


@API.on("GET", "evidence/heads", *READ_EVIDENCE, answer=Heads)
def heads(ask: Ask) -> dict[str, Any]:
    """The newest signed head of each log that has leaves."""
    with reading(ask.act.org_id) as connection:
        found = [(log, newest(connection, ask.act.org_id, log)) for log in LOGS]
    return {"items": [_head(log, head) for log, head in found if head is not None]}


@API.on("GET", "evidence/keys", *READ_EVIDENCE, answer=None, extra=_JSON)
def evidence_keys(ask: Ask) -> HttpResponse:
    """What `vis-verify` is given with `--key`; compare its fingerprints on a path of your own."""
    with reading(ask.act.org_id) as connection:
        return HttpResponse(
            published(connection, ask.act.org_id, ask.act.now), content_type="application/json"
        )


def _bad(told: str) -> Problem:
    return Problem(422, told, [{"field": "first", "detail": told}])


def _control(one: Control, period: Period) -> dict[str, Any]:
    return {
        "id": one.slug,
        "control": one.control,
        "title": one.title,
        "passing": one.status == "satisfied",
        "status": one.status,
        "population": one.population,
        "passed": one.passed,
        "fail_count": len(one.exceptions),
        "mechanisms": [
            {"name": each.name, "operating": each.operating, "reason": each.reason} for each in one.mechanisms
        ],
        "supports": mappings().entries[one.control],
        "query": one.query,
        "rows_sha256": one.rows_sha256,
        "first": period.first,
        "last": period.last,
    }


def _packs(ask: Ask, **asked: object) -> list[dict[str, Any]]:
    given = {"org_id": ask.act.org_id, "pack_id": None, "before": None, "before_id": None, "limit": 1} | asked
    with reading(ask.act.org_id) as connection:
        found = connection.execute(_SQL["packs"], given).fetchall()
    return [one | {"fingerprint": bytes(one["fingerprint"]).hex()} for one in found]


def _head(log: str, head: Any) -> dict[str, Any]:
    return {
        "log": log,
        "size": head.size,
        "root": b64encode(head.root).decode(),
        "sealed_at": head.sealed_at,
        "note": head.note,
    }
