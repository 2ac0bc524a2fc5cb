"""Numbers as the pages write them: exact, grouped by thousands, and split at the decimal point to align there."""

from dataclasses import dataclass

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
