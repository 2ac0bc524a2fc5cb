"""10,000 random edits of one byte of a valid pack: not one is accepted (attack 54)."""

import random

import pytest

from packs import builder, museum
from vis_verify import Asked, verify_pack
from vis_verify.envelope import InMemory, read_envelope
from vis_verify.keys import read_list
from vis_verify.note import Witness

KEYS = read_list(builder.jcs(builder.key_list()).decode())
EDITS = 10_000


def one_edit(dice: random.Random, content: bytes) -> bytes:
    at = dice.randrange(len(content))
    return content[:at] + bytes([content[at] ^ dice.randrange(1, 256)]) + content[at + 1 :]


@pytest.mark.parametrize("part", range(4))
def test_no_edit_of_one_byte_is_accepted(part):
    content = museum.honest().envelope()
    assert verify_pack(content, KEYS).exit_code == 0
    dice = random.Random(part)
    codes: dict[int, int] = {}
    for _ in range(EDITS // 4):
        code = verify_pack(one_edit(dice, content), KEYS).exit_code
        codes[code] = codes.get(code, 0) + 1
    assert set(codes) <= {10, 12, 20, 21}, codes
    print(codes)


def test_no_byte_left_out_put_in_or_cut_off_is_accepted():
    content = museum.honest().envelope()
    dice = random.Random(0)
    for _ in range(300):
        at = dice.randrange(len(content))
        assert verify_pack(content[:at] + content[at + 1 :], KEYS).exit_code in {10, 12, 20, 21}
        assert verify_pack(content[:at] + bytes([dice.randrange(256)]) + content[at:], KEYS).exit_code in {
            10,
            12,
            20,
            21,
        }
        assert verify_pack(content[:at], KEYS).exit_code == 10


def test_no_edit_of_one_byte_of_a_signed_payload_ends_in_a_fault_of_ours():
    """The payload is signed again after each edit, so that every check behind the signature sees it."""
    made = museum.honest(previous=4)
    made.predicate["ledger"]["checkpoint"] = builder.cosigned(made.predicate["ledger"]["checkpoint"])
    plain = builder.jcs(made.statement())
    asked = Asked(witnesses=(Witness("customer.example/witness", builder.public(builder.WITNESS)),))
    dice = random.Random(1)
    accepted = 0
    for _ in range(2000):
        edited = one_edit(dice, plain)
        verdict = verify_pack(builder.sealed(edited), KEYS, asked)
        assert verdict.exit_code != 3, (verdict.sentence, edited)
        accepted += verdict.exit_code == 0
    print(
        f"{accepted} of 2,000 were accepted: in what only the signature vouches for, like a title or a limit"
    )
    assert accepted < 700


def test_a_value_of_any_other_kind_in_any_place_ends_in_no_fault_of_ours():
    """Four of the twelve in each place, the next four in the next."""
    made = museum.honest(previous=4)
    whole = made.statement()
    values = (None, [], -1, "x", True, {"a": None}, 0, "", ["x"], 10**15, {}, [[]])
    for number, path in enumerate(places(whole)):
        for value in values[number % 3 * 4 :][:4]:
            verdict = verify_pack(builder.sealed(builder.jcs(replaced(whole, path, value))), KEYS)
            assert verdict.exit_code != 3, (path, value, verdict.sentence)


def places(value, here=()):
    """Every place of a statement, but of equal items of a list only the first one's."""
    yield here
    if isinstance(value, dict):
        for name, item in value.items():
            yield from places(item, (*here, name))
    elif isinstance(value, list):
        for number, item in enumerate(value[:1]):
            yield from places(item, (*here, number))


def replaced(value, path, new):
    if not path:
        return new
    if isinstance(value, dict):
        return {**value, path[0]: replaced(value[path[0]], path[1:], new)}
    return [*value[: path[0]], replaced(value[path[0]], path[1:], new), *value[path[0] + 1 :]]


def test_the_payload_is_read_alike_wherever_its_pieces_end(monkeypatch):
    made = builder.make(projects=("HPC", "OPS"), kind="customer", name="ACME", previous=2)
    content = made.envelope()
    expected = verify_pack(content, KEYS)
    assert expected.exit_code == 0
    for size in (4, 8, 60, 1000):
        monkeypatch.setattr("vis_verify.envelope._PIECE", size)
        assert verify_pack(content, KEYS).lines == expected.lines
    assert b"".join(read_envelope(InMemory(content)).payload()) == builder.jcs(made.statement())
