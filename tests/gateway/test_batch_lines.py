"""What is read of a batch's results: every line of a file, however it was cut; and no line, whatever is in it, stops the rest."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.wire import ALL
from visionality.core.usage import Metered
from visionality.gateway.batches.endpoints import BY_DIALECT
from visionality.gateway.batches.lines import Lines
from visionality.gateway.batches.results import Line, State, reader_of

BATCHED = [wire for wire in ALL if wire.in_batch]
LONGEST = 40

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def read(dialect: str, text: bytes) -> Line | None:
    target = BY_DIALECT[dialect]
    return reader_of(target).line(text, target.route.dialect)


# ---------------------------------------------------------------- lines out of bytes


@given(
    lines=st.lists(st.binary(max_size=LONGEST + 8).map(lambda line: line.replace(b"\n", b"")), max_size=8),
    has_last_end=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_lines_do_not_depend_on_how_the_network_cut_them(lines, has_last_end, cuts):
    whole = b"\n".join(lines) + (b"\n" if has_last_end and lines else b"")
    points = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    reader, found = Lines(LONGEST), []
    for start, end in itertools.pairwise(points):
        found += list(reader.feed(whole[start:end]))
    found += list(reader.finish())
    expected = whole.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert found == [line if len(line) <= LONGEST else None for line in expected]


# ---------------------------------------------------------------- one line


@pytest.mark.parametrize("wire", BATCHED, ids=lambda wire: wire.name)
def test_a_line_that_is_cut_off_is_never_read_as_an_answer(wire):
    for end in range(len(wire.answer) - 1):
        assert read(wire.dialect.name, wire.answer[:end]) is None


@settings(max_examples=200)
@given(data=st.data(), wire=st.sampled_from(BATCHED))
def test_whatever_stands_in_a_line_it_is_read_or_it_is_not_but_nothing_is_raised(data, wire):
    document = json.loads(wire.answer)
    places = list(places_in(document))
    for container, key in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3)):
        container[key] = data.draw(anything)
    line = read(wire.dialect.name, json.dumps(document).encode(errors="surrogatepass"))
    if line is not None and line.metered is not None:
        assert isinstance(line.metered, Metered)
        assert line.metered.source in {"batch_result", "tokenizer_estimate", "none"}
        assert all(count >= 0 for count in line.metered.usage.counts().values())
        assert line.metered.tier["processing"] == "batch"


def places_in(value: Any) -> Any:
    """Every member of an object and every element of an array, as a container and its key."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places_in(value[key])


@given(text=st.binary(max_size=200), dialect=st.sampled_from(sorted(BY_DIALECT)))
def test_bytes_that_are_no_line_are_none(text, dialect):
    assert read(dialect, text) is None


OPENAI = {"id": "batch_req_1", "custom_id": "a"}
FAILED = [
    (
        "chat_completions",
        OPENAI | {"response": {"status_code": 400, "request_id": "req_1", "body": {"error": {"code": "bad"}}}, "error": None},
        (400, "upstream_refused", "bad", "req_1"),
    ),
    (
        "chat_completions",
        OPENAI | {"response": {"status_code": 500, "request_id": None, "body": None}, "error": None},
        (500, "upstream_refused", None, None),
    ),
    (
        "responses",
        OPENAI | {"response": None, "error": {"code": "batch_expired", "message": "too late"}},
        (0, "expired", "batch_expired", None),
    ),
    (
        "embeddings",
        OPENAI | {"response": None, "error": {"code": "batch_cancelled", "message": "was cancelled"}},
        (0, "canceled", "batch_cancelled", None),
    ),
    ("messages", {"custom_id": "a", "result": {"type": "expired"}}, (0, "expired", None, None)),
    ("messages", {"custom_id": "a", "result": {"type": "canceled"}}, (0, "canceled", None, None)),
    (
        "messages",
        {
            "custom_id": "a",
            "result": {"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}},
        },
        (0, "upstream_refused", "overloaded_error", None),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "said", "told"), FAILED)
def test_a_line_without_an_answer_says_why_and_has_no_usage(dialect, said, told):
    line = read(dialect, json.dumps(said).encode())
    assert line is not None
    assert (line.custom_id, line.metered) == ("a", None)
    assert (line.status, line.reason, line.finish, line.upstream_request_id) == told


# ---------------------------------------------------------------- how far a batch is


def state(dialect: str, **fields: object) -> State | None:
    return reader_of(BY_DIALECT[dialect]).state(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "status", ["validating", "in_progress", "finalizing", "cancelling", "one_that_is_new"]
)
def test_a_batch_of_openais_that_goes_on_has_not_ended(status):
    found = state("chat_completions", id="batch_1", object="batch", status=status, output_file_id="file-1")
    assert found is not None
    assert not found.has_ended


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "cancelled"])
def test_an_ended_batch_of_openais_names_the_files_that_it_has(status):
    fields = {"output_file_id": "file-1", "error_file_id": "file-2"}
    for absent in ((), ("error_file_id",), ("output_file_id", "error_file_id")):
        present = fields | dict.fromkeys(absent)
        found = state("chat_completions", id="batch_1", object="batch", status=status, **present)
        assert found is not None
        assert found.has_ended
        assert found.results == tuple(f"/files/{name}/content" for name in present.values() if name)


@pytest.mark.parametrize("file_id", ["../models", "a/b", "file-1?x", "", "file 1", "file-1\n", "\u00e9"])
def test_a_file_that_could_lead_elsewhere_is_not_asked_for(file_id):
    found = state(
        "chat_completions", id="batch_1", object="batch", status="completed", output_file_id=file_id
    )
    assert found is not None
    assert found.results == ()


def test_the_results_of_anthropic_are_asked_for_by_the_batchs_id_and_never_by_an_address_it_names():
    elsewhere = "https://elsewhere.example/v1/messages/batches/msgbatch_1/results"
    found = state(
        "messages", id="msgbatch_1", type="message_batch", processing_status="ended", results_url=elsewhere
    )
    assert found is not None
    assert found.has_ended
    assert found.results == ("/v1/messages/batches/msgbatch_1/results",)


@given(document=anything, dialect=st.sampled_from(["chat_completions", "messages"]))
def test_what_is_no_batch_is_none(document, dialect):
    assert reader_of(BY_DIALECT[dialect]).state(json.dumps(document).encode(errors="surrogatepass")) is None
