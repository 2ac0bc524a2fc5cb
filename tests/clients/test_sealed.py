"""Promise K4: a binding key that was sealed to a backend's own key opens there, and nowhere else."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clients.vectors import AUD, FILE, KEY, KEY_ID
from visionality.vault.binding_custody import seal_to
from visionality_client import BadBindingKey, BindingKey
from visionality_client.sealed import new_keypair, open_sealed

PRIVATE, PUBLIC = new_keypair()


def spelled(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def sealed(key: bytes = KEY, to: str = PUBLIC, **other: object) -> dict[str, object]:
    """What the operator's side hands over, written out from its format."""
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    public = X25519PublicKey.from_public_bytes(urlsafe_b64decode(to + "="))
    info = b"visionality binding key v1\x00" + KEY_ID.encode() + b"\x00" + AUD.encode()
    document = {
        "v": 1,
        "key_id": KEY_ID,
        "service": "checkout-api",
        "aud": AUD,
        "kem": "x25519",
        "enc_ct": spelled(suite.encrypt(key, public, info=info)),
        "thumbprint": hashlib.sha256(key).hexdigest(),
    }
    return document | other


def test_a_sealed_key_opens_with_the_backends_private_key():
    assert open_sealed(PRIVATE, sealed()) == BindingKey(KEY_ID, KEY, AUD)
    assert open_sealed(PRIVATE, json.dumps(sealed())) == BindingKey(KEY_ID, KEY, AUD)


def test_what_the_operators_side_seals_opens():
    public = urlsafe_b64decode(PUBLIC + "=")
    handed_over = msgspec.json.encode(seal_to(public, KEY, KEY_ID, "checkout-api", AUD))
    assert open_sealed(PRIVATE, handed_over) == BindingKey(KEY_ID, KEY, AUD)


def test_the_sealed_key_that_helpers_are_tested_against_opens():
    said = json.loads((FILE.parent / "sealed.json").read_text())
    private = X25519PrivateKey.from_private_bytes(urlsafe_b64decode(said["private_jwk"]["d"] + "="))
    assert open_sealed(private, said["sealed"]) == BindingKey.from_export(said["binding_key"])


def test_it_opens_with_no_other_key():
    other, _ = new_keypair()
    with pytest.raises(BadBindingKey, match="does not open"):
        open_sealed(other, sealed())


@pytest.mark.parametrize(
    "changed", [{"key_id": "another"}, {"aud": "vis:another"}, {"enc_ct": "AAAA"}, {"enc_ct": ""}]
)
def test_what_was_changed_on_its_way_does_not_open(changed):
    with pytest.raises(BadBindingKey, match="does not open"):
        open_sealed(PRIVATE, sealed(**changed))


def test_no_changed_byte_opens():
    whole = urlsafe_b64decode(sealed()["enc_ct"] + "=" * 3)
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(BadBindingKey):
            open_sealed(PRIVATE, sealed(enc_ct=spelled(changed)))


def test_a_key_that_is_not_the_one_of_the_thumbprint_is_refused():
    with pytest.raises(BadBindingKey, match="thumbprint"):
        open_sealed(PRIVATE, sealed(thumbprint=hashlib.sha256(b"another").hexdigest()))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("{", "expected JSON"),
        ({"v": 1}, "expected JSON"),
        (sealed(enc_ct=7), "expected JSON"),
        (sealed(v=2), "a newer gateway needs a newer client"),
        (sealed(kem="mlkem768"), "a newer gateway needs a newer client"),
    ],
)
def test_what_is_no_sealed_key_is_refused_with_what_was_expected(bad, sentence):
    with pytest.raises(BadBindingKey, match=sentence):
        open_sealed(PRIVATE, bad)
