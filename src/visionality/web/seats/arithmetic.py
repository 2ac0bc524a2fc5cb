"""The price of a row, done again from the row alone: usage times rates, line by line."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from visionality.core.money import usd
from visionality.core.pricing import recomputed_nusd
from visionality.core.usage import Usage
from visionality.ledger.reader import Record
from visionality.web.seats.figures import Amount, dollars

_MILLION = Decimal(1_000_000)
_ORDER = {bucket: place for place, bucket in enumerate(Usage.__struct_fields__)}


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One bucket: `count` units at `rate` USD per million."""

    bucket: str
    count: str
    rate: str
    usd: Amount


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The sum, its one rounding to a billionth of a dollar, and whether that is what the row says."""

    lines: list[PriceLine]
    exact: Amount
    rounded: Amount
    stored: Amount
    source: str

    @property
    def was_rounded(self) -> bool:
        return str(self.exact) != str(self.rounded)

    @property
    def agrees(self) -> bool:
        return str(self.rounded) == str(self.stored)


def arithmetic(row: Record) -> Arithmetic | None:
    """None when the row does not hold what a sum needs: no usage, or no rate for all of it, or a cost that was stated."""
    usage: dict[str, int] = row["usage"] or {}
    rates: dict[str, str] = row["rates"] or {}
    try:
        priced = [(bucket, usage[bucket], Decimal(rates[bucket])) for bucket in sorted(usage, key=_place)]
        recomputed = recomputed_nusd(usage, rates)
    except (KeyError, InvalidOperation):
        return None
    if not priced:
        return None
    return Arithmetic(
        lines=[
            PriceLine(bucket, f"{count:,}", rates[bucket], _plain(count * rate / _MILLION))
            for bucket, count, rate in priced
        ],
        exact=_plain(sum((count * rate for _, count, rate in priced), Decimal(0)) / _MILLION),
        rounded=dollars(usd(recomputed)),
        stored=dollars(usd(row["cost_nusd"])),
        source=rates.get("source", ""),
    )


def _place(bucket: str) -> tuple[int, str]:
    return _ORDER.get(bucket, len(_ORDER)), bucket


def _plain(value: Decimal) -> Amount:
    text = f"{value:f}"
    return dollars(text.rstrip("0").rstrip(".") if "." in text else text)
