"""The worst case of a call is a bound: no way that a provider may bill it, within its limits, costs more (B1)."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.budget import (
    AUDIO_BYTES_A_SECOND,
    OUTPUT_TOKENS_WITHOUT_LIMIT,
    affordable_output,
    input_tokens,
    worst_case_nusd,
)
from visionality.core.call import Ask, Reach
from visionality.core.money import LARGEST_NUSD
from visionality.core.pricing import RateCard, cost
from visionality.core.usage import Usage

NAMES = Usage.__struct_fields__
CACHED = ["cache_read", "cache_read_audio", "cache_read_image"]
READ = [name for name in NAMES if name.startswith(("in_", "cache_", "embed"))]
SAID = [name for name in NAMES if name.startswith("out_")]
WINDOW = 200_000
rates = st.decimals(0, 1000, allow_nan=False, places=12)
cards = st.builds(RateCard, st.fixed_dictionaries(dict.fromkeys(NAMES, rates)), st.just(3), st.just("test"))
sizes = st.integers(0, 32 * 2**20)
limits = st.none() | st.integers(0, 10**6)
reaches = st.builds(
    Reach,
    st.integers(-(2**24), 2**24),
    st.booleans(),
    st.integers(1, 40),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["web_search", "file_search"]), st.integers(0, 50)), max_size=2).map(
        tuple
    ),
)


def card(**usd_per_million):
    return RateCard({name: Decimal(rate) for name, rate in usd_per_million.items()}, 7, "test")


def asked(limit=None, answers=1, **reach):
    return Ask("m", stream=False, output_limit=limit, answers=answers, reach=Reach(**reach))


def worst(rates_of, body_bytes, ask):
    return worst_case_nusd(rates_of, ask, body_bytes, WINDOW)


def split(data, total, names):
    """Any way to count so many tokens, or fewer, in these buckets."""
    amounts, left = {}, total
    for name in names:
        amounts[name] = data.draw(st.integers(0, left))
        left -= amounts[name]
    return amounts


@settings(max_examples=100, derandomize=True, deadline=None)
@given(cards, sizes, limits, st.integers(1, 10), st.data())
def test_no_call_within_its_bounds_costs_more_than_its_hold(rate_card, body_bytes, limit, answers, data):
    most = OUTPUT_TOKENS_WITHOUT_LIMIT * answers if limit is None else limit
    usage = Usage(
        **split(data, body_bytes, READ),
        **split(data, most, SAID),
        chars=data.draw(st.integers(0, body_bytes)),
        seconds_in=data.draw(st.integers(0, -(-body_bytes // AUDIO_BYTES_A_SECOND))),
        images=data.draw(st.integers(0, answers)),
    )
    assert cost(usage, rate_card).cost_nusd <= worst(rate_card, body_bytes, asked(limit, answers))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(cards, st.integers(0, 10**5), st.integers(0, 10**5), reaches, st.data())
def test_no_rounds_within_their_bounds_cost_more_than_the_hold(rate_card, body_bytes, limit, reach, data):
    """The call is played as providers play it: round after round, each reads what there is and adds to it."""
    ask = Ask("m", stream=False, output_limit=limit, reach=reach)
    first = max(0, body_bytes + reach.tokens)
    room = max(first, WINDOW)
    usage, context, known, left = Usage(), min(first, room), 0, limit
    for _ in range(data.draw(st.integers(1, reach.rounds))):
        if reach.unseen:
            context = data.draw(st.integers(context, room))
        fresh = context if reach.anew else context - known
        read = Usage(**split(data, fresh, READ))
        if fresh < context:
            read += Usage(**split(data, known, CACHED))
        said = data.draw(st.integers(0, limit if reach.anew else left))
        if reach.unseen:
            said = min(said, room - context)
        usage += read + Usage(**split(data, said, SAID))
        known, context, left = context, context + said, left - said
    usage += Usage(
        **{
            name: sum(uses for bucket, uses in reach.uses if bucket == name)
            for name in ("web_search", "file_search")
        }
    )
    assert cost(usage, rate_card).cost_nusd <= worst(rate_card, body_bytes, ask)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(cards, sizes, reaches, st.integers(0, 10**13))
def test_the_affordable_output_fits_and_one_token_more_does_not(rate_card, body_bytes, reach, left_nusd):
    ask = Ask("m", stream=False, output_limit=None, reach=reach)
    limit = affordable_output(rate_card, ask, body_bytes, WINDOW, left_nusd)
    if limit:
        assert worst(rate_card, body_bytes, asked_as(ask, limit)) <= left_nusd
    if limit or worst(rate_card, body_bytes, asked_as(ask, 1)) > worst(
        rate_card, body_bytes, asked_as(ask, 0)
    ):
        assert worst(rate_card, body_bytes, asked_as(ask, limit + 1)) > min(left_nusd, LARGEST_NUSD - 1)


def asked_as(ask, limit):
    return Ask(ask.model, stream=False, output_limit=limit, reach=ask.reach)


def test_a_worst_case_fits_its_column_and_is_nothing_without_a_price():
    assert worst(None, 10, asked(10)) == 0
    assert worst(card(in_text="3"), 1, asked(10**6)) == 3000
    assert worst(card(chars="15"), 10, asked()) == 150_000
    assert worst(card(seconds_in="100"), 17, asked()) == 200_000
    assert worst(card(images="40000"), 999, asked(answers=3)) == 120_000_000
    assert worst(card(out_text="1000000"), 1, asked(2**62)) == LARGEST_NUSD


def test_without_a_limit_each_answer_may_fill_the_largest_window():
    assert worst(card(out_text="1"), 1, asked(answers=4)) == 4 * OUTPUT_TOKENS_WITHOUT_LIMIT * 1000


TEXT = card(in_text="3", cache_read="0.3", out_text="15", web_search="10000", file_search="2500")


@pytest.mark.parametrize(
    ("reach", "nusd"),
    [
        pytest.param({}, 100 * 3000 + 10 * 15_000, id="a token for each byte"),
        pytest.param({"tokens": 50}, 150 * 3000 + 10 * 15_000, id="more than that"),
        pytest.param({"tokens": -90}, 10 * 3000 + 10 * 15_000, id="less than that"),
        pytest.param({"tokens": -900}, 10 * 15_000, id="never less than nothing"),
        pytest.param({"unseen": True}, WINDOW * 3000 + 10 * 15_000, id="the window"),
        pytest.param({"unseen": True, "tokens": WINDOW}, (WINDOW + 100) * 3000 + 10 * 15_000, id="more is in the body"),
        pytest.param({"rounds": 3}, 110 * 3000 + 2 * 110 * 300 + 10 * 15_000, id="again from the cache"),
        pytest.param({"rounds": 3, "unseen": True}, WINDOW * 3600 + 10 * 15_000, id="the window from the cache"),
        pytest.param({"rounds": 3, "anew": True}, (100 + 110 + 120) * 3000 + 30 * 15_000, id="again in full"),
        pytest.param(
            {"rounds": 3, "anew": True, "unseen": True}, 3 * WINDOW * 3000 + 30 * 15_000, id="the window in full"
        ),
        pytest.param(
            {"uses": (("web_search", 2), ("file_search", 1), ("web_search", 3), ("code_session", 1))},
            100 * 3000 + 10 * 15_000 + 5 * 10_000_000 + 2_500_000,
            id="uses at their price, where there is one",
        ),
    ],
)  # fmt: skip
def test_what_a_call_reaches_beyond_its_bytes_is_held(reach, nusd):
    assert worst(TEXT, 100, asked(10, **reach)) == nusd


def test_where_nothing_is_said_of_the_cache_later_rounds_read_at_the_full_price():
    assert worst(card(in_text="3"), 100, asked(0, rounds=3)) == 300 * 3000


def test_the_input_of_all_rounds_decides_which_of_a_models_prices_applies():
    assert input_tokens(asked(), 100, WINDOW) == 100
    assert input_tokens(asked(unseen=True, rounds=3), 100, WINDOW) == 3 * WINDOW
