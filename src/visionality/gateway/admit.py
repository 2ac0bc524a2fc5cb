"""Before a call leaves: where it goes, what it can cost at most, and a durable hold for that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from visionality.core.budget import worst_case_nusd
from visionality.core.call import Ask, Refusal, Request
from visionality.core.money import NANO, rounded_nusd
from visionality.core.row import Row, draft_text
from visionality.gateway.providers import Signer
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Hold, LedgerAway
from visionality.registry.snapshot import Organisation
from visionality.runtime.ids import uuid7
from visionality.vault.sealing import SealBroken

SANDBOX = "sandbox"
SANDBOX_SECRET = b"sandbox"
NOT_DURABLE = "the call was not sent again, because the ledger took too long"
HOLD_GRACE = timedelta(minutes=5)
"""A hold outlives the longest call by this much, so that only a call that nobody watches any more can expire."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A provider with credentials: where this call goes and what happens when its client leaves."""

    name: str
    base_url: str
    credential: tuple[bytes, bytes]
    """The header that carries the provider's key; without a name where each request is signed for itself."""
    drains: bool
    models: Mapping[str, str] = field(default_factory=dict)
    """From the name of a deployment to the model that it runs."""
    signer: Signer | None = None
    retries: int = 0
    """How often a call is tried again at this provider."""


def upstream_for(gateway: Gateway, organisation: Organisation, target: Target) -> Upstream:
    """The organisation's own credential, else the sandbox where there is one. Raises Refusal."""
    provider = target.provider
    record = organisation.providers.get(provider.name)
    if record is not None:
        try:
            opened = gateway.open(organisation.org_id, record)
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
    gateway: Gateway, row: Row, target: Target, upstream: Upstream, request: Request, ask: Ask
) -> Hold:
    """Make the call's hold durable, with the draft of its row. Raises Refusal when the ledger is away."""
    made = held(gateway, row, target, upstream, request, ask)
    try:
        await gateway.writer.reserve(made)
    except LedgerAway as error:
        raise Refusal(503, "ledger_unavailable", f"the call was not sent, because {error}") from None
    return made


def held(gateway: Gateway, row: Row, target: Target, upstream: Upstream, request: Request, ask: Ask) -> Hold:
    """The hold that a call needs before it may leave: its worst case."""
    now = gateway.clock()
    amount = 0
    if ask.model is not None and target.route.kind == "model_call":
        model = target.provider.model_of(ask.model, upstream.models)
        card = gateway.books[row.org_id].dearest(target.provider.price_list, model, now) if model else None
        row.price_state = "known" if card else "unknown"
        amount = worst_case_nusd(card, len(request.body), ask.output_limit, ask.answers)
    if target.usd_per_request is not None:
        amount = rounded_nusd(target.usd_per_request * NANO)
    expires = now + timedelta(seconds=gateway.settings.call_timeout) + HOLD_GRACE
    return Hold(row.org_id, uuid7(), row.request_id, amount, expires, draft_text(row))
