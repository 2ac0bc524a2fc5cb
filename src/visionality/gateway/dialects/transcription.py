"""OpenAI Transcriptions and Translations on the wire: a form with a recording in, text out.

Source: openai-openapi "Create transcription" and "Create translation", openai-python. `usage` is of one of two types,
tokens or the seconds of the recording; a translation has none, and neither has an answer in plain text or subtitles.
OpenAI bills whole seconds.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, Request, asked_model, clean
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import TOKEN_LIMIT, Metered, Usage, count, counted
from visionality.gateway.dialects._core import EMITTED_LIMIT, NOT_JSON, JsonOverSse, counts_of, raw_text
from visionality.gateway.dialects.form import FILE_BYTES, form_of, is_yes
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.text import text_of
from visionality.gateway.dialects.typed_stream import TypedStream, reported_tokens

BYTES_A_SECOND = 16_000
"""Of a recording of which nothing else is known: 128 kbit/s, what an MP3 usually has."""
CHARACTERS_A_SECOND = 15
TOKENS_A_SECOND = 10
"""Of sound: OpenAI's realtime guide counts a token for each tenth of a second that a person speaks."""

_decode = msgspec.json.Decoder().decode
_LAST = frozenset({"transcript.text.done"})
_PLAIN = ("text", "srt", "vtt")
_DELTA = re.compile(rb'"delta"\s*:\s*("(?:[^"\\]++|\\.)*+")')
_CUE = re.compile(r"--> *(?:(\d{1,3}):)?(\d\d):(\d\d)[.,]\d{3}")
_PARTS = ("text_tokens", "audio_tokens")


class Transcription(OpenAIErrors, JsonOverSse):
    """`POST /v1/audio/transcriptions` and `POST /v1/audio/translations`."""

    name = "transcription"

    def document(self, request: Request) -> dict[str, Any]:
        return form_of(request)

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        return Ask(model or asked_model(document), is_yes(document.get("stream")), output_limit=None)

    def reader(self, ask: Ask) -> "TranscriptionStream":  # noqa: ARG002
        return TranscriptionStream(_LAST)

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        if document.get("response_format") in _PLAIN:
            return _estimated(document, body.decode(errors="replace"), problem="no usage in the answer")
        try:
            answer = _decode(body)
        except NOT_JSON:
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            return None
        metered = _metered(answer)
        if metered is None:
            seconds = _seconds(answer.get("duration"))
            metered = _estimated(document, answer["text"], seconds, "no usage in the answer")
        return msgspec.structs.replace(metered, model=clean(answer.get("model"), 200))


class TranscriptionStream(TypedStream):
    """Text as it is understood."""

    def __init__(self, last: frozenset[str]) -> None:
        super().__init__(last)
        self._emitted = bytearray()

    def note(self, event: bytes) -> None:
        if b'"delta"' in event and len(self._emitted) < EMITTED_LIMIT:
            self._emitted += event

    def metered(self, document: Mapping[str, Any]) -> Metered:
        said = self.said[-1] if self.said else {}
        metered = _metered(said)
        if metered is None:
            text = "".join(text_of(match[1]) for match in _DELTA.finditer(self._emitted))
            metered = _estimated(document, text, problem="no usage in the answer" if said else None)
        return msgspec.structs.replace(metered, finish="upstream_error") if self.failed else metered


def _metered(said: Mapping[str, Any]) -> Metered | None:
    """What an answer reports; None when that is nothing of use."""
    reported = said.get("usage")
    if not isinstance(reported, dict):
        return None
    if reported.get("type") == "duration":
        seconds = _seconds(reported.get("seconds"))
        if seconds is None:
            return None
        problem = None if seconds else "no input is reported"
        usage = Usage(seconds_in=seconds)
    elif reported_tokens(said) is None:
        return None
    else:
        usage, problem = _tokens(reported)
    return Metered(usage, "provider_final", raw_usage=raw_text(reported), problem=problem)


def _tokens(reported: Mapping[str, Any]) -> tuple[Usage, str | None]:
    problems: list[str] = []
    read, said = count(reported.get("input_tokens")), count(reported.get("output_tokens"))
    (total,) = counts_of(reported, ("total_tokens",), problems)
    text, sound = counts_of(reported.get("input_token_details"), _PARTS, problems)
    if not text + sound:
        sound = read
    if not read:
        problems.append("no input is reported")
    if text + sound != read:
        problems.append(f"the input adds up to {text + sound}, input_tokens says {read}")
    if total != read + said and counted(reported.get("total_tokens")) is not None:
        problems.append(f"input and output add up to {read + said}, total_tokens says {total}")
    return Usage(in_text=text, in_audio=sound, out_text=said), "; ".join(problems) or None


def _seconds(value: object) -> int | None:
    """Whole seconds, begun ones counted, out of a provider's JSON; None for what is no duration."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= TOKEN_LIMIT:
        return None
    return math.ceil(value)


def _estimated(
    document: Mapping[str, Any], text: str, seconds: int | None = None, problem: str | None = None
) -> Metered:
    """The seconds of a recording: those that the answer tells, else a guess; and the tokens that they would be."""
    if seconds is None:
        by_size = -(-count(document.get(FILE_BYTES)) // BYTES_A_SECOND)
        seconds = _last_cue(text) or max(by_size, -(-len(text) // CHARACTERS_A_SECOND), 1)
    tokens = Usage(in_audio=seconds * TOKENS_A_SECOND, out_text=estimated_tokens(text))
    return Metered(Usage(seconds_in=seconds), "tokenizer_estimate", problem=problem, otherwise=tokens)


def _last_cue(text: str) -> int:
    """The second in which the last subtitle ends; 0 when there is none."""
    ends = [
        int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + 1
        for hours, minutes, seconds in _CUE.findall(text)
    ]
    return max(ends, default=0)
