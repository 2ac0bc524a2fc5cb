"""What one unit costs: the operator's overrides first, then the bundled snapshot of `genai-prices`.

The snapshot is pinned with the package and never fetched. It brings dated prices, long-context tiers (crossing one
reprices the whole request) and variants for service tiers; here they become a `RateCard`, one plain rate a bucket.
A context that the snapshot does not know is answered with "unknown", never with the standard price.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, TieredPrices

from visionality.core.pricing import RateCard

SNAPSHOT = f"genai-prices {version('genai-prices')}"
SNAPSHOT_VERSION = 1
"""The price version of the bundled snapshot alone; an override takes the next number."""

STANDARD = frozenset({"default", "standard", "auto", "sync", "on_demand"})
"""What providers call the tier that the plain price is for."""

_PRICE_KEYS: dict[str, tuple[str, ...]] = {
    "in_text": ("input_text_mtok", "input_mtok"),
    "in_image": ("input_image_mtok", "input_mtok"),
    "in_audio": ("input_audio_mtok", "input_mtok"),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_other": ("cache_write_mtok", "input_mtok"),
    "out_text": ("output_text_mtok", "output_mtok"),
    "out_reasoning": ("output_reasoning_mtok", "output_mtok"),
    "out_audio": ("output_audio_mtok", "output_mtok"),
    "out_rejected_prediction": ("output_mtok",),
    "web_search": ("web_searches_kcount",),
}
"""Bucket -> the snapshot's price keys, the nearest first; a missing special price falls back to the general one."""

BUCKETS = tuple(_PRICE_KEYS)


@dataclass(frozen=True, slots=True)
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

    def card(
        self, provider: str, model: str, at: datetime, tier: Mapping[str, str], total_input_tokens: int
    ) -> RateCard | None:
        """The rates that apply, or None when nobody knows them. `tier` is what the provider said it served."""
        context = {name: value for name, value in tier.items() if value not in STANDARD}
        for override in reversed(self._overrides.get((provider, model.lower()), ())):
            if override.effective_from <= at and not context:
                return RateCard(override.usd_per_million, self.version, f"override {override.version}: {override.source}")
        info = _model(provider, model)
        if info is None:
            return None
        prices = info.get_prices(at)
        if context:
            standard, prices = prices, info.get_prices(at, context)
            if prices == standard:
                return None
        if prices.requests_kcount is not None:
            return None
        return RateCard(_rates(prices, total_input_tokens), self.version, f"{SNAPSHOT}: {info.id}")

    def dearest(self, provider: str, model: str, at: datetime) -> RateCard | None:
        """For a reservation: every rate at its highest long-context tier."""
        return self.card(provider, model, at, {}, 2**62)

    def context_window(self, provider: str, model: str) -> int | None:
        info = _model(provider, model)
        return info.context_window if info else None


@lru_cache(maxsize=4096)
def _model(provider: str, model: str) -> ModelInfo | None:
    try:
        return get_snapshot().find_provider_model(model, None, provider, None)[1]
    except LookupError:
        return None


def _rates(prices: Any, total_input_tokens: int) -> dict[str, Decimal]:
    rates = {}
    for bucket, keys in _PRICE_KEYS.items():
        for key in keys:
            price = getattr(prices, key)
            if price is not None:
                rates[bucket] = _tiered(price, total_input_tokens) * (1000 if key.endswith("_kcount") else 1)
                break
    return rates


def _tiered(price: Decimal | TieredPrices, total_input_tokens: int) -> Decimal:
    if isinstance(price, Decimal):
        return price
    passed = [tier.price for tier in price.tiers if total_input_tokens > tier.start]
    return passed[-1] if passed else price.base
