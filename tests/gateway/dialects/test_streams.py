"""What a stream says must not depend on the network. That each cut is honest: tests/conformance/test_cuts.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import STREAMS, named, told
from visionality.core.call import Ask
from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES
from visionality.gateway.dialects._core import EMITTED_LIMIT, TAIL_LIMIT

ASKED = Ask("m", stream=True, output_limit=None, include_usage=True)
NAMES = [wire.name for wire in STREAMS]
TEXTS = [wire for wire in STREAMS if not wire.in_frames]
streams = pytest.mark.parametrize("wire", STREAMS, ids=NAMES)


def with_crlf(answer):
    return answer.replace(b"\n", b"\r\n")


def near_line_ends(answer):
    return [at for at in range(len(answer)) if b"\r" in answer[max(0, at - 1) : at + 2]]


def read(wire, pieces):
    """What the client got until now, what was held back, and what was learned."""
    reader = wire.reader()
    out = b"".join([reader.feed(piece) for piece in pieces])
    learned = told(reader.metered(wire.document)), reader.complete
    return out, reader.finish(), learned


@streams
@pytest.mark.parametrize("line_ends", [bytes, with_crlf], ids=["lf", "crlf"])
def test_one_cut_anywhere_changes_nothing(wire, line_ends):
    answer = line_ends(wire.answer)
    whole = read(wire, [answer])
    places = range(len(answer)) if line_ends is bytes else near_line_ends(answer)
    for at in places:
        reader = wire.reader()
        out = reader.feed(answer[:at]) + reader.feed(answer[at:])
        assert (out, reader.complete, reader.finish()) == (whole[0], whole[2][1], whole[1])
        if at % 7 == 0:
            assert read(wire, [answer[:at], answer[at:]]) == whole


@streams
def test_single_bytes_change_nothing(wire):
    assert read(wire, [bytes([byte]) for byte in wire.answer]) == read(wire, [wire.answer])


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.data())
def test_usage_does_not_depend_on_how_the_network_cut_the_stream(data):
    wire = data.draw(st.sampled_from(STREAMS))
    answer = data.draw(st.sampled_from([wire.answer, with_crlf(wire.answer)]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert read(wire, pieces) == read(wire, [answer])


@pytest.mark.parametrize("wire", TEXTS, ids=lambda wire: wire.name)
def test_crlf_and_lf_tell_the_same(wire):
    assert read(wire, [with_crlf(wire.answer)])[2] == read(wire, [wire.answer])[2]


@streams
def test_the_terminal_event_or_an_error_is_held_until_the_row_is_durable(wire):
    out, held, (learned, complete) = read(wire, [wire.answer])
    is_error = learned["finish"] == "upstream_error" and bool(held)
    assert complete is (is_error or bool(wire.terminal.match(held)))
    assert not wire.terminal.search(out)
    assert is_error is ("error" in wire.name or "exception" in wire.name)
    assert not is_error or b"rror" in held or b"xception" in held


def events(*documents, kind=b""):
    return b"".join(kind + b"data: " + document + b"\n\n" for document in documents)


def messages(*documents):
    reader = MESSAGES.reader(ASKED)
    reader.feed(events(*documents))
    return reader.metered({"messages": [{"role": "user", "content": "four tokens of text"}]})


START = b'{"type":"message_start","message":{"model":"m","usage":{"input_tokens":7,"cache_read_input_tokens":5,"output_tokens":1}}}'


def test_a_later_count_replaces_and_is_never_added():
    metered = messages(
        START,
        b'{"type":"message_delta","delta":{},"usage":{"output_tokens":10}}',
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20,"input_tokens":8}}',
    )
    assert metered.usage.counts() == {"in_text": 8, "cache_read": 5, "out_text": 20}
    assert metered.source == "provider_final"


def test_null_and_absent_never_overwrite():
    metered = messages(
        START,
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},'
        b'"usage":{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":20}}',
        b'{"type":"message_delta","delta":{}}',
    )
    assert metered.usage.counts() == {"in_text": 7, "cache_read": 5, "out_text": 20}
    assert (metered.source, metered.finish) == ("provider_final", "end_turn")


def test_a_running_count_without_a_stop_is_not_final():
    metered = messages(START, b'{"type":"message_delta","delta":{},"usage":{"output_tokens":10}}')
    assert (metered.source, metered.usage.out_text) == ("tokenizer_estimate", 10)


def test_a_model_is_known_though_the_start_has_no_usage():
    metered = messages(b'{"type":"message_start","message":{"model":"m"}}')
    assert (metered.model, metered.source) == ("m", "tokenizer_estimate")
    assert metered.usage.in_text == 6
    assert metered.raw_usage is None


def test_an_error_after_the_start_keeps_the_known_input():
    metered = messages(START, b'{"type":"error","error":{"type":"overloaded_error"}}')
    assert (metered.finish, metered.usage.in_text, metered.usage.cache_read) == ("upstream_error", 7, 5)


def test_a_report_of_zero_input_is_marked():
    metered = messages(
        b'{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":0,"output_tokens":2}}'
    )
    assert metered.problem == "no input is reported"


@pytest.mark.parametrize(
    "event",
    [
        b"data: {broken\n\n",
        b'data: {"usage":{"a":1}\n\n',
        b"data: \n\n",
        b"\n\n",
        b'data: ["usage"]\n\n',
        b'data: "usage"\n\n',
        b'data: {"usage":[1]}\n\n',
        b'data: {"usage":{"prompt_tokens":' + b"9" * 5000 + b"}}\n\n",
        b'data: {"usage":"\xff"}\n\n',
        b'data: {"usage":{"\xff":1}}\n\n',
        b'data: {"usage":' + b"[" * 5000 + b"\n\n",
        b'data: {"usage":null,"usage":null}\n\n',
        b'data: {"a":1,"usage":null,"a":2,"b":{"usage":null}}\n\n',
        b'data: {"error":{broken\n\n',
        b'data: {"error":null}\n\n',
        b'data: {"type":"message_start","message":[],"usage":0}\n\n',
        b'data: {"type":"message_delta","delta":"x","usage":"y"}\n\n',
        b"data: message_stop\n\n",
        b'data: ["message_stop"]\n\n',
        b'data: {"message_stop":{broken\n\n',
        b'data: {"content":"' + b"\\xzz" * 9 + b'"}\n\n',
        b'data: {"type":"content_block_delta","text":"\xff"}\n\n',
        b'data: {"content":"\xff"}\n\n',
    ],
)
@pytest.mark.parametrize("dialect", [CHAT_COMPLETIONS, MESSAGES], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("asked", [True, False])
def test_nonsense_passes_as_it_is_and_costs_an_estimate(dialect, event, asked):
    reader = dialect.reader(Ask("m", stream=True, output_limit=None, include_usage=asked))
    out = reader.feed(event)
    assert out + reader.finish() == event or b'"usage":' in event
    assert reader.metered({}).source == "tokenizer_estimate"


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"data: ",
                b'{"',
                b"usage",
                b'":',
                b"null",
                b",",
                b"}",
                b"\n\n",
                b"\r\n",
                b"\\",
                b"[DONE]",
                b"\xf0",
                b"[]",
            ]
        ),
        max_size=30,
    )
)
def test_no_bytes_at_all_make_a_reader_raise(pieces):
    for dialect in (CHAT_COMPLETIONS, MESSAGES):
        for asked in (True, False):
            reader = dialect.reader(Ask("m", stream=True, output_limit=None, include_usage=asked))
            for piece in pieces:
                reader.feed(piece)
            reader.metered({})
            reader.finish()


def test_what_follows_the_terminal_event_is_held_within_bounds():
    for name in ("openai/stream", "anthropic/stream"):
        wire = named(name)
        reader = wire.reader()
        reader.feed(wire.answer)
        for _ in range(3):
            assert reader.feed(b": more" * 5000 + b"\n\n") == b""
        assert len(reader.finish()) <= TAIL_LIMIT


def test_a_long_output_is_estimated_by_its_length():
    event = b'data: {"type":"content_block_delta","choices":[{"delta":{"content":"abcd"}}],"text":"abcd"}\n\n'
    for dialect in (CHAT_COMPLETIONS, MESSAGES):
        reader, times = dialect.reader(ASKED), 3 * EMITTED_LIMIT // len(event)
        for _ in range(times):
            reader.feed(event)
        assert reader.metered({}).usage.out_text == pytest.approx(times, rel=0.001)
