import contextlib
import json
import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from visionality.core import body as reading
from visionality.core import body_outline
from visionality.core.body import (
    AT_ONCE,
    DEPTH_LIMIT,
    MARGIN_LIMIT,
    SLICE,
    WEIGHT_LIMIT,
    BadBody,
    Preview,
    parsed,
    weighed,
)

BAD = {
    "nothing": b"",
    "half": b'{"a":',
    "an open string": b'{"a":"x',
    "an open string of escapes": b'{"a":"' + b'\\"' * 300_000,
    "a lone backslash": b'{"a":"\\',
    "escapes outside of strings": b'{"a":' + b'\\"\\\\"' * 300_000,
    "strings without commas": b'{"a":' + b'""' * 300_000,
    "a bare word": b'{"a":yes}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "a number out of range": b'{"a":1e999}',
    "a negative number out of range": b'{"a":-1e999}',
    "a long number out of range": b'{"a":' + b"7" * 400 + b".5}",
    "an integer of 5,000 digits": b'{"a":' + b"7" * 5000 + b"}",
    "a lone surrogate": b'{"a":"\\ud800"}',
    "an encoded surrogate": b'{"a":"\xed\xa0\x80"}',
    "trailing data": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "no UTF-8": b'{"a":"\xff"}',
    "no UTF-8 in a name": b'{"\xff":1}',
    "a NUL": b'{"a":"\0"}',
    "a raw line end in a string": b'{"a":"\n"}',
    "a single quote": b"{'a':1}",
    "a comment": b"{/**/}",
    "a closing bracket": b"]",
    "closing brackets only": b"]" * 1_000_000,
    "deep arrays": b"[" * 100_000,
    "deep and closed": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "a million names": b"{" + b",".join(b'"%d":1' % n for n in range(10**6)) + b"}",
    "a million elements": b'{"a":[' + b"1," * 10**6 + b"1]}",
    "a million strings": b'{"a":[' + b'"",' * 10**6 + b'""]}',
    "many short chains of arrays": b'{"a":[' + b",".join([b"[" * 150 + b"]" * 150] * 2000) + b"]}",
    "an array": b'["a"]',
    "a string": b'"a"',
    "null": b"null",
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD.keys())
def test_a_body_that_is_no_sane_object_is_a_bad_request(body):
    with pytest.raises(BadBody) as bad:
        parsed(body)
    assert bad.value.code == "bad_request"
    assert len(str(bad.value)) < 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1,"\\u0061":2}',
        b'{"\\/":1,"/":2}',
        b'{"x":[{"y":{"a":1,"a":null}}]}',
        b'{"":1,"":2}',
        b'{"\xc3\xbc":1,"\\u00fc":1}',
        b'{"\\ud83c\\udf0a":1,"\xf0\x9f\x8c\x8a":1}',
        b'{"x":[[[{"a":{}},{"a":[],"a":[]}]]]}',
    ],
)
def test_a_name_that_comes_twice_is_found_at_any_depth_and_in_any_spelling(body):
    with pytest.raises(BadBody) as bad:
        parsed(body)
    assert bad.value.code == "duplicate_json_name"


def test_as_deep_as_allowed_is_allowed():
    deep = b'{"a":' + b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1) + b"}"
    assert parsed(deep)
    with pytest.raises(BadBody, match="deep"):
        parsed(deep.replace(b"[]", b"[[]]"))


def test_punctuation_in_strings_is_text():
    assert parsed(b'{"a":"' + b'\\",:[{' * 100_000 + b'"}')
    assert parsed(b'{"a\\\\":"\\\\\\"","b":"\\\\","c":"\\\\\\n:,[{\\\\"}')


@pytest.mark.parametrize(
    "number",
    [
        b"0.7",
        b"64.0",
        b"-0.0",
        b"1e300",
        b"5e-324",
        b"1e-400",
        b"1E5",
        b"1.7976931348623157e308",
        b"0." + b"7" * 5000,
    ],
)
def test_a_float_is_the_float_that_any_parser_reads(number):
    body = b'{"a":' + number + b"}"
    assert repr(parsed(body)["a"]) == repr(json.loads(body)["a"])


names = st.text(max_size=3) | st.sampled_from(["a", '"', "\\", ":", "{", "ü", "\U0001f30a"])
leaves = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | names
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(names, trees, max_size=4)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(objects, st.booleans(), st.sampled_from([(",", ":"), (" , ", "\n:\t")]))
def test_a_body_without_duplicates_is_read_as_any_parser_reads_it(document, ascii_only, separators):
    text = json.dumps(document, ensure_ascii=ascii_only, separators=separators)
    assert parsed(text.encode()) == json.loads(text)


class Twice(dict):
    """An object whose one name is written twice, the second time escaped."""


def written(value, ascii_only):
    if isinstance(value, Twice):
        ((name, inner),) = value.items()
        escaped = "".join(
            f"\\u{int.from_bytes(name.encode('utf-16-be')[at : at + 2]):04x}"
            for at in range(0, len(name.encode("utf-16-be")), 2)
        )
        return f'{{{json.dumps(name, ensure_ascii=ascii_only)}:{written(inner, ascii_only)},"{escaped}":0}}'
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(
                f"{json.dumps(name, ensure_ascii=ascii_only)}:{written(inner, ascii_only)}"
                for name, inner in value.items()
            )
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(written(inner, ascii_only) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=ascii_only)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(names, trees, st.lists(st.one_of(st.just("list"), names), max_size=4), objects, st.booleans())
def test_one_duplicate_anywhere_is_found(name, inner, path, beside, ascii_only):
    value = Twice({name: inner})
    for step in path:
        value = [1, value, beside] if step == "list" else {**beside, step: value}
    with pytest.raises(BadBody) as bad:
        parsed(written({**beside, "x": value}, ascii_only).encode())
    assert bad.value.code == "duplicate_json_name"


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", b"a", b"1", b"\xff", b"null", b" "]
        ),
        max_size=20,
    )
)
def test_any_bytes_are_read_or_refused(pieces):
    with contextlib.suppress(BadBody):
        assert isinstance(parsed(b"".join(pieces)), dict)


def verdict(body, preview=None):
    try:
        return parsed(body, preview)
    except BadBody as bad:
        return bad.code


def in_pieces(body, cuts):
    points = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(points)]


def foreseen(body, cuts):
    """The code for what is found to be wrong with a body before it is read whole."""
    try:
        previewed(in_pieces(body, cuts)).weighed(body)
    except BadBody as bad:
        return bad.code
    return None


def previewed(pieces):
    preview = Preview()
    for piece in pieces:
        preview.add(piece)
    return preview


@contextlib.contextmanager
def read_as_large(slice_of=SLICE, long=body_outline.LONG, many=body_outline.MANY):
    """Every body is taken for a large one, with slices of so many bytes, and texts of so many for long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LARGE", -1)
        patch.setattr(reading, "SLICE", slice_of)
        patch.setattr(body_outline, "LONG", long)
        patch.setattr(body_outline, "LONG_NAME", 2 * long)
        patch.setattr(body_outline, "MANY", many)
        yield


def assert_measured_the_same(body, slice_of, cuts):
    """A body is read alike whatever size it is taken for, wherever its slices end and the network cuts it."""
    at_once = verdict(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "AT_ONCE", -1)
        patch.setattr(reading, "SLICE", slice_of)
        assert verdict(body) == at_once
    with read_as_large(slice_of, long=3, many=9):
        assert verdict(body) == at_once
        assert verdict(body, previewed(in_pieces(body, cuts))) == at_once
        assert foreseen(body, cuts) == (at_once if isinstance(at_once, str) else None)


ANY_PIECES = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", rb"\"", rb"\\", rb"\u00e9", rb"\ud800", rb"\ud83c", rb"\udf0a", b"a", b"1",
    b"\xff", b"\xc3\xbc", b"\xf0\x9f\x8c\x8a", b"null", b" ", b"some text", b'"a":', b'{"a":[', b"]}", b'","',
]  # fmt: skip
cuts = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(ANY_PIECES), max_size=20), st.integers(1, 9), cuts)
def test_any_bytes_have_the_same_verdict_as_a_small_body_and_as_a_large_one(pieces, slice_of, cuts):
    assert_measured_the_same(b"".join(pieces), slice_of, cuts)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(ANY_PIECES), max_size=20), st.integers(1, 30), cuts)
@example([rb"text\ud83c", b'","x":"', rb"\udf0atext"], 100, [])
def test_any_bytes_in_an_object_have_the_same_verdict_as_a_small_body_and_as_a_large_one(
    pieces, slice_of, cuts
):
    assert_measured_the_same(b'{"a":"' + b"".join(pieces) + b'","b":1}', slice_of, cuts)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(names, trees, objects, st.booleans(), st.booleans(), st.integers(1, 9), cuts)
def test_an_object_has_the_same_verdict_as_a_small_body_and_as_a_large_one(
    name, inner, beside, twice, ascii_only, slice_of, cuts
):
    value = {**beside, "x": Twice({name: inner}) if twice else {name: inner}}
    assert_measured_the_same(written(value, ascii_only).encode(), slice_of, cuts)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.text('ab:"\\ü\U0001f30a', max_size=20), trees, max_size=6),
    st.booleans(),
    st.sampled_from([(",", ":"), (" , ", "\n:\t")]),
    st.integers(1, 40),
    cuts,
)
def test_long_names_are_told_apart(document, ascii_only, separators, slice_of, cuts):
    body = json.dumps(document, ensure_ascii=ascii_only, separators=separators).encode()
    with read_as_large(slice_of, long=3, many=9):
        assert parsed(body, previewed(in_pieces(body, cuts))) == document


@settings(max_examples=300, derandomize=True, deadline=None)
@given(objects, st.booleans(), st.integers(1, 9) | st.just(SLICE), cuts)
def test_a_body_weighs_the_same_however_the_network_cut_it(document, ascii_only, slice_of, cuts):
    body = written(document, ascii_only).encode()
    with read_as_large(slice_of):
        assert previewed(in_pieces(body, cuts)).weighed(body) == weighed(body)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(names, trees, objects, st.booleans(), st.integers(1, 40), cuts)
def test_a_name_that_comes_twice_is_seen_without_reading_the_whole(
    name, inner, beside, ascii_only, slice_of, cuts
):
    for repeated in (name, name * 50):
        body = written({**beside, "x": Twice({repeated: inner})}, ascii_only).encode()
        with read_as_large(slice_of), pytest.raises(BadBody) as bad:
            previewed(in_pieces(body, cuts)).weighed(body)
        assert bad.value.code == "duplicate_json_name"


def test_a_long_name_is_known_again_among_many_short_texts():
    name = b'"' + b"n" * 200 + b'":1'
    short = b":[" + b",".join([b'"a"'] * 3000) + b"]"
    text = b'"text":"' + b"x" * SLICE + b'"'
    body = b"{" + b",".join([name, text, b'"before"' + short, name, b'"after"' + short]) + b"}"
    with read_as_large(), pytest.raises(BadBody) as bad:
        Preview().weighed(body)
    assert bad.value.code == "duplicate_json_name"


LARGE = 4 * 1024 * 1024


@pytest.mark.parametrize(
    "content",
    [
        b"plain text, with: punctuation {here} and [there]. ",
        rb"source code\nwith an\tescape \"now and then\" \\ ",
        "日本語の文章、".encode(),
        b"\\u65e5\\u672c",
        b"iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAIAAABnsVYU",
    ],
)
@pytest.mark.parametrize("messages", [1, 1_000, 10_000])
def test_a_large_conversation_is_read_as_any_parser_reads_it(content, messages):
    content *= LARGE // messages // len(content)
    message = b'{"role":"user","content":"' + content + b'"}'
    body = b'{"model":"m","messages":[' + b",\n".join([message] * messages) + b"]}\n"
    assert parsed(body) == json.loads(body)
    faults = {b'"z":}': "bad_request", b'"z":1,"z":1}': "duplicate_json_name"}
    for end, code in faults.items():
        faulty = body[:-2] + b"," + end
        preview = previewed(faulty[at : at + 60_000] for at in range(0, len(faulty), 60_000))
        with pytest.raises(BadBody) as bad:
            preview.weighed(faulty)
        assert bad.value.code == code


def test_what_is_left_of_a_large_conversation_for_its_last_byte_is_little():
    preview = previewed([spread([b"x" * 1000] * 10_000)])
    assert len(preview._outline.text) < 10_000 * 64


@pytest.mark.parametrize("at", [2_500_000, 3_000_000, 3_999_999])
@pytest.mark.parametrize("fault", [b"\0", b'":"'])
def test_it_is_told_where_a_large_body_is_wrong(at, fault):
    body = b'{"a":"' + b"x" * (at - 6) + fault + b"x" * 100_000 + b'"}'
    with pytest.raises(BadBody) as bad:
        parsed(body)
    told = int(re.search(r"\(after byte (\d+)\)", str(bad.value))[1])
    assert 0 <= at - told <= 2 * SLICE


def pairs_each_once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)


HEAVY_PIECES = [
    b"{", b"}", b"[", b"]", b":", b",", b'"', b"\\", rb"\"", rb"\\", rb"\u00e9", b"a", b"1", b".5", b"e3", b"true", b"false",
    b"\xc3\xbc", b"\xf0\x9f\x8c\x8a", b" ", b'"a":', b'{"a":[', b"]}",
]  # fmt: skip


@settings(max_examples=300, derandomize=True, deadline=None)
@given(objects, names, trees, st.booleans(), st.booleans(), st.integers(1, 9))
def test_a_weighed_body_has_the_verdict_of_a_plain_parser(beside, name, inner, twice, ascii_only, slice_of):
    body = written({**beside, "x": Twice({name: inner}) if twice else {name: inner}}, ascii_only).encode()
    try:
        expected = json.loads(body, object_pairs_hook=pairs_each_once)
    except ValueError:
        expected = "duplicate_json_name"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "AT_ONCE", -1)
        patch.setattr(reading, "SLICE", slice_of)
        assert verdict(body) == expected


@settings(max_examples=200, derandomize=True, deadline=None)
@given(objects, st.booleans(), st.integers(1, 9) | st.just(SLICE))
def test_no_part_of_a_body_weighs_more_than_the_whole(document, ascii_only, slice_of):
    body = written(document, ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "SLICE", slice_of)
        weights = [weighed(body[:end]).weight for end in range(len(body) + 1)]
    assert weights == sorted(weights)
    assert all(weight >= length for length, weight in enumerate(weights))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(HEAVY_PIECES), min_size=1, max_size=30), st.integers(1, 9) | st.just(SLICE))
def test_no_body_that_is_read_at_once_could_be_too_heavy(pieces, slice_of):
    body = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "SLICE", slice_of)
        assert weighed(body).weight * AT_ONCE < WEIGHT_LIMIT * len(body)


@pytest.mark.parametrize("unit", [*HEAVY_PIECES, b"e", b"E", b"{\xff", b"\\\\\xff", b'"\xff'])
@pytest.mark.parametrize("opening", [b"", b'"', b'"\xff'])
def test_the_heaviest_of_what_is_read_at_once_would_pass(unit, opening):
    weighed((opening + unit * AT_ONCE)[:AT_ONCE])


MIB = 1024 * 1024


def spread(texts):
    return (
        b'{"model":"m","messages":['
        + b",".join(b'{"role":"user","content":"%b"}' % text for text in texts)
        + b"]}"
    )


BASE64 = b"iVBORw0KGgoAAAANSUhEUgAAB4AAAAQ4CAIAAABnsVYU"
TOOL = b"{" + b",".join(b'"property_%d":{"type":"string"}' % n for n in range(25)) + b"}"
REAL = {
    "32 MiB less the frame": spread([b"x" * (32 * MIB - 100)]),
    "a large picture": spread([BASE64 * (30 * MIB // 44)]),
    "a thousand pictures": spread([BASE64 * (30_000 // 44)] * 1000),
    "pictures and an emoji": spread([BASE64 * (3 * MIB // 44)] * 10 + ["🌊".encode()]),
    "escaped text": spread([b"\\u65e5" * 700_000]),
    "Chinese": spread(["日本語".encode() * (10 * MIB // 9)]),
    "many messages": spread([b"Some words, and a few more."] * 10_000),
    "many tools": b'{"model":"m","tools":[' + b",".join([TOOL] * 1000) + b"]}",
    "much white space": b'{"a":' + b"    \n" * MIB + b"1}",
    "tokens": b'{"input":[' + b"123456," * 200_000 + b"1]}",
}


@pytest.mark.parametrize("body", REAL.values(), ids=REAL.keys())
def test_what_a_model_could_take_is_read(body):
    assert len(body) <= 32 * MIB
    assert parsed(body) == json.loads(body)
    with pytest.raises(BadBody) as bad:
        parsed(body[:-1] + b',"z":1,"z":1}')
    assert bad.value.code == "duplicate_json_name"


NO_MODEL = {
    "escaped text": spread([b"\\u65e5" * 5_000_000]),
    "escapes": spread([b"x" * 18 + rb"\n"] * 1).replace(rb"\n", (rb"\n" + b"x" * 18) * 1_500_000),
    "Chinese": spread(["日本語".encode() * (30 * MIB // 9)]),
    "an emoji behind long text": spread([b"x" * 30 * MIB + "🌊".encode()]),
    "an emoji in escapes behind long text": spread([b"x" * 30 * MIB + rb"\ud83c\udf0a"]),
    "messages": spread([b"x"] * 100_000),
    "numbers": b'{"a":[' + b"1e5," * MIB + b"1]}",
    "long integers": b'{"a":[' + (b"7" * 4300 + b",") * 2000 + b"1]}",
}


@pytest.mark.parametrize("body", NO_MODEL.values(), ids=NO_MODEL.keys())
def test_what_no_model_could_take_is_too_heavy(body):
    with pytest.raises(BadBody, match="too large for what is in it") as bad:
        parsed(body)
    assert bad.value.code == "bad_request"


class Watched(bytes):
    """A body that knows how far it was looked at."""

    seen = 0

    def __getitem__(self, key):
        if isinstance(key, slice):
            start, stop, _ = key.indices(len(self))
            self.seen += stop - start
        return super().__getitem__(key)


TOO_MUCH = {
    "commas": b"1,",
    "short numbers": b"12,",
    "floats": b"1.5,",
    "exponents": b"1e5,",
    "objects": b"{},",
    "arrays": b"[],",
    "strings": b'"",',
    "names": b'{"":1},',
    "deep arrays": b"[",
    "deep objects": b'{"a":',
    "colons": b":",
    "white space": b" \n",
    "quotes": b'"',
    "escaped quotes": rb"\"",
    "escapes": rb"\n",
    "emoji": "🌊".encode(),
}


@pytest.mark.parametrize("unit", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_too_much_is_refused_without_looking_at_the_rest(unit):
    is_text = unit in (rb"\"", rb"\n", "🌊".encode())
    opening = b'{"a":"' if is_text else b'{"a":['
    body = Watched(opening + unit * (24 * MIB // len(unit)) + b"]}")
    with pytest.raises(BadBody) as bad:
        parsed(body)
    assert bad.value.code == "bad_request"
    assert body.seen <= WEIGHT_LIMIT // 3 + 3 * MARGIN_LIMIT


@pytest.mark.parametrize("around", [b"%b", b" %b", b"%b "])
@pytest.mark.parametrize("inner", [b"[1]", b'"a"', b"7", b"{", b"}", b""])
@pytest.mark.parametrize("size", [3 * AT_ONCE, 2 * reading.LARGE])
def test_a_large_body_that_is_no_object_is_seen_at_its_ends(around, inner, size):
    body = Watched((around % inner).replace(b" ", b" " * size).ljust(size))
    with pytest.raises(BadBody):
        parsed(body)
    assert body.seen <= 2 * MARGIN_LIMIT
