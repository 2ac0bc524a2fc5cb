"""Alerts, and where they go."""

from dataclasses import replace
from datetime import UTC
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Query
from pydantic import BaseModel, Field

from visionality.vault.webhooks import WEBHOOKS, spelled, webhook_key
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import listed
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import Done, Given, Listed, Moment, Page, Reason, Told
from visionality.web.plane import plane
from visionality.web.policy import alerts as policy

Target = Annotated[str, Field(min_length=1, max_length=400)]


class Alert(Told):
    alert_id: UUID
    created_at: Moment
    kind: str
    scope: str
    title: str
    body: str
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    delivered: int


class AlertPage(Page):
    everything: bool = Field(False, description="Those that somebody has seen to as well.")


class Channel(Told):
    kind: Literal["email", "webhook"]
    target: str
    since: str


class Channels(Told):
    items: list[Channel]


class NewChannel(Given):
    kind: Literal["email", "webhook"]
    target: Target = Field(examples=["finance@arctrade.example"])
    reason: Reason | None = None


class ChannelAdded(Done):
    secret: str | None = Field(
        description="Of a webhook: what it is signed with (Standard Webhooks). Shown now and never again."
    )


class ChannelRemoval(BaseModel):
    target: Target
    reason: Reason | None = None


@API.on("GET", "alerts", *READ_POLICY, answer=Listed[Alert])
def list_alerts(ask: Ask, page: Query[AlertPage]) -> dict[str, Any]:
    """The newest first, of the last thousand."""
    found = policy.alerts(ask.act, everything=page.everything)
    return listed(ask, found, _place, page, newest_first=True)


def _place(one: dict[str, Any]) -> tuple[str, str]:
    return one["created_at"].astimezone(UTC).isoformat(timespec="microseconds"), str(one["alert_id"])


@API.on("POST", "alerts/{alert_id}/acknowledge", *WRITE_POLICY, answer=Done)
def acknowledge(ask: Ask, alert_id: UUID) -> dict[str, Any]:
    """Somebody has seen to it."""
    policy.acknowledge(ask.act, alert_id)
    return {}


@API.on("GET", "alert-channels", *READ_POLICY, answer=Channels)
def channels(ask: Ask) -> dict[str, Any]:
    return {"items": list(policy.channels(ask.act))}


@API.on("POST", "alert-channels", *WRITE_POLICY, answer=ChannelAdded, status=201)
def add_channel(ask: Ask, body: NewChannel) -> dict[str, Any]:
    """Send alerts there from now on."""
    made = policy.add_channel(replace(ask.act, reason=body.reason or ""), body.kind, body.target)
    is_signed = made.kind == "webhook"
    return {"secret": spelled(webhook_key(plane().keys.secret(WEBHOOKS), made.id)) if is_signed else None}


@API.on("DELETE", "alert-channels", *WRITE_POLICY, answer=Done)
def remove_channel(ask: Ask, asked: Query[ChannelRemoval]) -> dict[str, Any]:
    policy.remove_channel(replace(ask.act, reason=asked.reason or ""), asked.target)
    return {}
