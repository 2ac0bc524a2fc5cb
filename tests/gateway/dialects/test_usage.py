"""Numbers out of a provider's mouth: into disjoint buckets, and never into nonsense."""

import msgspec
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import BODIES
from visionality.core.call import Refusal
from visionality.core.usage import TOKEN_LIMIT
from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES
from visionality.gateway.dialects._core import RAW_LIMIT

tokens = st.integers(0, 10**6)
DOCUMENT = {"messages": [{"role": "user", "content": "x" * 35}]}


def chat(usage, **members):
    body = msgspec.json.encode({"model": "m", "choices": [], "usage": usage, **members})
    return CHAT_COMPLETIONS.metered_body(body, DOCUMENT)


def message(usage, **members):
    body = msgspec.json.encode({"type": "message", "model": "m", "usage": usage, **members})
    return MESSAGES.metered_body(body, DOCUMENT)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(*[tokens] * 9)
def test_chat_buckets_are_disjoint_and_add_up_to_the_total(
    text, cached, written, audio, image, spoken, thought, rejected, said
):
    prompt, completion = text + cached + written + audio + image, spoken + thought + rejected + said
    metered = chat({
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio, "image_tokens": image},
        "completion_tokens_details": {"audio_tokens": spoken, "reasoning_tokens": thought, "rejected_prediction_tokens": rejected},
    })  # fmt: skip
    usage = metered.usage
    assert (usage.in_text, usage.out_text) == (text, said)
    assert usage.total_input_tokens + usage.output_tokens == prompt + completion
    assert metered.problem is None or not prompt


@settings(max_examples=100, derandomize=True, deadline=None)
@given(*[tokens] * 5)
def test_message_buckets_are_disjoint_and_add_up(fresh, read, short, long, output):
    metered = message({
        "input_tokens": fresh, "cache_read_input_tokens": read, "cache_creation_input_tokens": short + long,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": output, "output_tokens_details": {"thinking_tokens": output // 3},
    })  # fmt: skip
    usage = metered.usage
    assert (usage.cache_write_5m, usage.cache_write_1h, usage.out_reasoning) == (short, long, output // 3)
    assert usage.total_input_tokens == fresh + read + short + long
    assert usage.output_tokens == output
    assert metered.problem is None or not usage.total_input_tokens


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"total_tokens": 16}, "input and output add up to 15, total_tokens says 16"),
        ({"prompt_tokens_details": {"cached_tokens": 11}}, "the input adds up to 11, prompt_tokens says 10"),
        (
            {"completion_tokens_details": {"reasoning_tokens": 6}},
            "the output adds up to 6, completion_tokens says 5",
        ),
        ({"completion_tokens_details": {"reasoning_tokens": "6"}}, "reasoning_tokens is no count"),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, "cached_tokens is no count"),
        ({"total_tokens": 2**70}, "total_tokens is no count"),
        ({"prompt_tokens": 0, "total_tokens": 5}, "no input is reported"),
    ],
)
def test_a_chat_report_that_contradicts_itself_is_marked(usage, problem):
    metered = chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15} | usage)
    assert metered.problem == problem
    assert all(amount > 0 for amount in metered.usage.counts().values())


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        (
            {"cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3}},
            "cache_creation adds up to 6, cache_creation_input_tokens says 4",
        ),
        ({"output_tokens_details": {"thinking_tokens": 6}}, "thinking is 6, output_tokens says 5"),
        ({"cache_read_input_tokens": 1.5}, "cache_read_input_tokens is no count"),
        ({"input_tokens": 0, "cache_creation_input_tokens": 0}, "no input is reported"),
        (
            {
                "iterations": [
                    {"type": "advisor_message", "model": "n", "input_tokens": 9, "output_tokens": 9},
                    7,
                ]
            },
            "another model took part, and its tokens are not in the sum",
        ),
        ({"iterations": [{"type": ["odd"]}]}, "another model took part, and its tokens are not in the sum"),
    ],
)
def test_a_message_report_that_contradicts_itself_is_marked(usage, problem):
    metered = message({"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 4} | usage)
    assert metered.problem == problem
    assert all(amount > 0 for amount in metered.usage.counts().values())


def test_a_split_without_a_sum_is_no_contradiction():
    metered = message(
        {"input_tokens": 10, "output_tokens": 5, "cache_creation": {"ephemeral_1h_input_tokens": 4}}
    )
    assert (metered.usage.cache_write_1h, metered.problem) == (4, None)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3) | st.sampled_from([-1, 2**63, 2**70, 0.5, 12.0, True, "5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
CHAT = [
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details",
    "completion_tokens_details",
]
DETAILS = [
    "cached_tokens",
    "cache_write_tokens",
    "audio_tokens",
    "image_tokens",
    "reasoning_tokens",
    "rejected_prediction_tokens",
]
MESSAGE = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "iterations", "service_tier", "speed", "output_tokens_details", "server_tool_use"]  # fmt: skip
PARTS = [
    "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens",
    "thinking_tokens",
    "web_search_requests",
    "type",
]


def reports(outer, inner):
    member = (
        junk
        | st.dictionaries(st.sampled_from(inner), junk)
        | st.lists(st.dictionaries(st.sampled_from([*outer, "type"]), junk), max_size=2)
    )
    return st.dictionaries(st.sampled_from(outer), member) | junk


@settings(max_examples=100, derandomize=True, deadline=None)
@given(reports(CHAT, DETAILS), reports(MESSAGE, PARTS))
def test_hostile_numbers_never_raise_and_never_give_absurd_counts(chat_usage, message_usage):
    start = msgspec.json.encode({"type": "message_start", "message": {"usage": message_usage}})
    delta = msgspec.json.encode(
        {"type": "message_delta", "delta": {"stop_reason": "x"}, "usage": message_usage}
    )
    chunk = msgspec.json.encode({"choices": [], "usage": chat_usage})
    read = [chat(chat_usage), message(message_usage)]
    for dialect, documents in ((CHAT_COMPLETIONS, [chunk]), (MESSAGES, [start]), (MESSAGES, [start, delta])):
        reader = dialect.reader(dialect.ask({"model": "m", "stream": True}))
        for document in documents:
            reader.feed(b"data: " + document + b"\n\n")
        read.append(reader.metered(DOCUMENT))
    for metered in read:
        assert all(
            type(amount) is int and 0 <= amount <= 5 * TOKEN_LIMIT
            for amount in metered.usage.counts().values()
        )
        assert len((metered.raw_usage or "").encode()) <= RAW_LIMIT
        assert metered.source in {"provider_final", "provider_partial", "tokenizer_estimate"}


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {},
        [],
        7,
        {"prompt_tokens": "9", "completion_tokens": 3},
        {"total_tokens": 9},
        {"input_tokens": 1},
    ],
)
@pytest.mark.parametrize("metered", [chat, message])
def test_an_answer_without_a_usable_report_is_an_estimate_and_never_free(usage, metered):
    read = metered(usage, choices=[{"message": {"content": "12345678"}}], content=[{"text": "12345678"}])
    assert read.source == "tokenizer_estimate"
    assert read.usage.total_input_tokens > 0
    assert read.usage.out_text == 2
    assert read.problem == "no usage in the answer"


def test_a_long_report_is_kept_to_the_bytes_of_its_column():
    metered = chat({"prompt_tokens": 1, "completion_tokens": 1, "note": "ü" * RAW_LIMIT})
    assert RAW_LIMIT - 4 < len(metered.raw_usage.encode()) <= RAW_LIMIT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"choices"',
        b'{"choices":{}}',
        b'{"type":"error"}',
        b"\xff",
        b"[" * 10**5,
        b'{"choices":[],"usage":' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_not_of_the_dialect_is_not_metered(body):
    assert CHAT_COMPLETIONS.metered_body(body, DOCUMENT) is None
    assert MESSAGES.metered_body(body, DOCUMENT) is None


def test_strange_choices_are_passed_over():
    metered = chat({"prompt_tokens": 1, "completion_tokens": 1}, choices=[7, {"finish_reason": ["x"]}])
    assert metered.finish is None


def test_media_in_a_request_do_not_count_as_text():
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 10_000}}
    document = {
        "messages": [
            {"role": "user", "content": [image, {"type": "image_url", "image_url": {"url": "A" * 10_000}}]}
        ]
    }
    reader = MESSAGES.reader(MESSAGES.ask({"model": "m"}))
    assert reader.metered(document).usage.in_text < 20


ORACLE = [
    wire
    for wire in BODIES
    if wire.name.split("/")[0] in {"openai", "anthropic"} and "compaction" not in wire.name
]


@pytest.mark.parametrize("wire", ORACLE, ids=lambda wire: wire.name)
def test_the_extractors_of_genai_prices_read_the_same(wire):
    provider, flavor = {"messages": ("anthropic", "default"), "chat_completions": ("openai", "chat")}[
        wire.dialect.name
    ]
    theirs = get_snapshot().extract_usage(msgspec.json.decode(wire.answer), provider, api_flavor=flavor).usage
    ours = wire.dialect.metered_body(wire.answer, wire.document).usage
    assert theirs.reported_value("input_tokens") == ours.total_input_tokens
    assert theirs.reported_value("output_tokens") == ours.output_tokens
    assert theirs.reported_value("cache_read_tokens") == ours.cache_read


def test_what_a_client_asks_is_read():
    ask = CHAT_COMPLETIONS.ask({"model": "m", "n": 3, "max_tokens": 10, "max_completion_tokens": 7})
    assert (ask.model, ask.stream, ask.output_limit, ask.include_usage) == ("m", False, 30, True)
    assert CHAT_COMPLETIONS.ask({"model": "m"}).output_limit is None
    assert not CHAT_COMPLETIONS.ask({"model": "m", "stream": True}).include_usage
    assert not CHAT_COMPLETIONS.ask({"model": "m", "stream": True, "stream_options": []}).include_usage
    ask = MESSAGES.ask({"model": "m", "max_tokens": 9, "stream": True})
    assert (ask.stream, ask.output_limit, ask.include_usage) == (True, 9, True)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"model": ""},
        {"model": 7},
        {"model": "a\nb"},
        {"model": "x" * 201},
        {"model": "m", "max_tokens": 0},
        {"model": "m", "max_tokens": True},
        {"model": "m", "max_tokens": 1.5},
        {"model": "m", "max_tokens": 2**31},
    ],
)
@pytest.mark.parametrize("dialect", [CHAT_COMPLETIONS, MESSAGES], ids=lambda dialect: dialect.name)
def test_a_request_that_makes_no_sense_is_refused(dialect, document):
    with pytest.raises(Refusal) as refused:
        dialect.ask(document)
    assert (refused.value.status, refused.value.code) == (400, "bad_request")
