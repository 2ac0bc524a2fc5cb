"""Money is whole nano-US-dollars inside and a decimal string at the edge.

One nano-dollar is a billionth of a dollar: fine enough that a single token of the cheapest model is a whole
number or a short fraction, small enough that a 64-bit integer holds nine billion dollars.
"""

from decimal import ROUND_HALF_EVEN, Context, Decimal

NANO = 1_000_000_000
LARGEST_NUSD = 2**63 - 1
"""What the ledger's columns hold."""

EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)
"""Arithmetic in which no product or sum of a row is rounded; the default context has 28 digits only."""
_UNIT = Decimal(1)


def usd(nusd: int) -> str:
    """The amount in dollars, exact, without trailing zeros: 3_400_000 is "0.0034"."""
    sign = "-" if nusd < 0 else ""
    whole, part = divmod(abs(nusd), NANO)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")


def rounded_nusd(exact: Decimal) -> int:
    """The one rounding of a row: half even, to a whole nano-dollar."""
    return int(exact.quantize(_UNIT, context=EXACT))


def rounded_quotient(dividend: int, divisor: int) -> int:
    """The same rounding for a fraction of integers; the divisor is positive."""
    whole, rest = divmod(dividend, divisor)
    return whole + (2 * rest > divisor or (2 * rest == divisor and whole % 2))
