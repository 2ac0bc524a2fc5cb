"""Heads as notes (L3): what is written is read back, and nothing with another spelling is a head."""

from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.checkpoint import BadNote, Checkpoint, Cosignature, cosigned, note_signed, read_note

LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC, SEEN_BY = (key.public_key().public_bytes_raw() for key in (LOG, WITNESS))
ORIGIN = "0198a0c0-0000-7000-8000-000000000001/0198a0c0-0000-7000-8000-000000000002/request_logs"
HEAD = Checkpoint(ORIGIN, 3, bytes(range(32)), 1_794_312_000_123, sha256().digest())
NOTE = note_signed(HEAD, LOG)

digests = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, 10**15 - 1)


def test_a_note_is_made_as_a_stranger_would_check_it():
    text, _, line = NOTE.partition("\n\n")
    text += "\n"
    assert text == (
        f"{ORIGIN}\n3\n{b64encode(bytes(range(32))).decode()}\ntime 1794312000123\n"
        "prev 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    )
    key_id = sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    value = LOG.sign(text.encode())
    assert line == f"\u2014 {ORIGIN} {b64encode(key_id + value).decode()}\n"


@given(st.builds(Checkpoint, st.just(ORIGIN), numbers, digests, numbers, digests))
def test_what_is_written_is_read_back(head):
    note = read_note(note_signed(head, LOG))
    assert note.checkpoint == head
    assert note.is_by(PUBLIC)
    assert not note.is_by(SEEN_BY)


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_a_note_with_another_character_anywhere_is_nobodys(at, put):
    changed = NOTE[:at] + put + NOTE[at + 1 :]
    if changed == NOTE:
        return
    try:
        note = read_note(changed)
    except BadNote:
        return
    assert not note.is_by(PUBLIC)


def test_a_witness_signs_what_the_log_signed_and_when_it_saw_it():
    both = cosigned(NOTE, "auditor.example", WITNESS, 1_794_312_060)
    assert both.startswith(NOTE)
    note = read_note(both)
    assert note.is_by(PUBLIC)
    known = {"auditor.example": SEEN_BY, "another.example": PUBLIC}
    assert note.witnesses(known) == [Cosignature("auditor.example", 1_794_312_060)]
    assert note.witnesses({"auditor.example": PUBLIC}) == []
    assert read_note(NOTE).witnesses(known) == []
    line = both.removeprefix(NOTE).split(" ")[2].strip()
    key_id = sha256(b"auditor.example\n\x04" + SEEN_BY).digest()[:4]
    assert line.startswith(b64encode(key_id + b"\0").decode()[:4])
    covered = f"cosignature/v1\ntime 1794312060\n{HEAD.text()}".encode()
    Ed25519PublicKey.from_public_bytes(SEEN_BY).verify(note.lines[1].value[8:], covered)


def test_a_cosignature_is_good_for_its_head_and_its_moment_only():
    both = cosigned(NOTE, "w", WITNESS, 1_794_312_060)
    line = both.removeprefix(NOTE)
    other = note_signed(Checkpoint(ORIGIN, 4, HEAD.root, HEAD.time_ms, HEAD.prev), LOG)
    assert read_note(other + line).witnesses({"w": SEEN_BY}) == []
    value = read_note(both).lines[1]
    later = value.key_id + (1_794_312_061).to_bytes(8, "big") + value.value[8:]
    moved = f"{NOTE}\u2014 w {b64encode(later).decode()}\n"
    assert read_note(moved).witnesses({"w": SEEN_BY}) == []
    short = f"{NOTE}\u2014 w {b64encode(value.key_id + b'x' * 64).decode()}\n"
    assert read_note(short).witnesses({"w": SEEN_BY}) == []


def test_of_two_lines_that_claim_to_be_the_logs_both_must_be():
    line = NOTE.partition("\n\n")[2]
    key_id = sha256(ORIGIN.encode() + b"\n\x01" + PUBLIC).digest()[:4]
    forged = f"\u2014 {ORIGIN} {b64encode(key_id + bytes(64)).decode()}\n"
    assert not read_note(NOTE + forged).is_by(PUBLIC)
    assert read_note(NOTE + line).is_by(PUBLIC)


HOSTILE = {
    "nothing": "",
    "no signature": HEAD.text(),
    "an empty signature part": HEAD.text() + "\n",
    "no line feed at the end": NOTE[:-1],
    "carriage returns": NOTE.replace("\n", "\r\n"),
    "a line more": NOTE.replace("\nprev", "\nextra\nprev"),
    "a line less": NOTE.replace("time 1794312000123\n", ""),
    "another order": NOTE.replace("time 1794312000123\nprev", "prev 1794312000123\ntime"),
    "a sign before the size": NOTE.replace("\n3\n", "\n+3\n"),
    "a zero before the size": NOTE.replace("\n3\n", "\n03\n"),
    "a size below nothing": NOTE.replace("\n3\n", "\n-3\n"),
    "digits of another script": NOTE.replace("\n3\n", "\n\u0663\n"),
    "a size beyond 2^53": NOTE.replace("\n3\n", f"\n{10**15}\n"),
    "a size of many digits": NOTE.replace("\n3\n", f"\n{'9' * 6000}\n"),
    "a root without its padding": NOTE.replace("Hh8=\n", "Hh8\n"),
    "a root with loose bits": NOTE.replace("Hh8=\n", "Hh9=\n"),
    "a root in base64url": NOTE.replace("47DEQpj8HBSa+/TImW+5", "47DEQpj8HBSa-_TImW-5"),
    "a root of 31 bytes": NOTE.replace(b64encode(bytes(range(32))).decode(), b64encode(bytes(31)).decode()),
    "a hyphen for the dash": NOTE.replace("\u2014", "-"),
    "two spaces": NOTE.replace("\u2014 ", "\u2014  "),
    "a signature of three bytes": f"{HEAD.text()}\n\u2014 {ORIGIN} AAAA\n",
    "a name with a plus": NOTE.replace(ORIGIN, "a+b"),
    "no name": NOTE.replace(ORIGIN, ""),
    "half of a character": NOTE.replace(ORIGIN, "a\ud800"),
    "a note of a megabyte": NOTE + "\u2014 x AAAAAAAA\n" * 60_000,
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_has_another_spelling_is_no_note(text):
    assert text != NOTE
    with pytest.raises(BadNote):
        read_note(text)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "x" * 256])
def test_a_witness_has_a_name_that_stands_in_a_line(name):
    with pytest.raises(BadNote, match="witness"):
        cosigned(NOTE, name, WITNESS, 1)
