"""Gemini's numbers and streams: what its reader promises beyond what every dialect does."""

import json
from itertools import pairwise

import msgspec
import pytest
from genai_prices.data_snapshot import get_snapshot
from google.genai import errors
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import ALL, BODIES, STREAMS, named, told
from visionality.core.call import Refusal
from visionality.core.sse import payload
from visionality.core.usage import TOKEN_LIMIT
from visionality.gateway.dialects import GEMINI, GEMINI_EMBEDDINGS, GEMINI_STREAM
from visionality.gateway.dialects._core import EMITTED_LIMIT, RAW_LIMIT, TAIL_LIMIT
from visionality.gateway.dialects.gemini_stream import CHUNK_LIMIT, Elements
from visionality.gateway.routes import find, spoken

ASK = GEMINI_STREAM.ask({}, "gemini-2.5-flash")
DOCUMENT = {"contents": [{"parts": [{"text": "x" * 35}]}]}
FORMS = pytest.mark.parametrize("form", ["sse", "array"])
tokens = st.integers(0, 10**6)


def generated(usage, **members):
    body = msgspec.json.encode(
        {"candidates": [], "modelVersion": "gemini-3.5-flash", "usageMetadata": usage} | members
    )
    return GEMINI.metered_body(body, DOCUMENT)


def candidate(text="12345678", finish="STOP", **members):
    return {"content": {"parts": [{"text": text}]}, "finishReason": finish} | members


def streamed(form, *chunks):
    """Chunks as the bytes of a stream that has not ended."""
    if form == "sse":
        return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\r\n\r\n" for chunk in chunks)
    return b"[" + b",\r\n".join(msgspec.json.format(msgspec.json.encode(chunk)) for chunk in chunks)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(*[tokens] * 9, st.booleans())
def test_buckets_are_disjoint_and_add_up_to_the_total(
    text, image, audio, video, cached, tool, said, drawn, thought, within
):
    prompt = text + image + audio + video + cached
    candidates = said + drawn + (thought if within else 0)
    metered = generated({
        "promptTokenCount": prompt, "cachedContentTokenCount": cached, "toolUsePromptTokenCount": tool,
        "candidatesTokenCount": candidates, "thoughtsTokenCount": thought,
        "totalTokenCount": prompt + tool + said + drawn + thought,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": text + cached}, {"modality": "IMAGE", "tokenCount": image},
            {"modality": "AUDIO", "tokenCount": audio}, {"modality": "VIDEO", "tokenCount": video},
        ],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": drawn}],
    })  # fmt: skip
    usage = metered.usage
    assert (usage.in_text, usage.in_image, usage.in_audio, usage.in_video) == (text, image, audio, video)
    assert (usage.cache_read, usage.in_tool) == (cached, tool)
    assert (usage.out_text, usage.out_image, usage.out_reasoning) == (said, drawn, thought)
    assert metered.problem is None or not prompt


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"totalTokenCount": 16}, "the counts add up to 15, totalTokenCount says 16"),
        ({"cachedContentTokenCount": 11}, "cachedContentTokenCount is 11, promptTokenCount says 10"),
        (
            {"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 11}]},
            "promptTokensDetails add up to 11, their sum says 10",
        ),
        ({"promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -1}]}, "tokenCount is no count"),
        ({"thoughtsTokenCount": "6"}, "thoughtsTokenCount is no count"),
        ({"totalTokenCount": 2**70}, "totalTokenCount is no count"),
        ({"promptTokenCount": 0, "totalTokenCount": 5}, "no input is reported"),
        (
            {"candidatesTokensDetails": [{"modality": "VIDEO", "tokenCount": 5}]},
            "video that was made is counted as text",
        ),
    ],
)
def test_a_report_that_contradicts_itself_is_marked(usage, problem):
    metered = generated({"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15} | usage)
    assert metered.problem == problem
    assert metered.source == "provider_final"
    assert all(amount > 0 for amount in metered.usage.counts().values())


@pytest.mark.parametrize(
    "usage", [None, {}, [], 7, {"promptTokenCount": "9"}, {"totalTokenCount": 9}, {"promptTokenCount": 9}]
)
def test_an_answer_without_a_usable_report_is_an_estimate_and_never_free(usage):
    metered = generated(usage, candidates=[candidate()])
    assert (metered.source, metered.problem) == ("tokenizer_estimate", "no usage in the answer")
    assert (metered.usage.in_text, metered.usage.out_text) == (9, 2)


@pytest.mark.parametrize(
    ("model", "counted", "marked"),
    [
        ("gemini-2.5-pro", 1, False),
        ("gemini-2.0-flash-001", 1, False),
        ("gemini-live-2.5-flash", 1, False),
        ("gemini-3-pro-preview", 2, False),
        ("gemini-10-ultra", 2, False),
        ("gemini-flash-latest", 2, True),
        ("learnlm", 2, True),
    ],
)
def test_searches_are_counted_as_the_models_generation_is_billed(model, counted, marked):
    grounding = {"webSearchQueries": ["a", "b", "a", "", None, 7]}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1}
    metered = generated(usage, candidates=[candidate(groundingMetadata=grounding)], modelVersion=model)
    assert metered.usage.web_search == counted
    assert (metered.problem is not None) == marked


def test_searches_for_images_and_maps_are_marked():
    grounding = {"imageSearchQueries": ["a"], "groundingChunks": [{"maps": {}}, 7]}
    metered = generated(
        {"promptTokenCount": 1, "candidatesTokenCount": 1},
        candidates=[candidate(groundingMetadata=grounding)],
    )
    assert metered.usage.web_search == 1
    assert (
        metered.problem
        == "grounding with Google Maps is not in the sum; searches for images are counted as web searches"
    )


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"serviceTier": "priority"}, "priority"),
        ({"serviceTier": "SERVICE_TIER_FLEX", "trafficType": "ON_DEMAND"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, "on_demand"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({"serviceTier": "unspecified"}, None),
        ({"serviceTier": ["flex"]}, None),
    ],
)
def test_a_tier_has_the_price_books_name(usage, tier):
    assert generated({"promptTokenCount": 1} | usage).tier == ({"service_tier": tier} if tier else {})


def test_a_tier_is_told_by_a_header_too():
    assert GEMINI.served_tier(((b"x-gemini-service-tier", b"priority"),)) == {"service_tier": "priority"}
    assert GEMINI.served_tier(((b"x-other", b"priority"),)) == {}


ORACLE = [
    wire
    for wire in BODIES
    if wire.dialect is GEMINI and wire.expected["source"] == "provider_final" and "within" not in wire.name
]


@pytest.mark.parametrize("wire", ORACLE, ids=lambda wire: wire.name)
def test_the_extractor_of_genai_prices_reads_the_same(wire):
    theirs = (
        get_snapshot().extract_usage(msgspec.json.decode(wire.answer), "google", api_flavor="default").usage
    )
    ours = GEMINI.metered_body(wire.answer, wire.document).usage
    assert (theirs.reported_value("input_tokens") or 0) == ours.total_input_tokens
    assert (theirs.reported_value("output_tokens") or 0) == ours.output_tokens
    assert (theirs.reported_value("cache_read_tokens") or 0) == ours.cache_read_tokens
    assert (theirs.reported_value("output_image_tokens") or 0) == ours.out_image


# ---------------------------------------------------------------- streams


@FORMS
def test_the_newest_chunk_is_kept_once_every_candidate_has_finished(form):
    usage = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}
    chunks = [
        {"candidates": [candidate("a", None)]},
        {"candidates": [candidate("b"), candidate("c", None, index=1)]},
        {"candidates": [candidate("d", index=1)]} | usage,
        usage,
    ]
    whole = [streamed(form, *chunks[:number]) for number in range(5)]
    pieces = [after[len(before) if number else 0 :] for number, (before, after) in enumerate(pairwise(whole))]
    reader = GEMINI_STREAM.reader(ASK)
    out = [reader.feed(piece) for piece in pieces]
    assert out == [pieces[0], pieces[1], b"", pieces[2]]
    assert not reader.complete
    assert reader.metered(DOCUMENT).source == "provider_final"
    assert reader.finish() == pieces[3]
    assert reader.complete


def test_a_comment_after_the_last_chunk_does_not_let_it_go():
    reader = GEMINI_STREAM.reader(ASK)
    last = streamed("sse", {"candidates": [candidate()]})
    assert reader.feed(last + b": still here\n\n") == b""
    for _ in range(30):
        assert reader.feed(b": more" * 5000 + b"\n\n") == b""
    held = reader.finish()
    assert held.startswith(last)
    assert len(held) <= len(last) + TAIL_LIMIT


def test_what_follows_an_array_is_held_within_bounds():
    wire = named("google/stream_array")
    reader = wire.reader()
    reader.feed(wire.answer)
    for _ in range(3):
        assert reader.feed(b" more" * 50_000) == b""
    assert len(reader.finish()) <= len(wire.answer) + TAIL_LIMIT


@pytest.mark.parametrize("name", ["google/stream", "google/stream_array"])
def test_a_broken_stream_ends_with_an_error_that_its_form_allows(name):
    wire = named(name)
    error = GEMINI_STREAM.stream_error("upstream_broke", 'it "broke" [off', "r")
    for at in range(len(wire.answer)):
        reader = wire.reader()
        got = reader.feed(wire.answer[:at])
        got += reader.framed(error)
        if got.startswith(b"["):
            assert json.loads(got)[-1]["error"]["message"] == 'it "broke" [off'
        else:
            *_, event = got.rstrip().split(b"\n\n")
            assert json.loads(payload(event))["error"]["status"] == "INTERNAL"


def test_calls_code_and_images_that_were_emitted_are_estimated():
    parts = [
        {"functionCall": {"name": "rebill", "args": {"hours": list(range(100))}}},
        {"executableCode": {"code": "x" * 40}},
        {"inlineData": {"mimeType": "image/png", "data": "A" * 10_000}},
        {"text": "thought" * 4, "thought": True, "thoughtSignature": "A" * 10_000},
        7,
    ]
    reader = GEMINI_STREAM.reader(ASK)
    reader.feed(
        streamed(
            "sse", {"candidates": [{"content": {"parts": parts}}], "usageMetadata": {"promptTokenCount": 5}}
        )
    )
    usage = reader.metered(DOCUMENT).usage
    assert (usage.in_text, usage.out_image) == (5, 1290)
    assert 80 < usage.out_text < 130


@FORMS
def test_a_long_output_is_estimated_by_its_length(form):
    chunk = {"candidates": [candidate("abcd", None)]}
    reader = GEMINI_STREAM.reader(ASK)
    times = 3 * EMITTED_LIMIT // len(msgspec.json.encode(chunk))
    reader.feed(streamed(form, *[chunk] * times))
    assert reader.metered({}).usage.out_text == pytest.approx(times, rel=0.01)


@FORMS
def test_an_image_of_several_megabytes_is_read_and_what_is_larger_passes_unread(form):
    usage = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}}
    for size, source in ((8 * 1024 * 1024, "provider_final"), (CHUNK_LIMIT, "tokenizer_estimate")):
        data = streamed(form, {"candidates": [candidate(pad="A" * size)]} | usage)
        for step in (1 << 16, len(data)):
            reader = GEMINI_STREAM.reader(ASK)
            out = b"".join([reader.feed(data[at : at + step]) for at in range(0, len(data), step)])
            assert reader.metered({}).source == source
            assert out + reader.finish() == data


@pytest.mark.parametrize(
    "data",
    [
        b"", b" ", b"[", b"[]", b"[ ]\n", b"[[]]", b"[1,2]", b'["]"]', b"]", b"[}", b"[{]", b"[{}]]", b"{}", b"null",
        b"[{broken}]", b'[{"candidates":7}]', b'[{"candidates":[7,{"content":7},{"content":{"parts":{}}}]}]',
        b'[{"usageMetadata":[]}]', b'[{"usageMetadata":{"promptTokenCount":' + b"9" * 5000 + b"}}]", b"[" * 10_000,
        b'["\\', b'["\xff"]', b"data: {broken\n\n", b"data: [1]\n\n", b'data: {"error":null}\n\n', b"\n\n",
        b'data: {"promptFeedback":{"blockReason":["x"]}}\n\n', b'data: {"candidates":[{"index":"x"}]}\n\n',
    ],
)  # fmt: skip
def test_nonsense_passes_as_it_is_and_costs_an_estimate(data):
    whole = GEMINI_STREAM.reader(ASK)
    out = whole.feed(data)
    metered = whole.metered(DOCUMENT)
    assert out + whole.finish() == data
    assert (metered.source, metered.usage.in_text) == ("tokenizer_estimate", 9)
    reader = GEMINI_STREAM.reader(ASK)
    assert b"".join([reader.feed(data[at : at + 1]) for at in range(len(data))]) == out
    assert (told(reader.metered(DOCUMENT)), reader.finish()) == (told(metered), data[len(out) :])


pieces = st.sampled_from([
    b"data: ", b'{"candidates":[{"finishReason":"STOP"}]}', b'{"usageMetadata":{"promptTokenCount":3}}', b"[", b"]",
    b"{", b"}", b",", b'"', b"\\", b"\n\n", b"\r\n", b"\xf0", b'{"error":{}}', b":",
])  # fmt: skip


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.sampled_from([b"", b"[", b"data: "]), st.lists(pieces, max_size=30))
def test_no_bytes_at_all_make_the_reader_raise_or_lose_one(start, parts):
    data = start + b"".join(parts)
    whole, cut = GEMINI_STREAM.reader(ASK), GEMINI_STREAM.reader(ASK)
    out = whole.feed(data)
    assert b"".join(map(cut.feed, [start, *parts])) == out
    assert told(cut.metered({})) == told(whole.metered({}))
    assert out + whole.finish() == data == out + cut.finish()
    whole.framed(GEMINI_STREAM.stream_error("c", "m", "r"))


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=3), st.text(alphabet='a"\\[]{},\n', max_size=8), max_size=3),
        max_size=5,
    ),
    st.sampled_from([None, 1, "\t"]),
    st.data(),
)
def test_an_array_is_cut_where_its_elements_end(documents, indent, data):
    text = json.dumps(documents, indent=indent).encode() + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    elements = Elements()
    found = [
        piece for start, end in pairwise([0, *cuts, len(text)]) for piece in elements.feed(text[start:end])
    ]
    assert b"".join(found) + elements.take_rest() == text
    assert elements.closed
    read = [json.loads(piece[piece.index(b"{") :]) for piece in found if b"{" in piece]
    assert read == documents


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3) | st.sampled_from([-1, 2**63, 0.5, 12.0, "5"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["modality", "tokenCount", "x"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
COUNTS = [
    "promptTokenCount", "cachedContentTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount",
    "totalTokenCount", "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails", "serviceTier", "trafficType",
]  # fmt: skip
details = st.lists(
    st.dictionaries(
        st.sampled_from(["modality", "tokenCount"]), junk | st.sampled_from(["AUDIO", "IMAGE", 7])
    ),
    max_size=3,
)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.dictionaries(st.sampled_from(COUNTS), junk | details) | junk, junk, junk)
def test_hostile_numbers_never_raise_and_never_give_absurd_counts(usage, content, grounding):
    answer = {"candidates": [candidate(content=content, groundingMetadata=grounding)], "usageMetadata": usage}
    reader = GEMINI_STREAM.reader(ASK)
    reader.feed(streamed("sse", answer))
    body = msgspec.json.encode(answer)
    embedded = GEMINI_EMBEDDINGS.metered_body(b'{"embedding":{},' + body[1:], DOCUMENT)
    for metered in (reader.metered(DOCUMENT), GEMINI.metered_body(body, DOCUMENT), embedded):
        assert all(
            type(amount) is int and 0 < amount <= 5 * TOKEN_LIMIT
            for amount in metered.usage.counts().values()
        )
        assert len((metered.raw_usage or "").encode()) <= RAW_LIMIT
        assert metered.source in {"provider_final", "tokenizer_estimate"}


# ---------------------------------------------------------------- bodies, requests, refusals


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"{}", b"[]", b"null", b'"candidates"', b'{"candidates":{}}', b'{"error":{"code":500}}', b"\xff", b"[" * 10**5,
        b'{"embedding":7}', b'{"embeddings":null}',
        b'{"candidates":[],"usageMetadata":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_not_of_the_dialect_is_not_metered(body):
    assert GEMINI.metered_body(body, DOCUMENT) is None
    assert GEMINI_EMBEDDINGS.metered_body(body, DOCUMENT) is None


def test_a_call_of_embeddings_whose_answer_did_not_come_is_estimated_as_such():
    for document in (
        {"content": {"parts": [{"text": "x" * 40}]}},
        {"requests": [{"content": {"parts": [{"text": "x" * 40}]}}, 7]},
    ):
        metered = GEMINI_EMBEDDINGS.reader(GEMINI_EMBEDDINGS.ask(document, "m")).metered(document)
        assert metered.source == "tokenizer_estimate"
        assert metered.usage.counts() == {"embed": 10}


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ({}, None),
        ({"generationConfig": {"maxOutputTokens": 10}}, 10),
        ({"generationConfig": {"max_output_tokens": 10, "candidateCount": 3}}, 30),
        ({"generation_config": {"maxOutputTokens": "10", "candidate_count": 2.0}}, 20),
        ({"generationConfig": {"maxOutputTokens": 10}, "generation_config": {"max_output_tokens": 12}}, 12),
        ({"generationConfig": {"candidateCount": 3}}, None),
        ({"generationConfig": None, "generation_config": 7}, None),
    ],
)
def test_what_a_client_asks_is_read_in_either_spelling(config, limit):
    ask = GEMINI.ask(DOCUMENT | config, "gemini-2.5-flash")
    assert (ask.model, ask.stream, ask.output_limit) == ("gemini-2.5-flash", False, limit)
    assert GEMINI_STREAM.ask(DOCUMENT | config, "m").stream


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, 2**31, "", "-1", "x", "9" * 30, [], float("inf")])
def test_a_limit_that_makes_no_sense_is_refused(limit):
    with pytest.raises(Refusal) as refused:
        GEMINI.ask({"generationConfig": {"maxOutputTokens": limit}}, "m")
    assert (refused.value.status, refused.value.code) == (400, "bad_request")


STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "RESOURCE_EXHAUSTED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 502: "UNAVAILABLE",
    503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 599: "INTERNAL",
}  # fmt: skip


@pytest.mark.parametrize(("status", "name"), STATUSES.items())
def test_a_refusal_has_googles_shape(status, name):
    words = 'no “budget” is left\n for "HPC"'
    document = msgspec.json.decode(GEMINI.error(status, "spend_token_blocked", words, "req-1"))
    error = errors.APIError(status, document)
    assert (error.code, error.status, error.message) == (status, name, words)
    assert document["error"]["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "SPEND_TOKEN_BLOCKED",
            "domain": "gateway",
            "metadata": {"requestId": "req-1"},
        }
    ]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1beta/files", ()),
        ("/v1beta/models/gemini-2.5-flash:predict", ()),
        ("/google/x", ()),
        ("/elsewhere/models/m:generateContent", ()),
        ("/x", ((b"x-goog-api-key", b"k"),)),
    ],
)
def test_what_looks_like_googles_is_refused_in_its_words(path, headers):
    assert find("POST", path, headers) is None
    assert spoken(path, headers) is GEMINI


@pytest.mark.parametrize("version", ["v1", "v1beta"])
@pytest.mark.parametrize("prefix", ["", "/google", "/gemini"])
def test_every_method_has_its_dialect_and_its_model(prefix, version):
    methods = {
        "generateContent": (GEMINI, "model_call"), "streamGenerateContent": (GEMINI_STREAM, "model_call"),
        "countTokens": (GEMINI, "free"), "embedContent": (GEMINI_EMBEDDINGS, "model_call"),
        "batchEmbedContents": (GEMINI_EMBEDDINGS, "model_call"),
    }  # fmt: skip
    for method, meaning in methods.items():
        path = f"/{version}/models/gemini-2.5-flash:{method}"
        target = find("POST", prefix + path, ())
        assert (target.route.dialect, target.route.kind) == meaning
        assert (target.provider.name, target.model, target.suffix) == ("google", "gemini-2.5-flash", path)


def test_every_fixture_of_google_is_read():
    assert {wire.dialect for wire in ALL if wire.name.startswith("google/")} == {
        GEMINI,
        GEMINI_STREAM,
        GEMINI_EMBEDDINGS,
    }
    assert all(wire.dialect is GEMINI_STREAM for wire in STREAMS if wire.name.startswith("google/"))
