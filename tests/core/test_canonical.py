import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import get_type_hints
from uuid import UUID

import msgspec
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from visionality.core.budget_event import Event, event_bytes, event_leaf
from visionality.core.canonical import MONEY_COLUMNS, Shape, leaf_hash, row_bytes, timestamp
from visionality.core.row import COLUMNS, Row, draft_text, from_draft


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


MOMENT = datetime(2026, 10, 5, 12, 30, 0, 42, UTC)
ROW = Row(
    org_id=UUID("0198a0c0-0000-7000-8000-000000000001"),
    created_at=MOMENT,
    id=UUID("0198a0c0-0000-7000-8000-00000000000A"),
    writer_no=3,
    wseq=41,
    request_id=UUID("0198a0c0-0000-7000-8000-000000000002"),
    agent_sub="ci@hpc",
    project_id="Brücke \U0001f30a \x01\t\x7f\u2028",
    provider="anthropic",
    dialect="messages",
    model_used="claude-sonnet-4-5-20250929",
    input_tokens=300_000,
    output_tokens=1_000,
    usage={"out_text": 1000, "in_text": 300000},
    raw_usage='{"input_tokens":300000}',
    usage_source="provider_final",
    cost_nusd=1_822_500_000,
    billed_nusd=1_822_500_000,
    price_state="known",
    price_version=1,
    rates={"in_text": "6", "out_text": "22.5", "source": "genai-prices"},
    status_code=200,
    request_sha256=bytes(range(32)),
    tags={},
)
GOLDEN = (
    b'{"agent_owner":null,"agent_sub":"ci@hpc","attempt":1,"attribution_level":null,'
    b'"billed_nusd":"1822500000","binding_status":"not_required","branch":null,"cache_read_tokens":0,'
    b'"cache_write_tokens":0,"caller":null,"commit_sha":null,"confidence":null,"corrects":null,'
    b'"cost_center":null,"cost_nusd":"1822500000","created_at":"2026-10-05T12:30:00.000042Z",'
    b'"currency":"USD","customer_id":null,"decision":"allowed","dialect":"messages","entry":"call",'
    b'"epic_id":null,"finish":null,"gl_code":null,"id":"0198a0c0-0000-7000-8000-00000000000a",'
    b'"input_tokens":300000,"key_id":null,"latency_ms":null,"memo":null,"model_family":null,'
    b'"model_requested":null,"model_used":"claude-sonnet-4-5-20250929",'
    b'"org_id":"0198a0c0-0000-7000-8000-000000000001","output_tokens":1000,"pii":null,'
    b'"policy_revision":null,"pr_url":null,"price_state":"known","price_version":1,'
    b'"project_id":"Br\xc3\xbccke \xf0\x9f\x8c\x8a \\u0001\\t\x7f\xe2\x80\xa8","provider":"anthropic",'
    b'"rates":{"in_text":"6","out_text":"22.5","source":"genai-prices"},'
    b'"raw_usage":"{\\"input_tokens\\":300000}","reason":null,"reasoning_tokens":0,"repo":null,'
    b'"request_id":"0198a0c0-0000-7000-8000-000000000002",'
    b'"request_sha256":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",'
    b'"resolver_version":null,"served_tier":null,"source":"gateway","spend_token_id":null,'
    b'"sso_sub":null,"status_code":200,"tags":{},"task_class":null,"task_id":null,"team_id":null,'
    b'"ttft_ms":null,"upstream_request_id":null,"url":null,"usage":{"in_text":300000,"out_text":1000},'
    b'"usage_source":"provider_final","v":1,"writer_no":3,"wseq":41}'
)


def plain(value):
    """The value as RFC 8785 would be given it, by another hand."""
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case bytes():
            return "".join(f"{byte:02x}" for byte in value)
        case UUID():
            return str(value)
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    return value


def reference(columns):
    money = {name: str(columns[name]) for name in MONEY_COLUMNS & columns.keys() if columns[name] is not None}
    return rfc8785.dumps({**plain(columns), **money, "v": 1})


whole = st.integers(-(2**53) + 1, 2**53 - 1)
texts = (
    st.text(max_size=8)
    | st.text(st.characters(max_codepoint=0x20), max_size=4)
    | st.sampled_from(["\x7f", "\u2028", "\ufeff"])
)
ascii_names = st.text(st.characters(max_codepoint=127), max_size=5)
moments = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=30))]),
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 -- hypothesis adds the zone
    max_value=datetime(9000, 1, 1),  # noqa: DTZ001
)
scalars = st.none() | st.booleans() | whole | texts | st.uuids()
nested = st.recursive(
    scalars | moments | st.binary(max_size=4),
    lambda inner: st.dictionaries(ascii_names, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=6,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(COLUMNS[:12], nested),
        **dict.fromkeys(MONEY_COLUMNS, st.none() | st.integers(-(2**63), 2**63)),
    },
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(rows)
def test_a_row_is_written_as_rfc_8785_writes_it(columns):
    assert row_bytes(columns) == reference(columns)


def test_the_bytes_and_the_hash_of_a_row_never_change():
    columns = asdict(ROW)
    written = row_bytes(columns)
    assert written == reference(columns)
    assert written == GOLDEN
    assert leaf_hash(columns) == hashlib.sha256(b"\x00" + written).digest()
    assert leaf_hash(columns).hex() == "9e660087ac84c3c3807fd4ed7d6ba6799b237048d2bc152bcab70e52072f810a"


declared = {
    int: whole,
    str: texts,
    UUID: st.uuids(),
    datetime: moments,
    bytes: st.binary(max_size=4),
    dict[str, int]: st.dictionaries(ascii_names, whole, max_size=3),
    dict[str, str]: st.dictionaries(ascii_names, texts, max_size=3),
}
declared |= {hint | None: st.none() | values for hint, values in declared.items()}
shapely = st.builds(
    Row,
    **{
        name: declared[hint] if name not in MONEY_COLUMNS else st.integers(-(2**70), 2**70)
        for name, hint in get_type_hints(Row).items()
    },
)
odd = nested | st.sampled_from(
    [
        0.5,
        1.0,
        float("nan"),
        2**53,
        -(2**53),
        2**70,
        Decimal(1),
        datetime(2026, 1, 1),  # noqa: DTZ001
        datetime(2026, 1, 1, tzinfo=UTC),
        timedelta(1),
        bytearray(b"x"),
        memoryview(b"x"),
        "0198A0C0-0000-7000-8000-00000000000A",
        "2026-01-01T00:00:00Z",
        "AAAA",
        {"ü": 1},
        {"ü": "x"},
        {1: 2},
        {"b": "ü", "a": "x"},
        {"a": 1.0},
        {"a": 2**53},
        {1, 2},
        MappingProxyType({"a": 1}),
        Counter(a=1),
        Colour.RED,
        Number.ONE,
        ROW,
    ]
)
ROWS = Shape(Row)


def outcome(write, given):
    """The bytes, or that there are none."""
    try:
        return write(given)
    except TypeError:
        return TypeError


@settings(max_examples=100, derandomize=True, deadline=None)
@given(shapely)
def test_a_shape_writes_what_the_definition_writes(row):
    assert ROWS.bytes_of(row) == row_bytes(asdict(row))
    assert ROWS.leaf_hash(row) == leaf_hash(asdict(row))


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(COLUMNS), odd)
def test_a_shape_leaves_what_was_not_declared_to_the_definition(column, value):
    row = msgspec.structs.replace(ROW, **{column: value})
    assert outcome(ROWS.bytes_of, row) == outcome(row_bytes, asdict(row))


@pytest.mark.parametrize("amount", [Number.ONE, True])
def test_an_amount_that_is_more_than_an_integer_is_left_to_the_definition(amount):
    row = msgspec.structs.replace(ROW, cost_nusd=amount)
    assert ROWS.bytes_of(row) == row_bytes(asdict(row))


def test_a_shape_writes_the_bytes_that_never_change():
    assert ROWS.bytes_of(ROW) == GOLDEN


EVENT = Event(
    ROW.org_id, MOMENT, ROW.id, 3, 41, "settle", ROW.request_id, ROW.request_id, [ROW.id], 5, -(2**63), None
)
events = st.builds(
    Event,
    *(st.uuids(), moments, st.uuids(), st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1), texts),
    *(st.uuids(), st.uuids(), st.lists(st.uuids(), max_size=3), st.integers(-(2**70), 2**70)),
    *(st.none() | st.integers(-(2**70), 2**70), st.none() | texts),
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(events)
def test_an_event_is_written_as_the_definition_writes_it(event):
    assert event_bytes(event) == row_bytes(asdict(event))
    assert event_leaf(event) == leaf_hash(asdict(event))


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.sampled_from(Event.__struct_fields__), odd | st.lists(nested, max_size=2) | st.tuples(st.uuids()))
def test_an_event_with_what_was_not_declared_is_left_to_the_definition(column, value):
    event = msgspec.structs.replace(EVENT, **{column: value})
    assert outcome(event_bytes, event) == outcome(row_bytes, asdict(event))


def test_the_bytes_of_an_event_never_change():
    assert event_bytes(EVENT) == (
        b'{"actor":null,"actual_nusd":"-9223372036854775808","amount_nusd":"5",'
        b'"created_at":"2026-10-05T12:30:00.000042Z","hold_id":"0198a0c0-0000-7000-8000-000000000002",'
        b'"id":"0198a0c0-0000-7000-8000-00000000000a","kind":"settle",'
        b'"org_id":"0198a0c0-0000-7000-8000-000000000001",'
        b'"request_id":"0198a0c0-0000-7000-8000-000000000002","v":1,'
        b'"windows":["0198a0c0-0000-7000-8000-00000000000a"],"writer_no":3,"wseq":41}'
    )


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        1.0,
        float("nan"),
        {"a": 0.5},
        {"a": {"b": [1, 0.5]}},
        [0.5],
        Decimal(1),
        {"a": Decimal(1)},
        {1: 2},
        {"ü": 1},
        {1, 2},
        bytes,
        ...,
        2**53,
        -(2**53),
        {"a": 2**53},
        datetime(2026, 1, 1),  # noqa: DTZ001
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001
        bytearray(b"x"),
        timedelta(1),
    ],
    ids=repr,
)
def test_what_the_form_has_no_way_to_write_is_refused(value):
    with pytest.raises(TypeError):
        row_bytes({"memo": value})
    with pytest.raises(TypeError):
        row_bytes({"usage": {"x": value}})


@pytest.mark.parametrize("value", [0.5, Decimal(1)])
def test_money_is_whole_and_nothing_else(value):
    with pytest.raises(TypeError):
        row_bytes({"cost_nusd": value})


def test_money_of_any_size_is_a_string_of_digits():
    assert row_bytes({"cost_nusd": 2**63, "billed_nusd": -1, "amount_nusd": None}) == (
        b'{"amount_nusd":null,"billed_nusd":"-1","cost_nusd":"9223372036854775808","v":1}'
    )


def test_a_moment_is_utc_with_six_digits():
    assert (
        timestamp(datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))))
        == "2026-01-01T00:00:00.000000Z"
    )


def test_a_boolean_is_no_number():
    assert row_bytes({"a": True}) == b'{"a":true,"v":1}'


def test_a_draft_comes_back_as_it_went():
    assert from_draft(draft_text(ROW)) == ROW
