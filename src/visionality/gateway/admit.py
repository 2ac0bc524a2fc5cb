"""Before a call leaves: where it goes, what it can cost at most, and a durable hold for that."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec.structs import replace

from visionality.core.budget import affordable_output, worst_case_nusd
from visionality.core.call import Ask, Refusal, Request
from visionality.core.family import model_family
from visionality.core.money import NANO, rounded_nusd
from visionality.core.pricing import RateCard
from visionality.core.row import Row, draft_text
from visionality.gateway.budgets import Draw
from visionality.gateway.providers import Signer
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.ids import uuid7
from visionality.ledger.writer import Blocked, Denial, Hold, LedgerAway
from visionality.pricebook.book import context_window
from visionality.registry.snapshot import Organisation
from visionality.vault.sealing import SealBroken

SANDBOX = "sandbox"
SANDBOX_SECRET = b"sandbox"
LEDGER_AWAY = "ledger_unavailable"
NOT_DURABLE = "the call was not sent again, because the ledger took too long"
TRIES = 3
"""How often a call is offered a shorter answer that others then take the money for."""
SHORTEST_ANSWER = 256
"""Tokens of an answer below which a call is refused rather than shortened."""
ROOM_FOR_LIMIT = 64
"""Bytes by which the member with a limit may lengthen a body."""
HOLD_GRACE = timedelta(minutes=5)
"""A hold outlives the longest call by this much, so that only a call that nobody watches any more can expire."""


_NO_DRAWS: Sequence[Draw] = ()


class Upstream(msgspec.Struct, frozen=True):
    """A provider with credentials: where this call goes and what happens when its client leaves."""

    name: str
    base_url: str
    credential: tuple[bytes, bytes]
    """The header that carries the provider's key; without a name where each request is signed for itself."""
    drains: bool
    models: Mapping[str, str] = {}
    """From the name of a deployment to the model that it runs."""
    signer: Signer | None = None
    retries: int = 0
    """How often a call is tried again at this provider."""


async def upstream_for(gateway: Gateway, organisation: Organisation, target: Target) -> Upstream:
    """The organisation's own credential, else the sandbox where there is one. Raises Refusal."""
    provider = target.provider
    record = organisation.providers.get(provider.name)
    if record is not None:
        opened = gateway.opened.get((organisation.org_id, record.credential_id))
        if opened is None:
            try:
                opened = await gateway.open(organisation.org_id, record)
            except SealBroken:
                raise Refusal(
                    503,
                    "provider_credential_unreadable",
                    f"the {provider.name} key cannot be opened with this master key",
                ) from None
        signer = provider.signer(opened.secret, record.base_url) if provider.signer else None
        credential = (b"", signer.identity) if signer else provider.credential(opened.secret)
        drains = record.on_abort == "drain"
        return Upstream(
            provider.name, record.base_url, credential, drains, opened.models, signer, opened.retries
        )
    if gateway.settings.sandbox_url is None or not provider.base_url:
        raise Refusal(
            403,
            "provider_not_configured",
            f"no {provider.name} key is set up here: add one with `vis provider add {provider.name}`",
        )
    base_url = gateway.settings.sandbox_url + provider.sandbox_suffix
    return Upstream(SANDBOX, base_url, provider.credential(SANDBOX_SECRET), drains=True)


async def hold(
    gateway: Gateway,
    row: Row,
    target: Target,
    upstream: Upstream,
    asked: tuple[Request, Ask, dict[str, Any]],
) -> tuple[Hold, Request, Ask]:
    """Make the call's hold durable, with the draft of its row, in every budget that it draws on.

    Returns it with the call as it may leave: with a shorter answer where that is all it can afford. Raises Refusal when
    one of them has not enough left, or the ledger is away.
    """
    request, ask, document = asked
    for _ in range(TRIES):
        now = gateway.clock()
        amount, draws = worst_case(gateway, row, target, upstream, request, ask, now)
        repeated = gateway.repeats.again(row, draws, amount)
        if repeated is not None:
            raise repeated
        made = _hold(gateway, row, amount, draws, now)
        gateway.writer.will_use([draw.window for draw in draws])
        try:
            await gateway.writer.reserve(made)
        except LedgerAway as error:
            raise Refusal(503, LEDGER_AWAY, f"the call was not sent, because {error}") from None
        except Blocked as blocked:
            denial = blocked.denial
        else:
            return made, request, ask
        shorter = _shorter(gateway, row, target, upstream, (request, ask, document), (made, draws, denial))
        if shorter is None:
            break
        request, ask = shorter
    refusal = gateway.budgets[row.org_id].refusal(draws, denial)
    if denial.window_id is not None:
        gateway.repeats.remember(row, denial.window_id, made.amount_nusd, refusal)
    raise refusal


async def hold_again(
    gateway: Gateway, row: Row, target: Target, upstream: Upstream, request: Request, ask: Ask
) -> Hold | None:
    """The hold of a call's next attempt, durable; None when it may not be made."""
    try:
        now = gateway.clock()
        amount, draws = worst_case(gateway, row, target, upstream, request, ask, now)
        made = _hold(gateway, row, amount, draws, now)
        gateway.writer.will_use([draw.window for draw in draws])
        await gateway.writer.reserve(made)
    except (Refusal, Blocked, LedgerAway):
        return None
    return made


def worst_case(
    gateway: Gateway,
    row: Row,
    target: Target,
    upstream: Upstream,
    request: Request,
    ask: Ask,
    now: datetime,
) -> tuple[int, Sequence[Draw]]:
    """What a call can cost at most, nano-dollars, and the windows of the budgets that it draws on. Raises Refusal."""
    amount, is_priced, draws = 0, True, _NO_DRAWS
    if target.route.kind == "model_call" and ask.model is not None:
        model = target.provider.model_of(ask.model, upstream.models)
        row.model_family = model_family(model or ask.model)
        card, window = _rated(gateway, row, target, model, now)
        is_priced = card is not None
        row.price_state = "known" if is_priced else "unknown"
        amount = worst_case_nusd(card, ask, len(request.body), window)
    elif target.route.kind == "passthrough":
        is_priced = target.usd_per_request is not None
        amount = rounded_nusd((target.usd_per_request or Decimal(0)) * NANO)
    elif ask.batch is not None:
        amount, is_priced = ask.batch.nusd, not ask.batch.unpriced
    if amount or not is_priced:
        draws = gateway.budgets[row.org_id].draws(row, now)
    if not is_priced:
        amount += _ceiling(draws, ask.model) * (ask.batch.unpriced if ask.batch else 1)
    return amount, draws


def _hold(gateway: Gateway, row: Row, amount_nusd: int, draws: Sequence[Draw], now: datetime) -> Hold:
    """What the call needs before it may leave, with the draft of its row."""
    expires = now + timedelta(seconds=gateway.settings.call_timeout) + HOLD_GRACE
    windows = [draw.window.window_id for draw in draws]
    return Hold(row.org_id, uuid7(), row.request_id, amount_nusd, expires, draft_text(row), windows)


def _rated(
    gateway: Gateway, row: Row, target: Target, model: str | None, now: datetime
) -> tuple[RateCard | None, int]:
    """The dearest rates that a call can meet with its model, and how many tokens of input that takes."""
    prices = target.provider.price_list
    card = gateway.books[row.org_id].dearest(prices, model, now) if model else None
    return card, context_window(prices, model or "")


def _ceiling(draws: Sequence[Draw], model: str | None) -> int:
    """What is held for a call of which nobody knows the price. Raises Refusal when a hard budget does not say."""
    ceilings = [draw.budget.ceiling_nusd for draw in draws if draw.budget.hard]
    if None in ceilings:
        raise Refusal(
            402,
            "price_unknown",
            f"no price is known for {model or 'this call'}, and it draws on a hard budget: set one with `vis price set`, "
            "or a ceiling for such calls with `vis budget set --unknown-price-ceiling`",
        )
    return max((ceiling for ceiling in ceilings if ceiling is not None), default=0)


def _shorter(
    gateway: Gateway,
    row: Row,
    target: Target,
    upstream: Upstream,
    asked: tuple[Request, Ask, dict[str, Any]],
    refused: tuple[Hold, Sequence[Draw], Denial],
) -> tuple[Request, Ask] | None:
    """The call with the answer that its budgets can still afford, where all that refused it allow that."""
    (request, ask, document), (made, draws, denial) = asked, refused
    short = [
        (draw.budget.near_cap, left)
        for draw in draws
        if draw.budget.hard
        and (left := denial.left_nusd.get(draw.window.window_id)) is not None
        and left < made.amount_nusd
    ]
    if not short or any(near_cap != "clamp" for near_cap, _ in short) or ask.model is None:
        return None
    model = target.provider.model_of(ask.model, upstream.models)
    card, window = _rated(gateway, row, target, model, gateway.clock())
    if card is None:
        return None
    room = len(request.body) + ROOM_FOR_LIMIT
    limit = affordable_output(card, ask, room, window, min(left for _, left in short))
    if limit < SHORTEST_ANSWER or (ask.output_limit is not None and limit >= ask.output_limit):
        return None
    body = target.route.dialect.limited(request.body, document, limit)
    if body is None:
        return None
    asked_for = "none" if ask.output_limit is None else str(ask.output_limit)
    row.tags = {"output_limit_asked": asked_for, **(row.tags or {}), "output_limit": str(limit)}
    return replace(request, body=body), replace(ask, output_limit=limit)
