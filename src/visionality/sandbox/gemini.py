"""Google's Gemini Developer API as Google speaks it.

Sources: ai.google.dev "API reference" (October 2026), the types of the official SDK (python-genai 3.4), and
google.rpc.Status for errors. Model and method stand in the path, so there is a dialect for each request. A stream is
made of server-sent events with `alt=sse`, and of the elements of a JSON array without. Usage comes with each chunk:
the input from the first on, the output so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

import msgspec

from visionality.sandbox.dialect import EVENT_STREAM, SIMULATED, Call, Refusal, bearer
from visionality.sandbox.exchange import Exchange, Header
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import NO_PLAN, Plan
from visionality.sandbox.stream import COMMENT, Event, Part

PREFIXES: Final = ("/v1beta/models", "/v1/models")
METHODS: Final = (
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
    "batchEmbedContents",
)
HEADERS: Final[tuple[Header, ...]] = (SIMULATED, (b"server-timing", b"gfet4t7; dur=1"))
ARRAY: Final[tuple[Header, ...]] = ((b"content-type", b"application/json; charset=UTF-8"),)
OF_THE_INPUT: Final = ("prompt", "cache")
DIMENSIONS: Final = 8
NAMES: Final = ("gemini-2.5-flash", "gemini-2.5-pro", "gemini-3.5-flash", "gemini-embedding-001")

# status: the name of its google.rpc.Code
STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Request(msgspec.Struct, rename="camel"):
    """The fields of a request that the sandbox reads."""

    contents: object = None
    content: object = None
    requests: object = None
    system_instruction: object = None
    generation_config: dict[str, object] = msgspec.field(default_factory=dict)


Fields = dict[str, object]

_REQUEST: Final = msgspec.json.Decoder(Request)
_MODELS: Final[dict[str, Fields]] = {
    name: {
        "name": f"models/{name}",
        "version": "001",
        "displayName": f"{name} (simulated)",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["embedContent"] if "embedding" in name else list(METHODS[:3]),
    }
    for name in NAMES
}


def is_for_google(exchange: Exchange) -> bool:
    """Whether a request is for this API, whose models have an address of OpenAI's and Anthropic's too."""
    path = exchange.path
    if path.startswith(PREFIXES[0]):
        return True
    return path.startswith(PREFIXES[1]) and (":" in path or b"x-goog-api-key" in exchange.headers)


def dialect_of(exchange: Exchange) -> "Gemini | None":
    """The dialect of a model call, or None when the path is of none."""
    name, _, method = exchange.path.rpartition(":")
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix + "/")), None)
    if prefix is None or method not in METHODS:
        return None
    query = parse_qs(exchange.target.partition(b"?")[2].decode("latin-1"))
    return Gemini(name.removeprefix(prefix + "/"), method, query.get("alt") == ["sse"])


def models_body(path: str) -> bytes:
    """The list of models, or the one that a path names. Raises Refusal when it is not listed."""
    name = path.partition("/models")[2].removeprefix("/")
    if not name:
        return msgspec.json.encode({"models": list(_MODELS.values())})
    if name not in _MODELS:
        raise invalid(f"Model is not found: models/{name} (simulated).", 404)
    return msgspec.json.encode(_MODELS[name])


def invalid(message: str, status: int = 400) -> Refusal:
    return Refusal(status, message, kind=STATUSES.get(status, "INVALID_ARGUMENT"))


def words(content: object) -> int:
    """The words of a Content, or of a list of them."""
    if isinstance(content, list):
        return sum(map(words, content))
    return count_words(content.get("parts")) if isinstance(content, dict) else 0


def embedded_words(request: Request) -> int:
    requests = request.requests if isinstance(request.requests, list) else []
    return words(request.content) + sum(
        words(one.get("content")) for one in requests if isinstance(one, dict)
    )


def parts_of(generation: Generation) -> Iterator[tuple[Part, Fields, int, int]]:
    """The parts of an answer as a stream has them, each with its tokens of thoughts and of answer."""
    for piece in generation.reasoning_deltas:
        yield Part.DELTA, {"text": piece, "thought": True}, 1, 0
    for piece in generation.text_deltas:
        yield Part.DELTA, {"text": piece}, 0, 1
    if tool := generation.tool_call:
        call: Fields = {"functionCall": {"name": tool.name, "args": tool.arguments}}
        yield Part.DELTA, call, 0, 1 + len(generation.tool_arguments.split())


def whole_parts(generation: Generation) -> list[Fields]:
    parts: list[Fields] = []
    if generation.reasoning:
        parts.append({"text": generation.reasoning, "thought": True})
    if generation.text or not generation.tool_call:
        parts.append({"text": generation.text})
    if tool := generation.tool_call:
        parts.append({"functionCall": {"name": tool.name, "args": tool.arguments}})
    return parts


@dataclass(frozen=True, slots=True)
class Gemini:
    """One method of one model. `sse` is the form of its stream."""

    model: str
    method: str
    sse: bool

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        if not (headers.get(b"x-goog-api-key", b"").strip() or bearer(headers)):
            raise invalid("Method doesn't allow unregistered callers (simulated).", 403)

    def read(self, body: bytes) -> Call:
        try:
            request = _REQUEST.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid(f"Invalid JSON payload received. {error}") from error
        embeds = "mbed" in self.method
        counted = embedded_words(request) if embeds else words(request.contents)
        if not embeds and not request.contents:
            raise invalid("* GenerateContentRequest.contents: contents is not specified")
        limit = request.generation_config.get("maxOutputTokens")
        requests = request.requests if isinstance(request.requests, list) else [None]
        return Call(
            model=self.model,
            streams=self.method == "streamGenerateContent",
            input_tokens=max(1, counted + words(request.system_instruction)),
            max_tokens=limit if isinstance(limit, int) and limit > 0 else None,
            service_tier="standard",
            answers=len(requests),
            stream_headers=EVENT_STREAM if self.sse else ARRAY,
        )

    def check_plan(self, call: Call, plan: Plan) -> None:
        """No plan makes this dialect refuse a call."""

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        if self.method == "countTokens":
            return msgspec.json.encode({"totalTokens": call.input_tokens} | plan.extra)
        if "mbed" in self.method:
            return self._embeddings(call, plan)
        thoughts = generation.reasoning_tokens
        usage = self._usage(call, plan, thoughts, generation.output_tokens - thoughts)
        answer = self._chunk(call, plan, serial, whole_parts(generation), usage, _finish(generation))
        return msgspec.json.encode(answer)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        for number, (part, chunk) in enumerate(self._chunks(call, generation, plan, serial)):
            data = msgspec.json.encode(chunk)
            if self.sse:
                yield Event(part, b"data: " + data + b"\r\n\r\n")
                continue
            if number == 0:
                yield Event(Part.FRAME, b"[")
            yield Event(part, (b",\r\n" if number else b"") + msgspec.json.format(data, indent=2))
        if not self.sse:
            yield Event(Part.TERMINAL, b"\r\n]\r\n")

    def _chunks(
        self, call: Call, generation: Generation, plan: Plan, serial: str
    ) -> Iterator[tuple[Part, Fields]]:
        thoughts = said = 0
        for part, fields, thought, spoken in parts_of(generation):
            thoughts, said = thoughts + thought, said + spoken
            usage = self._usage(call, plan, thoughts, said)
            if usage is not None and plan.usage is not None:
                usage = {name: value for name, value in usage.items() if name.startswith(OF_THE_INPUT)}
            yield part, self._chunk(call, plan, serial, [fields], usage, None)
        thoughts = generation.reasoning_tokens
        usage = self._usage(call, plan, thoughts, generation.output_tokens - thoughts)
        yield Part.TERMINAL, self._chunk(call, plan, serial, [{"text": ""}], usage, _finish(generation))

    def _chunk(
        self,
        call: Call,
        plan: Plan,
        serial: str,
        parts: list[Fields],
        usage: Fields | None,
        finish: str | None,
    ) -> Fields:
        candidate: Fields = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        chunk: Fields = {"candidates": [candidate]}
        if usage is not None:
            chunk["usageMetadata"] = usage
        return chunk | {"modelVersion": plan.served_model or call.model, "responseId": serial} | plan.extra

    def _usage(self, call: Call, plan: Plan, thoughts: int, said: int) -> Fields | None:
        if plan.omit_usage:
            return None
        if plan.usage is not None:
            return plan.usage
        counts = {
            "promptTokenCount": call.input_tokens,
            "candidatesTokenCount": said,
            "thoughtsTokenCount": thoughts,
        }
        usage: Fields = {name: count for name, count in counts.items() if count}
        usage["totalTokenCount"] = sum(counts.values())
        usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": call.input_tokens}]
        return usage | ({"serviceTier": plan.service_tier} if plan.service_tier else {})

    def _embeddings(self, call: Call, plan: Plan) -> bytes:
        vector: Fields = {"values": [1 / DIMENSIONS] * DIMENSIONS}
        is_one = self.method == "embedContent"
        answer: Fields = {"embedding": vector} if is_one else {"embeddings": [vector] * call.answers}
        if not plan.omit_usage:
            details = [{"modality": "TEXT", "tokenCount": call.input_tokens}]
            usage: Fields = {"promptTokenCount": call.input_tokens, "promptTokenDetails": details}
            answer["usageMetadata"] = plan.usage or usage
        return msgspec.json.encode(answer | plan.extra)

    def interlude(self) -> bytes:
        return COMMENT if self.sse else b"\r\n"

    def error_event(self, plan: Plan, serial: str) -> bytes:
        error = self.error_body(self.refusal(503, plan), serial)
        if self.sse:
            return b"data: " + error + b"\r\n\r\n"
        return (b",\r\n" if plan.stream_error_after_chunks else b"") + error + b"\r\n]\r\n"

    def refusal(self, status: int, plan: Plan) -> Refusal:
        name = STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        message = f"{name.replace('_', ' ').capitalize()} (simulated)."
        return Refusal(status, message, kind=plan.error_type or name, retry_after=plan.retry_after)

    def invalid(self, message: str, status: int = 400) -> Refusal:
        return invalid(message, status)

    def error_headers(self, refusal: Refusal) -> list[Header]:  # noqa: ARG002 -- Google tells the delay in the body
        return []

    def error_body(self, refusal: Refusal, serial: str) -> bytes:  # noqa: ARG002 -- no error has an id
        error: Fields = {"code": refusal.status, "message": refusal.message, "status": refusal.kind}
        if refusal.retry_after is not None:
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": kind, "retryDelay": f"{refusal.retry_after}s"}]
        return msgspec.json.encode({"error": error})

    def headers(self, serial: str, plan: Plan) -> list[Header]:  # noqa: ARG002 -- nor has an answer
        tier = plan.service_tier if plan is not NO_PLAN else None
        return [*HEADERS, *([(b"x-gemini-service-tier", tier.encode())] if tier else [])]


CATALOGUE: Final = Gemini("", "", sse=False)
"""The dialect of what names no model and no method."""


def _finish(generation: Generation) -> str:
    return "MAX_TOKENS" if generation.was_cut else "STOP"
