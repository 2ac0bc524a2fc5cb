"""Promises G1, G5: embeddings, images and sound through OpenAI's own SDK; each call is one row, priced in its own units."""

import base64
import itertools
import json
from collections.abc import Iterator
from http.client import IncompleteRead
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.calls import Reply, ask, new_id, opened, recomputed
from visionality.core.body import BadBody
from visionality.core.call import Refusal, Request
from visionality.core.usage import TOKEN_LIMIT
from visionality.gateway.dialects import EMBEDDINGS, IMAGES, SPEECH, TRANSCRIPTION
from visionality.gateway.dialects.form import FIELDS_LIMIT, PARTS_LIMIT

SMALL = "text-embedding-3-small"
SOUND = b"ID3 simulated: this is\n\nno sound"
RECORDING = ("call.mp3", b"\xff\xfb" + b"\r\n--not-a-boundary" * 1000, "audio/mpeg")
PICTURE = ("desk.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 16, "image/png")
GREETING = "Good morning, PJM."


@pytest.fixture(scope="module")
def client(product, caller) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key, max_retries=0) as made:
        yield made


def sending(call_id: str, **plan: object) -> dict[str, str]:
    return {"x-client-request-id": call_id, "x-sandbox-plan": json.dumps(plan)}


def check(row: dict[str, Any], dialect: str, usage: dict[str, int], cost_nusd: int) -> None:
    """A row whose usage the provider reported, or whose units were counted where it never reports."""
    assert (row["dialect"], row["usage"], row["cost_nusd"]) == (dialect, usage, cost_nusd)
    assert (row["decision"], row["status_code"], row["price_state"]) == ("allowed", 200, "known")
    assert recomputed(row) == row["cost_nusd"]


@pytest.mark.parametrize(
    ("asked", "tokens", "vectors"),
    [("one two three", 3, 1), (["one two", "three"], 3, 2), ([1, 2, 3, 4], 4, 1), ([[1, 2], [3]], 3, 2)],
    ids=["text", "texts", "tokens", "lists of tokens"],
)
@pytest.mark.parametrize("form", ["float", "base64", None])
def test_embeddings(caller, client, asked, tokens, vectors, form):
    options = {"encoding_format": form} if form else {}
    answer = client.embeddings.create(
        model=SMALL, input=asked, extra_headers=sending(call_id := new_id()), **options
    )
    assert [one.index for one in answer.data] == list(range(vectors))
    assert form == "base64" or list(answer.data[0].embedding) == [0.25, -0.5, 0.125, 1.0]
    row = caller.row(call_id)
    check(row, "embeddings", {"embed": tokens}, tokens * 20)
    assert (row["input_tokens"], row["output_tokens"], row["model_used"]) == (tokens, 0, SMALL)
    assert row["usage_source"] == "provider_final"


async def test_embeddings_async(product, caller):
    async with openai.AsyncOpenAI(base_url=f"{product.gateway}/openai/v1", api_key=caller.key) as client:
        answer = await client.embeddings.create(
            model=SMALL, input="one two three", extra_headers=sending(call_id := new_id())
        )
    assert answer.usage.prompt_tokens == 3
    check(caller.row(call_id), "embeddings", {"embed": 3}, 60)


def test_embeddings_without_a_report_are_estimated_and_say_so(caller, client):
    headers = sending(call_id := new_id(), omit_usage=True)
    client.embeddings.with_raw_response.create(model=SMALL, input="x" * 40, extra_headers=headers)
    row = caller.row(call_id)
    check(row, "embeddings", {"embed": 10}, 200)
    assert (row["usage_source"], row["tags"]["usage_problem"]) == (
        "tokenizer_estimate",
        "no usage in the answer",
    )


def test_a_picture(caller, client):
    answer = client.images.generate(
        model="gpt-image-1", prompt="a ledger", n=2, extra_headers=sending(call_id := new_id())
    )
    assert len(answer.data) == 2
    row = caller.row(call_id)
    check(row, "images", {"in_text": 2, "out_image": 2112}, 2 * 5_000 + 2112 * 40_000)
    assert (row["model_used"], row["output_tokens"]) == ("gpt-image-1", 2112)


def test_a_picture_out_of_a_picture(caller, client):
    headers = sending(call_id := new_id())
    answer = client.images.edit(
        model="gpt-image-1", image=[PICTURE, PICTURE], prompt="add a lamp", extra_headers=headers
    )
    assert answer.usage.input_tokens_details.image_tokens == 300
    check(
        caller.row(call_id),
        "images",
        {"in_text": 3, "in_image": 300, "out_image": 1056},
        3 * 5_000 + 300 * 10_000 + 1056 * 40_000,
    )


@pytest.mark.parametrize("edited", [False, True])
def test_a_picture_and_its_drafts_are_streamed(caller, client, edited):
    headers = sending(call_id := new_id())
    options = {"model": "gpt-image-1", "prompt": "a ledger", "stream": True, "partial_images": 2}
    if edited:
        stream = client.images.edit(image=PICTURE, extra_headers=headers, **options)
    else:
        stream = client.images.generate(extra_headers=headers, **options)
    events = list(stream)
    kind = "image_edit" if edited else "image_generation"
    assert [event.type for event in events] == [f"{kind}.partial_image"] * 2 + [f"{kind}.completed"]
    row = caller.row(call_id)
    assert row["usage"] == {"in_text": 2, "out_image": 1056} | ({"in_image": 300} if edited else {})
    assert (row["usage_source"], row["price_state"], row["finish"]) == ("provider_final", "known", None)
    assert row["ttft_ms"] is not None


def test_several_pictures_in_one_stream_are_one_sum(caller, client):
    headers = sending(call_id := new_id())
    stream = client.images.generate(
        model="gpt-image-1", prompt="a ledger", n=3, stream=True, extra_headers=headers
    )
    assert len(list(stream)) == 3
    assert caller.row(call_id)["usage"] == {"in_text": 6, "out_image": 3168}


def test_a_picture_larger_than_any_other_event_still_reports_its_usage():
    drawn = base64.b64encode(b"simulated" * 500_000).decode()
    event = {"type": "image_generation.completed", "b64_json": drawn}
    event |= {"usage": {"input_tokens": 2, "output_tokens": 5, "total_tokens": 7}}
    reader = IMAGES.reader(IMAGES.ask({"stream": True}))
    data = b"event: image_generation.completed\ndata: " + json.dumps(event).encode() + b"\n\n"
    out = b"".join(reader.feed(data[at : at + 65_536]) for at in range(0, len(data), 65_536))
    assert (out, reader.complete, reader.finish()) == (b"", True, data)
    assert reader.metered({}).usage.counts() == {"in_text": 2, "out_image": 5}


@pytest.mark.parametrize(
    ("model", "omit"), [("dall-e-3", False), ("gpt-image-1", True)], ids=["DALL-E", "no usage"]
)
def test_a_picture_of_which_nobody_says_the_cost_is_unpriced_and_not_free(caller, client, model, omit):
    headers = sending(call_id := new_id(), omit_usage=omit)
    client.images.generate(model=model, prompt="a ledger", n=2, extra_headers=headers)
    (row,) = caller.product.rows_of(call_id)
    assert (row["price_state"], row["cost_nusd"], row["usage"]) == ("unknown", 0, {"images": 2})
    assert row["usage_source"] == "tokenizer_estimate"


def test_a_picture_without_a_named_model_is_served_and_unpriced(caller, client):
    client.images.generate(prompt="a ledger", extra_headers=sending(call_id := new_id()))
    (row,) = caller.product.rows_of(call_id)
    assert (row["model_requested"], row["model_used"], row["price_state"]) == (None, None, "unknown")
    assert row["decision"] == "allowed"


def test_a_stream_of_pictures_that_breaks_off_is_unpriced(caller, client):
    headers = sending(call_id := new_id(), break_after_chunks=1)
    options = {"model": "gpt-image-1", "prompt": "a ledger", "partial_images": 2}
    with pytest.raises(openai.APIError):
        list(client.images.generate(stream=True, extra_headers=headers, **options))
    row = caller.row(call_id)
    assert (row["price_state"], row["usage"], row["usage_source"]) == (
        "unknown",
        {"images": 1},
        "tokenizer_estimate",
    )


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd"])
def test_speech_is_priced_by_the_character(caller, client, model):
    headers = sending(call_id := new_id())
    answer = client.audio.speech.create(model=model, voice="alloy", input="Grüß Gott", extra_headers=headers)
    assert answer.content == SOUND
    assert answer.response.headers["content-type"] == "audio/mpeg"
    row = caller.row(call_id)
    check(row, "speech", {"chars": 9}, 9 * {"tts-1": 15_000, "tts-1-hd": 30_000}[model])
    assert row["usage_source"] == "tokenizer_estimate"


async def test_speech_is_passed_on_as_it_comes(product, caller):
    headers = sending(call_id := new_id(), chunk_delay_ms=40)
    async with (
        openai.AsyncOpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key) as client,
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=GREETING, extra_headers=headers
        ) as answer,
    ):
        assert b"".join([piece async for piece in answer.iter_bytes()]) == SOUND
    row = caller.row(call_id)
    assert row["ttft_ms"] is not None
    assert row["finish"] is None


def test_speech_of_a_model_that_is_priced_by_the_token_is_an_estimate(caller, client):
    headers = sending(call_id := new_id())
    client.audio.speech.create(
        model="gpt-4o-mini-tts", voice="alloy", input=GREETING, instructions="Be glad.", extra_headers=headers
    )
    row = caller.row(call_id)
    check(row, "speech", {"in_text": 7, "out_audio": 26}, 7 * 600 + 26 * 12_000)
    assert row["usage_source"] == "tokenizer_estimate"


def test_speech_in_events_says_what_it_used(caller, client):
    call_id = new_id()
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts",
        voice="alloy",
        input="one two",
        stream_format="sse",
        extra_headers=sending(call_id),
    ) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == SOUND
    assert events[-1]["usage"]["output_tokens"] == 20
    row = caller.row(call_id)
    check(row, "speech", {"in_text": 2, "out_audio": 20}, 2 * 600 + 20 * 12_000)
    assert row["usage_source"] == "provider_final"


def test_speech_that_breaks_off_is_charged_by_what_was_asked(caller):
    call_id = new_id()
    headers = caller.headers("/v1/audio/speech", call_id, break_after_chunks=1)
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": GREETING}).encode()
    with opened(caller.product.gateway, "POST", "/v1/audio/speech", headers, body) as answer:
        try:
            got = answer.read()
        except IncompleteRead as broken:
            got = broken.partial
    assert SOUND.startswith(got)
    row = caller.row(call_id)
    assert (row["usage"], row["cost_nusd"]) == ({"chars": len(GREETING)}, len(GREETING) * 15_000)
    assert (row["decision"], row["reason"]) == ("failed", "upstream_broke")


@pytest.mark.parametrize(
    ("model", "usage", "cost_nusd"),
    [
        ("whisper-1", {"seconds_in": 9}, 900_000),
        ("gpt-4o-transcribe", {"in_audio": 90, "out_text": 3}, 90 * 6_000 + 3 * 10_000),
    ],
)
def test_a_transcription_is_priced_in_the_units_of_its_report(caller, client, model, usage, cost_nusd):
    headers = sending(call_id := new_id(), text=GREETING)
    answer = client.audio.transcriptions.create(model=model, file=RECORDING, extra_headers=headers)
    assert answer.text == GREETING
    row = caller.row(call_id)
    check(row, "transcription", usage, cost_nusd)
    assert (row["usage_source"], row["model_used"]) == ("provider_final", model)


async def test_a_transcription_async(product, caller):
    async with openai.AsyncOpenAI(base_url=f"{product.gateway}/v1", api_key=caller.key) as client:
        answer = await client.audio.transcriptions.create(
            model="whisper-1",
            file=RECORDING,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
            extra_headers=sending(call_id := new_id()),
        )
    assert answer.duration == pytest.approx(8.47)
    check(caller.row(call_id), "transcription", {"seconds_in": 9}, 900_000)


def test_a_form_reaches_the_provider_as_the_very_bytes_that_came(caller, client):
    client.audio.transcriptions.create(
        model="whisper-1", file=RECORDING, prompt="PJM — ü", extra_headers=sending(new_id())
    )
    seen = caller.seen()
    body = base64.b64decode(seen["body"])
    assert RECORDING[1] in body
    assert "PJM — ü".encode() in body
    types = [value for name, value in seen["headers"] if name == "content-type"]
    assert len(types) == 1
    assert types[0].startswith("multipart/form-data; boundary=")


def test_a_transcription_is_streamed(caller, client):
    headers = sending(call_id := new_id(), text=GREETING)
    stream = client.audio.transcriptions.create(
        model="gpt-4o-transcribe", file=RECORDING, stream=True, extra_headers=headers
    )
    events = list(stream)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == GREETING
    row = caller.row(call_id)
    check(row, "transcription", {"in_audio": 90, "out_text": 3}, 90 * 6_000 + 3 * 10_000)
    assert row["usage_source"] == "provider_final"


@pytest.mark.parametrize(("form", "seconds"), [("text", 2), ("srt", 9), ("vtt", 9)])
def test_a_transcription_without_a_report_is_an_estimate_and_says_so(caller, client, form, seconds):
    headers = sending(call_id := new_id(), text=GREETING)
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=RECORDING, response_format=form, extra_headers=headers
    )
    assert GREETING in answer
    row = caller.row(call_id)
    check(row, "transcription", {"seconds_in": seconds}, seconds * 100_000)
    assert (row["usage_source"], row["tags"]["usage_problem"]) == (
        "tokenizer_estimate",
        "no usage in the answer",
    )


def test_a_transcription_by_the_token_without_a_report_is_estimated_in_tokens(caller, client):
    headers = sending(call_id := new_id(), text=GREETING, omit_usage=True)
    client.audio.transcriptions.create(model="gpt-4o-transcribe", file=RECORDING, extra_headers=headers)
    row = caller.row(call_id)
    check(row, "transcription", {"in_audio": 20, "out_text": 5}, 20 * 6_000 + 5 * 10_000)
    assert row["usage_source"] == "tokenizer_estimate"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
@pytest.mark.parametrize(("form", "seconds"), [("json", 2), ("verbose_json", 9)])
def test_a_translation(caller, client, form, seconds):
    headers = sending(call_id := new_id(), text=GREETING)
    answer = client.audio.translations.create(
        model="whisper-1", file=RECORDING, response_format=form, extra_headers=headers
    )
    assert answer.text == GREETING
    row = caller.row(call_id)
    check(row, "transcription", {"seconds_in": seconds}, seconds * 100_000)
    assert row["usage_source"] == "tokenizer_estimate"


def test_moderation_is_free_by_declaration(caller, client):
    answer = client.moderations.create(input="one two three", extra_headers=sending(call_id := new_id()))
    assert not answer.results[0].flagged
    row = caller.row(call_id)
    assert (row["dialect"], row["price_state"], row["cost_nusd"]) == ("moderations", "free", 0)
    assert (row["decision"], row["usage_source"]) == ("allowed", "none")


def test_moderation_is_free_at_openai_only(caller):
    reply = caller.post("/mistral/v1/moderations", new_id(), b'{"model":"m","input":"x"}')
    assert (reply.status, reply.error["code"]) == (404, "route_not_metered")


@pytest.mark.parametrize("path", ["/v1/uploads", "/v1/vector_stores", "/v1/images/variations"])
def test_what_is_not_metered_is_refused(caller, path):
    reply = caller.post(path, new_id(), b"{}")
    assert (reply.status, reply.error["code"]) == (404, "route_not_metered")


CALLS = {
    "embeddings": lambda client, headers: client.embeddings.create(
        model=SMALL, input="x", extra_headers=headers
    ),
    "images": lambda client, headers: client.images.generate(
        model="gpt-image-1", prompt="x", extra_headers=headers
    ),
    "speech": lambda client, headers: client.audio.speech.create(
        model="tts-1", voice="alloy", input="x", extra_headers=headers
    ),
    "transcription": lambda client, headers: client.audio.transcriptions.create(
        model="whisper-1", file=RECORDING, extra_headers=headers
    ),
}
ERRORS = {400: openai.BadRequestError, 429: openai.RateLimitError, 500: openai.InternalServerError}


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("kind", CALLS)
def test_an_error_is_the_providers_own_and_costs_nothing(caller, client, kind, status):
    headers = sending(call_id := new_id(), status=status)
    with pytest.raises(ERRORS[status], match="simulated"):
        CALLS[kind](client, headers)
    row = caller.row(call_id)
    assert (row["reason"], row["status_code"], row["cost_nusd"]) == ("upstream_refused", status, 0)


@pytest.mark.parametrize("kind", ["embeddings", "images", "transcription"])
def test_an_answer_that_is_nonsense_is_a_502_with_an_estimate(caller, client, kind):
    headers = sending(call_id := new_id(), garbage=True)
    with pytest.raises(openai.InternalServerError) as caught:
        CALLS[kind](client, headers)
    assert caught.value.code == "upstream_nonsense"
    row = caller.row(call_id)
    assert (row["reason"], row["usage_source"]) == ("upstream_nonsense", "tokenizer_estimate")
    assert row["cost_nusd"] > 0 or row["price_state"] == "unknown"


BOUNDARY = "b0undary"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: str | bytes, *more: str, rest: str = "") -> bytes:
    content = value if isinstance(value, bytes) else value.encode()
    head = [f'Content-Disposition: form-data; name="{name}"{rest}', *more]
    return "\r\n".join([f"--{BOUNDARY}", *head, "", ""]).encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()
MODEL = part("model", "whisper-1")
FILE = part("file", b"RIFF", rest='; filename="a.wav"')
BAD_FORMS = {
    "not a form": (b'{"model":"whisper-1"}', "application/json"),
    "no boundary": (MODEL + FILE + END, "multipart/form-data"),
    "two boundaries": (MODEL + FILE + END, FORM_TYPE + "; boundary=other"),
    "another boundary": (MODEL + FILE + END, "multipart/form-data; boundary=other"),
    "an endless boundary": (MODEL + FILE + END, "multipart/form-data; boundary=" + "x" * 71),
    "no end": (MODEL + FILE, FORM_TYPE),
    "nothing": (b"", FORM_TYPE),
    "garbage": (b"\x00\xff" * 99, FORM_TYPE),
    "a model twice": (MODEL + part("model", "gpt-4o-transcribe") + FILE + END, FORM_TYPE),
    "a model that is a file": (part("model", "whisper-1", rest='; filename="x"') + FILE + END, FORM_TYPE),
    "two names": (part("x", "whisper-1", rest='; name="model"') + FILE + END, FORM_TYPE),
    "a header twice": (part("x", "a", 'Content-Disposition: form-data; name="model"') + END, FORM_TYPE),
    "an encoding": (part("model", "d2hpc3Blci0x", "Content-Transfer-Encoding: base64") + END, FORM_TYPE),
    "no UTF-8": (part("model", b"\xff") + FILE + END, FORM_TYPE),
    "no model": (FILE + END, FORM_TYPE),
    "no name": (f"--{BOUNDARY}\r\nX: y\r\n\r\nz\r\n".encode() + END, FORM_TYPE),
    "too many parts": (part("a[]", "") * (PARTS_LIMIT + 1) + MODEL + END, FORM_TYPE),
    "too large a field": (MODEL + part("prompt", "x" * (FIELDS_LIMIT + 1)) + END, FORM_TYPE),
}


@pytest.mark.parametrize("which", BAD_FORMS)
def test_a_form_that_leaves_room_for_two_readings_is_refused(caller, which):
    body, media_type = BAD_FORMS[which]
    path, call_id = "/v1/audio/transcriptions", new_id()
    headers = [(name, value) for name, value in caller.headers(path, call_id) if name != "content-type"]
    before = len(caller.seen_ids())
    reply = ask(caller.product.gateway, "POST", path, [*headers, ("content-type", media_type)], body)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.error["code"] in {"bad_request", "duplicate_json_name"}
    assert refused(caller, reply)["dialect"] == "transcription"
    assert len(caller.seen_ids()) == before


def refused(caller, reply: Reply) -> dict[str, Any]:
    """The row of a call whose body was not understood, and with it not its client's own id."""
    sql = "select * from vis.request_logs where request_id = %s"
    (row,) = caller.product.query(sql, reply.header("x-vis-request-id"))
    assert (row["decision"], row["cost_nusd"]) == ("refused", 0)
    return row


def form(*parts: bytes, media_type: str = FORM_TYPE) -> Request:
    headers = ((b"content-type", media_type.encode()),)
    return Request("POST", "/audio/transcriptions", "", headers, b"".join(parts) + END)


def test_a_form_is_read_however_its_names_are_quoted():
    plain = f"--{BOUNDARY}\r\ncontent-disposition: FORM-DATA;name=model\r\n\r\nm\r\n".encode()
    extended = part("file", "RIFF", rest="; filename=a.wav; filename*=utf-8''%C3%BC.wav")
    repeated = part("include[]", "a") + part("include[]", "b")
    document = TRANSCRIPTION.document(form(plain, extended, repeated))
    assert document == {"model": "m", "include[]": ["a", "b"], "file_bytes": 4}


def test_a_field_cannot_pose_as_the_size_of_the_files():
    document = TRANSCRIPTION.document(form(MODEL, part("file_bytes", "999"), FILE))
    assert document["file_bytes"] == 4


def test_a_body_made_of_boundaries_is_refused_before_it_is_read():
    with pytest.raises(BadBody, match="more than"):
        TRANSCRIPTION.document(form(b"\r\n--b0undaryx" * 10**6))


def test_white_space_behind_a_boundary_is_refused_before_it_is_read():
    with pytest.raises(BadBody, match="white space"):
        TRANSCRIPTION.document(form(FILE, f"--{BOUNDARY}".encode() + b" " * 10**7))


@pytest.mark.parametrize("pictures", ["0", "-1", "many", 2**31, True, 1.5])
def test_a_number_of_pictures_that_is_none_is_refused(pictures):
    with pytest.raises(Refusal):
        IMAGES.ask({"model": "m", "n": pictures})


@pytest.mark.parametrize("media_type", [b"application/json", b"text/html"])
def test_what_is_no_sound_is_not_taken_for_it(media_type):
    assert SPEECH.metered_body(b"{}", {"input": "x"}, ((b"content-type", media_type),)) is None
    assert SPEECH.metered_body(b"", {"input": "x"}) is None


NONSENSE = [None, {}, [], "x", {"type": "duration"}, {"type": "duration", "seconds": -1}, {"type": "duration", "seconds": True},
            {"type": "duration", "seconds": 2**70}, {"type": "new"}, {"input_tokens": 1}, {"input_tokens": -1, "output_tokens": 2},
            {"input_tokens": "1", "output_tokens": 2}, {"prompt_tokens": 1.5}, {"prompt_tokens": 2**70}]  # fmt: skip


@pytest.mark.parametrize("usage", NONSENSE)
def test_a_report_without_a_usable_count_is_an_estimate_that_is_not_zero(usage):
    for dialect, more in ((IMAGES, {"data": [{}]}), (TRANSCRIPTION, {"text": "x"})):
        metered = dialect.metered_body(json.dumps({"usage": usage, **more}).encode(), {})
        assert metered.source == "tokenizer_estimate"
        assert any(count > 0 for count in metered.usage.counts().values())
        assert metered.problem == "no usage in the answer"


@pytest.mark.parametrize(
    ("usage", "problem"),
    [
        ({"total_tokens": 9}, "input and output add up to 3, total_tokens says 9"),
        ({"input_tokens_details": {"text_tokens": 5, "image_tokens": 1}}, "the input adds up to 6, input_tokens says 1"),
        ({"output_tokens_details": {"text_tokens": 5, "image_tokens": -1}}, "image_tokens is no count; the output adds up to 5, output_tokens says 2"),
        ({"input_tokens": 0}, "no input is reported"),
    ],
)  # fmt: skip
def test_a_report_that_contradicts_itself_is_marked(usage, problem):
    body = {"data": [{}], "usage": {"input_tokens": 1, "output_tokens": 2} | usage}
    assert IMAGES.metered_body(json.dumps(body).encode(), {}).problem == problem


names = st.sampled_from(
    ["type", "seconds", "input_tokens", "output_tokens", "total_tokens", "prompt_tokens", "text_tokens", "image_tokens",
     "audio_tokens", "input_tokens_details", "input_token_details", "output_tokens_details", "usage", "text", "data", "error"]
)  # fmt: skip
numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, 12.0, 8.47, 2**63, True, "5", "tokens", "duration"])
)
junk = st.recursive(
    st.none() | numbers | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=5),
    max_leaves=8,
)
LAST = {
    "images": "image_generation.completed",
    "speech": "speech.audio.done",
    "transcription": "transcript.text.done",
}


@settings(max_examples=120, derandomize=True, deadline=None)
@given(
    st.dictionaries(names, junk, max_size=6),
    junk,
    st.dictionaries(
        st.sampled_from(["n", "input", "instructions", "file_bytes", "stream", "response_format"]), junk
    ),
)
def test_hostile_answers_never_raise_and_are_never_for_nothing(answer, usage, document):
    body = json.dumps({"data": [], "text": "", "usage": usage} | answer).encode()
    for dialect in (EMBEDDINGS, IMAGES, TRANSCRIPTION, SPEECH):
        read = [dialect.metered_body(body, document), dialect.metered_body(body[:-1], document)]
        if dialect.name in LAST:
            reader = dialect.reader(dialect.ask({"model": "m", "stream_format": "sse"}))
            event = json.dumps({"usage": usage} | answer | {"type": LAST[dialect.name]}).encode()
            assert reader.feed(b"data: " + event + b"\n\n") == b""
            read.append(reader.metered(document))
            assert reader.complete
        for metered in filter(None, read):
            counts = metered.usage.counts()
            assert all(type(count) is int and 0 < count <= 5 * TOKEN_LIMIT for count in counts.values())
            assert counts or metered.problem or dialect is EMBEDDINGS


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(SOUND)), max_size=6))
def test_sound_is_the_same_however_the_network_cut_it_and_its_end_is_held(cuts):
    reader = SPEECH.reader(SPEECH.ask({"model": "tts-1", "input": "x"}))
    points = [0, *sorted(cuts), len(SOUND)]
    out = b"".join([reader.feed(SOUND[start:end]) for start, end in itertools.pairwise(points)])
    assert len(out) < len(SOUND)
    assert not reader.complete
    assert out + reader.finish() == SOUND
    assert reader.complete
