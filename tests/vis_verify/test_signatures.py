"""Ed25519 as RFC 8032 and Wycheproof have it, stricter where they leave a choice, and equal to `cryptography` elsewhere."""

import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_verify.ed25519 import ORDER, P, usable, verify

RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]
"""Section 7.1: tests 1, 2, 3 and SHA(abc)."""
WYCHEPROOF = json.loads((Path(__file__).parents[1] / "fixtures" / "wycheproof" / "ed25519.json").read_text())
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
SMALL = [
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    (P - 1).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]
"""Points of small order, in their one encoding."""


def openssl(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_the_vectors_of_the_rfc_verify_and_no_other_message_does(public, message, signature):
    given_ = bytes.fromhex(public), bytes.fromhex(signature)
    assert verify(*given_, [bytes.fromhex(message)])
    assert not verify(*given_, [bytes.fromhex(message) + b"\0"])


@pytest.mark.parametrize("vector", WYCHEPROOF, ids=lambda vector: str(vector["tcId"]))
def test_what_wycheproof_calls_invalid_is_refused_and_what_it_calls_valid_is_not(vector):
    public, message, signature = (bytes.fromhex(vector[name]) for name in ("pk", "msg", "sig"))
    found = verify(public, signature, [message])
    assert not (found and vector["result"] == "invalid"), vector["comment"]
    assert found or vector["result"] != "valid", vector["comment"]
    assert openssl(public, signature, message) or not found


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300), cut=st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_what_openssl_signs_verifies_however_it_is_cut(seed, message, cut):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert verify(key.public_key().public_bytes_raw(), key.sign(message), [message[:cut], message[cut:]])


@given(place=st.integers(0, 63), bit=st.integers(0, 7), message=st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_a_bit_of_a_signature_or_a_key_turned_is_refused(place, bit, message):
    signature = bytearray(KEY.sign(message))
    signature[place] ^= 1 << bit
    assert not verify(PUBLIC, bytes(signature), [message])
    public = bytearray(PUBLIC)
    public[place % 32] ^= 1 << bit
    assert not verify(bytes(public), KEY.sign(message), [message])


@given(
    point=st.binary(min_size=32, max_size=32),
    scalar=st.integers(0, 2**256 - 1),
    message=st.binary(max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_bytes_out_of_nowhere_are_judged_as_openssl_does(point, scalar, message):
    signature = point + scalar.to_bytes(32, "little")
    assert verify(PUBLIC, signature, [message]) == openssl(PUBLIC, signature, message) is False


def test_a_signature_has_one_scalar_only():
    signature = KEY.sign(b"x")
    bent = signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
    assert not verify(PUBLIC, bent, [b"x"])


@pytest.mark.parametrize("small", SMALL, ids=lambda small: small.hex()[:8])
def test_a_key_or_a_nonce_of_small_order_signs_nothing(small):
    """With the neutral point as key and nonce, S = 0 satisfies the equation for every message."""
    assert usable(small) is None
    assert not verify(small, small + bytes(32), [b"any message"])
    assert not verify(PUBLIC, small + bytes(32), [b"any message"])


@pytest.mark.parametrize(
    "point",
    [
        (P).to_bytes(32, "little"),
        (P + 1).to_bytes(32, "little"),
        (2**255 - 1).to_bytes(32, "little"),
        (1 | 1 << 255).to_bytes(32, "little"),
        (2).to_bytes(32, "little"),
        bytes(31),
        bytes(33),
        b"",
    ],
    ids=lambda point: point.hex()[:8],
)
def test_points_in_a_second_encoding_or_off_the_curve_are_none(point):
    assert usable(point) is None
    assert not verify(point, KEY.sign(b"x"), [b"x"])


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a_signature_has_64_bytes(length):
    assert not verify(PUBLIC, (KEY.sign(b"x") * 2)[:length], [b"x"])
