"""JSON in its one form and in no other, checked against `json` and `rfc8785`."""

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_verify.canonical import NotCanonical, NotStrict, canonical, is_canonical, read, read_canonical, scan
from vis_verify.cursor import Cursor
from vis_verify.spelling import nano, of_base64, of_base64url, of_whole_groups, units
from vis_verify.verdict import Code, Refused

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
wide = st.dictionaries(
    st.sampled_from(["a", "\ue000", "\U0001f30a", "\ud7ff", "\uffff", "é"]), values, max_size=6
)


def whole(text: str):
    """What the cursor makes of a text, in pieces of three bytes."""
    plain = text.encode()
    cursor = Cursor(iter([plain[at : at + 3] for at in range(0, len(plain), 3)]))
    found = cursor.value()[1]
    cursor.end()
    return found


def refused(text: str) -> Code | None:
    try:
        whole(text)
    except Refused as error:
        return error.code
    return None


@given(values | wide)
def test_the_one_form_is_that_of_rfc_8785_and_reads_back(value):
    text = rfc8785.dumps(value).decode()
    assert canonical(value) == text
    assert read_canonical(text) == value
    assert whole(text) == value


@given(values | wide, st.booleans(), st.sampled_from([None, 0, 1]), st.booleans())
def test_text_is_taken_for_its_one_form_exactly_when_it_is(value, is_ascii, indent, is_sorted):
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent, sort_keys=is_sorted)
    assert read(text) == value
    assert (refused(text) is None) == (text.encode() == rfc8785.dumps(value))


@given(st.text('{}[]:,"\\u0041/ \n\t-019.eEatrufnlsé\U0001f30a', max_size=24))
@settings(max_examples=1500)
def test_no_text_reads_as_something_that_json_reads_otherwise(text):
    if refused(text) is None:
        assert rfc8785.dumps(json.loads(text)) == text.encode()


@given(values | wide, st.data())
def test_a_quick_look_never_says_yes_where_writing_again_says_no(value, data):
    text = rfc8785.dumps(value).decode()
    at = data.draw(st.integers(0, len(text)))
    changed = (
        text[:at]
        + data.draw(st.sampled_from([" ", "\n", "\t", "\\u0041", "\\/", '"', ",", "0", "-0", "é"]))
        + text[at:]
    )
    try:
        found, end = scan(changed, 0)
    except (StopIteration, ValueError, NotStrict, NotCanonical):
        return
    assert is_canonical(changed[:end], found) == (canonical(found) == changed[:end])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a":1,"a":1}', Code.UNREADABLE),
        ('{"a":1,"\\u0061":1}', Code.UNREADABLE),
        ("NaN", Code.UNREADABLE),
        ("-Infinity", Code.UNREADABLE),
        ("1.0", Code.UNREADABLE),
        ("1e2", Code.UNREADABLE),
        ("1e999", Code.UNREADABLE),
        ("9007199254740992", Code.UNREADABLE),
        ("-9007199254740992", Code.UNREADABLE),
        ("9" * 5000, Code.UNREADABLE),
        ("[" * 33 + "]" * 33, Code.UNREADABLE),
        ("[" * 100_000, Code.UNREADABLE),
        ('{"a":' * 5000, Code.UNREADABLE),
        ("01", Code.UNREADABLE),
        ("'a'", Code.UNREADABLE),
        ('"\x01"', Code.UNREADABLE),
        ("[1,]", Code.UNREADABLE),
        ("", Code.UNREADABLE),
        ("1 2", Code.UNREADABLE),
        ('"\\ud800"', Code.FORM),
        ('"\\u00e9"', Code.FORM),
        ('"\\u000a"', Code.FORM),
        ('"\\u001F"', Code.FORM),
        ('"\\/"', Code.FORM),
        ("-0", Code.FORM),
        ('{"b":1,"a":1}', Code.FORM),
        ('{"\ue000":1,"\U0001f30a":1}', Code.FORM),
        ("[1, 2]", Code.FORM),
        ("[ ]", Code.FORM),
        ("[1\n]", Code.FORM),
        (" 1", Code.FORM),
        ('{"\U0001f30a":1,"\ue000":1}', None),
        ("9007199254740991", None),
        ("[" * 32 + "]" * 32, None),
        ('"\\u001f\\n\\"\\\\ / : , {"', None),
    ],
)
def test_each_danger_of_json_has_its_code(text, code):
    assert refused(text) is code


def test_a_byte_that_is_not_utf8_is_refused_wherever_pieces_are_cut():
    for bad in (b'"\xff"', b'"\xc3', b'"\xed\xa0\x80"', b'"\xc0\xaf"'):
        with pytest.raises(Refused) as caught:
            Cursor(iter([bad[:2], bad[2:]])).value()
        assert caught.value.code is Code.UNREADABLE


@pytest.mark.parametrize(
    "text", ["QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "Q Q=", "QQ==QQ==", "-_==", "====", "Q"]
)
def test_base64_has_one_spelling(text):
    with pytest.raises(ValueError):
        of_base64(text)


@given(st.binary(max_size=60))
def test_base64_reads_back(plain):
    from base64 import b64encode, urlsafe_b64encode  # noqa: PLC0415

    assert of_base64(b64encode(plain).decode()) == plain
    assert of_base64url(urlsafe_b64encode(plain).decode().rstrip("=")) == plain
    whole_groups = plain[: len(plain) // 3 * 3]
    assert of_whole_groups(b64encode(whole_groups)) == whole_groups


@pytest.mark.parametrize("text", [b"QQ==", b"QUI=", b"Q\nJDQQ==", b"QUJ\n", b"QUJD====", b"QU=D"])
def test_groups_within_a_payload_hold_nothing_but_base64(text):
    with pytest.raises(ValueError):
        of_whole_groups(text)


@pytest.mark.parametrize("text", ["QQ==", "Q", "QR", "Q+", "Q Q", "QQ\n", "Qé"])
def test_base64url_has_one_spelling_without_padding(text):
    with pytest.raises(ValueError):
        of_base64url(text)


@pytest.mark.parametrize("text", ["", "+1", "01", "-0", "1.0", " 1", "1_000", "٣", "1" * 40])
def test_money_has_one_spelling(text):
    with pytest.raises(ValueError):
        nano(text)


@given(st.integers(-(10**28), 10**28))
def test_money_is_exact(amount):
    from decimal import Decimal, localcontext  # noqa: PLC0415

    assert nano(str(amount)) == amount
    with localcontext(prec=60):
        assert Decimal(units(amount)) == Decimal(amount) / 10**9
