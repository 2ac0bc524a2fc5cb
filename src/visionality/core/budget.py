"""The worst case of a call: what must be held before it leaves.

A token or a character is at least one byte of the request, so the body's length bounds the input that is text; its
`reach` says what else it can be billed for (gateway/dialects/reach). The output is bounded by the client's limit or,
where there is none, by the model's window; images by how many are asked for. Each is multiplied by the dearest rate that
can apply, and the sum is rounded up. What of this is an assumption stands in docs/metering.md.
"""

from visionality.core.call import Ask, Reach
from visionality.core.money import LARGEST_NUSD
from visionality.core.pricing import RateCard

OUTPUT_TOKENS_WITHOUT_LIMIT = 128_000
"""The largest output window that a provider offers by default; used for an answer to a request that states no limit."""
AUDIO_BYTES_A_SECOND = 16
"""The least that a second of audio takes in a request.

Opus is the leanest of the formats that transcription accepts. Its packets last 120 ms at most (RFC 6716 section 3.2.5),
and one of silence still has a byte, with another for its length in the container (RFC 3533 section 6): 16.7 bytes.
Speech takes 750 and more. A file made to be emptier than any encoder makes it can cost more than was held.
"""
_CACHE_READS = ("cache_read", "cache_read_audio", "cache_read_image")


def worst_case_nusd(card: RateCard | None, ask: Ask, body_bytes: int, window: int) -> int:
    """The most this call can cost, in nano-USD, rounded up; 0 when its price is unknown.

    `window` is how many tokens of input its model takes: it bounds what the body does not.
    """
    if card is None:
        return 0
    output = ask.output_limit
    if output is None:
        output = OUTPUT_TOKENS_WITHOUT_LIMIT * ask.answers
    exact = _without_output(card, ask, body_bytes, window) + output * _of_output(card, ask.reach)
    return min(-(-exact // card.scale), LARGEST_NUSD)


def affordable_output(card: RateCard, ask: Ask, body_bytes: int, window: int, left_nusd: int) -> int:
    """The most output tokens with which the worst case of a call stays within an amount; 0 when its input alone does not."""
    left = left_nusd * card.scale - _without_output(card, ask, body_bytes, window)
    a_token = _of_output(card, ask.reach)
    if left <= 0 or not a_token:
        return 0
    return left // a_token


def input_tokens(ask: Ask, body_bytes: int, window: int) -> int:
    """The most tokens that a call reads, over all rounds; the output of earlier rounds is not among them."""
    return _read(ask.reach, body_bytes, window) * ask.reach.rounds


def _read(reach: Reach, body_bytes: int, window: int) -> int:
    """The most tokens that one round reads."""
    seen = max(0, body_bytes + reach.tokens)
    return max(seen, window) if reach.unseen else seen


def _without_output(card: RateCard, ask: Ask, body_bytes: int, window: int) -> int:
    """What all but the output costs, in nano-USD times the card's scale."""
    reach, nusd = ask.reach, card.nusd
    rate = card.dearest_input if reach.rounds == 1 else _of_input(card, reach)
    seconds = -(-body_bytes // AUDIO_BYTES_A_SECOND)
    exact = _read(reach, body_bytes, window) * rate + body_bytes * nusd.get("chars", 0)
    exact += seconds * nusd.get("seconds_in", 0) + ask.answers * nusd.get("images", 0)
    for bucket, uses in reach.uses:
        exact += uses * nusd.get(bucket, 0)
    return exact


def _of_input(card: RateCard, reach: Reach) -> int:
    """What a token of the input costs over all rounds."""
    if reach.anew:
        return reach.rounds * card.dearest_input
    cached = max((card.nusd[name] for name in _CACHE_READS if name in card.nusd), default=card.dearest_input)
    return card.dearest_input + (reach.rounds - 1) * cached


def _of_output(card: RateCard, reach: Reach) -> int:
    """What a token of the output limit costs: as output, and where later rounds read it.

    What is unseen is taken to fill the window, so the output of earlier rounds is in it.
    """
    rounds = reach.rounds
    if rounds == 1:
        return card.dearest_output
    if reach.anew:
        read_again = 0 if reach.unseen else rounds * (rounds - 1) // 2 * card.dearest_input
        return rounds * card.dearest_output + read_again
    return card.dearest_output + (0 if reach.unseen else _of_input(card, reach))
