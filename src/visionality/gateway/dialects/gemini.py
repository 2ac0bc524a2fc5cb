"""Google Gemini on the wire (Developer API): generateContent, its streams, token counts and embeddings.

Source: ai.google.dev "API reference" (October 2026), python-genai 3.4; google.rpc for the shape of errors. Model and
method stand in the path. Requests come in protobuf's JSON: names in camelCase or snake_case, numbers also as strings.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from visionality.core.call import Ask, Headers, asked_model, token_limit
from visionality.core.usage import Metered, Usage, counted
from visionality.gateway.dialects._core import NOT_JSON, JsonOverSse, is_of_type
from visionality.gateway.dialects.gemini_stream import GeminiStream
from visionality.gateway.dialects.gemini_usage import (
    Report,
    asked_tokens,
    embedded,
    emitted_in,
    read,
    tier_named,
)
from visionality.gateway.dialects.member import with_number
from visionality.gateway.dialects.reach import gemini_reach

_encode = msgspec.json.Encoder().encode
_CONFIG = ("generationConfig", "generation_config")
_LIMITS = ("maxOutputTokens", "max_output_tokens")
_CANDIDATES = ("candidateCount", "candidate_count")
_NO_USAGE = "no usage in the answer"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini(JsonOverSse):
    """`models/{model}:generateContent`, and `:countTokens`, which costs nothing."""

    name = "gemini"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        limit = _limit(document, *_LIMITS)
        candidates = _limit(document, *_CANDIDATES) or 1
        return Ask(
            model or asked_model(document),
            stream=False,
            output_limit=limit and limit * candidates,
            answers=candidates,
            reach=gemini_reach(document),
        )

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        each = limit // (_limit(document, *_CANDIDATES) or 1)
        outer = _spelling(document, _CONFIG)
        config = document.get(outer) if outer else None
        inner = _spelling(config if isinstance(config, dict) else {}, _LIMITS)
        if not each or outer is None or inner is None:
            return None
        return with_number(body, [outer, inner], each)

    def reader(self, ask: Ask) -> GeminiStream:
        return GeminiStream(ask)

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        try:
            answer = read(body)
        except NOT_JSON:
            return None
        known = (answer.candidates, list), (answer.prompt_feedback, dict), (answer.usage_metadata, dict)
        if not any(isinstance(member, kind) for member, kind in known):
            return None
        report = Report()
        report.add(answer)
        if report.reports(lambda: emitted_in(answer.candidates)):
            return report.metered("provider_final")
        return report.estimated(document, emitted_in(answer.candidates), _NO_USAGE)

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        name = _STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        info = {"@type": _ERROR_INFO, "reason": code.upper(), "domain": "gateway"}
        details = [info | {"metadata": {"requestId": request_id}}]
        return _encode({"error": {"code": status, "message": message, "status": name, "details": details}})

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return b"data: " + self.error(500, code, message, request_id) + b"\r\n\r\n"

    def served_tier(self, headers: Headers) -> dict[str, str]:
        said = next((value for name, value in headers if name == b"x-gemini-service-tier"), b"")
        return tier_named(said.decode("latin-1"))


class GeminiStreaming(Gemini):
    """`models/{model}:streamGenerateContent`: events with `alt=sse`, else a JSON array."""

    name = "gemini_stream"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        return replace(super().ask(document, model), stream=True)

    def streams(self, headers: Headers) -> bool:
        return super().streams(headers) or is_of_type(headers, b"application/json")


class GeminiEmbeddings(Gemini):
    """`models/{model}:embedContent` and `:batchEmbedContents`. Older models report no usage."""

    name = "gemini_embeddings"

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:  # noqa: ARG002
        return None

    def reader(self, ask: Ask) -> GeminiStream:
        return _EmbeddingsBroken(ask)

    def metered_body(
        self,
        body: bytes,
        document: Mapping[str, Any],
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        try:
            answer = _read_embeddings(body)
        except NOT_JSON:
            return None
        if not bytes(answer.embedding).startswith(b"{") and not bytes(answer.embeddings).startswith(b"["):
            return None
        reported = answer.usage_metadata
        if isinstance(reported, dict) and counted(reported.get("promptTokenCount")) is not None:
            return embedded(reported)
        return msgspec.structs.replace(_estimated_embedding(document), problem=_NO_USAGE)


class _EmbeddingsBroken(GeminiStream):
    """Embeddings never stream; what is read here is a call whose answer did not come."""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        return _estimated_embedding(document)


class _Embeddings(msgspec.Struct, rename="camel"):
    """An embedding's answer; the vectors are not looked at."""

    embedding: msgspec.Raw = msgspec.Raw()
    embeddings: msgspec.Raw = msgspec.Raw()
    usage_metadata: Any = None


_read_embeddings = msgspec.json.Decoder(_Embeddings).decode


def _estimated_embedding(document: Mapping[str, Any]) -> Metered:
    return Metered(Usage(embed=asked_tokens(document)), "tokenizer_estimate")


def _limit(document: Mapping[str, Any], *names: str) -> int | None:
    """The highest of a limit's spellings in the generation config. Raises Refusal for one that is no positive number."""
    configs = [document.get(name) for name in _CONFIG]
    given = [
        token_limit(_number(config[name]), name)
        for config in configs
        if isinstance(config, dict)
        for name in names
        if name in config
    ]
    return max((limit for limit in given if limit), default=None)


def _spelling(document: Mapping[str, Any], names: tuple[str, str]) -> str | None:
    """The name by which a request has a member, the first where it has none; None where it has it by both."""
    used = [name for name in names if name in document]
    return None if len(used) > 1 else (used or names)[0]


def _number(value: object) -> object:
    """A number as protobuf's JSON may write it: 64, "64" or 64.0."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:20])
    return int(value) if isinstance(value, float) and value.is_integer() else value
