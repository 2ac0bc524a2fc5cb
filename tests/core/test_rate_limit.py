"""Promises B1, B3: no minute, wherever it begins, has more requests or tokens in it than its rule allows."""

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from visionality.core.rate_limit import WINDOW, Limit, RateLimiter, Wait

DEREK = ("agents", "derek@arctrade")
SOCE = ("projects", "SOCE")

steps = st.sampled_from([0, 0.001, 0.5, 0.999, 1, 59, 59.999, 60, 60.001, 61, 200]) | st.floats(0, 100)
calls = st.lists(st.tuples(steps, st.integers(0, 40)), max_size=60)


def admitted(calls, limit, began=0.0):
    """Each call with its moment, its tokens, and the wait it was told."""
    limiter = RateLimiter()
    now, told = began, []
    for step, tokens in calls:
        now += step
        told.append((now, tokens, limiter.take(now, {DEREK: limit}, tokens)))
    return told


@settings(max_examples=300, derandomize=True, deadline=None)
@given(calls, st.integers(1, 10), st.integers(1, 100), st.floats(0, 10**6))
def test_no_minute_has_more_than_the_limit_in_it(calls, requests, tokens, began):
    """The sliding window over whole seconds guarantees it: a second counts until all of it is a minute ago."""
    let_in = [
        (at, size) for at, size, wait in admitted(calls, Limit(requests, tokens), began) if wait is None
    ]
    for last, _ in let_in:
        minute = [size for at, size in let_in if last - WINDOW <= at <= last]
        assert len(minute) <= requests
        assert sum(minute) <= tokens


@settings(max_examples=300, derandomize=True, deadline=None)
@given(calls, st.integers(1, 10), st.integers(1, 100), st.floats(0, 10**6))
def test_a_call_waits_only_when_a_minute_and_a_second_has_no_room_for_it(calls, requests, tokens, began):
    let_in = []
    for at, size, wait in admitted(calls, Limit(requests, tokens), began):
        lately = [other for when, other in let_in if when > at - WINDOW - 1]
        if wait is None:
            let_in.append((at, size))
        elif wait.unit == "requests":
            assert len(lately) + 1 > requests
        else:
            assert sum(lately) + size > tokens
            assert (wait.seconds is None) == (size > tokens)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(calls, st.integers(1, 5), st.integers(1, 60), st.floats(0, 10**6), st.integers(0, 60))
def test_who_waits_as_long_as_told_is_let_in_and_a_second_less_is_too_early(
    calls, requests, tokens, began, size
):
    limiter = RateLimiter()
    now, limits = began, {DEREK: Limit(requests, tokens)}
    for step, other in calls:
        now += step
        limiter.take(now, limits, other)
    wait = limiter.take(now, limits, size)
    if wait is None:
        return
    if wait.seconds is None:
        assert size > tokens
        assert limiter.take(now + 1000, limits, size) == wait
        return
    assert type(wait.seconds) is int
    assert 1 <= wait.seconds <= WINDOW + 1
    assert limiter.take(max(now, now + wait.seconds - 1.001), limits, size) is not None
    assert limiter.take(now + wait.seconds, limits, size) is None


def test_a_caller_at_its_limit_is_told_which_one_and_how_long():
    limiter = RateLimiter()
    limits = {DEREK: Limit(requests=2), SOCE: Limit(tokens=100)}
    assert limiter.take(1000.25, limits, 40) is None
    assert limiter.take(1010.5, limits, 40) is None
    assert limiter.take(1020, {DEREK: Limit(requests=2)}, 1) == Wait(DEREK, "requests", 2, 41)
    assert limiter.take(1020, {SOCE: Limit(tokens=100)}, 21) == Wait(SOCE, "tokens", 100, 41)
    assert limiter.take(1020, {SOCE: Limit(tokens=100)}, 61) == Wait(SOCE, "tokens", 100, 51)
    assert limiter.take(1020, limits, 61) == Wait(SOCE, "tokens", 100, 51)
    assert limiter.take(1020, limits, 101) == Wait(SOCE, "tokens", 100, None)
    assert limiter.take(1060.99, limits, 20) == Wait(DEREK, "requests", 2, 1)
    assert limiter.take(1061, limits, 60) is None


def test_a_call_that_one_rule_refuses_counts_for_no_other():
    limiter = RateLimiter()
    refused = {DEREK: Limit(requests=100), SOCE: Limit(requests=0)}
    for _ in range(200):
        assert limiter.take(5, refused, 1) == Wait(SOCE, "requests", 0, None)
    assert len(limiter) == 0
    for _ in range(100):
        assert limiter.take(5, {DEREK: Limit(requests=100)}, 1) is None


def test_values_do_not_share_a_limit_and_no_limit_is_none():
    limiter = RateLimiter()
    for value in ("alice", "bob"):
        assert limiter.take(5, {("agents", value): Limit(requests=1)}, 1) is None
        assert limiter.take(5, {("agents", value): Limit(requests=1)}, 1) is not None
    for _ in range(1000):
        assert limiter.take(5, {DEREK: Limit()}, 10**9) is None
        assert limiter.take(5, {}, 10**9) is None


def test_a_limit_that_is_lowered_counts_what_was_used_before():
    limiter = RateLimiter()
    for _ in range(5):
        assert limiter.take(5, {DEREK: Limit(requests=10)}, 1) is None
    assert limiter.take(5, {DEREK: Limit(requests=5)}, 1) == Wait(DEREK, "requests", 5, 61)
    assert limiter.take(5, {DEREK: Limit(requests=6)}, 1) is None
    assert limiter.take(10, {DEREK: Limit(requests=7)}, 1) is None
    assert limiter.take(20, {DEREK: Limit(requests=8)}, 1) is None
    assert limiter.take(25, {DEREK: Limit(requests=2)}, 1) == Wait(DEREK, "requests", 2, 46)
    assert limiter.take(25, {DEREK: Limit(requests=1)}, 1) == Wait(DEREK, "requests", 1, 56)


# ---------------------------------------------------------------- tokens are put right


def test_a_call_that_used_less_gives_the_rest_back():
    limiter = RateLimiter()
    limits = {DEREK: Limit(tokens=100)}
    assert limiter.take(5.5, limits, 90) is None
    assert limiter.take(6, limits, 50) is not None
    limiter.correct(7, limits, taken_at=5.5, estimated=90, actual=50)
    assert limiter.take(8, limits, 51) is not None
    assert limiter.take(8, limits, 50) is None
    assert limiter.take(66, limits, 50) is None


def test_a_call_that_used_more_is_counted_when_that_is_known_however_long_it_took():
    limiter = RateLimiter()
    limits = {DEREK: Limit(tokens=100)}
    assert limiter.take(5, limits, 10) is None
    limiter.correct(500, limits, taken_at=5, estimated=10, actual=160)
    assert limiter.take(501, limits, 1) == Wait(DEREK, "tokens", 100, 60)
    assert limiter.take(561, limits, 100) is None


def test_a_call_that_used_more_is_still_one_request():
    limiter = RateLimiter()
    limits = {DEREK: Limit(requests=2, tokens=100)}
    assert limiter.take(5, limits, 10) is None
    limiter.correct(6, limits, taken_at=5, estimated=10, actual=20)
    assert limiter.take(7, limits, 80) is None
    assert limiter.take(7, limits, 0) == Wait(DEREK, "requests", 2, 59)


def test_what_is_given_back_after_its_minute_makes_no_room():
    limiter = RateLimiter()
    limits = {DEREK: Limit(tokens=100), SOCE: Limit(tokens=100)}
    assert limiter.take(5, limits, 100) is None
    assert limiter.take(80, {DEREK: Limit(tokens=100)}, 100) is None
    limiter.correct(81, limits, taken_at=5, estimated=100, actual=0)
    assert limiter.take(82, {DEREK: Limit(tokens=100)}, 1) is not None
    assert limiter.take(82, {SOCE: Limit(tokens=100)}, 101) is not None
    assert limiter.take(82, {SOCE: Limit(tokens=100)}, 100) is None


class Settled(RuleBasedStateMachine):
    """Calls of two values are taken and settled in any order; a plain list says what ought to be."""

    LIMIT = Limit(requests=6, tokens=50)

    def __init__(self):
        super().__init__()
        self.limiter = RateLimiter()
        self.now = 0.0
        self.counted = defaultdict(list)  # value -> [moment, requests, tokens]
        self.open = []

    @rule(seconds=steps)
    def time_goes_by(self, seconds):
        self.now += seconds

    @rule(keys=st.sampled_from([(DEREK,), (SOCE,), (DEREK, SOCE)]), tokens=st.integers(0, 60))
    def a_call_comes(self, keys, tokens):
        wait = self.limiter.take(self.now, dict.fromkeys(keys, self.LIMIT), tokens)
        if wait is not None:
            requests, used = zip(*map(self.lately, keys), strict=True)
            assert max(requests) + 1 > 6 or max(used) + tokens > 50
            return
        charges = []
        for key in keys:
            charges.append([self.now, 1, tokens])
            self.counted[key].append(charges[-1])
            minute = [entry for entry in self.counted[key] if entry[0] >= self.now - WINDOW]
            assert sum(tokens for _, _, tokens in minute) <= 50
            assert sum(requests for _, requests, _ in minute) <= 6
        self.open.append((self.now, keys, tokens, charges))

    @rule(actual=st.integers(0, 80), data=st.data())
    def a_call_is_settled(self, actual, data):
        if not self.open:
            return
        taken_at, keys, tokens, charges = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.limiter.correct(self.now, keys, taken_at, tokens, actual)
        for key, charge in zip(keys, charges, strict=True):
            if actual > tokens:
                self.counted[key].append([self.now, 0, actual - tokens])
            else:
                charge[2] = actual

    def lately(self, key):
        """What may count at most, requests and tokens: all of the last minute and the second before it."""
        counted = [entry for entry in self.counted[key] if entry[0] > self.now - WINDOW - 1]
        return sum(requests for _, requests, _ in counted), sum(tokens for _, _, tokens in counted)

    @invariant()
    def it_remembers_no_more_than_there_is(self):
        assert len(self.limiter) <= 2


Settled.TestCase.settings = settings(max_examples=80, stateful_step_count=40, derandomize=True, deadline=None)
TestWhatIsSettledIsCountedAsItWas = Settled.TestCase


# ---------------------------------------------------------------- memory


def test_values_that_are_idle_for_a_minute_vanish():
    limiter = RateLimiter()
    for number in range(1000):
        assert limiter.take(number / 100, {("agents", number): Limit(requests=5)}, 1) is None
    assert len(limiter) == 1000
    limiter.take(40, {("agents", 0): Limit(requests=5)}, 1)
    limiter.take(65, {DEREK: Limit(requests=5)}, 1)
    assert len(limiter) == 502  # those of the last five seconds, the one that came again, and this one
    limiter.take(200, {}, 1)
    assert len(limiter) == 0


def test_a_busy_value_takes_61_counts_and_not_one_a_request():
    limiter = RateLimiter()
    for number in range(20_000):
        limiter.take(number / 100, {DEREK: Limit(requests=10**9, tokens=10**12)}, 1)
    (minute,) = limiter._minutes.values()
    assert len(minute.seconds) <= WINDOW + 1
    assert minute.requests == sum(second.requests for second in minute.seconds)


# ---------------------------------------------------------------- many gateways


@settings(max_examples=300, derandomize=True)
@given(st.integers(1, 10**6), st.integers(1, 50))
def test_gateways_share_a_limit_and_none_is_left_with_nothing(requests, gateways):
    share = Limit(requests, tokens=None).shared_by(gateways)
    assert share.tokens is None
    assert share.requests is not None
    assert share.requests >= 1
    assert share.requests * gateways <= max(requests, gateways)
    assert (share.requests + 1) * gateways > requests


@pytest.mark.parametrize(
    ("limit", "gateways", "share"),
    [(60, 1, 60), (60, 4, 15), (61, 4, 15), (3, 4, 1), (1, 9, 1), (0, 3, 0), (None, 3, None)],
)
def test_a_share_is_rounded_down_but_nothing_stays_nothing(limit, gateways, share):
    assert Limit(limit, limit).shared_by(gateways) == Limit(share, share)


def test_a_clock_of_any_origin_will_do():
    for began in (-1000.5, 0.0, 2.0**40):
        limiter = RateLimiter()
        assert limiter.take(began, {DEREK: Limit(requests=1)}, 1) is None
        wait = limiter.take(began + 30, {DEREK: Limit(requests=1)}, 1)
        assert wait is not None
        assert wait.seconds == math.ceil(math.floor(began) + 61 - (began + 30))
