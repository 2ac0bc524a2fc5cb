"""Connectors: trackers and Git hosts that are read from. A credential goes in and never comes out."""

import secrets
from dataclasses import replace
from typing import Annotated, Any, Literal

from ninja import Query
from pydantic import Field

from visionality.connectors.services import Target
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import by, listed
from visionality.web.api.operations.providers import Secret
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import (
    Because,
    Done,
    Given,
    Key,
    Listed,
    Moment,
    Page,
    Reason,
    Removing,
    Text255,
    Text400,
    Told,
)
from visionality.web.connecting import access, acts, words
from visionality.web.plane import plane


class Connector(Told):
    name: str
    kind: str
    base_url: str
    scope: list[str]
    account: str
    connector_id: str
    state: str
    mode: str
    doing: str
    counts: dict[str, int]
    held: dict[str, int]
    error: str
    succeeded_at: Moment | None
    next_at: Moment | None
    secret_expires_at: Moment | None


class NewConnector(Given):
    name: Key = Field(examples=["jira"])
    kind: Literal["jira_cloud", "jira_dc", "bitbucket", "github", "gitlab"]
    base_url: Text400 = Field("", examples=["https://jira.example"])
    scope: Annotated[list[Text255], Field(max_length=40)] = Field([])
    account: Text255 = ""
    ca_bundle: Annotated[str, Field(max_length=200_000)] = ""
    secret: Secret
    secret_expires_at: Moment | None = None
    reason: Reason | None = None


class NewSecret(Given):
    secret: Secret
    secret_expires_at: Moment | None = None
    reason: Reason | None = None


class Sync(Given):
    full: bool = Field(False, description="Everything, and not only what changed.")


class WebhookSecret(Told):
    path: str = Field(description="Where the service is to send its webhooks.")
    secret: str = Field(description="Shown now and never again.")


@API.on("GET", "connectors", *READ_POLICY, answer=Listed[Connector])
def connectors(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """Those that are in use, and how each fares."""
    return listed(
        ask, [words.record(run, ask.act.now) for run in access.access_runs(ask.act)], by("name"), page
    )


@API.on("POST", "connectors", *WRITE_POLICY, answer=Connector, status=201)
def add_connector(ask: Ask, body: NewConnector) -> dict[str, Any]:
    """Read from a service from now on. Nothing is ever written to it."""
    target = Target(body.kind, body.base_url, tuple(body.scope), body.account, body.ca_bundle)
    act = replace(ask.act, reason=body.reason or "")
    acts.add_connector(act, plane().keys, body.name, target, body.secret.encode(), body.secret_expires_at)
    return connector(ask, body.name)


@API.on("GET", "connectors/{connector_name}", *READ_POLICY, answer=Connector)
def connector(ask: Ask, connector_name: str) -> dict[str, Any]:
    found = access.access_connector(ask.act, connector_name)
    return words.record(access.access_run(ask.act, found.id), ask.act.now)


@API.on("DELETE", "connectors/{connector_name}", *WRITE_POLICY, answer=Done)
def remove_connector(ask: Ask, connector_name: str, asked: Query[Removing]) -> dict[str, Any]:
    """Read from it no more. What was read stays."""
    acts.remove_connector(replace(ask.act, reason=asked.reason or ""), connector_name)
    return {}


@API.on("POST", "connectors/{connector_name}/sync", *WRITE_POLICY, answer=Connector)
def sync_connector(ask: Ask, connector_name: str, body: Sync) -> dict[str, Any]:
    """Have it read at once; its state says how it goes."""
    acts.ask_for_sync(ask.act, connector_name, full=body.full)
    return connector(ask, connector_name)


@API.on("PUT", "connectors/{connector_name}/secret", *WRITE_POLICY, answer=Connector)
def set_connector_secret(ask: Ask, connector_name: str, body: NewSecret) -> dict[str, Any]:
    """Go by another credential from now on, and try it at once."""
    act = replace(ask.act, reason=body.reason or "")
    acts.set_secret(act, plane().keys, connector_name, body.secret.encode(), body.secret_expires_at)
    return connector(ask, connector_name)


@API.on("POST", "connectors/{connector_name}/webhook-secret", *WRITE_POLICY, answer=WebhookSecret)
def make_webhook_secret(ask: Ask, connector_name: str, body: Because) -> dict[str, str]:
    """Make the secret that its webhooks are signed with; one from before is taken no more."""
    secret = secrets.token_hex(32)
    act = replace(ask.act, reason=body.reason or "")
    found = acts.set_webhook_secret(act, plane().keys, connector_name, secret.encode())
    return {"path": f"/hooks/{found.id}", "secret": secret}
