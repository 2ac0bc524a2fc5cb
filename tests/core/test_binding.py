"""Promise K4: a proof is written in one way only, or a used one could be sent again under another spelling."""

import string

import pytest

from visionality.core import binding

DIGITS = string.ascii_letters + string.digits + "-_"
SIGNED = binding.Signed(b"POST", b"/v1/chat/completions", b"", b"", b"svc:a", b"\1" * 32, b"\2" * 32)


@pytest.mark.parametrize(("field", "kept"), [("n", 4), ("s", 16)])
def test_of_the_spellings_of_the_same_bytes_one_is_read(field, kept):
    written = binding.header(b"k" * 32, "vis:a", "key-1", 1_760_000_000, b"\0" * 16, SIGNED)
    assert binding.read(written) is not None
    before, mark, after = written.partition(f";{field}=")
    value, semicolon, rest = after.partition(";")
    read = [binding.read(before + mark + value[:-1] + digit + semicolon + rest) for digit in DIGITS]
    taken = [proof for proof in read if proof is not None]
    assert len(taken) == kept
    assert len({(proof.nonce, proof.mac) for proof in taken}) == kept
