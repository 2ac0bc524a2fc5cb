"""OpenAI Speech on the wire: text in, sound out.

Source: openai-openapi "Create speech", openai-python. `tts-1` is billed by the characters of the input; newer models
by tokens, which only a stream of events (`stream_format: "sse"`) reports, in `speech.audio.done`. Sound itself has no
place for a report: it is passed on as it comes, and counted from the request.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, asked_model
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, count, counted
from visionality.gateway.dialects._core import JsonOverSse, counts_of, is_of_type, raw_text
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.typed_stream import TypedStream, reported_tokens

SPOKEN = (7, 5)
"""Tokens of sound for a character of text, as a fraction.

OpenAI's pricing page puts a minute of gpt-4o-mini-tts at 0.015 USD, which is 1,250 tokens at 12 USD per million; a
minute of speech is about 900 characters.
"""

_LAST = frozenset({"speech.audio.done"})
_NO_SOUND = (b"application/json", b"text/html", b"text/plain")


class Speech(OpenAIErrors, JsonOverSse):
    """`POST /v1/audio/speech`."""

    name = "speech"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        in_events = document.get("stream_format") == "sse"
        return Ask(model or asked_model(document), stream=True, output_limit=None, in_events=in_events)

    def streams(self, headers: Headers) -> bool:
        return is_of_type(headers, b"text/event-stream") or is_of_type(headers, b"audio/")

    def reader(self, ask: Ask) -> "SpeechStream | Sound":
        return SpeechStream(_LAST) if ask.in_events else Sound()

    def metered_body(self, body: bytes, document: Mapping[str, Any], headers: Headers = ()) -> Metered | None:
        if not body or any(is_of_type(headers, kind) for kind in _NO_SOUND):
            return None
        return _estimated(document)


class Sound:
    """Sound as bytes, each piece held until the next one comes, so that the last one waits for the row."""

    def __init__(self) -> None:
        self._held = b""
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        before, self._held = self._held, data or self._held
        return before if data else b""

    def finish(self) -> bytes:
        """Where sound ends, only its connection says."""
        held, self._held = self._held, b""
        self.complete = True
        return held

    def framed(self, error: bytes) -> bytes:  # noqa: ARG002 -- there is no saying it in sound
        return b""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        return _estimated(document)


class SpeechStream(TypedStream):
    """Sound in events."""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        reported = reported_tokens(self.said[-1]) if self.said else None
        if reported is not None:
            metered = _metered(reported)
        else:
            problem = "no usage in the answer" if self.said else None
            metered = msgspec.structs.replace(_estimated(document), problem=problem)
        return msgspec.structs.replace(metered, finish="upstream_error") if self.failed else metered


def _metered(reported: dict[str, Any]) -> Metered:
    read, spoken = count(reported.get("input_tokens")), count(reported.get("output_tokens"))
    problems: list[str] = []
    (total,) = counts_of(reported, ("total_tokens",), problems)
    if not read:
        problems.append("no input is reported")
    if total != read + spoken and counted(reported.get("total_tokens")) is not None:
        problems.append(f"input and output add up to {read + spoken}, total_tokens says {total}")
    usage = Usage(in_text=read, out_audio=spoken)
    problem = "; ".join(problems) or None
    return Metered(usage, "provider_final", raw_usage=raw_text(reported), problem=problem)


def _estimated(document: Mapping[str, Any]) -> Metered:
    """The characters to speak, for a model that is billed by them; else tokens, guessed from the same text."""
    text, manner = (_text(document.get(name)) for name in ("input", "instructions"))
    tokens, characters = SPOKEN
    guessed = Usage(
        in_text=max(1, estimated_tokens(text) + estimated_tokens(manner)),
        out_audio=-(-max(1, len(text)) * tokens // characters),
    )
    return Metered(Usage(chars=max(1, len(text))), "tokenizer_estimate", otherwise=guessed)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
