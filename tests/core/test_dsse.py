"""An envelope is what the public protocol says it is, and its signature holds what its receiver reads (formats.md section 5)."""

import json
from base64 import b64decode

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from visionality.core import dsse

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_the_encoding_is_that_of_the_published_vector():
    assert dsse.pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=200), st.text(max_size=40))
def test_the_encoding_is_that_of_securesystemslib(payload, payload_type):
    assert dsse.pae(payload, payload_type) == Envelope(payload, payload_type, {}).pae()


@given(st.binary(max_size=500))
def test_securesystemslib_reads_the_envelope_and_its_signature_is_over_what_it_reads(payload):
    written = dsse.envelope(payload, PRIVATE)
    known = Envelope.from_dict(json.loads(written))
    assert (known.payload, known.payload_type) == (payload, dsse.PAYLOAD_TYPE)
    keyid = dsse.fingerprint(PRIVATE.public_key())
    public = SSlibKey(keyid, "ed25519", "ed25519", {"public": PRIVATE.public_key().public_bytes_raw().hex()})
    assert set(known.verify([public], 1)) == {keyid}
    assert written == rfc8785.dumps(json.loads(written))


def test_another_payload_or_type_is_not_what_was_signed():
    written = json.loads(dsse.envelope(b"{}", PRIVATE))
    signature = b64decode(written["signatures"][0]["sig"])
    public = Ed25519PublicKey.from_public_bytes(PRIVATE.public_key().public_bytes_raw())
    for payload, payload_type in ((b"{} ", dsse.PAYLOAD_TYPE), (b"{}", "application/json")):
        with pytest.raises(InvalidSignature):
            public.verify(signature, dsse.pae(payload, payload_type))
