"""Workers that count a rate limit together let in what one alone would have (B1, B3)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.rate_limit import Limit, RateLimiter
from visionality.gateway import counted_together
from visionality.gateway.counted_together import CountedTogether

RULE = UUID(int=1)
VALUES = [(RULE, name) for name in ("ann", "bob", "\ud800", "")]
calls = st.lists(
    st.tuples(
        st.sampled_from([0, 0.5, 1, 30, 59.999, 61]),
        st.integers(0, 1),
        st.sampled_from(VALUES),
        st.integers(0, 40),
        st.integers(0, 60),
    ),
    max_size=40,
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(calls, st.integers(1, 5), st.integers(1, 90))
def test_two_of_them_decide_as_one_who_sees_every_call(calls, requests, tokens):
    limit, alone, now = Limit(requests, tokens), RateLimiter(), 1000.0
    with TemporaryDirectory() as made:
        workers = [CountedTogether(Path(made)), CountedTogether(Path(made))]
        for step, which, value, size, used in calls:
            now += step
            told = workers[which].take(now, {value: limit}, size)
            assert told == alone.take(now, {value: limit}, size)
            if told is None:  # the other worker may not be the one that corrects it
                workers[which].correct(now + 0.5, [value], now, size, used)
                alone.correct(now + 0.5, [value], now, size, used)
        for worker in workers:
            worker.close()


@pytest.fixture
def crowded(monkeypatch, tmp_path):
    monkeypatch.setattr(counted_together, "SLOTS", 8)
    worker = CountedTogether(tmp_path)
    yield worker
    worker.close()


def test_a_full_table_forgets_who_was_idle_the_longest(crowded):
    limit = Limit(1)
    values = [(RULE, str(number)) for number in range(9)]
    for second, value in enumerate(values):
        assert crowded.take(1000.0 + second, {value: limit}, 0) is None
    for value in values[1:]:
        assert crowded.take(1010.0, {value: limit}, 0) is not None
    assert crowded.take(1010.0, {values[0]: limit}, 0) is None
