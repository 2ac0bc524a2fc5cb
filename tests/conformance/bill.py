"""What the product bills for a reading: its own last step (gateway/settle.py), with no call around it."""

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from types import SimpleNamespace

from conformance.wire import Wire
from visionality.core.money import NANO
from visionality.core.row import NIL, Row
from visionality.core.usage import Metered
from visionality.gateway import settle
from visionality.gateway.providers import Route
from visionality.gateway.routes import Target
from visionality.pricebook.book import PriceBook

AT = datetime(2026, 11, 1, tzinfo=UTC)
"""The moment that every fixture is priced at, from the list that is pinned with the product."""

_GATEWAY = SimpleNamespace(books={NIL: PriceBook()})


def billed(wire: Wire, metered: Metered) -> Row:
    """The row of a reading: its units, rates and cost."""
    provider = wire.provider
    route = Route("POST", "", "", wire.dialect, "model_call")
    row = Row(
        org_id=NIL,
        request_id=NIL,
        provider=provider.name,
        dialect=wire.dialect.name,
        model_requested=wire.asked,
    )
    deployments = {wire.asked: wire.cost.model} if provider.serves_deployments else {}
    target, upstream = Target(provider, route, ""), SimpleNamespace(models=deployments)
    settle.price(_GATEWAY, row, target, upstream, metered, AT)
    return row


def expected_nusd(wire: Wire) -> int:
    """The cost that a fixture names, in nano-USD; 0 where it is not known."""
    return int(Decimal(wire.cost.usd or "0") * NANO)


def summed_nusd(wire: Wire) -> int:
    """The same by plain arithmetic: units times USD per million, rounded half even once."""
    million_times_usd = sum(count * Decimal(wire.cost.rates[bucket]) for bucket, count in wire.billed.items())
    return int((million_times_usd * NANO / 10**6).quantize(Decimal(1), ROUND_HALF_EVEN))
