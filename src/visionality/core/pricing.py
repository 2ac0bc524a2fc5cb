"""Usage times rate card is cost, exactly.

A rate card holds what one bucket costs, already resolved for the model, the moment, the tier and the size of the
input, in USD per million units. The row keeps the card, so the sum can be done again from the row alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Literal

from visionality.core.money import EXACT, LARGEST_NUSD, rounded_nusd
from visionality.core.usage import Usage

PriceState = Literal["known", "unknown", "free"]

NUSD_PER_UNIT = Decimal(1000)
"""1 USD per million units is 1,000 nano-USD per unit."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """USD per million units of each bucket that can be priced; `version` is the price book's."""

    usd_per_million: Mapping[str, Decimal]
    version: int
    source: str


@dataclass(frozen=True, slots=True)
class Price:
    """What a call cost. `rates` are the applied lines: bucket -> USD per million units, decimal strings."""

    cost_nusd: int
    state: PriceState
    version: int | None = None
    rates: Mapping[str, str] | None = None


FREE = Price(0, "free")
UNKNOWN = Price(0, "unknown")


def cost(usage: Usage, card: RateCard | None) -> Price:
    """The price of a usage vector. Unknown, and never zero by silence, when a used bucket has no rate."""
    if card is None:
        return UNKNOWN
    counts = usage.counts()
    rates = card.usd_per_million
    if not counts.keys() <= rates.keys():
        return Price(0, "unknown", card.version, None)
    cost_nusd = rounded_nusd(_exact_nusd(counts, rates))
    if cost_nusd > LARGEST_NUSD:  # no call costs nine billion dollars: the counts or the rates are nonsense
        return Price(0, "unknown", card.version, None)
    lines = {bucket: f"{rates[bucket]:f}" for bucket in counts}
    return Price(cost_nusd, "known", card.version, lines | {"source": card.source})


def recomputed_nusd(counts: Mapping[str, int], rates: Mapping[str, str]) -> int:
    """The cost of a row from what the row stores, for whoever does not believe it."""
    return rounded_nusd(_exact_nusd(counts, {bucket: Decimal(rates[bucket]) for bucket in counts}))


def _exact_nusd(counts: Mapping[str, int], rates: Mapping[str, Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum((count * rates[bucket] for bucket, count in counts.items()), Decimal(0)) * NUSD_PER_UNIT
