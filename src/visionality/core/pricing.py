"""Usage times rate card is cost, exactly.

A rate card holds what one bucket costs, already resolved for the model, the moment, the tier and the size of the
input, in USD per million units. The row keeps the card, so the sum can be done again from the row alone: costs are
summed up in integers here, and in Decimal by whoever recomputes a row.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Literal

import msgspec

from visionality.core.money import EXACT, LARGEST_NUSD, rounded_nusd, rounded_quotient
from visionality.core.usage import INPUT, OUTPUT, Usage

PriceState = Literal["known", "unknown", "free"]

STATED_BY = "stated by "
"""How the source of a row's rates begins when its cost is the provider's own statement, and no rates made it."""

NUSD_PER_UNIT = Decimal(1000)
"""1 USD per million units is 1,000 nano-USD per unit."""


@dataclass(frozen=True, slots=True)
class RateCard:
    """USD per million units of each bucket that can be priced; `version` is the price book's.

    The same rates stand ready as a row shows them (`lines`) and as integers (`nusd`), in nano-USD per unit times
    `scale`; `dearest_input` and `dearest_output` are the highest of those.
    """

    usd_per_million: Mapping[str, Decimal]
    version: int
    source: str
    lines: Mapping[str, str] = field(init=False, repr=False)
    nusd: Mapping[str, int] = field(init=False, repr=False)
    scale: int = field(init=False, repr=False)
    dearest_input: int = field(init=False, repr=False)
    dearest_output: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rates = {bucket: rate * NUSD_PER_UNIT for bucket, rate in self.usd_per_million.items()}
        scale = math.lcm(*(rate.as_integer_ratio()[1] for rate in rates.values()))
        nusd = {bucket: _times(rate, scale) for bucket, rate in rates.items()}
        derived = {
            "lines": {bucket: f"{rate:f}" for bucket, rate in self.usd_per_million.items()},
            "nusd": nusd,
            "scale": scale,
            "dearest_input": _dearest(nusd, INPUT),
            "dearest_output": _dearest(nusd, OUTPUT),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


def _times(rate: Decimal, scale: int) -> int:
    numerator, denominator = rate.as_integer_ratio()
    return numerator * (scale // denominator)


def _dearest(nusd: Mapping[str, int], buckets: Iterable[str]) -> int:
    return max((nusd[bucket] for bucket in buckets if bucket in nusd), default=0)


class Price(msgspec.Struct, frozen=True):
    """What a call cost. `rates` are the applied lines: bucket -> USD per million units, decimal strings."""

    cost_nusd: int
    state: PriceState
    version: int | None = None
    rates: dict[str, str] | None = None
    exact: tuple[int, int] | None = None
    """The cost before it was rounded, as a fraction of nano-USD, where it is a sum of usage times rates."""


UNKNOWN = Price(0, "unknown")


def cost(usage: Usage, card: RateCard | None) -> Price:
    """The price of a usage vector. Unknown, and never zero by silence, when a used bucket has no rate."""
    return cost_of(usage.counts(), card)


def cost_of(counts: Mapping[str, int], card: RateCard | None) -> Price:
    """The price of the buckets that are not zero."""
    if card is None:
        return UNKNOWN
    nusd = card.nusd
    if not counts.keys() <= nusd.keys():
        return Price(0, "unknown", card.version, None)
    exact = 0
    rates = {}
    for bucket, count in counts.items():
        exact += count * nusd[bucket]
        rates[bucket] = card.lines[bucket]
    cost_nusd = rounded_quotient(exact, card.scale)
    if cost_nusd > LARGEST_NUSD:  # no call costs nine billion dollars: the counts or the rates are nonsense
        return Price(0, "unknown", card.version, None)
    rates["source"] = card.source
    return Price(cost_nusd, "known", card.version, rates, (exact, card.scale))


def recomputed_nusd(counts: Mapping[str, int], rates: Mapping[str, str]) -> int:
    """The cost of a row from what the row stores, for whoever does not believe it."""
    return rounded_nusd(exact_nusd(counts, rates))


def exact_nusd(counts: Mapping[str, int], rates: Mapping[str, str]) -> Decimal:
    """The same before it is rounded. Raises KeyError where a rate is missing, and InvalidOperation where one is no number."""
    return _exact_nusd(counts, {bucket: Decimal(rates[bucket]) for bucket in counts})


def stated_by(rates: Mapping[str, str] | None) -> str | None:
    """Who stated the cost of a row, when it is no sum of usage times rates."""
    source = (rates or {}).get("source", "")
    return source.removeprefix(STATED_BY) if source.startswith(STATED_BY) else None


def _exact_nusd(counts: Mapping[str, int], rates: Mapping[str, Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum((count * rates[bucket] for bucket, count in counts.items()), Decimal(0)) * NUSD_PER_UNIT
