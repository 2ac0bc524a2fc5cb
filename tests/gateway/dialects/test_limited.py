"""A call may be sent with a shorter answer, and nothing else of its bytes may change (B1, near_cap clamp)."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.body import parsed
from visionality.gateway.dialects import (
    CHAT_COMPLETIONS,
    COMPACTION,
    CONVERSE,
    DIALECTS,
    EMBEDDINGS,
    GEMINI,
    GEMINI_EMBEDDINGS,
    GEMINI_STREAM,
    IMAGES,
    INVOKE_MODEL,
    MESSAGES,
    RESPONSES,
    SPEECH,
    TRANSCRIPTION,
)
from visionality.gateway.dialects.member import with_number

TEXTS = st.text(max_size=6) | st.sampled_from(
    ['"max_tokens":9', "max_tokens", "}", "{", "\\", '"', "é", "\U0001f600"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
given_limits = st.integers(1, 10**6)


def spelled(draw, value):
    """JSON of a value with any white space, and with names and texts escaped here and there."""
    space = draw(st.sampled_from(["", "", " ", "\n\t ", "\r\n"]))
    if isinstance(value, dict):
        members = [
            f"{text_of(draw, name)}{space}:{space}{spelled(draw, held)}" for name, held in value.items()
        ]
        return "{" + space + f"{space},{space}".join(members) + space + "}"
    if isinstance(value, list):
        return "[" + space + f"{space},{space}".join(spelled(draw, held) for held in value) + space + "]"
    return text_of(draw, value) if isinstance(value, str) else json.dumps(value)


def text_of(draw, text):
    escaped = draw(st.booleans())
    if escaped and text.isascii():
        return '"' + "".join(f"\\u{ord(char):04x}" for char in text) + '"'
    return json.dumps(text, ensure_ascii=draw(st.booleans()))


@st.composite
def requests(draw, members, *own):
    """A request in any order, with other members beside its own, as a body and as what it says."""
    names = TEXTS | st.sampled_from(["model", "stream", "input", "system", "metadata"])
    beside = draw(st.dictionaries(names, values, max_size=4))
    for name in (*own, "n", "thinking", "reasoning", "fallbacks", "reasoning_config", "anthropic_version"):
        beside.pop(name, None)
    document = dict(draw(st.permutations(list((beside | draw(members)).items()))))
    body = (
        draw(st.sampled_from(["", " ", "\n"])) + spelled(draw, document) + draw(st.sampled_from(["", "\n "]))
    )
    return body.encode(errors="replace"), document


def one_of(*names, **more):
    limits = [st.fixed_dictionaries({name: given_limits | st.none()}) for name in names]
    return st.tuples(st.just({}) | st.one_of(limits), st.fixed_dictionaries(more)).map(
        lambda both: both[0] | both[1]
    )


def within(outer, members):
    return st.just({}) | st.just({outer: None}) | members.map(lambda held: {outer: held})


CHATS = one_of("max_tokens", "max_completion_tokens", n=st.none() | st.integers(1, 4))
GEMINIS = st.one_of(
    within(
        config,
        st.fixed_dictionaries(
            {},
            optional={
                limit: given_limits | given_limits.map(str) | st.none(),
                answers: st.integers(1, 4),
                "topK": values,
            },
        ),
    )
    for config, limit, answers in [
        ("generationConfig", "maxOutputTokens", "candidateCount"),
        ("generation_config", "max_output_tokens", "candidate_count"),
        ("generationConfig", "max_output_tokens", "candidateCount"),
    ]
)
CONVERSES = within(
    "inferenceConfig", st.fixed_dictionaries({}, optional={"maxTokens": given_limits, "topP": values})
)
BUDGETED = one_of("max_tokens", thinking=st.none() | st.just({"type": "enabled", "budget_tokens": 1024}))
SHAPES = {
    "chat": (CHAT_COMPLETIONS, requests(CHATS, "max_tokens", "max_completion_tokens")),
    "messages": (MESSAGES, requests(BUDGETED, "max_tokens")),
    "responses": (RESPONSES, requests(one_of("max_output_tokens"), "max_output_tokens")),
    "gemini": (GEMINI, requests(GEMINIS, "generationConfig", "generation_config")),
    "gemini stream": (GEMINI_STREAM, requests(GEMINIS, "generationConfig", "generation_config")),
    "converse": (CONVERSE, requests(CONVERSES, "inferenceConfig", "additionalModelRequestFields")),
    "invoke": (
        INVOKE_MODEL,
        requests(BUDGETED.map(lambda held: held | {"anthropic_version": "x"}), "max_tokens"),
    ),
}


@pytest.mark.parametrize(("dialect", "bodies"), SHAPES.values(), ids=SHAPES.keys())
@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.data(), st.integers(2_000, 10**5))
def test_any_body_says_the_same_and_has_the_shorter_answer(dialect, bodies, data, limit):
    body, document = data.draw(bodies)
    asked = parsed(body)
    shorter = dialect.limited(body, asked, limit)
    assert shorter is not None
    answers = dialect.ask(asked, "m").answers
    assert limit - answers < dialect.ask(parsed(shorter), "m").output_limit <= limit
    assert without_limit(parsed(shorter)) == without_limit(asked)
    assert is_one_span(body, shorter)
    assert document.keys() <= parsed(shorter).keys()


LIMITS = {
    "max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens",
}  # fmt: skip
CONFIGS = ("generationConfig", "generation_config", "inferenceConfig")


def without_limit(document):
    """What a document says beside its limit; a config that holds nothing else says nothing."""
    rest = {name: held for name, held in document.items() if name not in LIMITS}
    for name in CONFIGS:
        if isinstance(rest.get(name), dict):
            rest[name] = {inner: held for inner, held in rest[name].items() if inner not in LIMITS}
        if not rest.get(name):
            rest.pop(name, None)
    return rest


def is_one_span(before, after):
    """Whether the two differ in one place that is no longer than a member with a limit."""
    shortest = min(len(before), len(after))
    start = next((at for at in range(shortest) if before[at] != after[at]), shortest)
    end = next((at for at in range(shortest - start) if before[-1 - at] != after[-1 - at]), shortest - start)
    return max(len(before), len(after)) - start - end <= len(',"generationConfig":{"maxOutputTokens":100000}')


@pytest.mark.parametrize(
    ("dialect", "body", "shorter"),
    [
        (CHAT_COMPLETIONS, '{"model":"gpt-5"}', '{"model":"gpt-5","max_completion_tokens":600}'),
        (CHAT_COMPLETIONS, '{"model":"openai/o3"}', '{"model":"openai/o3","max_completion_tokens":600}'),
        (CHAT_COMPLETIONS, '{"model":"ft:gpt-4o:x"}', '{"model":"ft:gpt-4o:x","max_completion_tokens":600}'),
        (CHAT_COMPLETIONS, '{"model":"gpt-oss-120b"}', '{"model":"gpt-oss-120b","max_tokens":600}'),
        (CHAT_COMPLETIONS, '{"model":"mistral-large"}', '{"model":"mistral-large","max_tokens":600}'),
        (CHAT_COMPLETIONS, '{"model":"gpt-5","max_tokens":900}', '{"model":"gpt-5","max_tokens":600}'),
        (CHAT_COMPLETIONS, '{"max_completion_tokens" : 900 , "n":2}', '{"max_completion_tokens" : 300 , "n":2}'),
        (CHAT_COMPLETIONS, '{"model":"m","max_tokens":null}', '{"model":"m","max_tokens":600}'),
        (MESSAGES, '{"max\\u005ftokens":4096,"a":1.50}', '{"max\\u005ftokens":600,"a":1.50}'),
        (RESPONSES, '{"input":"\\"max_output_tokens\\":9"}', '{"input":"\\"max_output_tokens\\":9","max_output_tokens":600}'),
        (GEMINI, "{}", '{"generationConfig":{"maxOutputTokens":600}}'),
        (GEMINI, '{"generation_config":{"candidate_count":"2"}}', '{"generation_config":{"candidate_count":"2","maxOutputTokens":300}}'),
        (GEMINI, '{"generationConfig":{"max_output_tokens":"900"}}', '{"generationConfig":{"max_output_tokens":600}}'),
        (CONVERSE, '{"inferenceConfig": { } }', '{"inferenceConfig": { "maxTokens":600} }'),
        (INVOKE_MODEL, '{"anthropic_version":"x","max_tokens":4096}', '{"anthropic_version":"x","max_tokens":600}'),
    ],
)  # fmt: skip
def test_the_limit_stands_where_the_client_has_it_or_its_model_looks_for_it(dialect, body, shorter):
    assert dialect.limited(body.encode(), parsed(body.encode()), 600).decode() == shorter


@pytest.mark.parametrize(
    ("dialect", "document"),
    [
        pytest.param(CHAT_COMPLETIONS, {"max_tokens": 900, "max_completion_tokens": 900}, id="two limits"),
        pytest.param(CHAT_COMPLETIONS, {"n": 601}, id="no token for each choice"),
        pytest.param(CHAT_COMPLETIONS, {"reasoning": {"max_tokens": 600}}, id="all for reasoning"),
        pytest.param(
            MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": 600}}, id="all for thinking"
        ),
        pytest.param(
            MESSAGES, {"fallbacks": [{"model": "a", "max_tokens": 5}]}, id="a limit of another model's"
        ),
        pytest.param(
            INVOKE_MODEL, {"anthropic_version": "x", "thinking": {"budget_tokens": 999}}, id="as in messages"
        ),
        pytest.param(INVOKE_MODEL, {"prompt": "hi", "max_gen_len": 900}, id="another vendor's body"),
        pytest.param(GEMINI, {"generationConfig": {}, "generation_config": {}}, id="two configs"),
        pytest.param(
            GEMINI, {"generationConfig": {"maxOutputTokens": 9, "max_output_tokens": 9}}, id="two spellings"
        ),
        pytest.param(GEMINI, {"generationConfig": []}, id="a config that is none"),
        pytest.param(GEMINI_EMBEDDINGS, {"content": {}}, id="an embedding of Gemini's"),
        pytest.param(
            CONVERSE, {"additionalModelRequestFields": {"max_tokens": 900}}, id="a limit of the model's own"
        ),
        pytest.param(
            CONVERSE,
            {"additionalModelRequestFields": {"reasoning_config": {"budget_tokens": 600}}},
            id="its thinking",
        ),
        pytest.param(COMPACTION, {"input": []}, id="a compaction"),
        pytest.param(EMBEDDINGS, {"input": "hi"}, id="an embedding"),
        pytest.param(IMAGES, {"prompt": "hi"}, id="a picture"),
        pytest.param(SPEECH, {"input": "hi"}, id="speech"),
        pytest.param(TRANSCRIPTION, {"file_bytes": 9}, id="a transcription"),
    ],
)
def test_no_answer_is_shortened_where_that_would_be_a_guess_or_be_refused(dialect, document):
    assert dialect.limited(json.dumps(document).encode(), document, 600) is None


def test_openai_refuses_limits_below_16():
    assert RESPONSES.limited(b"{}", {}, 15) is None
    assert RESPONSES.limited(b"{}", {}, 16) == b'{"max_output_tokens":16}'


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_says_whether_it_can_be_limited(dialect):
    shorter = dialect.limited(b'{"model":"m"}', {"model": "m"}, 600)
    assert shorter is None or dialect.ask(parsed(shorter), "m").output_limit == 600


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"b":{"a":1,"a":1}}', b"[]", b'{"b":"x"}', b'{"b":[]}']
)
def test_the_place_of_a_number_is_not_guessed(data):
    assert with_number(data, ["b", "a"], 5) is None
