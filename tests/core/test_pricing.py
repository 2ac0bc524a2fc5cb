from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.money import NANO, rounded_nusd, usd
from visionality.core.pricing import RateCard, cost, recomputed_nusd
from visionality.core.usage import TOKEN_LIMIT, Usage, count, counted

NAMES = Usage.__struct_fields__
usages = st.builds(Usage, **{name: st.integers(0, TOKEN_LIMIT) | st.just(0) for name in NAMES})
rates = st.decimals(0, 1000, allow_nan=False, places=12)
cards = st.builds(RateCard, st.fixed_dictionaries(dict.fromkeys(NAMES, rates)), st.just(3), st.just("test"))


def card(**usd_per_million):
    return RateCard({name: Decimal(rate) for name, rate in usd_per_million.items()}, 7, "test")


@settings(max_examples=200, derandomize=True, deadline=None)
@given(usages, cards)
def test_a_row_is_recomputed_from_what_it_stores(usage, rate_card):
    price = cost(usage, rate_card)
    assert (price.state, price.version, price.rates["source"]) == ("known", 3, "test")
    assert recomputed_nusd(usage.counts(), price.rates) == price.cost_nusd
    exact = sum(
        count * int(rate_card.usd_per_million[name] * 10**12) for name, count in usage.counts().items()
    )
    whole, rest = divmod(exact, 10**9)  # 10^-12 USD per million units is 10^-9 nano-USD per unit
    assert price.cost_nusd == whole + (rest * 2 > 10**9 or (rest * 2 == 10**9 and whole % 2 == 1))


@pytest.mark.parametrize(
    ("tokens", "rate", "cost_nusd"),
    [
        (1, "0.0005", 0),
        (1, "0.0015", 2),
        (3, "0.0005", 2),
        (5, "0.0005", 2),
        (1, "0.00050001", 1),
        (1, "0.0025", 2),
    ],
)
def test_half_a_nano_dollar_goes_to_the_even_one(tokens, rate, cost_nusd):
    assert cost(Usage(in_text=tokens), card(in_text=rate)).cost_nusd == cost_nusd


def test_a_row_is_rounded_once_and_not_by_the_bucket():
    usage = Usage(in_text=1, out_text=1)
    assert cost(usage, card(in_text="0.0004", out_text="0.0004")).cost_nusd == 1


def test_no_card_and_a_bucket_without_a_rate_are_unknown_and_say_so():
    assert cost(Usage(in_text=1), None).state == "unknown"
    price = cost(Usage(in_text=1, web_search=1), card(in_text="1"))
    assert (price.state, price.cost_nusd, price.version, price.rates) == ("unknown", 0, 7, None)


def test_nothing_used_is_known_to_cost_nothing():
    assert (cost(Usage(), card()).state, cost(Usage(), card()).cost_nusd) == ("known", 0)


def test_a_sum_that_no_column_holds_is_unknown():
    usage = Usage(**dict.fromkeys(NAMES, TOKEN_LIMIT))
    price = cost(usage, card(**dict.fromkeys(NAMES, "1000000")))
    assert (price.state, price.cost_nusd) == ("unknown", 0)
    assert cost(usage, card(**dict.fromkeys(NAMES, "1000"))).state == "known"


def test_rates_are_written_in_plain_digits():
    price = cost(Usage(in_text=1), card(in_text="1E-10"))
    assert price.rates["in_text"] == "0.0000000001"


@settings(max_examples=200, derandomize=True)
@given(st.integers(-(2**63), 2**63))
def test_dollars_are_exact_and_shortest(nusd):
    text = usd(nusd)
    assert Decimal(text) * NANO == nusd
    assert "e" not in text.lower()
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


def test_money_as_people_know_it():
    assert [usd(nusd) for nusd in (0, 1, -1, 3_400_000, NANO, 10 * NANO, -1_500_000_000)] == [
        "0", "0.000000001", "-0.000000001", "0.0034", "1", "10", "-1.5",
    ]  # fmt: skip
    assert [rounded_nusd(Decimal(text)) for text in ("0.5", "1.5", "2.5", "-0.5", "1e30")] == [
        0,
        2,
        2,
        0,
        10**30,
    ]


@pytest.mark.parametrize(
    ("value", "tokens"),
    [(0, 0), (7, 7), (TOKEN_LIMIT, TOKEN_LIMIT), (12.0, 12), (True, None), (-1, None), (1.5, None), ("7", None), (None, None),
     (TOKEN_LIMIT + 1, None), (2**70, None), (float("nan"), None), (float("inf"), None), ([7], None), ({}, None)],
)  # fmt: skip
def test_only_a_whole_number_within_reason_is_a_count(value, tokens):
    assert counted(value) == tokens
    assert count(value) == (tokens or 0)


def test_the_columns_of_a_usage_are_its_sums():
    usage = Usage(**{name: 2**place for place, name in enumerate(NAMES)})
    parts = (
        usage.input_tokens
        + usage.cache_read_tokens
        + usage.cache_write_tokens
        + usage.output_tokens
        + usage.seconds_in
        + usage.chars
        + usage.images
        + usage.web_search
        + usage.file_search
        + usage.code_session
    )
    assert parts == sum(usage.counts().values()) == 2 ** len(NAMES) - 1
    assert usage.total_input_tokens == usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    assert (usage + usage).counts() == {name: 2 * amount for name, amount in usage.counts().items()}
