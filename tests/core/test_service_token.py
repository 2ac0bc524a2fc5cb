"""A service token names its organisation and can be told from anything else without a look-up."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from visionality.core.service_token import from_entropy, organisation_of

ENTROPY = st.binary(min_size=32, max_size=32)


@given(st.uuids(), ENTROPY)
def test_a_token_names_its_organisation(org_id, entropy):
    token = from_entropy(org_id, entropy)
    assert token.startswith("visa_")
    assert len(token) == 65
    assert organisation_of(token) == org_id


@given(st.uuids(), ENTROPY, st.data())
def test_a_token_with_one_wrong_character_is_none(org_id, entropy, data):
    token = from_entropy(org_id, entropy)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda char: char != token[at]))
    assert organisation_of(token[:at] + other + token[at + 1 :]) is None


@given(st.text())
def test_other_text_is_no_token(text):
    assert organisation_of(text) is None


def test_the_largest_organisation_has_a_token():
    assert organisation_of(from_entropy(UUID(int=2**128 - 1), bytes(32))) == UUID(int=2**128 - 1)
