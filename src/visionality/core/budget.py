"""The worst case of a call: what must be held before it leaves.

A token is at least one byte of the request, so the body's length bounds the input; the output is bounded by the
client's limit or, where there is none, by the model's window. Each is multiplied by the dearest rate that can
apply, and the sum is rounded up.
"""

from visionality.core.money import LARGEST_NUSD
from visionality.core.pricing import RateCard

OUTPUT_TOKENS_WITHOUT_LIMIT = 128_000
"""The largest output window that a provider offers by default; used when a request states no limit."""


def worst_case_nusd(card: RateCard | None, body_bytes: int, output_limit: int | None) -> int:
    """The most this call can cost, in nano-USD, rounded up; 0 when its price is unknown."""
    if card is None:
        return 0
    output = OUTPUT_TOKENS_WITHOUT_LIMIT if output_limit is None else output_limit
    exact = body_bytes * card.dearest_input + output * card.dearest_output
    return min(-(-exact // card.scale), LARGEST_NUSD)
