"""A price as an operator says it (so much for input, for an image, for an hour), and the usage buckets that it prices."""

from collections.abc import Mapping
from decimal import Decimal

_HOUR = 3600
_FINEST = Decimal("1e-9")
"""What is left of a price an hour that is no whole fraction for a million seconds, as in the price book."""

_FOLLOWS: Mapping[str, tuple[str, ...]] = {
    "input_usd": ("in_text", "in_image", "in_audio", "in_video", "in_tool", "embed"),
    "output_usd": ("out_text", "out_reasoning", "out_audio", "out_image", "out_rejected_prediction"),
    "cache_read": ("cache_read", "cache_read_audio", "cache_read_image"),
    "cache_write": ("cache_write_5m", "cache_write_other"),
    "cache_write_1h": ("cache_write_1h",),
}
"""What is said, and the buckets of tokens that it prices where nothing names them."""

_STANDS_IN = (("cache_read", "input_usd"), ("cache_write", "input_usd"), ("cache_write_1h", "cache_write"))
"""What is left out, and the one whose price it then has; in this order."""


def rates_of(prices: Mapping[str, Decimal | None]) -> dict[str, Decimal]:
    """USD per million units of each bucket that these price; None stands for what was not said.

    Their names are those of `vis price set`: input_usd, output_usd, cache_read, cache_write, cache_write_1h, characters,
    audio_hour, image, code_session, web_search, file_search.
    """
    given = dict(prices)
    for option, stand_in in _STANDS_IN:
        if given[option] is None:
            given[option] = given[stand_in]
    rates = {
        bucket: usd
        for option, buckets in _FOLLOWS.items()
        if (usd := given[option]) is not None
        for bucket in buckets
    }
    others = {
        "chars": (prices["characters"], Decimal(1)),
        "seconds_in": (prices["audio_hour"], Decimal(1_000_000) / _HOUR),
        "images": (prices["image"], Decimal(1_000_000)),
        "code_session": (prices["code_session"], Decimal(1_000_000)),
        "web_search": (prices["web_search"], Decimal(1000)),
        "file_search": (prices["file_search"], Decimal(1000)),
    }
    return rates | {bucket: _times(usd, times) for bucket, (usd, times) in others.items() if usd is not None}


def _times(usd: Decimal, times: Decimal) -> Decimal:
    return (usd * times).quantize(_FINEST).normalize() if times % 1 else usd * times
