"""Anthropic Messages on the wire.

Source: Anthropic API reference "Messages" and "Streaming" (docs.claude.com), anthropic-sdk-python. `input_tokens`
excludes cached tokens. Values in a stream are cumulative: a later one that is not null replaces the earlier.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, asked_model, clean, token_limit
from visionality.core.sse import Events, payload
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, UsageSource, count, counted
from visionality.gateway.dialects._core import (
    EMITTED_LIMIT,
    NOT_JSON,
    TAIL_LIMIT,
    JsonOverSse,
    nonsense,
    raw_text,
    thinking_budget,
)
from visionality.gateway.dialects.member import with_number
from visionality.gateway.dialects.reach import messages_reach
from visionality.gateway.dialects.text import request_text, text_of

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_DELTA = re.compile(rb'"(?:text|thinking|partial_json|signature)"\s*:\s*("(?:[^"\\]++|\\.)*+")')
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_WRITES = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Messages(JsonOverSse):
    """`POST /v1/messages`, and `POST /v1/messages/count_tokens`, which costs nothing."""

    name = "messages"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        limit = token_limit(document.get("max_tokens"), "max_tokens")
        if limit is not None and "fallbacks" in document:
            limit = max([limit, *_limits_elsewhere(document)])
        stream = document.get("stream") is True
        return Ask(model or asked_model(document), stream, limit, reach=messages_reach(document))

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        if limit <= thinking_budget(document) or any(_limits_elsewhere(document)):
            return None
        return with_number(body, ["max_tokens"], limit)

    def reader(self, ask: Ask) -> "MessagesStream":  # noqa: ARG002
        return MessagesStream()

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        try:
            answer = _decode(body)
        except NOT_JSON:
            return None
        if not isinstance(answer, dict) or answer.get("type") != "message":
            return None
        reported = answer.get("usage")
        if isinstance(reported, dict) and _is_report(reported):
            return _metered(reported, answer, "provider_final")
        emitted = estimated_tokens(request_text(answer.get("content")))
        estimated = _estimated(document, emitted, answer, reported if isinstance(reported, dict) else {})
        return msgspec.structs.replace(estimated, problem="no usage in the answer")

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error = {"type": kind, "message": message, "code": code}
        return _encode({"type": "error", "error": error, "request_id": request_id})

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return b"event: error\ndata: " + self.error(500, code, message, request_id) + b"\n\n"


def _limits_elsewhere(document: Mapping[str, Any]) -> list[int]:
    """The output limits that a request sets for other models, should its own decline. Raises Refusal."""
    entries = document.get("fallbacks")
    found = [
        token_limit(entry.get("max_tokens"), "fallbacks.max_tokens")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    return [limit for limit in found if limit is not None]


class MessagesStream:
    """The events of one streamed message."""

    def __init__(self) -> None:
        self._events = Events()
        self._held = b""
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._ended = False
        self._counted_to_the_end = False
        self._emitted = bytearray()
        self._emitted_bytes = 0
        self._finish: str | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        events = self._events.feed(data)
        if len(events) == 1:
            return self._read(events[0])
        return b"".join([self._read(event) for event in events])

    def finish(self) -> bytes:
        held, self._held = self._held + self._events.take_rest(), b""
        return held

    def metered(self, document: Mapping[str, Any]) -> Metered:
        answer = self._message | {"stop_reason": self._finish}
        if self._ended and self._counted_to_the_end and _is_report(self._usage):
            return _metered(self._usage, answer, "provider_final")
        emitted = sum(estimated_tokens(text_of(match[1])) for match in _DELTA.finditer(self._emitted))
        if self._emitted_bytes > EMITTED_LIMIT:
            emitted = emitted * self._emitted_bytes // len(self._emitted)
        return _estimated(document, emitted, answer, self._usage)

    def fill(self, counts: Mapping[str, int]) -> None:
        """Take the final counts of another report for what the events have not told to the end."""
        if not self._counted_to_the_end and "output_tokens" in counts:
            self._usage["output_tokens"] = counts["output_tokens"]
            self._counted_to_the_end = True
        self._usage = {**counts, **self._usage}

    def _read(self, event: bytes) -> bytes:
        if self.complete:
            self._held = (self._held + event)[:TAIL_LIMIT]
            return b""
        if b'"content_block_delta"' in event:
            if self._emitted_bytes < EMITTED_LIMIT:
                self._emitted += event
            self._emitted_bytes += len(event)
        elif b'"message_stop"' in event and _kind(event) == "message_stop":
            self.complete = self._ended = True
            self._held = event
            return b""
        elif b'"message_' in event or b'"error"' in event:
            self._note(event)
            if self._finish == "upstream_error":
                self.complete = True
                self._held = event
                return b""
        return event

    def _note(self, event: bytes) -> None:
        try:
            document = _decode(payload(event))
        except NOT_JSON:
            return
        match document:
            case {"type": "message_start", "message": dict(message)}:
                self._message = {"model": message.get("model")}
                self._merge(message.get("usage"))
            case {"type": "message_delta"}:
                self._merge(document.get("usage"))
                self._counted_to_the_end |= isinstance(document.get("usage"), dict)
                if isinstance(delta := document.get("delta"), dict) and (
                    stop := clean(delta.get("stop_reason"), 60)
                ):
                    self._finish = stop
                    self._ended = True
            case {"type": "error"}:
                self._finish = "upstream_error"

    def _merge(self, reported: object) -> None:
        if isinstance(reported, dict):
            self._usage |= {name: value for name, value in reported.items() if value is not None}


def _is_report(reported: Mapping[str, Any]) -> bool:
    return (
        counted(reported.get("input_tokens")) is not None
        and counted(reported.get("output_tokens")) is not None
    )


def _metered(reported: Mapping[str, Any], answer: Mapping[str, Any], source: UsageSource) -> Metered:
    usage = _usage(reported)
    return Metered(
        usage,
        source,
        clean(answer.get("model"), 200),
        _tier(reported),
        raw_text(reported),
        clean(answer.get("stop_reason"), 60),
        _problem(reported, usage),
    )


def _tier(reported: Mapping[str, Any]) -> dict[str, str]:
    said = {name: clean(reported.get(name), 40) for name in ("service_tier", "speed", "inference_geo")}
    return {
        "processing" if value == "batch" else name: value
        for name, value in said.items()
        if value and value != "not_available"
    }


def _usage(reported: Mapping[str, Any]) -> Usage:
    """The buckets of a whole call: what the report says on top, and the compactions that it leaves out there."""
    usage = _sampled(reported)
    if reported.get("iterations"):
        compactions = (entry for entry in _iterations(reported) if entry.get("type") == "compaction")
        usage = sum(map(_sampled, compactions), usage)
    return usage


def _iterations(reported: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = reported.get("iterations")
    return (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else iter(())


def _sampled(reported: Mapping[str, Any]) -> Usage:
    written = count(reported.get("cache_creation_input_tokens"))
    split = reported.get("cache_creation")
    short, long = (count(split.get(name)) for name in _WRITES) if isinstance(split, dict) else (written, 0)
    output = count(reported.get("output_tokens"))
    thinking = min(_thinking(reported), output)
    tools = reported.get("server_tool_use")
    return Usage(
        in_text=count(reported.get("input_tokens")),
        cache_read=count(reported.get("cache_read_input_tokens")),
        cache_write_5m=short + max(0, written - short - long),
        cache_write_1h=long,
        out_text=output - thinking,
        out_reasoning=thinking,
        web_search=count(tools.get("web_search_requests")) if isinstance(tools, dict) else 0,
    )


def _thinking(reported: Mapping[str, Any]) -> int:
    details = reported.get("output_tokens_details")
    if not isinstance(details, dict):
        return 0
    return count(details.get("thinking_tokens")) or count(details.get("reasoning_tokens"))


def _problem(reported: Mapping[str, Any], usage: Usage) -> str | None:
    split = reported.get("cache_creation")
    found = nonsense(reported, _COUNTS) + nonsense(split, _WRITES)
    if not usage.total_input_tokens:
        found.append("no input is reported")
    if _thinking(reported) > count(reported.get("output_tokens")):
        found.append(
            f"thinking is {_thinking(reported)}, output_tokens says {count(reported.get('output_tokens'))}"
        )
    written = counted(reported.get("cache_creation_input_tokens"))
    parts = sum(count(split.get(name)) for name in _WRITES) if isinstance(split, dict) else None
    if written is not None and parts is not None and parts != written:
        found.append(f"cache_creation adds up to {parts}, cache_creation_input_tokens says {written}")
    if any(entry.get("type") not in ("message", "compaction") for entry in _iterations(reported)):
        found.append("another model took part, and its tokens are not in the sum")
    return "; ".join(found) or None


def _estimated(
    document: Mapping[str, Any], emitted: int, answer: Mapping[str, Any], reported: Mapping[str, Any]
) -> Metered:
    """What is known of the input, else our count of it; of the output, the larger of report and our count."""
    known = _usage(reported)
    read = known.in_text
    if not known.total_input_tokens:
        read = estimated_tokens(
            request_text([document.get("system"), document.get("messages"), document.get("tools")])
        )
    usage = msgspec.structs.replace(
        known, in_text=read, out_text=max(emitted, known.output_tokens), out_reasoning=0
    )
    return Metered(
        usage,
        "tokenizer_estimate",
        clean(answer.get("model"), 200),
        _tier(reported),
        raw_text(reported),
        clean(answer.get("stop_reason"), 60),
    )


def _kind(event: bytes) -> object:
    try:
        document = _decode(payload(event))
    except NOT_JSON:
        return None
    return document.get("type") if isinstance(document, dict) else None
