"""Anthropic Messages on the wire.

Source: Anthropic API reference "Messages" and "Streaming" (docs.claude.com), anthropic-sdk-python. `input_tokens`
excludes cached tokens. Values in a stream are cumulative: a later one that is not null replaces the earlier.
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
_encode = msgspec.json.Encoder().encode
_DELTA = re.compile(rb'"(?:text|thinking|partial_json|signature)"\s*:\s*("(?:[^"\\]++|\\.)*+")')

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


class Messages:
    """`POST /v1/messages`."""

    name = "messages"
    credential_header = b"x-api-key"

    def ask(self, document: Mapping[str, Any]) -> Ask:
        limit = token_limit(document.get("max_tokens"), "max_tokens")
        return Ask(asked_model(document), document.get("stream") is True, limit)

    def outgoing(self, request: Request, ask: Ask) -> bytes:  # noqa: ARG002 -- nothing is injected here
        return request.body

    def reader(self, ask: Ask) -> "MessagesStream":  # noqa: ARG002
        return MessagesStream()

    def metered_body(self, body: bytes, document: Mapping[str, Any]) -> Metered | None:
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return None
        if not isinstance(answer, dict) or answer.get("type") != "message":
            return None
        reported = answer.get("usage")
        if not isinstance(reported, dict):
            emitted = estimated_tokens(request_text(answer.get("content")))
            return _estimated(document, emitted, answer.get("model"), "no usage in the answer")
        return _metered(reported, answer, "provider_final")

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        error = {"type": kind, "message": message, "code": code}
        return _encode({"type": "error", "error": error, "request_id": request_id})

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return b"event: error\ndata: " + self.error(500, code, message, request_id) + b"\n\n"


class MessagesStream:
    """The events of one streamed message."""

    def __init__(self) -> None:
        self._events = Events()
        self._held = b""
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._final = False
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
        if self._final:
            return _metered(self._usage, self._message | {"stop_reason": self._finish}, "provider_final")
        emitted = sum(estimated_tokens(_text(match[1])) for match in _DELTA.finditer(self._emitted))
        if self._emitted_bytes > EMITTED_LIMIT:
            emitted = emitted * self._emitted_bytes // EMITTED_LIMIT
        if not self._usage:
            return _estimated(document, emitted, self._message.get("model"), None)
        known = _usage(self._usage)
        usage = msgspec.structs.replace(known, out_text=max(emitted, known.out_text), out_reasoning=0)
        metered = _metered(self._usage, self._message, "tokenizer_estimate")
        return msgspec.structs.replace(metered, usage=usage)

    def _read(self, event: bytes) -> bytes:
        if self.complete:
            self._held += event
            return b""
        if b'"content_block_delta"' in event:
            self._emitted_bytes += len(event)
            if len(self._emitted) < EMITTED_LIMIT:
                self._emitted += event
        elif b'"message_stop"' in event and _kind(event) == "message_stop":
            self.complete = True
            self._held = event
            return b""
        elif b'"usage"' in event or b'"error"' in event:
            self._note(event)
        return event

    def _note(self, event: bytes) -> None:
        try:
            document = _decode(payload(event))
        except (msgspec.DecodeError, RecursionError, ValueError):
            return
        match document:
            case {"type": "message_start", "message": dict(message)}:
                self._message = {name: value for name, value in message.items() if name != "content"}
                self._merge(message.get("usage"))
            case {"type": "message_delta"}:
                self._merge(document.get("usage"))
                self._final = isinstance(document.get("usage"), dict)
                if isinstance(delta := document.get("delta"), dict):
                    self._finish = clean(delta.get("stop_reason"), 60)
            case {"type": "error"}:
                self._finish = "upstream_error"

    def _merge(self, reported: object) -> None:
        if isinstance(reported, dict):
            self._usage |= {name: value for name, value in reported.items() if value is not None}


def _metered(reported: dict[str, Any], answer: Mapping[str, Any], source: UsageSource) -> Metered:
    tier = {
        "processing" if reported.get(name) == "batch" else name: value
        for name in ("service_tier", "speed")
        if (value := clean(reported.get(name), 40))
    }
    return Metered(
        _usage(reported),
        source,
        clean(answer.get("model"), 200),
        tier,
        _encode(reported).decode()[:RAW_LIMIT],
        clean(answer.get("stop_reason"), 60),
        _problem(reported),
    )


def _usage(reported: Mapping[str, Any]) -> Usage:
    written = count(reported.get("cache_creation_input_tokens"))
    split = reported.get("cache_creation")
    long = count(split.get("ephemeral_1h_input_tokens")) if isinstance(split, dict) else 0
    short = count(split.get("ephemeral_5m_input_tokens")) if isinstance(split, dict) else written
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


def _problem(reported: Mapping[str, Any]) -> str | None:
    split = reported.get("cache_creation")
    if not isinstance(split, dict):
        return None
    parts = count(split.get("ephemeral_5m_input_tokens")) + count(split.get("ephemeral_1h_input_tokens"))
    written = count(reported.get("cache_creation_input_tokens"))
    if parts != written:
        return f"cache_creation adds up to {parts}, cache_creation_input_tokens says {written}"
    return None


def _estimated(document: Mapping[str, Any], emitted: int, model: object, problem: str | None) -> Metered:
    read = estimated_tokens(request_text([document.get("system"), document.get("messages"), document.get("tools")]))
    usage = Usage(in_text=read, out_text=emitted)
    return Metered(usage, "tokenizer_estimate", clean(model, 200), problem=problem)


def _kind(event: bytes) -> object:
    try:
        document = _decode(payload(event))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return document.get("type") if isinstance(document, dict) else None


def _text(literal: bytes) -> str:
    try:
        return str(_decode(literal))
    except (msgspec.DecodeError, ValueError):
        return literal.decode(errors="replace")


