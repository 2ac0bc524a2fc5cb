"""Figures of the ledger under the organisation's signature (promise F6): signed, and those that were signed.

Whoever has a link sees that one figure without an account, so only those who may read the ledger see the links.
"""

from dataclasses import replace
from datetime import UTC
from typing import Any

from django.urls import reverse
from ninja import Query
from pydantic import Field

from visionality.core.period import Period
from visionality.evidence.keys import NoKeyYet
from visionality.web.addresses import absolute
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import listed
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_FIGURES, WRITE_FIGURES
from visionality.web.api.shapes import Day, Given, Listed, Moment, Page, Reason, Text80, Text255, Told
from visionality.web.issuing import figures as issuing
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.seats.period import LONGEST

_PARTS = ("project", "customer", "team", "agent", "person")


class Figure(Told):
    id: str
    first: Day
    last: Day
    scope: dict[str, str] = Field(description="What it is about; nothing is all of it.")
    currency: str
    cost_usd: str
    billed_usd: str
    calls: int
    signed_at: Moment
    signed_by: str
    live_until: Moment = Field(description="Until then its page compares it with the ledger of the day.")
    link: str = Field(description="Shows this figure and no other to whoever has it.")
    file: str = Field(description="The figure, its signature and the key, for checking it without us.")


class NewFigure(Given):
    """All of it when nothing is named; else a project, customer, team, agent or person, or a customer, agent or person in a project."""

    first: Day = Field(examples=["2026-11-01"])
    last: Day = Field(examples=["2026-11-30"])
    project: Text80 | None = None
    customer: Text80 | None = None
    team: Text80 | None = None
    agent: Text255 | None = None
    person: Text255 | None = Field(None, description="The subject at your sign-on.")
    reason: Reason | None = None


@API.on("GET", "figures", *READ_FIGURES, answer=Listed[Figure])
def figures(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """The newest first, of the last hundred."""
    with reading(ask.act.org_id) as connection:
        found = issuing.access_signed(connection, ask.act.org_id)
    return listed(ask, [_told(ask, one) for one in found], _place, page, newest_first=True)


@API.on("POST", "figures", *WRITE_FIGURES, answer=Figure, status=201)
def sign_figure(ask: Ask, body: NewFigure) -> dict[str, Any]:
    """Sign what the ledger gives now."""
    period = _period(body)
    scope = {name: value for name in _PARTS if (value := getattr(body, name))}
    act = replace(ask.act, reason=body.reason or "")
    with reading(ask.act.org_id) as connection:
        found = issuing.figure(connection, ask.act.org_id, period, scope)
        if found == issuing.Figure():
            told = f"the ledger has no spend of this in {period.title}: check how the names are written"
            raise Problem(422, told)
        try:
            said, text = issuing.sign_figure(act, connection, plane().keys, period, scope, found)
        except NoKeyYet as missing:
            raise Problem(409, str(missing)) from None
    names = ("id", "scope", "currency", "cost_usd", "billed_usd", "calls")
    more = ("signed_at", "signed_by", "live_until")
    days = {"first": period.first, "last": period.last}
    return days | {name: getattr(said, name) for name in (*names, *more)} | _places(ask, text)


def _period(body: NewFigure) -> Period:
    days = (body.last - body.first).days + 1
    if not 0 < days <= LONGEST:
        told = f"expected a day from {body.first} on, and at most {LONGEST} days"
        raise Problem(422, f"`last`: {told}", [{"field": "last", "detail": told}])
    return Period(body.first, body.last)


def _told(ask: Ask, event: dict[str, Any]) -> dict[str, Any]:
    """A figure out of its audit row."""
    detail = event["detail"]
    names = ("currency", "cost_usd", "billed_usd", "live_until")
    return (
        {name: detail[name] for name in names}
        | {
            "id": detail["figure"],
            "first": detail["from"],
            "last": detail["to"],
            "scope": {name: detail[name] for name in _PARTS if name in detail},
            "calls": int(detail["calls"]),
            "signed_at": event["created_at"],
            "signed_by": event["actor"],
        }
        | _places(ask, detail["signed"])
    )


def _places(ask: Ask, text: str) -> dict[str, str]:
    return {
        "link": absolute(ask.request, reverse("figure", args=[text])),
        "file": absolute(ask.request, reverse("figure_file", args=[text])),
    }


def _place(one: dict[str, Any]) -> tuple[str, str]:
    return one["signed_at"].astimezone(UTC).isoformat(timespec="microseconds"), one["id"]
