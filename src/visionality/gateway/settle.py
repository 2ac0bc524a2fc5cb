"""After a call: usage times rates is cost, and the row is final."""

import re
from datetime import datetime, timedelta

from visionality.core.allocation import bill
from visionality.core.call import Headers, clean
from visionality.core.family import model_family
from visionality.core.money import NANO, rounded_nusd, usd
from visionality.core.pricing import STATED_BY, UNKNOWN, Price, cost_of
from visionality.core.row import Row
from visionality.core.usage import Metered, Usage
from visionality.gateway.admit import Upstream
from visionality.gateway.hints import model_sent
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.ids import uuid7
from visionality.ledger.writer import Hold

NOTHING = Metered(Usage(), "none")
_UPSTREAM_IDS = frozenset({b"request-id", b"x-request-id", b"x-amzn-requestid", b"apim-request-id"})
_AMOUNT = re.compile(rb"\d{1,12}(\.\d{1,30})?([eE][+-]?\d{1,3})?")
REST_STANDS = timedelta(minutes=15)
"""How long the uncertain rest of an estimated call stays held, for a true-up to come."""


def stamp(gateway: Gateway, row: Row, started: float, now: datetime) -> None:
    """Give a finished row its id, its time and its latency."""
    row.created_at = now
    row.id = uuid7()
    row.latency_ms = round((gateway.now() - started) * 1000)


def price(
    gateway: Gateway, row: Row, target: Target, upstream: Upstream, metered: Metered, now: datetime
) -> None:
    """Write usage and money into the row, priced by the model and tier that were served, as of now."""
    sent = model_sent(row)
    row.model_used = _served(target, upstream, sent, metered.model)
    row.model_family = model_family(row.model_used)
    row.served_tier = ",".join(sorted(metered.tier.values())) if metered.tier else None
    usage, counts, priced = _priced(gateway, row, target, metered, now)
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
    row.cost_nusd = priced.cost_nusd
    bill(row, priced.exact)
    row.price_state = priced.state
    row.price_version = priced.version
    row.rates = priced.rates
    if sent != row.model_requested:
        _say_cost_as_asked(gateway, row, target, upstream, metered, now)


def _say_cost_as_asked(
    gateway: Gateway, row: Row, target: Target, upstream: Upstream, metered: Metered, now: datetime
) -> None:
    """What the same usage would have cost with the model that was asked for, before a hint."""
    asked = target.provider.model_of(row.model_requested or "", upstream.models)
    if asked is None or metered.source == "none":
        return
    book, size = gateway.books[row.org_id], metered.usage.total_input_tokens
    card = book.card(target.provider.price_list, asked, now, metered.tier, size)
    as_asked = cost_of(metered.usage.counts(), card)
    if as_asked.state == "known":
        row.tags = {**(row.tags or {}), "cost_as_asked_usd": usd(as_asked.cost_nusd)}


def _priced(
    gateway: Gateway, row: Row, target: Target, metered: Metered, now: datetime
) -> tuple[Usage, dict[str, int], Price]:
    """The usage, in the units that its model is priced in where there is a choice, its counts, and what it costs."""
    usage = metered.usage
    counts = usage.counts()
    if target.route.kind == "free":
        return usage, counts, Price(0, "free")
    if metered.source == "none":
        return usage, counts, Price(0, "known")
    if target.provider.states_cost and metered.stated_usd is not None:
        cost_nusd = rounded_nusd(metered.stated_usd * NANO)
        stated = Price(cost_nusd, "known", rates={"source": STATED_BY + target.provider.name})
        return usage, counts, stated
    if row.model_used is None:
        return usage, counts, UNKNOWN
    book, prices = gateway.books[row.org_id], target.provider.price_list
    card = book.card(prices, row.model_used, now, metered.tier, usage.total_input_tokens)
    priced = cost_of(counts, card)
    if priced.state != "known" and metered.otherwise is not None:
        other, others = metered.otherwise, metered.otherwise.counts()
        card = book.card(prices, row.model_used, now, metered.tier, other.total_input_tokens)
        priced_otherwise = cost_of(others, card)
        if priced_otherwise.state == "known":
            return other, others, priced_otherwise
    return usage, counts, priced


def _served(target: Target, upstream: Upstream, requested: str | None, answered: str | None) -> str | None:
    """The model that served a call: an answer that only repeats the name of a deployment does not say it."""
    if requested and (answered is None or (answered == requested and requested in upstream.models)):
        return target.provider.model_of(requested, upstream.models)
    return answered


def compare(row: Row, target: Target, headers: Headers) -> None:
    """Keep the cost that a proxy says, to compare ours with. It is no money: it can come before the answer's end."""
    name = target.provider.cost_header
    if not name:
        return
    said = next((value for key, value in headers if key == name), b"")
    if _AMOUNT.fullmatch(said):
        row.tags = {**(row.tags or {}), "stated_usd": said.decode()}


def unpriced(gateway: Gateway, row: Row, started: float) -> None:
    """A fault of ours in the pricing: the row stands all the same, and says that its cost is not known."""
    row.decision, row.reason = "failed", "internal_error"
    row.cost_nusd = row.billed_nusd = 0
    row.price_state = "unknown"
    row.usage = row.rates = row.raw_usage = None
    row.usage_source = "none"
    stamp(gateway, row, started, gateway.clock())


def rest_of(row: Row, hold: Hold, gateway: Gateway) -> Hold | None:
    """What stays held after an estimate: the difference up to the worst case. Holds are not freed on a guess."""
    rest_nusd = hold.amount_nusd - row.cost_nusd
    if row.usage_source != "tokenizer_estimate" or row.price_state == "unknown" or rest_nusd <= 0:
        return None
    expires = gateway.clock() + REST_STANDS
    return Hold(row.org_id, uuid7(), row.request_id, rest_nusd, expires, None, hold.windows)


def upstream_id(headers: Headers) -> str | None:
    """The provider's own id of the call."""
    for name, value in headers:
        if name in _UPSTREAM_IDS:
            return clean(value.decode("latin-1"), 128)
    return None
