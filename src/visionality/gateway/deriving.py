"""Keys that are derived from a key: what minting a spend token and exchanging a device's credential have in common.

Who asks, and whether they may, here and now; the signature under what is handed out; and a row of `key_events` for each key
and each refusal, which is durable before anything is told.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from visionality.core.call import Headers, Refusal
from visionality.core.client_address import client_address
from visionality.core.money import NANO
from visionality.core.spend_token import Bound, Claims, sign
from visionality.gateway import allowed, binding
from visionality.gateway.authenticate import check, presented, principal_of
from visionality.gateway.client import Client, ClientGone, answer, body
from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.principal import Principal
from visionality.gateway.refusals import refuse
from visionality.gateway.state import Gateway
from visionality.gateway.strangers import Stranger
from visionality.ledger.ids import uuid7
from visionality.ledger.minting import Event, NotRecorded
from visionality.registry.snapshot import Organisation, SigningKeyRecord, SnapshotStale

LARGEST_ASK = 64 * 1024
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Asking:
    """A request for a key, by a caller who is known."""

    gateway: Gateway
    client: Client
    scope: Mapping[str, Any]
    organisation: Organisation
    principal: Principal
    arrived: datetime

    @property
    def headers(self) -> Headers:
        return tuple(self.scope["headers"])


class Way(NamedTuple):
    """One way in which a key is derived."""

    path: str
    claims: Callable[[Asking], Awaitable[Claims]]
    """What the key says, once everything that stands against it was asked. Raises Refusal."""
    kind: str
    """Of its row of `key_events`."""
    kind_of_refusal: str
    detail: Callable[[Claims], dict[str, str]]
    """What its row says beside its id and its end."""
    document: Callable[[Claims, str, str], Mapping[str, object]]
    """The answer, of the claims, the key and when it ends."""


async def derive(way: Way, gateway: Gateway, client: Client, scope: Mapping[str, Any]) -> None:
    """Answer one request for a key."""
    request_id = str(uuid7())
    try:
        document = await _derived(way, gateway, client, scope)
    except ClientGone:
        return
    except Stranger as stranger:
        await gateway.stranger(stranger, scope["method"], way.path, allowed.peer_of(scope))
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


async def content_of(
    asking: Asking, scope: str, least_level: int
) -> tuple[bytes, binding.Announced | None, int]:
    """The body, its proof where one was sent, and the level in force, once the key may be used for this. Raises Refusal."""
    gateway, organisation, principal = asking.gateway, asking.organisation, asking.principal
    settings, headers = gateway.settings, asking.headers
    check(organisation, principal, asking.arrived)
    if principal.token_id is not None or principal.checkout is not None:  # whatever scopes it was signed with
        raise Refusal(
            403, "scope_denied", "a derived key derives no further ones: use the key that it comes from"
        )
    allowed.check_scope(principal.grant, scope)
    address = client_address(allowed.peer_of(asking.scope), headers, settings.trusted_hops)
    allowed.check_network(principal.grant, address)
    level = max(binding.level_of(organisation, principal), least_level)
    binding.check_level(principal.grant, level)
    said = binding.announced(headers, level, asking.arrived, settings.binding_skew)
    arrived = await body(asking.client, headers, LARGEST_ASK, settings.body_timeout, gateway.now())
    if not isinstance(said, binding.Announced):
        return arrived.body, None, level
    target = binding.target_of(asking.scope)
    asked = binding.Asked(asking.scope["method"], target, headers, arrived.sha256)
    await binding.check(gateway, organisation, principal, said, asked, asking.arrived)
    await binding.claim(gateway.replays, organisation, said, level)
    return arrived.body, said, level


def inherited(asking: Asking, bound: Bound, ends: datetime) -> Claims:
    """What a key says that is in everything as its parent is."""
    grant, organisation, aud = asking.principal.grant, asking.organisation, asking.gateway.tokens.aud
    at = int(asking.arrived.timestamp())
    return Claims(
        v=2,
        jti=str(uuid7()),
        iss=aud,
        aud=aud,
        org=str(organisation.org_id),
        agt=grant.agent_sub,
        iat=at,
        nbf=at,
        exp=int(ends.timestamp()),
        scp=(allowed.CALL,),
        bnd=bound,
        gen=organisation.epoch,
        sgen=grant.person_epoch_now,
        pol=organisation.revision,
        sub=grant.sso_sub,
        prj=grant.project_id,
        cus=grant.customer_id,
        tsk=grant.task_id,
        tcl=grant.task_class,
        memo=grant.memo,
        url=grant.url,
        mdl=grant.models,
        prv=grant.providers,
        net=grant.networks,
        par=str(grant.key_id),
    )


async def _derived(
    way: Way, gateway: Gateway, client: Client, scope: Mapping[str, Any]
) -> Mapping[str, object]:
    """The answer with the new key. Raises Refusal."""
    headers: Headers = tuple(scope["headers"])
    arrived = gateway.clock()
    try:
        snapshot = await gateway.snapshots.current()
    except SnapshotStale as error:
        raise Refusal(503, "revocation_stale", str(error)) from None
    principal = principal_of(gateway, snapshot, presented(headers))
    organisation = snapshot.organisations[principal.grant.org_id]
    asking = Asking(gateway, client, scope, organisation, principal, arrived)
    try:
        claims = await way.claims(asking)
    except Refusal as refusal:
        if refusal.status < 500:
            await _record(asking, way.kind_of_refusal, _of_refusal(refusal))
        raise
    key = await _signed(asking, claims)
    detail = {"jti": claims.jti, "expires_at": str(claims.exp), "caller": _caller(headers)} | way.detail(
        claims
    )
    await _record(asking, way.kind, detail, claims)
    ends = datetime.fromtimestamp(claims.exp, UTC).isoformat().replace("+00:00", "Z")
    return way.document(claims, key, ends)


def _caller(headers: Headers) -> str:
    """Whom the request names, where it also proves that: a proof that does not hold was refused before."""
    named = dict(headers)
    return named.get(b"x-acc-caller", b"").decode("latin-1") if b"x-acc-binding" in named else ""


async def _signed(asking: Asking, claims: Claims) -> str:
    organisation = asking.organisation
    key = next((one for one in reversed(organisation.signing_keys) if _is_active(one, asking.arrived)), None)
    if key is None:
        raise Refusal(
            503,
            "signing_key_missing",
            "there is no active signing key: make one with `vis signing-key rotate`",
        )
    private = await asking.gateway.signer(organisation.org_id, key)
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


async def _record(asking: Asking, kind: str, detail: Mapping[str, str], claims: Claims | None = None) -> None:
    """With the limit of its own that a token has. Raises Refusal when it is not durable."""
    gateway, grant = asking.gateway, asking.principal.grant
    actor = f"key:{grant.key_id}"
    full = {"reason": "", **detail, "source": "gateway"}
    limit = claims.bud if claims else None
    token_id, cap = (UUID(claims.jti), int(Decimal(limit.max) * NANO)) if claims and limit else (None, 0)
    event = Event(
        grant.org_id, gateway.clock(), kind, grant.key_id, grant.agent_sub, actor, full, token_id, cap
    )
    try:
        await gateway.minting.record(event)
    except NotRecorded as error:
        raise Refusal(503, "ledger_unavailable", f"nothing was handed out, because {error}") from None
