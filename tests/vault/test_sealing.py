from dataclasses import fields, replace
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.vault import sealing
from visionality.vault.purposes import organisation_context, provider_context
from visionality.vault.sealing import Context, SealBroken, seal, unseal

KEK, OTHER = bytes(range(32)), bytes(range(1, 33))
CONTEXT = Context("org", "scope", "kek", 1, "provider credential")
SECRET = b"sk-live-very-secret"


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.binary(max_size=300),
    st.builds(Context, st.text(), st.text(), st.text(), st.integers(0, 2**32 - 1), st.text()),
)
def test_what_is_sealed_opens_again(secret, context):
    assert unseal(KEK, context, seal(KEK, context, secret)) == secret


def test_every_changed_byte_is_refused():
    record = seal(KEK, CONTEXT, SECRET)
    for at in range(len(record)):
        for flip in (1, 0x80):
            changed = record[:at] + bytes([record[at] ^ flip]) + record[at + 1 :]
            with pytest.raises(SealBroken):
                unseal(KEK, CONTEXT, changed)


def test_every_shorter_or_longer_record_is_refused():
    record = seal(KEK, CONTEXT, SECRET)
    for changed in [*(record[:end] for end in range(len(record))), record + b"\0", b"\0" + record]:
        with pytest.raises(SealBroken):
            unseal(KEK, CONTEXT, changed)


@pytest.mark.parametrize("field", [field.name for field in fields(Context)])
def test_a_record_moved_to_another_owner_is_refused(field):
    record = seal(KEK, CONTEXT, SECRET)
    moved = replace(CONTEXT, **{field: 2 if field == "generation" else "another"})
    with pytest.raises(SealBroken):
        unseal(KEK, moved, record)


def test_neighbouring_fields_cannot_lend_each_other_letters():
    record = seal(KEK, replace(CONTEXT, org="ab", scope="c"), SECRET)
    with pytest.raises(SealBroken):
        unseal(KEK, replace(CONTEXT, org="a", scope="bc"), record)


def test_another_key_is_refused_by_the_commitment_before_anything_is_decrypted():
    with pytest.raises(SealBroken, match="another key"):
        unseal(OTHER, CONTEXT, seal(KEK, CONTEXT, SECRET))


def test_a_record_whose_commitment_was_exchanged_is_refused():
    record, other = seal(KEK, CONTEXT, SECRET), seal(OTHER, CONTEXT, SECRET)
    place = slice(2 + 4 + 16 + 12, 2 + 4 + 16 + 12 + 16)
    with pytest.raises(SealBroken):
        unseal(OTHER, CONTEXT, record[: place.start] + other[place] + record[place.stop :])


def test_two_seals_of_one_secret_have_nothing_in_common():
    first, second = seal(KEK, CONTEXT, SECRET), seal(KEK, CONTEXT, SECRET)
    assert first != second
    assert first[6:34] != second[6:34]
    assert len(first) == 2 + 4 + 16 + 12 + 16 + len(SECRET) + 16
    assert SECRET not in first


def test_the_layout_is_the_one_that_is_written_down():
    record = seal(KEK, replace(CONTEXT, generation=0x01020304), SECRET)
    assert record[:6] == b"\x02\x01\x01\x02\x03\x04"
    assert sealing._HEAD == b"\x02\x01"


def test_a_broken_seal_says_nothing_of_the_secret_or_the_key():
    with pytest.raises(SealBroken) as broken:
        unseal(OTHER, CONTEXT, seal(KEK, CONTEXT, SECRET))
    assert SECRET.decode() not in str(broken.value)
    assert KEK.hex() not in repr(broken.value)


def test_no_two_purposes_share_a_context():
    org, other = UUID(int=1), UUID(int=2)
    contexts = {
        organisation_context(org, other, 1),
        provider_context(org, other, other, 1),
        provider_context(other, org, other, 1),
    }
    assert len({context.aad() for context in contexts}) == 3
