"""The queue of rows that wait for somebody to say whose they are, and corrections (promise A6)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Query
from pydantic import BaseModel, Field

from visionality.chargeback.queue import Choice, Selection
from visionality.core.money import usd
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import listed
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_QUEUE, WRITE_CORRECTIONS
from visionality.web.api.shapes import (
    Given,
    Id,
    Key,
    Listed,
    Moment,
    Page,
    Reason,
    Text80,
    Text255,
    Text400,
    Told,
)
from visionality.web.correcting import orders

_EVER = (datetime.fromisoformat("1970-01-01T00:00:00Z"), datetime.fromisoformat("9998-01-01T00:00:00Z"))


class Cause(Told):
    cause: str = Field(description="The code by which its rows are assigned.")
    kind: str
    subject: str
    words: str
    project: str = Field(description="That the rows are likely of; empty where nothing says it.")
    calls: int
    currency: str
    cost_usd: str
    first: Moment
    last: Moment


class Queue(Told):
    items: list[Cause]


class AskedQueue(BaseModel):
    since: Moment | None = None
    until: Moment | None = Field(None, description="Rows from then on are left out.")
    include_sandbox: bool = False


class Booking(Given):
    """What the rows are to be booked on; what is left out is not said."""

    project: Key = Field(examples=["HPC"])
    customer: Key | None = None
    task: Text80 = ""
    epic: Text80 = ""
    reason: Reason


class Assignment(Booking):
    """Which of the waiting rows are meant: say one of repo, branch, agent and cause."""

    repo: Text400 | None = Field(None, examples=["bitbucket.org/arctrade/hpc-billing"])
    branch: Text400 | None = None
    agent: Text255 | None = None
    cause: Text80 | None = None
    since: Moment | None = None
    until: Moment | None = None
    include_sandbox: bool = False


class Correction(Booking):
    rows: Annotated[
        list[Id], Field(min_length=1, max_length=1000, examples=[["01991d3a-0000-7000-8000-000000000000"]])
    ]


class Ordered(Told):
    orders: list[UUID] = Field(description="Jobs carry them out within seconds; ask for one to see it done.")
    rows: int
    cost_usd: dict[str, str] = Field(description="What the rows stand for, by currency.")


class Moved(Told):
    rows: int
    reversed_usd: str
    rebooked_usd: str


class OrderMade(Told):
    id: UUID
    made_at: Moment
    author: str
    reason: str
    project: str
    task: str
    rows: int = Field(description="That were to be booked again.")
    missing: int | None
    done: bool
    moved: dict[str, Moved] | None = Field(description="By currency; null while it waits for the jobs.")


class Order(Told):
    id: UUID
    done: bool
    rows: int | None
    missing: int | None
    moved: dict[str, Moved] | None = Field(description="By currency.")


@API.on("GET", "queue", *READ_QUEUE, answer=Queue)
def queue(ask: Ask, asked: Query[AskedQueue]) -> dict[str, Any]:
    """What waits, by its likely cause, the dearest first."""
    start, end = asked.since or _EVER[0], asked.until or _EVER[1]
    found = orders.waiting(ask.act, start, end, include_sandbox=asked.include_sandbox)
    items = [
        {
            "cause": one.cause.code,
            "kind": one.cause.kind,
            "subject": one.cause.subject,
            "words": one.cause.words,
            "project": one.cause.project,
            "calls": one.calls,
            "currency": one.currency,
            "cost_usd": usd(one.cost_nusd),
            "first": one.first,
            "last": one.last,
        }
        for one in found
    ]
    return {"items": items}


@API.on("POST", "queue/assign", *WRITE_CORRECTIONS, answer=Ordered, status=202)
def assign(ask: Ask, body: Assignment) -> dict[str, Any]:
    """Book waiting rows on a project: each is reversed and booked again by new rows, and stays as it was written."""
    choice = Choice(body.repo, body.branch, body.agent, body.cause)
    if sum(one is not None for one in (body.repo, body.branch, body.agent, body.cause)) != 1:
        raise Problem(
            422, "expected one of `repo`, `branch`, `agent` and `cause`, which say the rows that are meant"
        )
    start, end = body.since or _EVER[0], body.until or _EVER[1]
    found = orders.choose(ask.act, start, end, choice, include_sandbox=body.include_sandbox)
    return _ordered(ask, found, body)


@API.on("POST", "corrections", *WRITE_CORRECTIONS, answer=Ordered, status=202)
def correct(ask: Ask, body: Correction) -> dict[str, Any]:
    """Book rows again by their ids, whatever they are booked on."""
    return _ordered(ask, orders.pick(ask.act, body.rows), body)


@API.on("GET", "corrections", *READ_QUEUE, answer=Listed[OrderMade])
def corrections(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """The orders by which rows were booked again, the newest first, of the last thousand."""
    names = ("id", "made_at", "author", "reason", "project", "missing")
    items = [
        {name: one[name] for name in names}
        | {
            "task": one["task_id"] or "",
            "done": one["moved"] is not None,
            "rows": one["rows"],
            "moved": one["moved"] and _moved(one["moved"]),
        }
        for one in orders.recent(ask.act, 1000)
    ]
    return listed(ask, items, _place, page, newest_first=True)


@API.on("GET", "corrections/{order_id}", *READ_QUEUE, answer=Order)
def correction(ask: Ask, order_id: UUID) -> dict[str, Any]:
    """Whether an order was carried out, and what it moved."""
    if not orders.is_order(ask.act, order_id):
        raise Problem(404, f"there is no correction {order_id}")
    for done in orders.done(ask.act, [order_id]):
        told = {"rows": done.rows, "missing": done.missing, "moved": _moved(done.moved)}
        return {"id": order_id, "done": True} | told
    return {"id": order_id, "done": False, "rows": None, "missing": None, "moved": None}


def _moved(moved: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What an order moved, by currency."""
    return {
        currency: {
            "rows": int(sums["rows"]),
            "reversed_usd": usd(int(sums["reversed_nusd"])),
            "rebooked_usd": usd(int(sums["rebooked_nusd"])),
        }
        for currency, sums in moved.items()
    }


def _place(one: dict[str, Any]) -> tuple[str, str]:
    return one["made_at"].astimezone(UTC).isoformat(timespec="microseconds"), str(one["id"])


def _ordered(ask: Ask, found: Selection, body: Booking) -> dict[str, Any]:
    to = orders.Booking(body.project, body.customer or "", body.task, body.epic)
    ids = orders.order(ask.act, found.rows, to, body.reason)
    sums = {currency: usd(nusd) for currency, nusd in sorted(found.cost_nusd.items())}
    return {"orders": ids, "rows": len(found.rows), "cost_usd": sums}
