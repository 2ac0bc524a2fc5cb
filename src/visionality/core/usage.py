"""The usage vector: what a call consumed, in disjoint buckets.

Providers count in two conventions: the totals of OpenAI and Gemini include cached tokens, those of Anthropic
and Bedrock exclude them. They meet here and nowhere else: after this file no two buckets overlap, so a cost is a
plain sum (docs/metering.md).
"""

from decimal import Decimal
from typing import Literal

import msgspec

UsageSource = Literal[
    "provider_final",  # the provider's own report, complete
    "batch_result",  # its report too, in a line of a batch's results
    "provider_partial",  # its report, but the answer broke off before the last word
    "tokenizer_estimate",  # counted by us, because no report came
    "reservation_ceiling",  # the worst case of the call: nobody knows what happened
    "none",  # nothing was consumed, or nothing is known to have been
]

INPUT = (
    "in_text",
    "in_image",
    "in_audio",
    "in_video",
    "in_tool",
    "embed",
    "cache_read",
    "cache_read_audio",
    "cache_read_image",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_other",
)
OUTPUT = ("out_text", "out_reasoning", "out_audio", "out_image", "out_rejected_prediction")
"""The buckets that hold tokens, by the side they are on."""

TOKEN_LIMIT = 10**9
"""A count above this is not a count: no context window comes near it, and its cost still fits a ledger column."""


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Disjoint counts: tokens, but for the seconds of audio, the characters, images, searches and sessions at the end."""

    in_text: int = 0
    in_image: int = 0
    in_audio: int = 0
    in_video: int = 0
    in_tool: int = 0
    embed: int = 0
    cache_read: int = 0
    cache_read_audio: int = 0
    cache_read_image: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_write_other: int = 0
    out_text: int = 0
    out_reasoning: int = 0
    out_audio: int = 0
    out_image: int = 0
    out_rejected_prediction: int = 0
    seconds_in: int = 0
    chars: int = 0
    images: int = 0
    web_search: int = 0
    file_search: int = 0
    code_session: int = 0

    @property
    def input_tokens(self) -> int:
        """Fresh input of every modality, what tools brought in and what was embedded included."""
        fresh = self.in_text + self.in_image + self.in_audio + self.in_video
        return fresh + self.in_tool + self.embed

    @property
    def cache_read_tokens(self) -> int:
        return self.cache_read + self.cache_read_audio + self.cache_read_image

    @property
    def cache_write_tokens(self) -> int:
        return self.cache_write_5m + self.cache_write_1h + self.cache_write_other

    @property
    def output_tokens(self) -> int:
        """All output, reasoning and rejected predictions included."""
        said = self.out_text + self.out_reasoning + self.out_audio + self.out_image
        return said + self.out_rejected_prediction

    @property
    def total_input_tokens(self) -> int:
        """Fresh and cached input: what long-context thresholds are measured on."""
        fresh = self.in_text + self.in_image + self.in_audio + self.in_video + self.in_tool + self.embed
        read = self.cache_read + self.cache_read_audio + self.cache_read_image
        return fresh + read + self.cache_write_5m + self.cache_write_1h + self.cache_write_other

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))

    def counts(self) -> dict[str, int]:
        """The buckets that are not zero, by name."""
        counts: dict[str, int] = msgspec.to_builtins(self)  # which leaves out what is as declared
        return counts


class Metered(msgspec.Struct, frozen=True):
    """What a reader learned from the bytes of one answer."""

    usage: Usage
    source: UsageSource
    model: str | None = None
    tier: dict[str, str] = {}
    """What the provider says it served and what changes the price: service_tier, processing, speed."""
    raw_usage: str | None = None
    """The provider's own words, at most 8 KiB."""
    finish: str | None = None
    problem: str | None = None
    """Set when the provider's numbers contradict each other."""
    stated_usd: Decimal | None = None
    """What the provider says that the call cost."""
    answer_id: str | None = None
    """The provider's name for this answer, where it can be asked for it again."""
    otherwise: Usage | None = None
    """The same call counted in other units, for a model that is priced by those."""


def count(value: object) -> int:
    """A token count out of a provider's JSON; anything that is no sane count reads as 0."""
    return counted(value) or 0


def counted(value: object) -> int | None:
    """A token count out of a provider's JSON, or None for what is none. 12.0 is the JSON number 12."""
    if type(value) is int and 0 <= value <= TOKEN_LIMIT:
        return value
    if not isinstance(value, float) or not 0 <= value <= TOKEN_LIMIT:
        return None
    return int(value) if value == int(value) else None
