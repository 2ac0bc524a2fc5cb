"""A child is narrower than its parent: whatever passes the narrow list passes the wide one (promise K3)."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.narrowing import (
    are_globs_within,
    are_networks_within,
    are_within,
    is_from,
    is_named,
)

GLOBS = st.lists(st.text("ab*-?[", min_size=1, max_size=4), max_size=3)
NAMES = st.text("ab-?[", max_size=6)


@given(GLOBS, GLOBS, NAMES)
def test_no_name_passes_a_narrow_list_that_does_not_pass_the_wide_one(narrow, wide, name):
    passes = are_globs_within(narrow, wide) and is_named(narrow, name)
    assert is_named(wide, name) or not passes


@given(
    st.lists(st.text("ab-?[*", min_size=1, max_size=4), min_size=1, max_size=3),
    st.text("ab", max_size=3),
    NAMES,
)
def test_a_list_made_narrower_passes_only_names_that_the_wide_one_passes(wide, filled, tail):
    narrow = [glob.replace("*", filled, 1) for glob in wide]
    name = narrow[0].replace("*", tail)
    assert is_named(narrow, name)
    assert is_named(wide, name)
    if "*" not in "".join(narrow):
        assert are_globs_within(narrow, wide)


@given(GLOBS)
def test_a_list_lies_within_itself(globs):
    assert are_globs_within(globs, globs)


@pytest.mark.parametrize(
    ("narrow", "wide"), [(["gpt-4o"], ["gpt-*"]), (["gpt-4*"], ["gpt-*"]), (["gpt-4o"], ["*"]), (["a"], [])]
)
def test_a_narrower_list_is_within(narrow, wide):
    assert are_globs_within(narrow, wide)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [([], ["gpt-*"]), (["*"], ["gpt-*"]), (["gpt-4o", "o3"], ["gpt-*"]), (["*-mini"], ["gpt-*"])],
)
def test_a_wider_list_is_not_within(narrow, wide):
    assert not are_globs_within(narrow, wide)


def test_only_a_star_is_special():
    assert not is_named(["gpt-?"], "gpt-4")
    assert is_named(["gpt-?"], "gpt-?")
    assert not is_named(["[ab]"], "a")
    assert is_named([], "anything")


NETWORKS = st.builds(
    lambda address, bits: str(ip_network((address, bits), strict=False)),
    st.ip_addresses(v=4, network="10.0.0.0/28"),
    st.integers(26, 32),
)


@given(
    st.lists(NETWORKS, max_size=3),
    st.lists(NETWORKS, max_size=3),
    st.ip_addresses(v=4, network="10.0.0.0/27"),
)
def test_no_address_passes_a_narrow_list_that_does_not_pass_the_wide_one(narrow, wide, address):
    passes = are_networks_within(narrow, wide) and is_from(narrow, str(address))
    assert is_from(wide, str(address)) or not passes


def test_addresses_are_in_networks_of_their_own_kind():
    assert is_from(["10.0.0.0/8"], "::ffff:10.1.2.3")
    assert not is_from(["10.0.0.0/8"], "::1")
    assert not is_from(["10.0.0.0/8"], "")
    assert not is_from(["10.0.0.0/8"], "10.0.0.1, 1.2.3.4")
    assert not are_networks_within(["::/0"], ["10.0.0.0/8"])


def test_plain_names():
    assert are_within(["openai"], ["openai", "anthropic"])
    assert not are_within([], ["openai"])
    assert are_within(["openai"], [])
