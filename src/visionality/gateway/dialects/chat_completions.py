"""OpenAI Chat Completions on the wire.

Source: openai-openapi "Create chat completion", openai-python. `prompt_tokens` includes cached reads and writes and
audio; `completion_tokens` includes reasoning, audio and rejected predictions. A stream reports usage only with
`stream_options.include_usage`, in one extra chunk without choices; the gateway asks for it where the client did not,
and takes that chunk and the `"usage":null` it causes out again.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Request, asked_model, clean, token_limit
from visionality.core.sse import Events, payload
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, UsageSource, count
from visionality.gateway.dialects._core import EMITTED_LIMIT
from visionality.gateway.dialects.text import request_text

RAW_LIMIT = 8192

_decode = msgspec.json.Decoder().decode
_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_DELTA = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments)"\s*:\s*("(?:[^"\\]++|\\.)*+")')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([a-z_]{1,40})"')
_NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')
_DETAILS = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class ChatCompletions:
    """`POST /v1/chat/completions`."""

    name = "chat_completions"
    credential_header = b"authorization"

    def ask(self, document: Mapping[str, Any]) -> Ask:
        limit = token_limit(document.get("max_completion_tokens"), "max_completion_tokens")
        limit = limit or token_limit(document.get("max_tokens"), "max_tokens")
        choices = token_limit(document.get("n"), "n") or 1
        options = document.get("stream_options")
        stream = document.get("stream") is True
        included = not stream or (isinstance(options, dict) and options.get("include_usage") is True)
        return Ask(asked_model(document), stream, limit and limit * choices, included)

    def outgoing(self, request: Request, ask: Ask) -> bytes:
        return request.body if ask.include_usage else with_usage_asked(request.body)

    def reader(self, ask: Ask) -> "ChatCompletionsStream":
        return ChatCompletionsStream(hide_usage=not ask.include_usage)

    def metered_body(self, body: bytes, document: Mapping[str, Any]) -> Metered | None:
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
            return None
        reported = answer.get("usage")
        if not isinstance(reported, dict):
            emitted = estimated_tokens(request_text([choice.get("message") for choice in answer["choices"] if isinstance(choice, dict)]))
            return _estimated(document, emitted, answer.get("model"), "no usage in the answer")
        finish = answer["choices"][0].get("finish_reason") if answer["choices"] and isinstance(answer["choices"][0], dict) else None
        return _metered(reported, answer, "provider_final", clean(finish, 60))

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:  # noqa: ARG002 -- OpenAI's id is a header
        kind = _ERROR_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}})

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return b"data: " + self.error(500, code, message, request_id) + b"\n\n"


class ChatCompletionsStream:
    """The chunks of one streamed completion. `hide_usage`: we asked for the usage, the client did not."""

    def __init__(self, *, hide_usage: bool) -> None:
        self._hide = hide_usage
        self._events = Events()
        self._held = b""
        self._chunk: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._emitted = bytearray()
        self._emitted_bytes = 0
        self._finish: str | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        out = [self._read(event) for event in self._events.feed(data)]
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        held, self._held = self._held + self._events.rest, b""
        self._events.rest = b""
        return held

    def metered(self, document: Mapping[str, Any]) -> Metered:
        if self._usage:
            return _metered(self._usage, self._chunk, "provider_final", self._finish)
        emitted = sum(estimated_tokens(_text(match[1])) for match in _DELTA.finditer(self._emitted))
        if self._emitted_bytes > EMITTED_LIMIT:
            emitted = emitted * self._emitted_bytes // EMITTED_LIMIT
        estimated = _estimated(document, emitted, self._chunk.get("model"), None)
        return msgspec.structs.replace(estimated, tier=_tier(self._chunk), finish=self._finish)

    def _read(self, event: bytes) -> bytes:
        if self.complete:
            self._held += event
            return b""
        if b"[DONE]" in event and payload(event) == b"[DONE]":
            self.complete = True
            self._held = event
            return b""
        if not self._chunk:
            self._note(event)
        if finish := _FINISH.search(event):
            self._finish = finish[1].decode()
        self._emitted_bytes += len(event)
        if len(self._emitted) < EMITTED_LIMIT:
            self._emitted += event
        if b'"usage"' not in event:
            return event
        return self._without_null(event) or self._without_usage(event)

    def _note(self, event: bytes) -> None:
        try:
            chunk = _decode(payload(event))
        except (msgspec.DecodeError, RecursionError, ValueError):
            return
        if isinstance(chunk, dict):
            self._chunk |= {name: chunk[name] for name in ("model", "service_tier") if chunk.get(name)}

    def _without_null(self, event: bytes) -> bytes | None:
        """The common chunk, which says that there is no usage yet; None when the event needs a closer look."""
        null = _NULL_USAGE.search(event)
        if null is None or event.count(b'"usage"') != 1 or _depth_at(event, null.start()) != 1:
            return None
        return event[: null.start()] + event[null.end() :] if self._hide else event

    def _without_usage(self, event: bytes) -> bytes:
        data = payload(event)
        try:
            members = _raw_members(data)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return event
        raw = bytes(members["usage"]) if "usage" in members else None
        if raw is None:
            return event
        if raw != b"null":
            reported = _decode(raw)
            if isinstance(reported, dict):
                self._usage |= {name: value for name, value in reported.items() if value is not None}
            self._note(event)
        if not self._hide:
            return event
        if raw != b"null" and bytes(members.get("choices", b"")).translate(None, b" \t\r\n") == b"[]":
            return b""
        return without_member(event, b"usage", raw)


def with_usage_asked(body: bytes) -> bytes:
    """The body with `stream_options.include_usage` true, changed in the smallest span of bytes."""
    members = _raw_members(body)
    if "stream_options" not in members:
        end = body.rindex(b"}")
        return body[:end] + b',"stream_options":{"include_usage":true}' + body[end:]
    raw = bytes(members["stream_options"])
    options = _decode(raw)
    wanted = _encode({**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True})
    start, end = member_value(body, b"stream_options", raw)
    return body[:start] + wanted + body[end:]


def member_value(data: bytes, name: bytes, raw: bytes) -> tuple[int, int]:
    """Where the value `raw` of the top-level member `name` stands.

    Found by its very bytes; the last such place, since a name inside a string is always escaped and a nested member
    with the same name and value stands before the end of its object.
    """
    pattern = re.compile(rb'"' + name + rb'"\s*:\s*' + re.escape(raw))
    matches = list(pattern.finditer(data))
    top = [match for match in matches if _depth_at(data, match.start()) == 1]
    match = (top or matches)[-1]
    return match.end() - len(raw), match.end()


def without_member(event: bytes, name: bytes, raw: bytes) -> bytes:
    """The event without one top-level member of its object, the comma beside it included."""
    start = member_value(event, name, raw)[0]
    end = start + len(raw)
    start = event.rindex(b'"' + name + b'"', 0, start)
    before, after = event[:start], event[end:]
    if before.rstrip().endswith(b","):
        return before.rstrip()[:-1] + after
    return before + re.sub(rb"^\s*,\s*", b"", after)


def _depth_at(data: bytes, position: int) -> int:
    structure = _STRINGS.sub(b"", data[:position])
    return structure.count(b"{") + structure.count(b"[") - structure.count(b"}") - structure.count(b"]")


_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def _metered(reported: dict[str, Any], answer: Mapping[str, Any], source: UsageSource, finish: str | None) -> Metered:
    usage = _usage(reported)
    return Metered(
        usage,
        source,
        clean(answer.get("model"), 200),
        _tier(answer),
        _encode(reported).decode()[:RAW_LIMIT],
        finish,
        _problem(reported, usage),
    )


def _tier(answer: Mapping[str, Any]) -> dict[str, str]:
    tier = clean(answer.get("service_tier"), 40)
    return {"service_tier": tier} if tier else {}


def _usage(reported: Mapping[str, Any]) -> Usage:
    into = reported.get("prompt_tokens_details")
    outof = reported.get("completion_tokens_details")
    cached, written, audio, image = (count(into.get(name)) if isinstance(into, dict) else 0 for name in _DETAILS)
    reasoning, spoken, rejected = (
        count(outof.get(name)) if isinstance(outof, dict) else 0
        for name in ("reasoning_tokens", "audio_tokens", "rejected_prediction_tokens")
    )
    prompt, completion = count(reported.get("prompt_tokens")), count(reported.get("completion_tokens"))
    return Usage(
        in_text=max(0, prompt - cached - written - audio - image),
        in_image=image,
        in_audio=audio,
        cache_read=cached,
        cache_write_other=written,
        out_text=max(0, completion - reasoning - spoken - rejected),
        out_reasoning=reasoning,
        out_audio=spoken,
        out_rejected_prediction=rejected,
    )


def _problem(reported: Mapping[str, Any], usage: Usage) -> str | None:
    total = reported.get("total_tokens")
    ours = usage.total_input_tokens + usage.output_tokens
    if isinstance(total, int) and total != ours:
        return f"the buckets add up to {ours}, total_tokens says {total}"
    return None


def _estimated(document: Mapping[str, Any], emitted: int, model: object, problem: str | None) -> Metered:
    read = estimated_tokens(request_text([document.get("messages"), document.get("tools")]))
    return Metered(Usage(in_text=read, out_text=emitted), "tokenizer_estimate", clean(model, 200), problem=problem)


def _text(literal: bytes) -> str:
    try:
        return str(_decode(literal))
    except (msgspec.DecodeError, ValueError):
        return literal.decode(errors="replace")
