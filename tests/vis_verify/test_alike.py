"""Rows that are read by a pattern come to what they come to when they are read value by value, or are not read so at all."""

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from packs import builder
from vis_verify import alike, tally, verify_pack
from vis_verify.canonical import NotCanonical, NotStrict, exactly
from vis_verify.keys import read_list
from vis_verify.tally import Tally, Within

KEYS = read_list(builder.jcs(builder.key_list()).decode())
FIRST, SECOND = (builder.row("HPC", seq, "2026-11-03T14:12:09.402000Z") for seq in (1, 2))
FILLED = {
    "raw_usage": '{"input_tokens":3,"note":"a, b \\\\ \n"}',
    "usage": {"cache_read": 3, "in_text": 40, "out_text": 0},
    "tags": {"client": "continue 1.2.9", "unit": "pówer"},
    "memo": "Zoë, \U0001f30a",
}
NASTY = ['"', "\\", "}", "{", ",", ":", " ", "0", "-", "-0", "1.0", "1e3", "\\u0041", "\\/", "\n", "\x01", "é", "null",
         "9007199254740993", "[", "]", '{"b":1,"a":1}', '{"a":1,"a":1}', '"x":1,', "\ud7ff", "\uffff", "true"]  # fmt: skip


def spelled(row) -> str:
    return rfc8785.dumps(row).decode()


def begun() -> Tally:
    """A tally that has seen two rows and looks for more like them."""
    counted = Tally(
        FIRST["org_id"], "HPC", Within("2026-11-01T05:00:00.000000Z", "2026-12-01T05:00:00.000000Z")
    )
    counted.begin()
    for row in (FIRST, {**SECOND, **FILLED}):
        counted.add(spelled(row), exactly(spelled(row)))
    assert counted.wrong is None
    return counted


def come_to(counted: Tally):
    segment = counted.segments[-1]
    within = counted.within
    return (
        segment.tree.root(), segment.tree.size, segment.totals, segment.first_at, segment.last_at,
        within.rows, within.totals(), within.prices(), counted.wrong,
    )  # fmt: skip


def taken(counted: Tally, text: str) -> bool:
    found = counted.look(text, 0)
    return found is not None and found.end() == len(text) and counted.add_alike(found)


def test_a_row_like_one_before_it_is_read_by_the_pattern():
    counted = begun()
    assert taken(
        counted,
        spelled({**FIRST, **FILLED, "wseq": 3, "usage": {"cache_read": 9, "in_text": 1, "out_text": 2}}),
    )
    assert taken(counted, spelled({**FIRST, "wseq": 4}))
    assert come_to(counted)[1] == 4


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_an_edited_row_is_read_by_the_pattern_only_when_it_reads_the_same_value_by_value(data):
    text = spelled({**FIRST, **FILLED, "wseq": 3})
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + data.draw(st.sampled_from(NASTY) | st.characters(exclude_categories=["Cs"]))
            + text[at + data.draw(st.integers(0, 12)) :]
        )
    quick, slow = begun(), begun()
    if not taken(quick, text):
        assert come_to(quick) == come_to(slow)
        return
    row = exactly(text)
    assert rfc8785.dumps(json.loads(text)).decode() == text
    slow.add(text, row)
    assert come_to(quick) == come_to(slow)
    assert slow.wrong is None


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2}, {"org_id": "x"}, {"project_id": "OPS"}, {"project_id": None}, {"cost_nusd": "01"}, {"cost_nusd": 1},
        {"billed_nusd": "-0"}, {"created_at": "2026-11-03T14:12:09Z"}, {"wseq": 2}, {"wseq": "3"}, {"writer_no": None},
        {"currency": None}, {"price_version": "1"}, {"rates": {"in_text": []}}, {"rates": []},
        {"usage_source": 5}, {"extra": 1},
    ],
)  # fmt: skip
def test_a_row_that_may_not_be_is_left_to_who_names_it(change):
    row = {**FIRST, **FILLED, "wseq": 3, **change}
    counted, before = begun(), come_to(begun())
    taken_by_pattern = taken(counted, spelled(row))
    assert not taken_by_pattern
    assert come_to(counted) == before


@pytest.mark.parametrize(
    "object_text",
    ['{"b":1,"a":1}', '{"a":1,"a":2}', '{"a":01}', '{"a":1.5}', '{"a":-0}', '{"a": 1}', '{"a":1,}', "{,}", '{"a"}',
     '{"a":9007199254740993}', '{"a":NaN}', '{"\uffff":1,"\U0001f30a":2}', '{"a":{"b":1}}x', "{"],
)  # fmt: skip
@pytest.mark.parametrize("column", ["usage", "tags", "rates"])
def test_an_object_in_another_spelling_is_never_passed_over(object_text, column):
    text = spelled({**FIRST, **FILLED, "wseq": 3, column: "PLACE"}).replace('"PLACE"', object_text)
    for _ in range(2):
        assert not taken(begun(), text)
    with pytest.raises((NotStrict, NotCanonical, ValueError)):
        exactly(text)


@pytest.mark.parametrize(("levels", "is_taken"), [(30, True), (31, False)])
def test_an_object_within_a_row_is_as_deep_as_a_row_may_be_less_one(levels, is_taken):
    deep = "[" * levels + "]" * levels
    text = spelled({**FIRST, **FILLED, "wseq": 3, "usage": "PLACE"}).replace('"PLACE"', f'{{"a":{deep}}}')
    assert taken(begun(), text) is is_taken
    try:
        exactly(text)
    except NotStrict:
        assert not is_taken


def test_rows_of_many_shapes_are_all_read_one_way_or_the_other():
    counted, slow = begun(), begun()
    slow.look = alike.nothing
    for seq in range(3, 60):
        row = {
            **FIRST,
            **FILLED,
            "wseq": seq,
            f"new_{seq % 23}": seq,
            "memo": "\x01" if seq % 7 == 0 else "m",
        }
        text = spelled(row)
        if not taken(counted, text):
            counted.add(text, exactly(text))
        slow.add(text, exactly(text))
    assert come_to(counted) == come_to(slow)
    assert counted._shapes <= tally._MOST_SHAPES


@pytest.mark.parametrize("size", [4, 60, 1000])
def test_a_pack_is_judged_alike_with_and_without_the_pattern(monkeypatch, size):
    content = builder.make(projects=("HPC", "OPS"), kind="customer", name="ACME", previous=2).envelope()
    quick = verify_pack(content, KEYS)
    monkeypatch.setattr("vis_verify.envelope._PIECE", size)
    monkeypatch.setattr("vis_verify.tally.shape_of", lambda *_: None)
    assert verify_pack(content, KEYS).lines == quick.lines
    assert quick.exit_code == 0
