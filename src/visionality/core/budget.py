"""The worst case of a call: what must be held before it leaves.

A token or a character is at least one byte of the request, so the body's length bounds the input; the output is
bounded by the client's limit or, where there is none, by the model's window; images by how many are asked for. Each is
multiplied by the dearest rate that can apply, and the sum is rounded up.
"""

from visionality.core.money import LARGEST_NUSD
from visionality.core.pricing import RateCard

OUTPUT_TOKENS_WITHOUT_LIMIT = 128_000
"""The largest output window that a provider offers by default; used when a request states no limit."""
AUDIO_BYTES_A_SECOND = 16
"""The least that a second of audio takes in a request.

Opus is the leanest of the formats that transcription accepts. Its packets last 120 ms at most (RFC 6716 section 3.2.5),
and one of silence still has a byte, with another for its length in the container (RFC 3533 section 6): 16.7 bytes.
Speech takes 750 and more. A file made to be emptier than any encoder makes it can cost more than was held.
"""


def worst_case_nusd(card: RateCard | None, body_bytes: int, output_limit: int | None, images: int = 1) -> int:
    """The most this call can cost, in nano-USD, rounded up; 0 when its price is unknown."""
    if card is None:
        return 0
    output = OUTPUT_TOKENS_WITHOUT_LIMIT if output_limit is None else output_limit
    seconds = -(-body_bytes // AUDIO_BYTES_A_SECOND)
    exact = body_bytes * (card.dearest_input + card.nusd.get("chars", 0))
    exact += output * card.dearest_output
    exact += seconds * card.nusd.get("seconds_in", 0) + images * card.nusd.get("images", 0)
    return min(-(-exact // card.scale), LARGEST_NUSD)
