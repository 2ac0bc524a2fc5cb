import hmac
import string
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.handle import SHOWN, at_rest, base62, from_entropy, is_well_formed

HANDLE = from_entropy(bytes(range(32)))
entropies = st.binary(min_size=32, max_size=32)


@settings(derandomize=True)
@given(entropies, st.sampled_from(["live", "test"]))
def test_a_new_handle_is_well_formed(entropy, env):
    handle = from_entropy(entropy, env)
    assert is_well_formed(handle)
    assert handle.startswith(f"visk_{env}_")
    assert len(handle) == 48
    assert handle.isascii()


def test_every_changed_character_is_noticed():
    for at in range(len(HANDLE)):
        for char in string.printable:
            if char != HANDLE[at]:
                assert not is_well_formed(HANDLE[:at] + char + HANDLE[at + 1 :])


@pytest.mark.parametrize("text", ["", "visk_live_", HANDLE[:-1], HANDLE + "0", HANDLE + "\n", HANDLE + " ", " " + HANDLE, "\n" + HANDLE, HANDLE + "\r\n", HANDLE + "\0", HANDLE.upper(), HANDLE.lower(), HANDLE.replace("live", "prod"), HANDLE[:-1] + "\uff10", "vis2_" + HANDLE[5:], HANDLE + HANDLE])  # fmt: skip
def test_what_is_almost_a_handle_is_none(text):
    assert not is_well_formed(text)


@settings(derandomize=True)
@given(st.integers(0, 46), st.data())
def test_swapped_neighbours_are_noticed(at, data):
    handle = from_entropy(data.draw(entropies))
    swapped = handle[:at] + handle[at + 1] + handle[at] + handle[at + 2 :]
    assert swapped == handle or not is_well_formed(swapped)


def test_at_rest_there_is_only_a_keyed_hash():
    assert at_rest(b"pepper", HANDLE) == hmac.digest(b"pepper", HANDLE.encode(), sha256)
    assert at_rest(b"pepper", HANDLE) != at_rest(b"salt", HANDLE)


def test_what_may_be_shown_gives_no_more_than_two_digits_away():
    assert len(HANDLE[:SHOWN].removeprefix("visk_live_")) == 2


@settings(derandomize=True)
@given(st.integers(0, 62**6 - 1))
def test_base_62_keeps_the_number(number):
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    assert (
        sum(digits.index(digit) * 62**place for place, digit in enumerate(reversed(base62(number, 6))))
        == number
    )


def test_too_little_entropy_is_our_own_mistake():
    with pytest.raises(AssertionError):
        from_entropy(b"short")
