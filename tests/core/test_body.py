import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.body import DEPTH_LIMIT, WIDTH_LIMIT, BadBody, parsed

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


def test_as_deep_and_as_wide_as_allowed_is_allowed():
    deep = b'{"a":' + b"[" * (DEPTH_LIMIT - 1) + b"]" * (DEPTH_LIMIT - 1) + b"}"
    assert parsed(deep)
    with pytest.raises(BadBody, match="deep"):
        parsed(deep.replace(b"[]", b"[[]]"))
    wide = b'{"a":[' + b'"",' * (WIDTH_LIMIT - 1) + b'""]}'
    assert len(parsed(wide)["a"]) == WIDTH_LIMIT
    assert parsed(b'{"a":"' + b'\\",:[{' * WIDTH_LIMIT + b'"}')
    assert parsed(b'{"a\\\\":"\\\\\\"","b":"\\\\","c":"\\\\\\n:,[{\\\\"}')


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
