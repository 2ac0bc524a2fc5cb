"""The price book against sums that a person can do, and against the calculator of genai-prices itself."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices, TimeOfDateConstraint
from genai_prices.types import Usage as TheirUsage
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from visionality.core.budget import worst_case_nusd
from visionality.core.call import Ask
from visionality.core.pricing import cost
from visionality.core.usage import Usage
from visionality.pricebook import book
from visionality.pricebook.book import (
    BUCKETS,
    SNAPSHOT,
    SNAPSHOT_VERSION,
    WINDOW_UNKNOWN,
    Override,
    PriceBook,
    context_window,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PLAIN = PriceBook()


def priced(provider, model, usage, tier=None, at=NOW, prices=PLAIN):
    return cost(usage, prices.card(provider, model, at, tier or {}, usage.total_input_tokens))


@pytest.mark.parametrize(
    ("provider", "model", "usage", "dollars"),
    [
        # Sonnet 4.5 above 200k: 300,000 x 6 + 1,000 x 22.5 per million
        ("anthropic", "claude-sonnet-4-5-20250929", {"in_text": 300_000, "out_text": 1_000}, "1.8225"),
        ("anthropic", "claude-sonnet-4-5", {"in_text": 100_000, "out_text": 1_000}, "0.315"),
        ("anthropic", "claude-sonnet-4-5", {"in_text": 200_000}, "0.6"),
        ("anthropic", "claude-sonnet-4-5", {"in_text": 200_001}, "1.200006"),
        # the threshold is on all input, and the whole call is repriced
        ("anthropic", "claude-sonnet-4-5", {"in_text": 1, "cache_read": 200_000, "out_text": 1_000}, "0.142506"),
        # 3,000 x 3.75 written for five minutes, 5,000 x 6 for an hour
        ("anthropic", "claude-sonnet-4-5", {"cache_write_5m": 3_000, "cache_write_1h": 5_000}, "0.04125"),
        ("anthropic", "claude-sonnet-4-5", {"web_search": 3, "in_text": 1}, "0.030003"),
        # US profile of Bedrock: ten per cent above the global one
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", {"in_text": 100_000, "out_text": 1_000}, "0.3465"),
        ("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", {"in_text": 100_000, "out_text": 1_000}, "0.315"),
        # Gemini 2.5 Pro: 1.25 and 10 up to 200k, 2.5 and 15 above
        ("google", "gemini-2.5-pro", {"in_text": 200_000, "out_text": 1_000}, "0.26"),
        ("google", "gemini-2.5-pro", {"in_text": 200_001, "out_text": 1_000}, "0.5150025"),
        ("openai", "gpt-4o-mini-2024-07-18", {"in_text": 14, "out_text": 7}, "0.0000063"),
        ("openai", "gpt-4o", {"in_text": 1_000, "cache_read": 1_000, "out_reasoning": 100, "out_text": 100}, "0.00575"),
    ],
)  # fmt: skip
def test_sums_that_a_person_can_do(provider, model, usage, dollars):
    price = priced(provider, model, Usage(**usage))
    assert (price.state, price.version) == ("known", SNAPSHOT_VERSION)
    assert Decimal(price.cost_nusd) / 10**9 == Decimal(dollars)
    assert price.rates["source"].startswith(SNAPSHOT)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("nobody", "gpt-4o"),
        ("anthropic", "gpt-4o"),
        ("openai", ""),
        ("openai", "x" * 200),
    ],
)
def test_what_nobody_has_a_price_for_is_unknown(provider, model):
    assert PLAIN.card(provider, model, NOW, {}, 1) is None
    assert PLAIN.dearest(provider, model, NOW) is None
    assert priced(provider, model, Usage(in_text=10**6)).state == "unknown"


@pytest.mark.parametrize(
    ("tier", "dollars"),
    [
        ({"service_tier": "standard"}, "5"),
        ({"service_tier": "standard", "speed": "standard", "inference_geo": "global"}, "5"),
        ({"processing": "batch"}, "2.5"),
        ({"speed": "fast"}, "10"),
        ({"inference_geo": "us"}, "5.5"),
        ({"speed": "fast", "inference_geo": "us"}, "11"),
    ],
)
def test_the_tier_that_was_served_is_the_one_that_is_billed(tier, dollars):
    price = priced("anthropic", "claude-opus-4-8", Usage(in_text=10**6), tier)
    assert Decimal(price.cost_nusd) / 10**9 == Decimal(dollars)


@pytest.mark.parametrize(
    "tier",
    [
        {"service_tier": "priority"},
        {"speed": "ludicrous"},
        {"inference_geo": "moon"},
        {"speed": "fast", "service_tier": "priority"},  # one known, one not: no half answers
        {"processing": "batch", "speed": "fast", "region": "x"},
    ],
)
def test_a_context_that_the_snapshot_does_not_know_is_unknown_and_not_standard(tier):
    assert priced("anthropic", "claude-opus-4-8", Usage(in_text=10), tier).state == "unknown"


def test_a_discount_that_has_not_begun_is_unknown():
    before = datetime(2026, 10, 13, 23, 59, tzinfo=UTC)
    assert PLAIN.card("anthropic", "claude-opus-4-5", before, {"processing": "batch"}, 1) is None
    assert PLAIN.card("anthropic", "claude-opus-4-5", NOW, {"processing": "batch"}, 1) is not None


def test_prices_have_dates():
    march = [datetime(2026, 3, day, tzinfo=UTC) for day in (12, 13)]
    assert [
        PLAIN.card("anthropic", "claude-opus-4-6", at, {}, 300_000).usd_per_million["in_text"] for at in march
    ] == [10, 5]


def test_a_model_that_is_priced_by_the_request_is_unknown():
    assert PLAIN.card("perplexity", "sonar", NOW, {}, 1) is None
    assert PLAIN.dearest("perplexity", "sonar", NOW) is None


SNAPSHOT_MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]
BY_NAME = {f"{provider.id} {model.id}": (provider, model) for provider, model in SNAPSHOT_MODELS}
tokens = st.integers(0, 10**6) | st.sampled_from([0, 1, 128_000, 200_000, 200_001, 272_000, 272_001])


def theirs(usage):
    return TheirUsage(
        input_tokens=usage.total_input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_audio_read_tokens=usage.cache_read_audio,
        cache_image_read_tokens=usage.cache_read_image,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h,
        input_audio_tokens=usage.in_audio + usage.cache_read_audio,
        input_image_tokens=usage.in_image + usage.cache_read_image,
        input_video_tokens=usage.in_video,
        output_tokens=usage.output_tokens,
        output_reasoning_tokens=usage.out_reasoning,
        output_audio_tokens=usage.out_audio,
        output_image_tokens=usage.out_image,
        input_characters=usage.chars,
        audio_seconds=usage.seconds_in,
        input_audio_seconds=usage.seconds_in,
        web_searches=usage.web_search,
        storage_searches=usage.file_search,
        cache_audio_write_tokens=0,
    )


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.data(),
    st.sampled_from(sorted(BY_NAME)),
    st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1)),  # noqa: DTZ001
    st.integers(0, 3),
)
def test_our_sums_are_those_of_the_calculator(data, name, naive, variant):
    provider, model = BY_NAME[name]
    at = naive.replace(tzinfo=UTC)
    contexts = [{}, *(each.when for each in model.price_variants or ())]
    tier = contexts[variant % len(contexts)]
    assume(not set(tier.values()) & book.STANDARD)
    short = PLAIN.card(provider.id, model.id, at, tier, 1)
    assume(short is not None)
    priced_here = sorted(short.usd_per_million.keys() & set(BUCKETS))
    usage = data.draw(st.builds(Usage, **{bucket: st.just(0) | tokens for bucket in priced_here}))
    card = PLAIN.card(provider.id, model.id, at, tier, usage.total_input_tokens)
    assume(usage.counts().keys() <= card.usd_per_million.keys())
    found = get_snapshot().find_provider_model(model.id, None, provider.id, None)[1]
    calculated = found.calc_price(theirs(usage), provider, genai_request_timestamp=at, price_context=tier)
    ours = sum(count * card.usd_per_million[bucket] for bucket, count in usage.counts().items()) / 10**6
    assert (
        ours == calculated["total_price"] if isinstance(calculated, dict) else ours == calculated.total_price
    )


def test_no_price_in_the_snapshot_changes_within_a_minute():
    constraints = [
        each.constraint
        for _, model in SNAPSHOT_MODELS
        for each in [*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ())]
    ]
    daily = [each for each in constraints if isinstance(each, TimeOfDateConstraint)]
    assert daily
    assert all(
        moment.second == moment.microsecond == 0
        for each in daily
        for moment in (each.start_time, each.end_time)
    )


def test_a_price_follows_the_time_of_day_to_the_minute():
    provider, model, each = next(
        (provider, model, each)
        for provider, model in SNAPSHOT_MODELS
        if isinstance(model.prices, list)
        for each in model.prices
        if isinstance(each.constraint, TimeOfDateConstraint)
    )
    start = datetime.combine(NOW.date(), each.constraint.start_time).astimezone(UTC)
    for at in (start - timedelta(microseconds=1), start, start + timedelta(minutes=1)):
        expected = model.get_prices(at).input_mtok
        assert not isinstance(expected, TieredPrices)
        assert PLAIN.card(provider.id, model.id, at, {}, 1).usd_per_million["in_text"] == expected


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(BY_NAME)), tokens, tokens, st.integers(0, 3), st.booleans())
def test_a_hold_is_enough_for_any_tier_that_may_be_served(
    name, input_tokens, output_tokens, variant, in_the_us
):
    provider, model = BY_NAME[name]
    contexts = [{}, *(each.when for each in model.price_variants or ())]
    tier = {**contexts[variant % len(contexts)], **({"inference_geo": "us"} if in_the_us else {})}
    for bucket in ("cache_read", "in_text", "cache_write_1h"):
        usage = Usage(**{bucket: input_tokens}, out_text=output_tokens)
        price = priced(provider.id, model.id, usage, tier)
        asked = Ask(name, stream=False, output_limit=output_tokens)
        dearest = PLAIN.dearest(provider.id, model.id, NOW)
        assert price.cost_nusd <= worst_case_nusd(dearest, asked, input_tokens, window=0)


def override(
    version, model="claude-sonnet-4-5", start=NOW - timedelta(days=1), rate="2", provider="anthropic"
):
    return Override(
        version, provider, model, dict.fromkeys(BUCKETS, Decimal(rate)), start, f"contract {version}"
    )


def rate(prices, model="claude-sonnet-4-5", at=NOW, tier=None):
    return prices.card("anthropic", model, at, tier or {}, 1).usd_per_million["in_text"]


def test_an_override_goes_before_the_snapshot_and_names_its_source():
    prices = PriceBook([override(2)])
    card = prices.card("anthropic", "Claude-Sonnet-4-5", NOW, {}, 10**6)
    assert (card.usd_per_million["in_text"], card.version, card.source) == (2, 2, "override 2: contract 2")
    assert prices.version == 2
    assert PLAIN.version == SNAPSHOT_VERSION


def test_an_override_is_in_force_from_its_first_moment_and_the_newest_wins():
    prices = PriceBook([override(3, rate="1", start=NOW), override(2)])
    assert rate(prices) == 1
    assert rate(prices, at=NOW - timedelta(microseconds=1)) == 2
    assert rate(prices, at=NOW - timedelta(days=2)) == 3


def test_of_two_overrides_of_one_moment_the_later_version_wins():
    assert rate(PriceBook([override(5, rate="5"), override(4, rate="4")])) == 5


def test_an_override_holds_for_the_dated_name_that_the_provider_answers_with():
    prices = PriceBook([override(2)])
    assert rate(prices, "claude-sonnet-4-5-20250929") == 2
    prices = PriceBook([override(2), override(3, "claude-sonnet-4-5-20250929", rate="1")])
    assert rate(prices, "claude-sonnet-4-5-20250929") == 1
    assert rate(prices) == 2
    assert rate(PriceBook([override(2, "claude-sonnet-4-5-20250929")])) == 3


def test_an_override_is_of_one_provider_and_one_model():
    prices = PriceBook([override(2)])
    assert rate(prices, "claude-opus-4-5") == 5
    assert prices.card("openai", "claude-sonnet-4-5", NOW, {}, 1) is None


def test_an_override_is_for_the_standard_tier_only():
    prices = PriceBook([override(2, "claude-opus-4-8")])
    assert rate(prices, "claude-opus-4-8", tier={"speed": "fast"}) == 10
    assert rate(prices, "claude-opus-4-8", tier={"inference_geo": "us"}) == Decimal("2.2")
    assert (
        prices.card("anthropic", "claude-opus-4-8", NOW, {"inference_geo": "us"}, 1).usd_per_million[
            "web_search"
        ]
        == 2
    )
    assert prices.card("anthropic", "claude-opus-4-8", NOW, {"speed": "warp"}, 1) is None


def test_a_model_of_the_operator_needs_no_snapshot():
    prices = PriceBook([override(2, "in-house")])
    assert rate(prices, "in-house") == 2
    assert prices.dearest("anthropic", "in-house", NOW).usd_per_million["out_text"] == Decimal("2.2")


def test_a_hold_is_enough_for_an_override_too():
    assert (
        PriceBook([override(2, rate="900")])
        .dearest("anthropic", "claude-sonnet-4-5", NOW)
        .usd_per_million["in_text"]
        == 990
    )
    assert PLAIN.dearest("anthropic", "claude-sonnet-4-5", NOW).usd_per_million["in_text"] == Decimal("6.6")


def test_made_up_names_leave_nothing_behind():
    snapshot = get_snapshot()
    before = len(snapshot._lookup_cache), len(snapshot._provider_misses)
    held = len(snapshot._provider_cache)
    for number in range(50):
        PLAIN.card("openai", f"made-up-{number}", NOW, {}, 1)
        PLAIN.card(f"nobody-{number % 2}", "gpt-4o", NOW, {}, 1)
    assert (len(snapshot._lookup_cache), len(snapshot._provider_cache)) <= (before[0], held + 1)
    assert len(snapshot._provider_misses) <= before[1] + 2


@pytest.mark.parametrize(
    ("model", "priced"),
    [
        ("gpt-4o-audio-preview", {"in_audio": None, "out_audio": None}),
        ("gpt-audio", {"in_audio": "32", "out_audio": "64"}),
        ("gpt-4o-mini-tts", {"in_audio": "0.6", "out_audio": "12"}),
    ],
)
def test_sound_of_a_model_that_writes_too_is_never_priced_as_text(model, priced):
    card = PLAIN.card("openai", model, NOW, {}, 1)
    assert {bucket: card.lines.get(bucket) for bucket in ("in_audio", "out_audio")} == priced


def test_a_window_has_room_for_what_the_snapshot_rounds_away():
    assert context_window("google", "gemini-3.5-flash") >= 1_048_576
    assert context_window("openai", "gpt-4o") >= 128_000
    assert context_window("openai", "gpt-4o") < 2 * 128_000


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("house", "house-1"),
        ("openai", ""),
        ("openai", "whisper-1"),
        pytest.param("anthropic", "claude-sonnet-4-5", id="priced beyond the window that is stated"),
    ],
)
def test_a_window_that_nobody_states_is_taken_for_the_largest(provider, model):
    assert context_window(provider, model) == WINDOW_UNKNOWN


def test_no_price_of_a_model_is_for_inputs_beyond_its_window():
    for provider, model in SNAPSHOT_MODELS:
        at_most, beyond = (
            PLAIN.card(provider.id, model.id, NOW, {}, read)
            for read in (context_window(provider.id, model.id), 10**9)
        )
        assert (at_most and at_most.usd_per_million) == (beyond and beyond.usd_per_million), model.id
