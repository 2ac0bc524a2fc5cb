"""A binding key is opened by its service alone, and at rest in its own row alone (promise K4)."""

import itertools
import os
from base64 import urlsafe_b64decode
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from visionality.core.binding import thumbprint
from visionality.vault.binding_custody import BadPublicKey, check_public_key, info, seal_to
from visionality.vault.purposes import binding_context, provider_context, signing_context
from visionality.vault.sealing import SealBroken, seal, unseal

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def opened(sealed, private: X25519PrivateKey, key_id: str, aud: str) -> bytes:
    return SUITE.decrypt(urlsafe_b64decode(sealed.enc_ct + "=="), private, info=info(key_id, aud))


def test_only_the_service_opens_what_was_sealed_to_it():
    service, secret = X25519PrivateKey.generate(), os.urandom(32)
    sealed = seal_to(service.public_key().public_bytes_raw(), secret, "k-1", "checkout-api", "vis:1")
    assert opened(sealed, service, "k-1", "vis:1") == secret
    assert sealed.thumbprint == thumbprint(secret)
    for private, key_id, aud in (
        (X25519PrivateKey.generate(), "k-1", "vis:1"),
        (service, "k-2", "vis:1"),
        (service, "k-1", "vis:2"),
    ):
        with pytest.raises(InvalidTag):
            opened(sealed, private, key_id, aud)


def test_the_same_key_is_never_sealed_twice_the_same_way():
    public = X25519PrivateKey.generate().public_key().public_bytes_raw()
    texts = {seal_to(public, bytes(32), "k", "s", "a").enc_ct for _ in range(10)}
    assert len(texts) == 10


@pytest.mark.parametrize(
    ("public", "told"),
    [(b"", "got 0"), (bytes(31), "got 31"), (bytes(32), "small order"), (b"\1" + bytes(31), "small order")],
    ids=["empty", "short", "zero", "one"],
)
def test_a_public_key_that_keeps_no_secret_is_refused(public, told):
    with pytest.raises(BadPublicKey, match=told):
        check_public_key(public)


def test_a_row_that_is_moved_to_any_other_place_does_not_open():
    kek, orgs, ids, keks = os.urandom(32), [uuid4(), uuid4()], [uuid4(), uuid4()], [uuid4(), uuid4()]
    places = [
        kind(org, key, kek_id, generation)
        for kind in (binding_context, signing_context, provider_context)
        for org, key, kek_id, generation in itertools.product(orgs, ids, keks, (1, 2))
    ]
    rows = [(place, seal(kek, place, os.urandom(32))) for place in places]
    for (place, row), (other, _) in itertools.product(rows, rows):
        if place == other:
            assert len(unseal(kek, place, row)) == 32
        else:
            with pytest.raises(SealBroken):
                unseal(kek, other, row)
