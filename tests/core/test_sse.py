from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core import sse
from visionality.core.sse import EVENT_LIMIT, Events, payload, with_payload

pieces = st.lists(
    st.sampled_from([b"data: x", b"\n", b"\r\n", b"\r", b"\n\n", b": c", b"event: e", b"\xf0\x9f", b"y" * 9]),
    max_size=30,
)


def cut(data, cuts):
    points = [0, *sorted(point % (len(data) + 1) for point in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(points)]


def read(parts):
    events = Events()
    return [event for part in parts for event in events.feed(part)], events.take_rest()


@settings(max_examples=300, derandomize=True, deadline=None)
@given(pieces, st.lists(st.integers(0, 500), max_size=10))
def test_events_are_the_same_however_they_come_and_lose_no_byte(parts, cuts):
    stream = b"".join(parts)
    events, rest = read([stream])
    assert read(cut(stream, cuts)) == (events, rest)
    assert b"".join(events) + rest == stream
    assert all(event.endswith((b"\n\n", b"\n\r\n")) for event in events)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(pieces, st.lists(st.integers(0, 500), max_size=10))
def test_an_event_beyond_the_limit_is_cut_at_the_same_places_however_it_comes(parts, cuts):
    stream, limit = b"".join(parts), sse.EVENT_LIMIT
    sse.EVENT_LIMIT = 5
    try:
        assert read(cut(stream, cuts)) == read([stream])
        assert read([stream[at : at + 1] for at in range(len(stream))]) == read([stream])
        assert b"".join(read([stream])[0]) + read([stream])[1] == stream
    finally:
        sse.EVENT_LIMIT = limit


def test_a_long_event_in_small_pieces_takes_no_quadratic_time():
    events = Events()
    for _ in range(EVENT_LIMIT // 16):  # copied whole at each piece, this would be half a terabyte
        assert events.feed(b"x" * 16) == []
    assert len(events.feed(b"x" * 16)) == 1
    assert len(events.take_rest()) == 16


def test_the_rest_is_taken_once():
    events = Events()
    events.feed(b"data: x")
    assert (events.take_rest(), events.take_rest()) == (b"data: x", b"")


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\r\n\r\n", b"x"),
        (b"event: e\ndata: x\nid: 1\n\n", b"x"),
        (b"data: x\ndata: y\n\n", b"x\ny"),
        (b"data: x\r\ndata:  y\r\n\r\n", b"x\n y"),
        (b": data: x\n\n", b""),
        (b"\n\n", b""),
    ],
)
def test_the_data_lines_are_the_payload(event, data):
    assert payload(event) == data


@pytest.mark.parametrize(
    ("event", "changed", "result"),
    [
        (b"event: e\ndata: abc\n\n", b"z", b"event: e\ndata: z\n\n"),
        (b"data: a\ndata: b\nid: 1\n\n", b"z", b"data: z\nid: 1\n\n"),
        (b"id: 1\r\ndata:a\r\ndata: b\r\n\r\n", b"y\nz", b"id: 1\r\ndata: y\r\ndata: z\r\n\r\n"),
    ],
)
def test_a_payload_is_exchanged_and_nothing_else(event, changed, result):
    assert with_payload(event, payload(event), changed) == result
    assert payload(result) == changed
