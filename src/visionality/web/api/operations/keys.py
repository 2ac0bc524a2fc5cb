"""Virtual keys: issued and rotated with their handle shown once, revoked, listed with their last use."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Query
from pydantic import Field

from visionality.ledger.sums import sums
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import by, listed
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_KEYS, WRITE_KEYS
from visionality.web.api.shapes import (
    Given,
    Key,
    Level,
    Listed,
    Moment,
    Page,
    PeriodName,
    Reason,
    Reasoned,
    Sub,
    Text80,
    Text200,
    Text400,
    Told,
    Usd,
    nusd,
)
from visionality.web.issuing import keys as issuing
from visionality.web.issuing.bindings import Bindings
from visionality.web.issuing.envelopes import envelope
from visionality.web.issuing.models import VirtualKey
from visionality.web.issuing.revocation import revoke_token
from visionality.web.issuing.service_tokens import revoke, service_tokens
from visionality.web.issuing.service_tokens import state as token_state
from visionality.web.plane import plane
from visionality.web.reading import reading

Names = Annotated[list[Text200], Field(max_length=40)]
Seconds = Annotated[int, Field(ge=0, le=366 * 24 * 3600)]


class VirtualKeyState(Told):
    id: UUID
    shown: str = Field(description="The first characters of its handle.")
    state: Literal["live", "revoked", "expired"]
    level: int
    scopes: list[str]
    agent: str
    person: str
    project: str
    claims: list[str]
    customer: str
    task: str
    task_class: str
    memo: str
    url: str
    models: list[str]
    providers: list[str]
    networks: list[str]
    callers: list[str]
    service: str
    rotation: int
    issued_at: Moment
    rotated_at: Moment | None
    expires_at: Moment
    revoked_at: Moment | None
    last_used_at: Moment | None = Field(
        description="The last call under it in the last 366 days, whatever became of it."
    )


class KeyPage(Page):
    state: Literal["live", "revoked", "expired"] | None = None
    agent: Text400 | None = None
    project: Text80 | None = None


class Cap(Given):
    cap_usd: Usd
    period: PeriodName


class NewKey(Given):
    """What it is bound to; what is left out is not bound."""

    agent: Sub = Field(examples=["alice@arctrade"])
    project: Key | None = None
    claims: Names = Field([])
    customer: Key | None = None
    task: Text80 = ""
    task_class: Text80 = ""
    memo: Text200 = ""
    url: Text400 = ""
    expires_in_s: Seconds | None = Field(None, description="As long as its level allows when it is left out.")
    cap: Cap | None = Field(None, description="A hard budget of its own.")
    level: Level = 0
    scopes: Annotated[list[Literal["call", "mint", "exchange"]], Field(min_length=1, max_length=3)] = Field(
        ["call"]
    )
    models: Names = Field([])
    providers: Names = Field([])
    networks: Names = Field([])
    callers: Names = Field([])
    service: Key | None = None
    envelope: bool = Field(False, description="Answer with it as a signed envelope too.")
    reason: Reason


class Rotation(Reasoned):
    overlap_s: Annotated[int, Field(ge=0, le=7 * 24 * 3600)] = 24 * 3600
    envelope: bool = False


class ShownOnce(Told):
    key: VirtualKeyState
    handle: str = Field(description="Shown now and never again.")
    envelope: str | None


class TokenEnd(Reasoned):
    until: Moment = Field(
        examples=["2030-01-01T00:00:00Z"], description="When it would have expired, or later."
    )


class TokenEnded(Told):
    jti: UUID


class ServiceTokenState(Told):
    id: UUID
    shown: str
    state: Literal["live", "revoked", "expired"]
    scopes: list[str]
    issued_by: str
    issued_at: Moment
    expires_at: Moment
    revoked_at: Moment | None


def _told(ask: Ask, key: VirtualKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "shown": key.shown,
        "state": issuing.state(key, ask.act.now),
        "level": key.level,
        "scopes": key.scopes,
        "agent": key.agent.sub,
        "person": str(key.agent.person or ""),
        "project": str(key.project or ""),
        "claims": key.projects,
        "customer": str(key.customer or ""),
        "task": key.task_id,
        "task_class": key.task_class,
        "memo": key.memo,
        "url": key.url,
        "models": key.model_globs,
        "providers": key.providers,
        "networks": key.networks,
        "callers": key.callers,
        "service": str(key.service or ""),
        "rotation": key.rotation,
        "issued_at": key.issued_at,
        "rotated_at": key.rotated_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _with_use(ask: Ask, *told: dict[str, Any]) -> list[dict[str, Any]]:
    """Each key with when it was last used, in two statements for all of them."""
    tomorrow = ask.act.now.date() + timedelta(days=1)
    ids = [str(one["id"]) for one in told]
    used: dict[str | None, datetime] = {}
    with reading(ask.act.org_id) as connection:
        for simulated in (False, True):
            year = (tomorrow - timedelta(days=367), tomorrow)
            for one in sums(connection, ask.act.org_id, "key", *year, keys=ids, simulated=simulated):
                if one.last_at is not None:
                    used[one.key] = max(one.last_at, used.get(one.key, one.last_at))
    return [one | {"last_used_at": used.get(str(one["id"]))} for one in told]


@API.on("GET", "keys", *READ_KEYS, answer=Listed[VirtualKeyState])
def keys(ask: Ask, page: Query[KeyPage]) -> dict[str, Any]:
    """The newest first."""
    wanted = {name: value for name in ("state", "agent", "project") if (value := getattr(page, name))}
    every = (_told(ask, key) for key in issuing.everything(ask.act))
    found = [one for one in every if all(one[name] == value for name, value in wanted.items())]
    told = listed(ask, found, by("id"), page, newest_first=True)
    return told | {"items": _with_use(ask, *told["items"])}


@API.on("POST", "keys", *WRITE_KEYS, answer=ShownOnce, status=201)
def issue_key(ask: Ask, body: NewKey) -> dict[str, Any]:
    """The handle is in this answer and nowhere else."""
    texts: Any = {name: getattr(body, name) or "" for name in ("project", "customer", "service")}
    same: Any = {
        name: getattr(body, name) for name in ("agent", "task", "task_class", "memo", "url", "level")
    }
    names = ("claims", "scopes", "models", "providers", "networks", "callers")
    lists: Any = {name: tuple(getattr(body, name)) for name in names}
    bound = Bindings(
        **same,
        **texts,
        **lists,
        lifetime=None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
        cap=None if body.cap is None else (nusd(body.cap.cap_usd), body.cap.period),
    )
    key, handle = issuing.issue(ask.act, plane().keys, bound, body.reason)
    return _once(ask, key, handle, is_signed=body.envelope)


@API.on("GET", "keys/{key_id}", *READ_KEYS, answer=VirtualKeyState)
def key(ask: Ask, key_id: UUID) -> dict[str, Any]:
    return _with_use(ask, _told(ask, issuing.one(ask.act, str(key_id))))[0]


@API.on("POST", "keys/{key_id}/rotate", *WRITE_KEYS, answer=ShownOnce)
def rotate_key(ask: Ask, key_id: UUID, body: Rotation) -> dict[str, Any]:
    """A new handle; the old one works until the overlap ends. Bindings and budgets go on."""
    overlap = timedelta(seconds=body.overlap_s)
    key, handle = issuing.rotate(ask.act, plane().keys, str(key_id), overlap, body.reason)
    return _once(ask, key, handle, is_signed=body.envelope)


@API.on("POST", "keys/{key_id}/revoke", *WRITE_KEYS, answer=VirtualKeyState)
def revoke_key(ask: Ask, key_id: UUID, body: Reasoned) -> dict[str, Any]:
    """Every gateway refuses it within two seconds."""
    return _with_use(ask, _told(ask, issuing.revoke(ask.act, str(key_id), body.reason)))[0]


@API.on("POST", "spend-tokens/{jti}/revoke", *WRITE_KEYS, answer=TokenEnded)
def revoke_spend_token(ask: Ask, jti: UUID, body: TokenEnd) -> dict[str, UUID]:
    """End one minted token by its id. Tokens are not listed anywhere, so one that is unknown is ended too."""
    revoke_token(ask.act, jti, body.until, body.reason)
    return {"jti": jti}


@API.on("GET", "service-tokens", *READ_KEYS, answer=Listed[ServiceTokenState])
def list_service_tokens(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """The newest first. They are issued on the machine: no token can make another one."""
    found = [_token(ask, one) for one in service_tokens(ask.act)]
    return listed(ask, found, by("id"), page, newest_first=True)


@API.on("POST", "service-tokens/{token_id}/revoke", *WRITE_KEYS, answer=ServiceTokenState)
def revoke_service_token(ask: Ask, token_id: UUID, body: Reasoned) -> dict[str, Any]:
    return _token(ask, revoke(ask.act, str(token_id), body.reason))


def _once(ask: Ask, key: VirtualKey, handle: str, *, is_signed: bool) -> dict[str, Any]:
    signed = envelope(ask.act, plane().keys, key) if is_signed else None
    return {"key": _with_use(ask, _told(ask, key))[0], "handle": handle, "envelope": signed}


def _token(ask: Ask, one: Any) -> dict[str, Any]:
    names = ("id", "shown", "scopes", "issued_by", "issued_at", "expires_at", "revoked_at")
    return {name: getattr(one, name) for name in names} | {"state": token_state(one, ask.act.now)}
