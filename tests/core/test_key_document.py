"""The key document, and what a verifier far away can tell of a token with it (promise K1)."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.inspection import HOLDS, inspect
from visionality.core.key_document import (
    BadDocument,
    KeyDocument,
    PublishedKey,
    bytes_of,
    check_root,
    read,
    signed,
    spelled,
    trusted,
    written,
)
from visionality.core.spend_token import Bound, Claims, kid_of, sign

NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
SIGNER = Ed25519PrivateKey.generate()
ROOT = Ed25519PrivateKey.generate()
ROOT_PUBLIC = ROOT.public_key().public_bytes_raw()
ISSUER, ORG = f"vis:{uuid4()}", str(uuid4())


def published(signer: Ed25519PrivateKey = SIGNER, **changes: object) -> PublishedKey:
    public = signer.public_key().public_bytes_raw()
    key = PublishedKey(
        kid=kid_of(public).hex(),
        public=spelled(public),
        active_from=NOW - timedelta(days=1),
        verify_until=None,
        revoked_at=None,
    )
    return msgspec.structs.replace(key, **changes)


def document(*keys: PublishedKey) -> KeyDocument:
    return KeyDocument(1, ISSUER, ORG, NOW, list(keys or [published()]))


def claims(**changes: object) -> Claims:
    at = int(NOW.timestamp())
    plain = Claims(2, "j", ISSUER, ISSUER, ORG, "alice", at, at, at + 60, ("call",), Bound(0), 1, 1, 1)
    return msgspec.structs.replace(plain, **changes)


TOKEN = sign(SIGNER, claims(memo="Q4"))


def test_a_document_reads_as_it_was_written():
    whole = signed(document(published(), published(verify_until=NOW, revoked_at=NOW)), ROOT)
    assert read(written(whole)) == whole
    assert read(written(document())) == document()


@given(st.data())
def test_a_signed_document_that_was_changed_in_any_byte_is_refused(data):
    text = bytearray(written(signed(document(), ROOT)))
    at = data.draw(st.integers(0, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    try:
        found = read(bytes(text))
        check_root(found, ROOT_PUBLIC)
    except BadDocument:
        return
    assert (
        msgspec.structs.replace(found, signature=None) == document()
    )  # only the hint of who signed it differs


def test_a_document_is_believed_by_the_root_that_signed_it_only():
    check_root(signed(document(), ROOT), ROOT_PUBLIC)
    with pytest.raises(BadDocument, match="not signed by this root"):
        check_root(signed(document(), SIGNER), ROOT_PUBLIC)
    with pytest.raises(BadDocument, match="not signed, and a root was named"):
        check_root(document(), ROOT_PUBLIC)
    with pytest.raises(BadDocument, match="not signed by this root"):
        check_root(signed(document(), ROOT), b"short")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"v":2}',
        b"[" * 100_000,
        written(document()).replace(b'"v":1', b'"v":1,"more":0'),
        written(document()).replace(b"Z", b""),
    ],
    ids=["empty", "list", "version", "deep", "unknown name", "no zone"],
)
def test_what_is_no_key_document_is_told_so(text):
    with pytest.raises(BadDocument, match="no key document of version 1"):
        read(text)


def test_a_public_key_that_is_none_is_told_so():
    with pytest.raises(BadDocument, match="a public key that is none"):
        trusted(document(published(public="A")))


@pytest.mark.parametrize("text", ["QQ==", "QR", "Q", "*"])
def test_bytes_have_one_spelling(text):
    assert bytes_of("QQ") == b"A"
    with pytest.raises(ValueError, match=r"base64url|padding|characters"):
        bytes_of(text)


def test_a_token_is_checked_far_away():
    found = inspect(TOKEN, document(), NOW)
    assert (found.checksum, found.signature, found.times) == (HOLDS, HOLDS, HOLDS)
    assert found.is_valid
    assert found.claims == claims(memo="Q4")


def test_a_token_that_was_changed_in_any_character_does_not_hold():
    for at, was in enumerate(TOKEN):
        changed = TOKEN[:at] + ("A" if was != "A" else "B") + TOKEN[at + 1 :]
        found = inspect(changed, document(), NOW)
        assert not found.is_valid
        assert found.claims is None


@pytest.mark.parametrize(
    ("at", "told"),
    [(-1, "it is not valid yet"), (0, HOLDS), (59, HOLDS), (60, "it has expired")],
)
def test_a_token_holds_from_its_first_second_until_its_last(at, told):
    found = inspect(TOKEN, document(), NOW + timedelta(seconds=at))
    assert (found.signature, found.times) == (HOLDS, told)
    assert found.is_valid == (told == HOLDS)
    assert found.claims is not None


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (document(published(ROOT)), "no trusted key signed it"),
        (document(published(revoked_at=NOW)), "no trusted key signed it"),
        (document(published(verify_until=NOW)), "the key that signed it is not trusted at this time"),
        (document(published(active_from=NOW + timedelta(1))), "the key that signed it is not trusted at this time"),
        (msgspec.structs.replace(document(), org="another"), "another organisation's key signed it"),
        (msgspec.structs.replace(document(), iss="vis:another"), "another installation issued it"),
    ],
    ids=["stranger", "revoked", "retired", "not yet", "organisation", "installation"],
)  # fmt: skip
def test_a_token_of_a_key_that_is_not_trusted_does_not_hold(keys, told):
    found = inspect(TOKEN, keys, NOW)
    assert (found.checksum, found.signature, found.claims) == (HOLDS, told, None)
    assert not found.is_valid
