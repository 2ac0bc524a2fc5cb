"""Frames are found wherever the network cut them, any flipped bit is noticed, and botocore reads the same."""

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer, ParserError
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.eventstream import HEADERS_LIMIT, PAYLOAD_LIMIT, Frames, encoded, event, exception

RUNS = settings(max_examples=200, derandomize=True, deadline=None)
STREAM = (
    event("messageStart", b'{"role":"assistant"}')
    + event("contentBlockDelta", '{"delta":{"text":"Mür 🌊"}}'.encode())
    + encoded({}, b"")
    + exception("throttlingException", b'{"message":"slow down"}')
)

SIZES = {2: ">b", 3: ">h", 4: ">i", 5: ">q", 8: ">q"}
texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.one_of(
    st.tuples(st.sampled_from([0, 1]), st.none()),
    *(
        st.tuples(
            st.just(kind),
            st.integers(-(2 ** (8 * struct.calcsize(form) - 1)), 2 ** (8 * struct.calcsize(form) - 1) - 1),
        )
        for kind, form in SIZES.items()
    ),
    st.tuples(st.just(6), st.binary(max_size=40)),
    st.tuples(st.just(7), texts.map(str.encode)),
    st.tuples(st.just(9), st.binary(min_size=16, max_size=16)),
)
frames = st.tuples(st.dictionaries(texts, values, max_size=5), st.binary(max_size=60))


def header(name, kind, value):
    """A header of any type, which the product itself never writes."""
    raw = name.encode()
    head = bytes([len(raw)]) + raw + bytes([kind])
    if kind in SIZES:
        return head + struct.pack(SIZES[kind], value)
    if kind in (6, 7):
        return head + struct.pack(">H", len(value)) + value
    return head + (value or b"")


def framed(headers, payload, *, total=None, headers_length=None):
    """A frame with right checksums, whatever its lengths say."""
    size = len(headers) if headers_length is None else headers_length
    lengths = struct.pack(">II", len(headers) + len(payload) + 16 if total is None else total, size)
    body = lengths + struct.pack(">I", crc32(lengths)) + headers + payload
    return body + struct.pack(">I", crc32(body))


def bytes_of(frame):
    headers, payload = frame
    return framed(b"".join(header(name, *value) for name, value in headers.items()), payload)


def read(pieces):
    reader = Frames()
    found = [frame for piece in pieces for frame in reader.feed(piece)]
    return found, reader.fault, reader.take_rest()


def read_by_botocore(data):
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


@RUNS
@given(st.lists(frames, max_size=4))
def test_botocore_reads_the_same(made):
    data = b"".join(map(bytes_of, made))
    found, fault, rest = read([data])
    assert [(frame.headers, frame.payload) for frame in found] == read_by_botocore(data)
    assert b"".join(frame.raw for frame in found) == data
    assert (fault, rest) == (None, b"")


@RUNS
@given(st.dictionaries(texts, texts, max_size=5), st.binary(max_size=60))
def test_what_is_encoded_is_read_again_here_and_by_botocore(headers, payload):
    data = encoded(headers, payload)
    ((frame,), fault, _) = read([data])
    assert (frame.headers, frame.payload, frame.raw, fault) == (headers, payload, data, None)
    assert read_by_botocore(data) == [(headers, payload)]


def test_one_cut_anywhere_changes_nothing():
    whole = read([STREAM])
    for at in range(len(STREAM) + 1):
        assert read([STREAM[:at], STREAM[at:]]) == whole
    assert read([bytes([byte]) for byte in STREAM]) == whole


@RUNS
@given(st.lists(frames, max_size=4), st.data())
def test_frames_do_not_depend_on_how_the_network_cut_them(made, data):
    stream = b"".join(map(bytes_of, made))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(pieces) == read([stream])


def test_every_flipped_bit_is_found_and_no_byte_is_lost():
    whole, _, _ = read([STREAM])
    for bit in range(8 * len(STREAM)):
        flipped = bytearray(STREAM)
        flipped[bit // 8] ^= 1 << bit % 8
        found, fault, rest = read([bytes(flipped)])
        assert fault is not None
        assert found == whole[: len(found)]
        assert b"".join(frame.raw for frame in found) + rest == flipped


@RUNS
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_bytes_at_all_make_it_raise(noise, more):
    found, fault, rest = read([noise, more])
    assert b"".join(frame.raw for frame in found) + rest == noise + more
    assert fault is not None or len(rest) < 12 or found


@RUNS
@given(st.binary(max_size=40))
def test_no_headers_at_all_make_it_raise(headers):
    data = framed(headers, b"payload")
    found, fault, rest = read([data])
    assert (len(found), rest) == ((1, b"") if fault is None else (0, data))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (framed(b"", b"", headers_length=HEADERS_LIMIT + 1, total=HEADERS_LIMIT + 17), "passes the limits"),
        (framed(b"", b"", total=PAYLOAD_LIMIT + 17), "passes the limits"),
        (framed(b"", b"", total=15), "passes the limits"),
        (framed(b"", b"", headers_length=1), "passes the limits"),
        (framed(header("a", 7, b"x") * 2, b""), "the header 'a' twice"),
        (framed(header("a", 10, b""), b""), "unknown type 10"),
        (framed(b"\x09a", b""), "cannot be read"),
        (framed(b"\x01a\x07\x00\x09x", b""), "cannot be read"),
        (framed(b"\x01\xff\x00", b""), "cannot be read"),
        (framed(header("a", 7, b"\xff"), b""), "cannot be read"),
    ],
)
def test_what_is_no_frame_ends_the_cutting(data, fault):
    good = event("chunk", b"{}")
    found, why, rest = read([good + data, good])
    assert ([frame.kind for frame in found], rest) == (["chunk"], data + good)
    assert fault in why


@pytest.mark.parametrize("limit", [HEADERS_LIMIT, PAYLOAD_LIMIT])
def test_the_limits_themselves_are_allowed(limit):
    is_headers = limit == HEADERS_LIMIT
    prelude = framed(
        b"", b"", headers_length=limit if is_headers else 0, total=limit + 16
    )[:12]  # fmt: skip
    assert read([prelude])[1] is None
    over = framed(b"", b"", headers_length=(limit + 1) * is_headers, total=limit + 17)[:12]
    assert read([over])[1] is not None
    with pytest.raises(ParserError):
        read_by_botocore(over)


def test_kinds_are_told_apart():
    found, _, _ = read([STREAM])
    assert [(frame.is_event, frame.kind) for frame in found] == [
        (True, "messageStart"),
        (True, "contentBlockDelta"),
        (False, ""),
        (False, "throttlingException"),
    ]
