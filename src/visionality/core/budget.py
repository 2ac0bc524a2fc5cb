"""The worst case of a call: what must be held before it leaves.

A token is at least one byte of the request, so the body's length bounds the input; the output is bounded by the
client's limit or, where there is none, by the model's window. Each is multiplied by the dearest rate that can
apply, and the sum is rounded up.
"""

from decimal import ROUND_CEILING, Decimal, localcontext

from visionality.core.money import EXACT, LARGEST_NUSD
from visionality.core.pricing import NUSD_PER_UNIT, RateCard

OUTPUT_TOKENS_WITHOUT_LIMIT = 128_000
"""The largest output window that a provider offers by default; used when a request states no limit."""

_INPUT = (
    "in_text",
    "in_image",
    "in_audio",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_other",
)
_OUTPUT = ("out_text", "out_reasoning", "out_audio", "out_rejected_prediction")


def worst_case_nusd(card: RateCard | None, body_bytes: int, output_limit: int | None) -> int:
    """The most this call can cost, in nano-USD, rounded up; 0 when its price is unknown."""
    if card is None:
        return 0
    rates = card.usd_per_million
    dearest_in = max((rates[bucket] for bucket in _INPUT if bucket in rates), default=Decimal(0))
    dearest_out = max((rates[bucket] for bucket in _OUTPUT if bucket in rates), default=Decimal(0))
    output = OUTPUT_TOKENS_WITHOUT_LIMIT if output_limit is None else output_limit
    with localcontext(EXACT):
        exact = (body_bytes * dearest_in + output * dearest_out) * NUSD_PER_UNIT
    return min(int(exact.to_integral_value(rounding=ROUND_CEILING)), LARGEST_NUSD)
