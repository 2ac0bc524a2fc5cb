"""Numbers as the pages write them: exact, grouped by thousands, and split at the decimal point to align there."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from visionality.core.money import usd


@dataclass(frozen=True, slots=True)
class Amount:
    """US dollars, exact: "1,234" and ".0034"; the second is empty for a whole amount."""

    whole: str
    part: str

    def __str__(self) -> str:
        return self.whole + self.part


def amount(nusd: int) -> Amount:
    return dollars(usd(nusd))


def dollars(text: str) -> Amount:
    """An amount out of a decimal string, as the reader gives it."""
    whole, point, part = text.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return Amount(f"{sign}{int(whole.lstrip('-')):,}", point + part)


def counted(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def duration(milliseconds: int | None) -> str:
    """Milliseconds up to ten seconds, then seconds and tenths: "840 ms", "12.4 s"."""
    if milliseconds is None:
        return ""
    if milliseconds < 10_000:
        return f"{milliseconds:,} ms"
    return f"{milliseconds // 1000:,}.{milliseconds % 1000 // 100} s"


def cents(nusd: int) -> Amount:
    """Rounded half even to whole cents, for a figure that is read at a glance: "4,237" and ".18".

    What is not nothing never reads as nothing: less than a cent is given exactly.
    """
    rounded = (Decimal(nusd) / 10**9).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
    return amount(nusd) if nusd and not rounded else dollars(f"{rounded:f}")


def short(nusd: int) -> str:
    """A round figure for an axis: "1,600", "2.5", "120k", "4M"."""
    for size, least, unit in ((10**6, 10**6, "M"), (10**3, 10**4, "k")):
        if nusd >= least * 10**9 and nusd % (size * 10**8) == 0:
            return _plain(nusd, size * 10**9) + unit
    return _plain(nusd, 10**9)


def percent(part: int, whole: int) -> str:
    """Rounded to a tenth: "12.5 %"; a dash where there is no whole."""
    if not whole:
        return "–"
    share = (Decimal(part) * 100 / whole).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    return f"{share:f}".removesuffix(".0") + "\N{NO-BREAK SPACE}%"


def _plain(nusd: int, unit: int) -> str:
    text = f"{Decimal(nusd) / unit:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
