"""What one unit costs: the operator's overrides first, then the bundled snapshot of `genai-prices`.

The snapshot is pinned with the package and never fetched. It brings dated prices, long-context tiers (crossing one
reprices the whole request) and variants for service tiers; here they become a `RateCard`, one plain rate a bucket.
A context that the snapshot does not know is answered with "unknown", never with the standard price.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from visionality.core.pricing import RateCard

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ConditionalPrice, ModelInfo, TieredPrices

SNAPSHOT = f"genai-prices {version('genai-prices')}"
SNAPSHOT_VERSION = 1
"""The price version of the bundled snapshot alone; an override takes the next number."""

STANDARD = frozenset({"default", "standard", "auto", "sync", "on_demand", "global"})
"""What providers call the tier that the plain price is for."""

UPLIFTS: Mapping[tuple[str, str, str], Decimal] = {("anthropic", "inference_geo", "us"): Decimal("1.1")}
"""Factors on every token price that the snapshot does not know.

Anthropic's pricing page, "Data residency pricing": inference in the US only costs 1.1 times the standard price.
"""

_PRICE_KEYS: dict[str, tuple[str, ...]] = {
    "in_text": ("input_text_mtok", "input_mtok"),
    "in_image": ("input_image_mtok", "input_mtok"),
    "in_audio": ("input_audio_mtok", "input_mtok"),
    "in_video": ("input_video_mtok", "input_mtok"),
    "in_tool": ("input_text_mtok", "input_mtok"),
    "embed": ("input_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_read_audio": ("cache_audio_read_mtok", "cache_read_mtok", "input_audio_mtok", "input_mtok"),
    "cache_read_image": ("cache_image_read_mtok", "cache_read_mtok", "input_image_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_other": ("cache_write_mtok", "input_mtok"),
    "out_text": ("output_text_mtok", "output_mtok"),
    "out_reasoning": ("output_reasoning_mtok", "output_mtok"),
    "out_audio": ("output_audio_mtok", "output_mtok"),
    "out_image": ("output_image_mtok", "output_mtok"),
    "out_rejected_prediction": ("output_mtok",),
    "seconds_in": ("input_audio_hours", "audio_hours"),
    "chars": ("input_mchars",),
    "images": (),
    "web_search": ("web_searches_kcount",),
    "file_search": ("storage_searches_kcount",),
    "code_session": (),
}
"""Bucket -> the snapshot's price keys, the nearest first; a missing special price falls back to the general one.

It prices no image by the piece: what they cost depends on size and quality, so that is the operator's to say.
"""

BUCKETS = tuple(_PRICE_KEYS)

_SOUND = frozenset({"in_audio", "cache_read_audio", "out_audio"})
_TALKS = re.compile(r"audio|realtime")
"""OpenAI's models that speak and write: sound costs many times the text there, so the general price is never the sound's."""

WINDOW_UNKNOWN = 2_000_000
"""Tokens of input: the largest window that a vendor offers at its own address; of a model whose window nobody states."""
_ROUNDED = (21, 20)
"""How far a window may be above what the snapshot states, which has 1,000,000 for 1,048,576 and 128,000 for 131,072."""

_DATE = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2})$")
_MINUTE = 60
CACHED = 4096
"""Look-ups that are remembered of each kind; clients make names up, so there must be an end."""
_ONE = Decimal(1)
_PLAIN: frozenset[tuple[str, str]] = frozenset()
"""The context of a call that was served as usual."""
_NOT_TOKENS = frozenset({"seconds_in", "chars", "images", "web_search", "file_search", "code_session"})
_FINEST = Decimal("1e-9")


@dataclass(frozen=True, slots=True, eq=False)
class Override:
    """An operator's dated price: USD per million units of each bucket that it names."""

    version: int
    provider: str
    model: str
    usd_per_million: Mapping[str, Decimal]
    effective_from: datetime
    source: str


class PriceBook:
    """Immutable: a change of prices is a new book with a higher version."""

    def __init__(self, overrides: Iterable[Override] = ()) -> None:
        self._overrides: dict[tuple[str, str], list[Override]] = {}
        self.version = SNAPSHOT_VERSION
        for override in sorted(overrides, key=lambda o: (o.effective_from, o.version)):
            self._overrides.setdefault((override.provider, override.model.lower()), []).append(override)
            self.version = max(self.version, override.version)
        self._overridden = lru_cache(CACHED)(self._overridden_card)
        self._bands = lru_cache(CACHED)(self._bands_in)
        self._dearest = lru_cache(CACHED)(self._dearest_in)

    def card(
        self, provider: str, model: str, at: datetime, tier: Mapping[str, str], total_input_tokens: int
    ) -> RateCard | None:
        """The rates that apply, or None when nobody knows them. `tier` is what the provider said it served."""
        context = _PLAIN
        if tier:
            context = frozenset([(name, value) for name, value in tier.items() if value not in STANDARD])
        if self._overrides and all((provider, *pair) in UPLIFTS for pair in context):
            override = self._override(provider, model.lower(), at)
            if override is not None:
                return self._overridden(override, _uplift(provider, context))
        bands = self._bands(provider, model, context, int(at.timestamp()) // _MINUTE)
        return bands.at(total_input_tokens) if bands else None

    def dearest(self, provider: str, model: str, at: datetime) -> RateCard | None:
        """For a reservation: each bucket at its dearest over all tiers, times of day and sizes of input."""
        override = self._override(provider, model.lower(), at) if self._overrides else None
        return self._dearest(provider, model, int(at.timestamp()) // _MINUTE, override)

    def _overridden_card(self, override: Override, uplift: Decimal) -> RateCard:
        lines = _lifted(override.usd_per_million, uplift)
        return RateCard(lines, self.version, f"override {override.version}: {override.source}")

    def _bands_in(
        self, provider: str, model: str, context: frozenset[tuple[str, str]], minute: int
    ) -> "_Bands | None":
        rates = _rates(provider, model, context, minute)
        if rates is None:
            return None
        cards = tuple(RateCard(card, self.version, rates.source) for card in rates.cards)
        return _Bands(rates.starts, cards)

    def _dearest_in(
        self, provider: str, model: str, minute: int, override: Override | None
    ) -> RateCard | None:
        rates = dict(_dearest(provider, model, minute))
        if override:
            for bucket, rate in _lifted(override.usd_per_million, _highest_uplift(provider)).items():
                rates[bucket] = max(rate, rates.get(bucket, rate))
        return RateCard(rates, self.version, "the dearest of each bucket") if rates else None

    def _override(self, provider: str, model: str, at: datetime) -> Override | None:
        """The newest override in force: of this very name, else of the name without its snapshot's date."""
        for name in dict.fromkeys((model, _DATE.sub("", model))):
            for override in reversed(self._overrides.get((provider, name), ())):
                if override.effective_from <= at:
                    return override
        return None


@dataclass(frozen=True, slots=True)
class _Rates:
    """All sizes of input at once: `cards[n]` holds from above `starts[n - 1]` up to and with `starts[n]`."""

    starts: tuple[int, ...]
    cards: tuple[Mapping[str, Decimal], ...]
    source: str


@dataclass(frozen=True, slots=True)
class _Bands:
    """The same as rate cards of one book."""

    starts: tuple[int, ...]
    cards: tuple[RateCard, ...]

    def at(self, total_input_tokens: int) -> RateCard:
        return self.cards[bisect_left(self.starts, total_input_tokens)]


def snapshot() -> "DataSnapshot":
    """The bundled snapshot. The first call takes a fifth of a second: a gateway makes it while its door opens."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 -- nearly half of what a gateway loads

    return get_snapshot()


@lru_cache(CACHED)
def _model(provider: str, model: str) -> "ModelInfo | None":
    """The snapshot's model. Not by its own look-up, whose caches grow with every name that a client makes up.

    Nor by its matching of providers: a server of one's own that is named `my-openai` does not cost what OpenAI costs.
    """
    bundled = snapshot()
    found = next((one for one in bundled.providers if one.id == provider), None)
    return None if found is None else found.find_model(model, all_providers=bundled.providers)


@lru_cache(CACHED)
def context_window(provider: str, model: str) -> int:
    """How many tokens of input a model takes, at most.

    Where its price changes only beyond the window that the snapshot states, that window is not the largest one.
    """
    info = _model(provider, model)
    if info is None or not info.context_window:
        return WINDOW_UNKNOWN
    prices = [one.prices for one in info.prices] if isinstance(info.prices, list) else [info.prices]
    starts = [
        tier.start for each in prices for rate in vars(each).values() for tier in getattr(rate, "tiers", ())
    ]
    if max(starts, default=0) >= info.context_window:
        return WINDOW_UNKNOWN
    above, below = _ROUNDED
    return info.context_window * above // below


@lru_cache(CACHED)
def _rates(provider: str, model: str, context: frozenset[tuple[str, str]], minute: int) -> _Rates | None:
    """The snapshot's rates in a minute of UTC (no price in it changes within one), or None."""
    info = _model(provider, model)
    if info is None:
        return None
    at = datetime.fromtimestamp(minute * _MINUTE, UTC)
    named = {(name, value) for name, value in context if (provider, name, value) not in UPLIFTS}
    if not named <= _priced_contexts(info, at, dict(named)):
        return None
    prices = info.get_prices(at, dict(named))
    if prices.requests_kcount is not None:
        return None
    return _compiled(prices, _uplift(provider, context), f"{SNAPSHOT}: {info.id}", _apart(provider, info))


def _uplift(provider: str, context: Iterable[tuple[str, str]]) -> Decimal:
    return math.prod((UPLIFTS.get((provider, *pair), _ONE) for pair in context), start=_ONE)


def _lifted(card: Mapping[str, Decimal], uplift: Decimal) -> Mapping[str, Decimal]:
    if uplift == 1:
        return card
    return {bucket: rate if bucket in _NOT_TOKENS else rate * uplift for bucket, rate in card.items()}


def _priced_contexts(info: "ModelInfo", at: datetime, context: Mapping[str, str]) -> set[tuple[str, str]]:
    """What of a context the snapshot has a price for. It would fall back to the standard price in silence."""
    return {
        pair
        for variant in info.price_variants or ()
        if (variant.constraint is None or variant.constraint.active(at))
        and variant.when.items() <= context.items()
        for pair in variant.when.items()
    }


@lru_cache(CACHED)
def _dearest(provider: str, model: str, minute: int) -> Mapping[str, Decimal]:
    info = _model(provider, model)
    if info is None:
        return {}
    at = datetime.fromtimestamp(minute * _MINUTE, UTC)
    standard = info.get_prices(at)
    if standard.requests_kcount is not None:
        return {}
    priced = [standard, *(info.get_prices(at, variant.when) for variant in info.price_variants or ())]
    if isinstance(info.prices, list):
        priced += [one.prices for one in info.prices if _is_of_the_day(one)]
    uplift = _highest_uplift(provider)
    rates: dict[str, Decimal] = {}
    for prices in priced:
        for card in _compiled(prices, uplift, "", _apart(provider, info)).cards:
            for bucket, rate in card.items():
                rates[bucket] = max(rate, rates.get(bucket, rate))
    return MappingProxyType(rates)


def _highest_uplift(provider: str) -> Decimal:
    return max((factor for key, factor in UPLIFTS.items() if key[0] == provider), default=_ONE)


def _is_of_the_day(price: "ConditionalPrice") -> bool:
    from genai_prices.types import TimeOfDateConstraint  # noqa: PLC0415 -- as above

    return isinstance(price.constraint, TimeOfDateConstraint)


def _apart(provider: str, info: "ModelInfo") -> frozenset[str]:
    """The buckets that have a price of their own at this model, or none that is known."""
    return _SOUND if provider in {"openai", "azure"} and _TALKS.search(info.id) else frozenset()


def _compiled(prices: Any, uplift: Decimal, source: str, apart: frozenset[str]) -> _Rates:
    chosen = {
        bucket: found
        for bucket, keys in _PRICE_KEYS.items()
        if (found := _nearest(prices, keys[:1] if bucket in apart else keys))
    }
    tiered = [price for _, price in chosen.values() if not isinstance(price, Decimal)]
    starts = sorted({tier.start for price in tiered for tier in price.tiers})
    cards = []
    for total in [0, *(start + 1 for start in starts)]:
        card = {bucket: _per_million(key, _tiered(price, total)) for bucket, (key, price) in chosen.items()}
        cards.append(MappingProxyType(_lifted(card, uplift)))
    return _Rates(tuple(starts), tuple(cards), source)


def _per_million(key: str, price: Decimal) -> Decimal:
    """A price of the snapshot for a million units. One an hour is rounded to a billionth of a dollar for as many seconds."""
    unit = key.rpartition("_")[2]
    if unit == "kcount":
        return price * 1000
    return (price * 1_000_000 / 3600).quantize(_FINEST).normalize() if unit == "hours" else price


def _nearest(prices: Any, keys: tuple[str, ...]) -> "tuple[str, Decimal | TieredPrices] | None":
    for key in keys:
        if (price := getattr(prices, key, None)) is not None:
            return key, price
    return None


def _tiered(price: "Decimal | TieredPrices", total_input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    passed = [tier.price for tier in price.tiers if total_input_tokens > tier.start]
    return passed[-1] if passed else price.base
