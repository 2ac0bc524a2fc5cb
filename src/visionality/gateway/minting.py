"""`POST /spend-tokens`: a customer's backend mints a short-lived token for one end customer (promise K3, security design 2).

The backend shows its own key and a proof with its binding key, so a stolen key or a stolen page mints nothing. A token is
narrower than its parent in every claim, has a hard limit of its own, and draws on its parent's budgets beside it. Each
token and each refusal is a row of `key_events` before anything is told.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import msgspec

from visionality.core.call import Headers, Refusal
from visionality.core.level import LEVELS, REQUIRED, longest
from visionality.core.money import NANO, usd
from visionality.core.narrowing import are_globs_within, are_networks_within, are_within
from visionality.core.spend_token import Allowance, Bound, Claims, sign
from visionality.gateway import allowed, binding
from visionality.gateway.authenticate import check, presented, principal_of
from visionality.gateway.client import Client, ClientGone, answer, body
from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.principal import Principal
from visionality.gateway.refusals import refuse
from visionality.gateway.state import Gateway
from visionality.gateway.strangers import Stranger
from visionality.ledger.minting import Event, NotRecorded
from visionality.registry.snapshot import Organisation, SigningKeyRecord, SnapshotStale
from visionality.runtime.ids import uuid7

PATH = "/spend-tokens"
LARGEST_ASK = 64 * 1024
DEFAULT_SECONDS = 300
WIDER = "wider_than_parent"
_DOLLARS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backend asks for. What it leaves out is as in its own key."""

    cap_usd: str
    ttl_seconds: int = DEFAULT_SECONDS
    project_id: str | None = None
    customer_id: str | None = None
    task_id: str | None = None
    task_class: str | None = None
    memo: str | None = None
    url: str | None = None
    models: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    level: int | None = None


_LONGEST = {"project_id": 80, "customer_id": 80, "task_id": 80, "task_class": 40, "memo": 200, "url": 400}
_read = msgspec.json.Decoder(Wanted).decode
_encode = msgspec.json.Encoder().encode


async def mint(gateway: Gateway, client: Client, scope: Mapping[str, Any]) -> None:
    """Answer one request for a token."""
    request_id = str(uuid7())
    try:
        document = await _minted(gateway, client, scope)
    except ClientGone:
        return
    except Stranger as stranger:
        await gateway.stranger(stranger, scope["method"], PATH, allowed.peer_of(scope))
        await refuse(client.send, CHAT_COMPLETIONS, stranger, request_id)
        return
    except Refusal as refusal:
        await refuse(client.send, CHAT_COMPLETIONS, refusal, request_id)
        return
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-vis-request-id", request_id.encode()),
    ]
    await answer(client.send, 201, headers, _encode(document))


async def _minted(gateway: Gateway, client: Client, scope: Mapping[str, Any]) -> dict[str, Any]:
    """The new token. Raises Refusal."""
    headers: Headers = tuple(scope["headers"])
    arrived = gateway.clock()
    try:
        snapshot = await gateway.snapshots.current()
    except SnapshotStale as error:
        raise Refusal(503, "revocation_stale", str(error)) from None
    principal = principal_of(gateway, snapshot, presented(headers))
    organisation = snapshot.organisations[principal.grant.org_id]
    try:
        claims = await _allowed(gateway, client, scope, organisation, principal, arrived)
    except Refusal as refusal:
        if refusal.status < 500:
            await _record(gateway, principal, "mint_refused", _of_refusal(refusal))
        raise
    token = await _signed(gateway, organisation, claims, arrived)
    caller = next((value.decode("latin-1") for name, value in headers if name == b"x-acc-caller"), "")
    assert claims.bud is not None
    detail = {"jti": claims.jti, "cap_usd": claims.bud.max, "expires_at": str(claims.exp), "caller": caller}
    detail |= {name: said for name, said in (("project", claims.prj), ("customer", claims.cus)) if said}
    cap = int(Decimal(claims.bud.max) * NANO)
    await _record(gateway, principal, "minted", detail, UUID(claims.jti), cap)
    expires = datetime.fromtimestamp(claims.exp, UTC).isoformat().replace("+00:00", "Z")
    return {"token": token, "jti": claims.jti, "expires_at": expires, "cap_usd": claims.bud.max}


async def _allowed(
    gateway: Gateway,
    client: Client,
    scope: Mapping[str, Any],
    organisation: Organisation,
    principal: Principal,
    arrived: datetime,
) -> Claims:
    """The claims of the token, once everything that stands against it was asked. Raises Refusal."""
    headers: Headers = tuple(scope["headers"])
    settings = gateway.settings
    check(organisation, principal, arrived)
    if principal.token_id is not None:
        raise Refusal(
            403, "scope_denied", "a spend token mints no further ones: use the key that it comes from"
        )
    allowed.check_scope(principal.grant, allowed.MINT)
    address = allowed.client_address(allowed.peer_of(scope), headers, settings.trusted_hops)
    allowed.check_network(principal.grant, address)
    level = max(binding.level_of(organisation, principal), REQUIRED)
    binding.check_level(principal.grant, level)
    skew = timedelta(seconds=settings.binding_skew)
    said = binding.announced(headers, level, arrived, skew)
    assert isinstance(said, binding.Announced)
    content = (await body(client, headers, LARGEST_ASK, settings.body_timeout)).body
    asked = binding.Asked(scope["method"], binding.target_of(scope), headers, sha256(content).digest())
    await binding.check(gateway, organisation, principal, said, asked, arrived)
    await binding.claim(gateway.replays, organisation, said, level)
    record = organisation.binding_keys[said.proof.key_id]
    thumbprint = principal.thumbprint or record.thumbprint.hex()
    return _claims(
        gateway, organisation, principal, _wanted(content), (said.proof.key_id, thumbprint), arrived
    )


def _wanted(content: bytes) -> Wanted:
    try:
        wanted = _read(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, "bad_request", f"the body does not say what token to mint: {error}") from None
    for name, most in _LONGEST.items():
        text = getattr(wanted, name)
        if text is not None and not (0 < len(text) <= most and text.isprintable()):
            raise Refusal(400, "bad_request", f"`{name}` must be printable and have 1 to {most} characters")
    if wanted.url is not None and not wanted.url.startswith("https://"):
        raise Refusal(400, "bad_request", "`url` must start with https://")
    for network in wanted.networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise Refusal(400, "bad_request", f"`networks`: {error}") from None
    if wanted.ttl_seconds <= 0:
        raise Refusal(400, "bad_request", "`ttl_seconds` must be more than 0")
    if wanted.level is not None and wanted.level not in LEVELS:
        raise Refusal(400, "bad_request", "`level` must be 0 to 4")
    return wanted


def _cap(text: str) -> Decimal:
    if not _DOLLARS.fullmatch(text) or not (cap := Decimal(text)):
        raise Refusal(
            400,
            "bad_request",
            "`cap_usd` must be dollars as a string, more than 0, with at most nine decimals",
        )
    return cap


def _claims(
    gateway: Gateway,
    organisation: Organisation,
    principal: Principal,
    wanted: Wanted,
    bound: tuple[str, str],
    now: datetime,
) -> Claims:
    """What the token says. Raises Refusal where that is wider than its parent."""
    grant = principal.grant
    project = _same("project_id", wanted.project_id, grant.project_id)
    if project is not None and not are_within([project], grant.projects):
        raise _wider("project_id")
    if project is not None and project not in organisation.projects:
        raise Refusal(400, "bad_request", f"there is no project {project}")
    parents = organisation.projects[project].customer_id if project else None
    customer = _same("customer_id", wanted.customer_id, grant.customer_id or parents)
    if customer is not None and customer not in organisation.customers:
        raise Refusal(400, "bad_request", f"there is no customer {customer}")
    for name, is_within in (
        ("models", are_globs_within(wanted.models or grant.models, grant.models)),
        ("providers", are_within(wanted.providers or grant.providers, grant.providers)),
        ("networks", are_networks_within(wanted.networks or grant.networks, grant.networks)),
        ("callers", are_within(wanted.callers or grant.callers, grant.callers)),
        ("level", wanted.level is None or wanted.level >= grant.level),
    ):
        if not is_within:
            raise _wider(name)
    cap = _cap(wanted.cap_usd)
    limits = [
        budget.cap_nusd
        for budget in organisation.budgets
        if budget.hard and budget.scope_kind == "key" and budget.scope_value in {str(grant.key_id), "*"}
    ]
    if limits and cap * NANO > min(limits):
        raise _wider("cap_usd")
    floor = organisation.projects[project].level_floor if project else 0
    level = max(grant.level, wanted.level or 0, floor, organisation.level_floor)
    lifetime = timedelta(seconds=min(wanted.ttl_seconds, 2**31))
    if lifetime > longest(level):
        most = int(longest(level).total_seconds())
        raise Refusal(400, "bad_request", f"`ttl_seconds` is at most {most} at level L{level}")
    if now + lifetime > grant.expires_at:
        raise _wider("ttl_seconds")
    at = int(now.timestamp())
    return Claims(
        v=2,
        jti=str(uuid7()),
        iss=gateway.tokens.aud,
        aud=gateway.tokens.aud,
        org=str(organisation.org_id),
        agt=grant.agent_sub,
        iat=at,
        nbf=at,
        exp=int((now + lifetime).timestamp()),
        scp=(allowed.CALL,),
        bnd=Bound(level, *bound, wanted.callers or grant.callers),
        gen=organisation.epoch,
        sgen=grant.person_epoch_now,
        pol=organisation.revision,
        sub=grant.sso_sub,
        prj=project,
        cus=customer,
        tsk=_same("task_id", wanted.task_id, grant.task_id),
        tcl=_same("task_class", wanted.task_class, grant.task_class),
        memo=_same("memo", wanted.memo, grant.memo),
        url=_same("url", wanted.url, grant.url),
        bud=Allowance("USD", usd(int(cap * NANO)), "total"),
        mdl=wanted.models or grant.models,
        prv=wanted.providers or grant.providers,
        net=wanted.networks or grant.networks,
        par=str(grant.key_id),
    )


def _same(name: str, wanted: str | None, parents: str | None) -> str | None:
    """What the parent is bound to, or what is wanted where it is not. Raises Refusal."""
    if parents is not None and wanted is not None and wanted != parents:
        raise _wider(name)
    return wanted or parents


def _wider(name: str) -> Refusal:
    return Refusal(
        403, WIDER, f"`{name}` would be wider than in the key that mints: a token can only be narrower"
    )


async def _signed(gateway: Gateway, organisation: Organisation, claims: Claims, now: datetime) -> str:
    key = next((one for one in reversed(organisation.signing_keys) if _is_active(one, now)), None)
    if key is None:
        raise Refusal(
            503,
            "signing_key_missing",
            "there is no active signing key: make one with `vis signing-key rotate`",
        )
    private = await gateway.signer(organisation.org_id, key)
    try:
        return sign(private, claims)
    except ValueError as error:
        raise Refusal(400, "bad_request", f"{error}: shorten memo, url or lists") from None


def _is_active(key: SigningKeyRecord, now: datetime) -> bool:
    ends = key.active_until
    return key.revoked_at is None and key.active_from <= now and (ends is None or now < ends)


def _of_refusal(refusal: Refusal) -> dict[str, str]:
    found = {"binding_status": refusal.binding_status} if isinstance(refusal, binding.Unproven) else {}
    return {"reason": refusal.code, **found}


async def _record(
    gateway: Gateway,
    principal: Principal,
    kind: str,
    detail: Mapping[str, str],
    token_id: UUID | None = None,
    cap_nusd: int = 0,
) -> None:
    """Raises Refusal when it is not durable."""
    grant = principal.grant
    actor = f"key:{grant.key_id}"
    full = {"reason": "", **detail, "source": "gateway"}
    event = Event(
        grant.org_id, gateway.clock(), kind, grant.key_id, grant.agent_sub, actor, full, token_id, cap_nusd
    )
    try:
        await gateway.minting.record(event)
    except NotRecorded as error:
        raise Refusal(503, "ledger_unavailable", f"nothing was minted, because {error}") from None
