"""`POST /spend-tokens`: a customer's backend mints a short-lived token for one end customer (promise K3, security design 2).

The backend shows its own key and a proof with its binding key, so a stolen key or a stolen page mints nothing. A token is
narrower than its parent in every claim, has a hard limit of its own, and draws on its parent's budgets beside it. Each
token and each refusal is a row of `key_events` before anything is told.
"""

import re
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network

import msgspec
from msgspec.structs import replace

from visionality.core.call import Refusal
from visionality.core.level import LEVELS, REQUIRED, longest
from visionality.core.money import NANO, usd
from visionality.core.narrowing import are_globs_within, are_networks_within, are_within
from visionality.core.spend_token import Allowance, Bound, Claims
from visionality.gateway import allowed
from visionality.gateway.deriving import Asking, Way, content_of, inherited

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


async def _allowed(asking: Asking) -> Claims:
    content, said, _ = await content_of(asking, allowed.MINT, REQUIRED)
    assert said is not None
    record = asking.organisation.binding_keys[said.proof.key_id]
    thumbprint = asking.principal.thumbprint or record.thumbprint.hex()
    return _claims(asking, _wanted(content), (said.proof.key_id, thumbprint))


def _wanted(content: bytes) -> Wanted:
    try:
        wanted = _read(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
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


def _claims(asking: Asking, wanted: Wanted, bound: tuple[str, str]) -> Claims:
    """What the token says. Raises Refusal where that is wider than its parent."""
    organisation, grant, now = asking.organisation, asking.principal.grant, asking.arrived
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
    return replace(
        inherited(asking, Bound(level, *bound, wanted.callers or grant.callers), now + lifetime),
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


def _detail(claims: Claims) -> dict[str, str]:
    named = {"project": claims.prj, "customer": claims.cus}
    return {"cap_usd": _limit(claims), **{name: said for name, said in named.items() if said}}


def _document(claims: Claims, token: str, ends: str) -> dict[str, str]:
    return {"token": token, "jti": claims.jti, "expires_at": ends, "cap_usd": _limit(claims)}


def _limit(claims: Claims) -> str:
    assert claims.bud is not None
    return claims.bud.max


WAY = Way("/spend-tokens", _allowed, "minted", "mint_refused", _detail, _document)
