"""What a response says of itself: numbers, tools, where it goes on; and nonsense, which costs an estimate."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import named
from visionality.core.call import Ask, Refusal, Request
from visionality.core.sse import payload
from visionality.core.usage import TOKEN_LIMIT
from visionality.gateway.dialects import INPUT_TOKENS, RESPONSES, STORED_RESPONSE
from visionality.gateway.dialects._core import EMITTED_LIMIT, RAW_LIMIT, TAIL_LIMIT

ASKED = Ask("m", stream=True, output_limit=None)
DOCUMENT = {"input": "x" * 35}
tokens = st.integers(0, 10**6)


def whole(usage, **members):
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "m", "output": []}
    return RESPONSES.metered_body(msgspec.json.encode(answer | {"usage": usage} | members), DOCUMENT)


def report(**members):
    return {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15} | members


def events(*documents):
    return b"".join(b"data: " + msgspec.json.encode(document) + b"\n\n" for document in documents)


def streamed(*documents):
    reader = RESPONSES.reader(ASKED)
    reader.feed(events(*documents))
    return reader.metered(DOCUMENT)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(*[tokens] * 5)
def test_buckets_are_disjoint_and_add_up_to_the_total(text, cached, written, thought, said):
    read, output = text + cached + written, thought + said
    metered = whole({
        "input_tokens": read, "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output, "output_tokens_details": {"reasoning_tokens": thought}, "total_tokens": read + output,
    })  # fmt: skip
    usage = metered.usage
    assert (usage.in_text, usage.out_text, usage.out_reasoning) == (text, said, thought)
    assert usage.total_input_tokens + usage.output_tokens == read + output
    assert metered.problem is None or not read


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"total_tokens": 16}, "input and output add up to 15, total_tokens says 16"),
        ({"input_tokens_details": {"cached_tokens": 11}}, "the input adds up to 11, input_tokens says 10"),
        ({"output_tokens_details": {"reasoning_tokens": 6}}, "reasoning is 6, output_tokens says 5"),
        ({"output_tokens_details": {"reasoning_tokens": "6"}}, "reasoning_tokens is no count"),
        ({"input_tokens_details": {"cache_write_tokens": -1}}, "cache_write_tokens is no count"),
        ({"total_tokens": 2**70}, "total_tokens is no count"),
        ({"input_tokens": 0, "total_tokens": 5}, "no input is reported"),
        (
            {"input_tokens_details": {"cache_write_tokens": 4, "cache_write_tokens_details": {"ttl_30m_tokens": 1, "ttl_12h_tokens": 3}}},
            "some was written to the cache for 12 hours, and is priced like a shorter write",
        ),
    ],
)  # fmt: skip
def test_a_report_that_contradicts_itself_or_has_no_price_of_its_own_is_marked(usage, problem):
    metered = whole(report(**usage))
    assert metered.problem == problem
    assert metered.source == "provider_final"
    assert all(amount > 0 for amount in metered.usage.counts().values())


@pytest.mark.parametrize(
    "usage",
    [None, {}, [], "x", {"input_tokens": 5}, {"input_tokens": -1, "output_tokens": 5}, {"input_tokens": TOKEN_LIMIT + 1, "output_tokens": 5}, {"input_tokens": True, "output_tokens": 1.5}],
)  # fmt: skip
def test_a_response_without_counts_is_an_estimate_that_says_so(usage):
    said = {"type": "message", "content": [{"type": "output_text", "text": "y" * 40}, {"refusal": "no, no"}]}
    call = {"type": "function_call", "arguments": '{"a":1}'}
    metered = whole(usage, output=[said, call, 7])
    assert metered.source == "tokenizer_estimate"
    assert metered.usage.counts() == {"in_text": 9, "out_text": 14}
    assert metered.problem in {"no usage in the answer", "the usage has no counts"}


@pytest.mark.parametrize(
    ("item", "bucket"),
    [
        ({"type": "web_search_call"}, "web_search"),
        ({"type": "web_search_call", "status": "completed", "action": {"type": "search"}}, "web_search"),
        ({"type": "web_search_call", "status": "completed", "action": {"type": "find_in_page"}}, None),
        ({"type": "web_search_call", "status": "failed"}, None),
        ({"type": "file_search_call", "status": "completed"}, "file_search"),
        ({"type": "file_search_call", "status": "incomplete"}, None),
        ({"type": "code_interpreter_call", "status": "failed", "container_id": "c"}, "code_session"),
        ({"type": "code_interpreter_call"}, "code_session"),
        ({"type": "shell_call", "environment": {"type": "local"}}, None),
        ({"type": "shell_call", "environment": {"type": "container_reference", "container_id": "c"}}, "code_session"),
        ({"type": "image_generation_call", "status": "completed"}, "images"),
        ({"type": "image_generation_call", "status": "failed"}, None),
        ({"type": "mcp_call", "status": "completed"}, None),
    ],
)  # fmt: skip
def test_a_tool_is_counted_when_it_was_run_by_the_provider(item, bucket):
    counts = whole(report(), output=[item]).usage.counts()
    assert counts == {"in_text": 10, "out_text": 5} | ({bucket: 1} if bucket else {})


def test_a_tool_that_nobody_here_knows_is_marked():
    assert (
        whole(report(), output=[{"type": "time_travel_call"}]).problem
        == "what time_travel_call costs is not known"
    )
    assert whole(report(), output=[{"type": ["odd"]}, {}, None]).problem


@pytest.mark.parametrize("stated", [{"num_requests": "2"}, {"num_requests": -1}, {}, 7, None])
def test_a_statement_of_searches_that_is_none_leaves_the_items_to_count(stated):
    metered = whole(report(), output=[{"type": "web_search_call"}], tool_usage={"web_search": stated})
    assert metered.usage.web_search == 1


@pytest.mark.parametrize("status", ["queued", "in_progress"])
def test_a_response_that_goes_on_costs_nothing_yet_and_says_where_to_ask(status):
    metered = whole(None, status=status, background=True)
    assert (metered.source, metered.usage.counts(), metered.finish) == ("none", {}, status)
    assert metered.answer_id == "resp_1"


def test_a_background_stream_that_broke_off_goes_on_and_any_other_is_an_estimate():
    begun = {"type": "response.created", "response": {"id": "resp_1", "model": "m", "background": True}}
    delta = {"type": "response.output_text.delta", "delta": "abc"}
    metered = streamed(begun, delta)
    assert (metered.source, metered.answer_id, metered.usage.counts()) == ("none", "resp_1", {})
    begun["response"]["background"] = False
    assert streamed(begun, delta).source == "tokenizer_estimate"
    failed = {"type": "response.failed", "response": {"id": "resp_1", "background": True, "usage": None}}
    assert streamed(begun, delta, failed).source == "tokenizer_estimate"


@pytest.mark.parametrize(
    ("kind", "tokens"),
    [
        ("response.output_text.delta", 1), ("response.refusal.delta", 1), ("response.reasoning_text.delta", 1),
        ("response.reasoning_summary_text.delta", 1), ("response.function_call_arguments.delta", 1),
        ("response.custom_tool_call_input.delta", 1), ("response.mcp_call_arguments.delta", 1),
        ("response.code_interpreter_call_code.delta", 1), ("response.audio.delta", 0), ("response.output_text.done", 0),
    ],
)  # fmt: skip
def test_what_was_emitted_is_counted_by_its_kind(kind, tokens):
    assert streamed({"type": kind, "delta": "abcd", "text": "abcd"}).usage.out_text == tokens


def test_the_error_of_the_gateway_is_the_documented_event_and_one_that_the_sdk_raises():
    event = RESPONSES.stream_error("ledger_unavailable", 'no “row”\n for "HPC"', "r")
    assert event.startswith(b"event: error\ndata: ")
    document = msgspec.json.decode(payload(event))
    assert {"type", "code", "message", "param", "sequence_number", "error"} == document.keys()
    assert document["error"]["code"] == document["code"] == "ledger_unavailable"
    assert event.count(b"\n") == 3


@pytest.mark.parametrize("limit", [0, -1, 1.5, "9", True, 2**31])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(Refusal, match="max_output_tokens"):
        RESPONSES.ask({"model": "m", "max_output_tokens": limit})


def test_what_a_request_asks():
    ask = RESPONSES.ask({"model": "m", "stream": True, "max_output_tokens": 7})
    assert (ask.model, ask.stream, ask.output_limit) == ("m", True, 7)
    assert INPUT_TOKENS.ask({}).model is None
    assert INPUT_TOKENS.ask({"model": "m", "stream": True}) == Ask("m", stream=False, output_limit=None)
    for query, stream in (
        ("", False),
        ("stream=true&starting_after=4", True),
        ("stream=false", False),
        ("%&=", False),
    ):
        document = STORED_RESPONSE.document(Request("GET", "/responses/resp_1", query, (), b""))
        assert STORED_RESPONSE.ask(document) == Ask(None, stream=stream, output_limit=None)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
members = (
    "usage",
    "output",
    "model",
    "service_tier",
    "status",
    "incomplete_details",
    "tool_usage",
    "id",
    "background",
)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.sampled_from(members), junk),
    st.dictionaries(
        st.sampled_from(["input_tokens_details", "output_tokens_details", "total_tokens", "cost"]), junk
    ),
)
def test_junk_anywhere_in_an_answer_never_raises_and_never_counts_below_zero(answer, usage):  # fmt: skip
    for given_usage in ({"usage": usage}, {"usage": report(**usage)}, {}):
        document = {"object": "response"} | answer | given_usage
        body = msgspec.json.encode(document)
        metered = RESPONSES.metered_body(body, DOCUMENT)
        assert all(amount > 0 for amount in metered.usage.counts().values())
        assert len(metered.raw_usage or "") <= RAW_LIMIT
        assert streamed({"type": "response.completed", "response": document}).usage.total_input_tokens >= 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"response"', b"{}", b'{"object":"chat.completion"}', b'{"object":["response"]}', b"\xff", b"[" * 9999])  # fmt: skip
def test_what_is_no_response_is_none(body):
    assert RESPONSES.metered_body(body, DOCUMENT) is None


@pytest.mark.parametrize(
    "event",
    [
        b"data: {broken\n\n", b"data: \n\n", b"\n\n", b'data: ["response.completed"]\n\n', b'data: "response.completed"\n\n',
        b'data: {"type":"response.completed"}\n\n', b'data: {"type":"response.completed","response":[]}\n\n', b'data: {"type":["error"]}\n\n',
        b'data: {"type":"response.completed","response":{broken\n\n', b'data: {"error":null}\n\n', b'data: {"error":"x"}\n\n',
        b'data: {"x":"response.completed","type":"y"}\n\n', b'data: {"type":"response.output_item.done","item":"web_search_call"}\n\n',
        b'data: {"type":"response.created","response":7}\n\n', b'data: {"type":"response.output_text.delta","delta":"\xff"}\n\n',
        b'data: {"delta":"' + b"\\xzz" * 9 + b'","type":"x.delta"}\n\n', b'data: {"type":"error"' + b"[" * 5000 + b"\n\n",
    ],
)  # fmt: skip
def test_nonsense_passes_as_it_is_and_costs_an_estimate(event):
    reader = RESPONSES.reader(ASKED)
    assert reader.feed(event) == event
    assert not reader.complete
    assert reader.finish() == b""
    assert reader.metered({}).source == "tokenizer_estimate"


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([
    b"data: ", b"event: error", b'{"', b"type", b'":', b'"response.completed"', b'"error"', b".delta", b'"response"', b"null", b",", b"}", b"\n\n", b"\r\n", b"\\", b"\xf0", b"[]",
]), max_size=30))  # fmt: skip
def test_no_bytes_at_all_make_a_reader_raise(pieces):
    reader = RESPONSES.reader(ASKED)
    for piece in pieces:
        reader.feed(piece)
    reader.metered({})
    reader.finish()


def test_what_follows_the_terminal_event_is_held_within_bounds():
    wire = named("openai_responses/stream")
    reader = wire.reader()
    reader.feed(wire.answer)
    for _ in range(20):
        assert reader.feed(b": more" * 5000 + b"\n\n") == b""
    assert len(reader.finish()) <= TAIL_LIMIT


def test_a_long_output_is_estimated_by_its_length():
    event = events({"type": "response.output_text.delta", "delta": "abcd"})
    reader, times = RESPONSES.reader(ASKED), 3 * EMITTED_LIMIT // len(event)
    for _ in range(times):
        reader.feed(event)
    assert reader.metered({}).usage.out_text == pytest.approx(times, rel=0.001)
