"""OpenAI Speech, Transcriptions and Translations as OpenAI speaks them (openai-openapi, openai-python 3.54).

There is no sound in what it says, and it hears nothing. `tts-1` has no stream of events, `whisper-1` reports seconds and
does not stream, and a translation reports nothing.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from visionality.sandbox.chat_completions import ChatCompletions, checked_model
from visionality.sandbox.dialect import EVENT_STREAM, Call
from visionality.sandbox.exchange import Header
from visionality.sandbox.form import fields_of
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import Event, Part

SOUND: Final[tuple[Header, ...]] = ((b"content-type", b"audio/mpeg"),)
PLAIN: Final[tuple[Header, ...]] = ((b"content-type", b"text/plain; charset=utf-8"),)
PIECES: Final = (b"ID3 simulated: ", b"this is\n\n", b"no sound")
SECONDS: Final = 9


class Speech(ChatCompletions):
    """The dialect of `POST /v1/audio/speech`."""

    def read(self, body: bytes) -> Call:
        request = fields_of(body)
        in_events = request.get("stream_format") == "sse"
        return Call(
            model=checked_model(request.get("model")),
            streams=True,
            input_tokens=max(1, count_words(request.get("input"))),
            max_tokens=None,
            service_tier="default",
            stream_headers=EVENT_STREAM if in_events else SOUND,
        )

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:  # noqa: ARG002
        if call.stream_headers == SOUND:
            for number, piece in enumerate(PIECES, start=1):
                yield Event(Part.DELTA if number < len(PIECES) else Part.TERMINAL, piece)
            return
        for piece in PIECES:
            yield _event(Part.DELTA, "speech.audio.delta", audio=base64.b64encode(piece).decode())
        spoken = 10 * call.input_tokens
        counted = {
            "input_tokens": call.input_tokens,
            "output_tokens": spoken,
            "total_tokens": call.input_tokens + spoken,
        }
        usage = {} if plan.omit_usage else {"usage": plan.usage or counted}
        yield _event(Part.TERMINAL, "speech.audio.done", **usage, **plan.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCall(Call):
    form: str


class Transcription(ChatCompletions):
    """The dialect of `POST /v1/audio/transcriptions`."""

    def read(self, body: bytes) -> TranscriptionCall:
        request = fields_of(body)
        model = checked_model(request.get("model"))
        form = request.get("response_format") or "json"
        is_plain = form in {"text", "srt", "vtt"}
        return TranscriptionCall(
            model=model,
            streams=is_plain or (request.get("stream") == "true" and not model.startswith("whisper")),
            input_tokens=10 * SECONDS,
            max_tokens=None,
            service_tier="default",
            stream_headers=PLAIN if is_plain else EVENT_STREAM,
            form=form,
        )

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        assert isinstance(call, TranscriptionCall)
        fields: dict[str, object] = {"text": generation.text}
        if call.form == "verbose_json":
            fields |= {
                "task": "transcribe",
                "language": "english",
                "duration": SECONDS - 0.53,
                "segments": [],
            }
        return msgspec.json.encode(fields | self.usage(call, generation, plan) | plan.extra)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:  # noqa: ARG002
        assert isinstance(call, TranscriptionCall)
        if call.stream_headers == PLAIN:
            yield Event(Part.TERMINAL, _plain(call.form, generation.text))
            return
        for piece in generation.text_deltas:
            yield _event(Part.DELTA, "transcript.text.delta", delta=piece)
        usage = self.usage(call, generation, plan)
        yield _event(Part.TERMINAL, "transcript.text.done", text=generation.text, **usage, **plan.extra)

    def usage(self, call: Call, generation: Generation, plan: Plan) -> dict[str, object]:
        if plan.omit_usage:
            return {}
        if plan.usage is not None:
            return {"usage": plan.usage}
        if call.model.startswith("whisper"):
            return {"usage": {"type": "duration", "seconds": SECONDS}}
        usage = {
            "type": "tokens",
            "input_tokens": call.input_tokens,
            "input_token_details": {"text_tokens": 0, "audio_tokens": call.input_tokens},
            "output_tokens": generation.output_tokens,
            "total_tokens": call.input_tokens + generation.output_tokens,
        }
        return {"usage": usage}


class Translation(Transcription):
    """The dialect of `POST /v1/audio/translations`."""

    def usage(self, call: Call, generation: Generation, plan: Plan) -> dict[str, object]:  # noqa: ARG002
        return {}


def _plain(form: str, text: str) -> bytes:
    if form == "text":
        return text.encode() + b"\n"
    head, point = ("WEBVTT\n\n", ".") if form == "vtt" else ("1\n", ",")
    return f"{head}00:00:00{point}000 --> 00:00:{SECONDS - 1:02}{point}470\n{text}\n".encode()


def _event(part: Part, kind: str, **fields: object) -> Event:
    return Event(part, b"data: " + msgspec.json.encode({"type": kind} | fields) + b"\n\n")
