"""After a call: usage times rates is cost, and the row is final."""

from datetime import timedelta

from visionality.core.call import Headers, clean
from visionality.core.family import model_family
from visionality.core.money import NANO, rounded_nusd
from visionality.core.pricing import cost_of
from visionality.core.row import Row
from visionality.core.usage import Metered, Usage
from visionality.gateway.admit import Upstream
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Hold
from visionality.runtime.ids import uuid7

NOTHING = Metered(Usage(), "none")
_UPSTREAM_IDS = frozenset({b"request-id", b"x-request-id", b"x-amzn-requestid", b"apim-request-id"})
REST_STANDS = timedelta(minutes=15)
"""How long the uncertain rest of an estimated call stays held, for a true-up to come."""


def stamp(gateway: Gateway, row: Row, started: float) -> None:
    """Give a finished row its id, its time and its latency."""
    row.created_at = gateway.clock()
    row.id = uuid7()
    row.latency_ms = round((gateway.now() - started) * 1000)


def price(gateway: Gateway, row: Row, target: Target, upstream: Upstream, metered: Metered) -> None:
    """Write usage and money into the row, priced by the model and tier that were served."""
    usage = metered.usage
    requested = row.model_requested
    row.model_used = metered.model or (upstream.models.get(requested, requested) if requested else None)
    row.model_family = model_family(row.model_used)
    row.served_tier = ",".join(sorted(metered.tier.values())) if metered.tier else None
    counts = usage.counts()
    row.usage = counts or None
    row.raw_usage = metered.raw_usage
    row.usage_source = metered.source
    row.input_tokens = usage.input_tokens
    row.cache_read_tokens = usage.cache_read_tokens
    row.cache_write_tokens = usage.cache_write_tokens
    row.output_tokens = usage.output_tokens
    row.reasoning_tokens = usage.out_reasoning
    row.finish = row.finish or metered.finish
    if metered.problem:
        row.tags = {**(row.tags or {}), "usage_problem": metered.problem}
    if target.route.kind == "free":
        row.price_state = "free"
        return
    if row.model_used is None or metered.source == "none":
        row.price_state = "known"
        return
    if target.provider.states_cost and metered.stated_usd is not None:
        row.cost_nusd = row.billed_nusd = rounded_nusd(metered.stated_usd * NANO)
        row.price_state = "known"
        row.rates = {"source": f"{target.provider.name}: the cost in its answer"}
        return
    card = gateway.books[row.org_id].card(
        target.provider.price_list, row.model_used, gateway.clock(), metered.tier, usage.total_input_tokens
    )
    priced = cost_of(counts, card)
    row.cost_nusd = row.billed_nusd = priced.cost_nusd
    row.price_state = priced.state
    row.price_version = priced.version
    row.rates = priced.rates


def unpriced(gateway: Gateway, row: Row, started: float) -> None:
    """A fault of ours in the pricing: the row stands all the same, and says that its cost is not known."""
    row.decision, row.reason = "failed", "internal_error"
    row.cost_nusd = row.billed_nusd = 0
    row.price_state = "unknown"
    row.usage = row.rates = row.raw_usage = None
    row.usage_source = "none"
    stamp(gateway, row, started)


def rest_of(row: Row, hold: Hold, gateway: Gateway) -> Hold | None:
    """What stays held after an estimate: the difference up to the worst case. Holds are not freed on a guess."""
    if row.usage_source != "tokenizer_estimate" or hold.amount_nusd <= row.cost_nusd:
        return None
    return Hold(
        row.org_id, uuid7(), row.request_id, hold.amount_nusd - row.cost_nusd, gateway.clock() + REST_STANDS
    )


def upstream_id(headers: Headers) -> str | None:
    """The provider's own id of the call."""
    for name, value in headers:
        if name in _UPSTREAM_IDS:
            return clean(value.decode("latin-1"), 128)
    return None
