"""What Bedrock's two formats say of tokens and errors, and where their bytes go when they make no sense."""

import base64
import json

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser, create_parser
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import BODIES
from visionality.core.call import Ask, Refusal, Request
from visionality.core.eventstream import event, exception
from visionality.core.usage import TOKEN_LIMIT
from visionality.gateway.dialects import CONVERSE, INVOKE_MODEL
from visionality.gateway.dialects._core import EMITTED_LIMIT, RAW_LIMIT, TAIL_LIMIT
from visionality.gateway.routes import find, spoken

RUNS = settings(max_examples=100, derandomize=True, deadline=None)
BOTH = pytest.mark.parametrize("dialect", [CONVERSE, INVOKE_MODEL], ids=lambda dialect: dialect.name)
ASKED = Ask("m", stream=True, output_limit=None)
DOCUMENT = {"messages": [{"role": "user", "content": [{"text": "x" * 35}]}]}
MODEL = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")


def body(usage, **members):
    return json.dumps({"output": {"message": {}}, "usage": usage, **members}).encode()


def converse(usage, **members):
    return CONVERSE.metered_body(body(usage, **members), DOCUMENT)


def chunk(native):
    return event(
        "chunk", json.dumps({"bytes": base64.b64encode(json.dumps(native).encode()).decode()}).encode()
    )


def read(dialect, *pieces):
    reader = dialect.reader(ASKED)
    out = b"".join(map(reader.feed, pieces))
    return reader, out


tokens = st.integers(1, 10**6)


@RUNS
@given(*[tokens] * 5)
def test_converse_buckets_are_disjoint_and_add_up_to_the_total(fresh, cached, short, long, said):
    metered = converse({
        "inputTokens": fresh, "outputTokens": said, "cacheReadInputTokens": cached, "cacheWriteInputTokens": short + long,
        "cacheDetails": [{"ttl": "1h", "inputTokens": long}, {"ttl": "5m", "inputTokens": short}],
        "totalTokens": fresh + cached + short + long + said,
    })  # fmt: skip
    usage = metered.usage
    assert (usage.in_text, usage.cache_read, usage.out_text) == (fresh, cached, said)
    assert (usage.cache_write_5m, usage.cache_write_1h) == (short, long)
    assert (metered.problem, metered.source) == (None, "provider_final")


@pytest.mark.parametrize(
    ("usage", "counts", "problem"),
    [
        ({"totalTokens": 16}, {"in_text": 10, "out_text": 5}, "the counts add up to 15, totalTokens says 16"),
        (
            {"cacheReadInputTokens": 4, "totalTokens": 15},
            {"in_text": 6, "cache_read": 4, "out_text": 5},
            "inputTokens includes the cache, says totalTokens",
        ),
        (
            {"cacheReadInputTokens": 11, "totalTokens": 15},
            {"in_text": 10, "cache_read": 11, "out_text": 5},
            "the counts add up to 26, totalTokens says 15",
        ),
        (
            {"cacheWriteInputTokens": 4, "cacheDetails": [{"ttl": "1h", "inputTokens": 6}], "totalTokens": 21},
            {"in_text": 10, "cache_write_1h": 6, "out_text": 5},
            "cacheDetails add up to 6, cacheWriteInputTokens says 4",
        ),
        (
            {"cacheWriteInputTokens": 4, "cacheDetails": [{"ttl": "12h", "inputTokens": 3}], "totalTokens": 19},
            {"in_text": 10, "cache_write_5m": 1, "cache_write_other": 3, "out_text": 5},
            None,
        ),
        ({"cacheReadInputTokens": -1}, {"in_text": 10, "out_text": 5}, "cacheReadInputTokens is no count"),
        ({"totalTokens": 2**70}, {"in_text": 10, "out_text": 5}, "totalTokens is no count"),
        ({"totalTokens": None}, {"in_text": 10, "out_text": 5}, None),
        ({"inputTokens": 0, "totalTokens": 5}, {"out_text": 5}, "no input is reported"),
        ({"cacheDetails": [{"ttl": ["5m"], "inputTokens": "6"}, 7]}, {"in_text": 10, "out_text": 5}, "inputTokens is no count"),
    ],
)  # fmt: skip
def test_a_report_that_breaks_the_rule_or_contradicts_itself_is_marked(usage, counts, problem):
    metered = converse({"inputTokens": 10, "outputTokens": 5, "totalTokens": 15} | usage)
    assert (metered.usage.counts(), metered.problem) == (counts, problem)


@pytest.mark.parametrize(
    "usage", [None, {}, [], 7, {"inputTokens": "9", "outputTokens": 3}, {"totalTokens": 9}]
)
def test_an_answer_without_a_usable_report_is_an_estimate_and_never_free(usage):
    said = {"output": {"message": {"content": [{"text": "12345678"}]}}}
    metered = converse(usage, **said)
    assert (metered.source, metered.problem) == ("tokenizer_estimate", "no usage in the answer")
    assert metered.usage.in_text == 10
    assert metered.usage.out_text >= 2


@pytest.mark.parametrize(
    "native",
    [
        {"generation": "12345678"},
        {"outputs": [{"text": "12345678"}]},
        {"choices": [{"message": {"content": "12345678"}}]},
        {"type": "message", "content": [{"type": "text", "text": "12345678"}]},
        {"output": {"message": {"content": [{"text": "12345678"}]}}},
        {"results": [{"tokenCount": "many", "outputText": "12345678"}]},
    ],
)
def test_a_vendors_body_without_counts_is_an_estimate_and_never_free(native):
    metered = INVOKE_MODEL.metered_body(json.dumps(native).encode(), DOCUMENT)
    assert (metered.source, metered.problem) == ("tokenizer_estimate", "no usage in the answer")
    assert metered.usage.in_text == 10
    assert metered.usage.out_text >= 2


@pytest.mark.parametrize("count", [b"9" * 5000, b"-1", b"1.5", b"many", b"", b"999999999999"])
def test_a_header_that_is_no_count_counts_nothing(count):
    headers = ((b"x-amzn-bedrock-input-token-count", count), (b"x-amzn-bedrock-output-token-count", count))
    metered = INVOKE_MODEL.metered_body(b'{"generation":"12345678"}', DOCUMENT, headers)
    assert (metered.source, metered.usage.counts()) == ("tokenizer_estimate", {"in_text": 10, "out_text": 2})


@pytest.mark.parametrize("nonsense", [b"", b"{", b"[]", b"null", b'"output"', b"\xff", b"[" * 10**5])
@BOTH
def test_a_body_that_is_not_of_the_dialect_is_not_metered(dialect, nonsense):
    assert dialect.metered_body(nonsense, DOCUMENT) is None


def test_a_body_of_another_form_is_not_converses():
    assert CONVERSE.metered_body(b'{"choices":[]}', DOCUMENT) is None
    assert CONVERSE.metered_body(b'{"output":[]}', DOCUMENT) is None


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3) | st.sampled_from([-1, 2**63, 12.0, "5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
NAMES = [
    "inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens", "cacheDetails",
    "input_tokens", "output_tokens", "cache_creation", "prompt_tokens", "inputTokenCount", "outputTokenCount",
]  # fmt: skip
MEMBERS = ["type", "output", "choices", "results", "outputs", "prompt_token_count", "embedding", "stop_reason", "trace", "serviceTier", "amazon-bedrock-invocationMetrics", "metadata", "message"]  # fmt: skip
reports = st.dictionaries(st.sampled_from(NAMES), junk) | junk
answers = st.fixed_dictionaries(
    {"usage": reports},
    optional={name: junk | st.just({}) | st.just([]) | st.sampled_from(["message", "message_start"]) | reports for name in MEMBERS},
)  # fmt: skip


@RUNS
@given(answers)
def test_hostile_answers_never_raise_and_never_give_absurd_counts(answer):
    raw = json.dumps(answer).encode()
    read_ = [dialect.metered_body(raw, DOCUMENT) for dialect in (CONVERSE, INVOKE_MODEL)]
    for dialect, frames in ((CONVERSE, event("metadata", raw)), (INVOKE_MODEL, chunk(answer) * 2)):
        read_.append(read(dialect, frames)[0].metered(DOCUMENT))
    for metered in filter(None, read_):
        assert all(type(n) is int and 0 <= n <= 5 * TOKEN_LIMIT for n in metered.usage.counts().values())
        assert len((metered.raw_usage or "").encode()) <= RAW_LIMIT
        assert metered.source in {"provider_final", "tokenizer_estimate"}


@RUNS
@given(st.lists(st.sampled_from([b"\x00", b"\x00\x00\x00\x10", b"metadata", b"{", event("chunk", b"{"), event("metadata", b"[]"), chunk(7), exception("x", b"")]), max_size=12))  # fmt: skip
@BOTH
def test_no_bytes_at_all_make_a_reader_raise_or_are_lost(dialect, pieces):
    reader, out = read(dialect, *pieces)
    reader.metered({})
    assert out + reader.finish() == b"".join(pieces)


@BOTH
def test_what_follows_the_last_frame_is_held_within_bounds(dialect):
    last = {CONVERSE: event("metadata", b"{}"), INVOKE_MODEL: chunk({"type": "message_stop"})}[dialect]
    if dialect is INVOKE_MODEL:
        last = chunk({"type": "message_start"}) + last
    reader, _ = read(dialect, last)
    assert reader.complete
    for _ in range(300):
        assert reader.feed(event("more", b"x" * 500)) == b""
    assert reader.feed(b"no frame" * 100_000) == b""
    assert len(reader.finish()) <= TAIL_LIMIT


def test_a_large_last_frame_is_held_whole():
    last = event("metadata", json.dumps({"trace": "x" * 2 * TAIL_LIMIT}).encode())
    reader, out = read(CONVERSE, last[:1000], last[1000:])
    assert (out, reader.finish()) == (b"", last)


def test_what_comes_after_the_last_frame_does_not_unsay_it():
    usage = b'{"usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3}}'
    reader, _ = read(CONVERSE, event("messageStop", b'{"stopReason":"end_turn"}') + event("metadata", usage))
    reader.feed(exception("internalServerException", b"{}") + b"and this is no frame at all")
    metered = reader.metered(DOCUMENT)
    assert (metered.source, metered.finish) == ("provider_final", "end_turn")


def test_metrics_that_come_after_the_last_event_of_a_message_still_count():
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
    reader, _ = read(INVOKE_MODEL, chunk(start) + chunk({"type": "message_stop"}))
    assert reader.metered(DOCUMENT).source == "tokenizer_estimate"
    reader.feed(chunk({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 9}}))
    metered = reader.metered(DOCUMENT)
    assert (metered.source, metered.usage.counts()) == ("provider_final", {"in_text": 7, "out_text": 9})


def test_a_long_output_is_estimated_by_its_length():
    for dialect, frame in (
        (CONVERSE, event("contentBlockDelta", b'{"delta":{"text":"abcd"}}')),
        (INVOKE_MODEL, chunk({"generation": "abcd"})),
    ):
        reader, times = dialect.reader(ASKED), 2 * EMITTED_LIMIT // 22
        for _ in range(times):
            reader.feed(frame)
        assert reader.metered({}).usage.out_text == pytest.approx(times, rel=0.001)


@pytest.mark.parametrize(
    ("dialect", "document", "limit"),
    [
        (CONVERSE, {"inferenceConfig": {"maxTokens": 7}}, 7),
        (CONVERSE, {"inferenceConfig": []}, None),
        (INVOKE_MODEL, {"max_tokens": 7, "max_gen_len": 9}, 9),
        (INVOKE_MODEL, {"textGenerationConfig": {"maxTokenCount": 7}}, 7),
        (INVOKE_MODEL, {"inferenceConfig": {"max_new_tokens": 7}}, 7),
        (INVOKE_MODEL, {}, None),
    ],
)
def test_the_output_limit_is_found_where_the_vendor_has_it(dialect, document, limit):
    assert dialect.ask(document, "m").output_limit == limit


@pytest.mark.parametrize("limit", [0, True, 1.5, 2**31, "7"])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    for dialect, document in (
        (CONVERSE, {"inferenceConfig": {"maxTokens": limit}}),
        (INVOKE_MODEL, {"max_tokens": limit}),
    ):
        with pytest.raises(Refusal) as refused:
            dialect.ask(document, "m")
        assert (refused.value.status, refused.value.code) == (400, "bad_request")


@pytest.mark.parametrize("base", ["", "/bedrock"])
@pytest.mark.parametrize(
    ("raw", "model"),
    [
        ("amazon.nova-lite-v1%3A0", "amazon.nova-lite-v1:0"),
        ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
        (
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.amazon.nova-lite-v1%3A0",
            "eu.amazon.nova-lite-v1:0",
        ),
        ("arn%3aaws%3abedrock%3aeu-west-1%3a%3afoundation-model%2Fmeta.llama3-8b", "meta.llama3-8b"),
    ],
)
def test_a_model_goes_up_as_it_came_and_is_priced_by_its_name(base, raw, model):
    target = find("POST", f"{base}/model/{raw}/converse-stream", ())
    assert (target.provider.name, target.suffix) == ("bedrock", f"/model/{raw}/converse-stream")
    assert target.route.dialect.ask({}, target.model).model == model


@pytest.mark.parametrize("path", ["/bedrock", "/bedrock/model/x/y", "/model/x/invoke-async"])
def test_a_path_of_bedrock_that_is_no_route_is_refused_in_its_words(path):
    assert find("POST", path, ()) is None
    assert spoken(path, ()) is CONVERSE


@BOTH
def test_a_body_goes_up_as_it_came(dialect):
    request = Request("POST", "/model/m/converse", "", (), b' {"messages" : [] } ')
    assert dialect.outgoing(request, dialect.ask(dialect.document(request), "m")) == request.body


STATUSES = {
    400: "ValidationException", 401: "UnrecognizedClientException", 402: "AccessDeniedException",
    403: "AccessDeniedException", 404: "ResourceNotFoundException", 413: "ValidationException",
    429: "ThrottlingException", 500: "InternalServerException", 502: "InternalServerException",
    503: "ServiceUnavailableException", 504: "ModelTimeoutException",
}  # fmt: skip
WORDS = 'no “budget” is left\n for "HPC"'


@pytest.mark.parametrize("operation", ["Converse", "InvokeModel", "ConverseStream"])
@pytest.mark.parametrize("status", STATUSES)
def test_botocore_reads_a_refusal_as_the_exception_that_its_status_means(status, operation):
    headers = dict(CONVERSE.error_headers(status, "spend_token_blocked", "req-1"))
    answer = {
        "status_code": status,
        "headers": {name.decode(): value.decode() for name, value in headers.items()},
        "body": CONVERSE.error(status, "spend_token_blocked", WORDS, "req-1"),
    }
    shape = MODEL.operation_model(operation).output_shape
    parsed = create_parser("rest-json").parse(answer, shape)
    assert parsed["Error"]["Code"] == STATUSES[status]
    assert parsed["Error"]["Message"] == f"spend_token_blocked: {WORDS}"
    assert parsed["ResponseMetadata"]["RequestId"] == "req-1"


@pytest.mark.parametrize("shape", ["ConverseStreamOutput", "ResponseStream"])
@pytest.mark.parametrize("code", ["upstream_broke", "upstream_timeout", "ledger_unavailable", "gateway_stopped", "internal_error"])  # fmt: skip
def test_botocore_reads_an_error_in_a_stream_as_an_exception_that_the_service_declares(code, shape):
    buffer = EventStreamBuffer()
    buffer.add_data(CONVERSE.stream_error(code, WORDS, "req-1"))
    (message,) = buffer
    declared = MODEL.shape_for(shape)
    parsed = EventStreamJSONParser().parse(message.to_response_dict(), declared)
    assert parsed["Error"]["Message"] == f"{code}: {WORDS}"
    assert parsed["Error"]["Code"] in declared.members


ORACLE = [wire for wire in BODIES if wire.name.startswith("bedrock/converse")]


@pytest.mark.parametrize("wire", ORACLE, ids=lambda wire: wire.name)
def test_the_extractors_of_genai_prices_read_the_same(wire):
    theirs = get_snapshot().extract_usage(json.loads(wire.answer), "aws", api_flavor="default").usage
    ours = wire.dialect.metered_body(wire.answer, wire.document).usage
    assert theirs.reported_value("input_tokens") == ours.total_input_tokens
    assert theirs.reported_value("output_tokens") == ours.output_tokens
