"""Amazon Bedrock Runtime as AWS speaks it: Converse, InvokeModel and their streams of frames.

Sources: botocore's service model `bedrock-runtime` and its parsers; AWS, "Inference request parameters and response
fields" (August 2026). InvokeModel answers in the form of the model's own vendor: Anthropic's, Titan's for embeddings,
and Meta's for any other. AWS's own counts are there even when a plan leaves the vendor's usage out; a plan with the
usage `{}` takes both away.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from visionality.core.eventstream import event as frame
from visionality.core.eventstream import exception
from visionality.sandbox.dialect import SIMULATED, Call, Dialect, Refusal, bearer
from visionality.sandbox.exchange import Header
from visionality.sandbox.generation import Generation, count_words, generate
from visionality.sandbox.messages import Messages, stop_reason
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import Event, Part

STREAM_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-type", b"application/vnd.amazon.eventstream"),
    (b"x-amzn-bedrock-content-type", b"application/json"),
)
PATH: Final = re.compile(
    r"/model/(.+)/(converse|converse-stream|invoke|invoke-with-response-stream|count-tokens)"
)
METRICS: Final = "amazon-bedrock-invocationMetrics"

# status: type, message
ERRORS: Final = {
    400: ("ValidationException", "The request is invalid (simulated)."),
    401: ("UnrecognizedClientException", "The security token is invalid (simulated)."),
    402: ("AccessDeniedException", "The account is suspended (simulated)."),
    403: (
        "AccessDeniedException",
        "You don't have access to the model with the specified model ID (simulated).",
    ),
    404: ("ResourceNotFoundException", "Could not resolve the foundation model (simulated)."),
    408: ("ModelTimeoutException", "Model has timed out in processing the request (simulated)."),
    424: ("ModelErrorException", "The model failed (simulated)."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again (simulated)."),
    500: ("InternalServerException", "The system encountered an unexpected error (simulated)."),
    503: ("ServiceUnavailableException", "Bedrock is unable to process your request (simulated)."),
}
CLIENT_ERROR: Final = ("ValidationException", "The request was refused (simulated).")
SERVER_ERROR: Final = ("InternalServerException", "Internal failure (simulated).")

Document = dict[str, Any]

encode: Final = msgspec.json.Encoder().encode


def dialect_of(path: str) -> "Bedrock | None":
    """The dialect of a path, which names the model and the way of answering; None for another path."""
    found = PATH.fullmatch(path)
    if found is None:
        return None
    model, verb = found[1].rpartition("/")[2], found[2]
    streams = verb.endswith("stream")
    if verb.startswith("converse"):
        return Converse(model, streams=streams)
    if verb == "count-tokens":
        return CountTokens(model, streams=False)
    if "anthropic." in model:
        return InvokeAnthropic(model, streams=streams)
    return (InvokeTitanEmbeddings if "embed" in model else InvokeLlama)(model, streams=streams)


class Bedrock(Dialect):
    """What every route has in common. One object answers one request."""

    def __init__(self, model: str, *, streams: bool) -> None:
        self.model = model
        self.streams = streams

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        signed = headers.get(b"authorization", b"").startswith(b"AWS4-HMAC-SHA256 ")
        if not (signed or bearer(headers)):
            raise self.refusal(401, Plan())

    def read(self, body: bytes) -> Call:
        try:
            request = msgspec.json.decode(body, type=Document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.invalid(f"The request body is no JSON object: {error}") from error
        return self._call(request)

    def _call(self, request: Document) -> Call:
        raise NotImplementedError

    def _asked(self, words: int, limit: object) -> Call:
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise self.invalid("The output limit must be a positive integer")
        return Call(self.model, self.streams, max(1, words), limit, "default", stream_headers=STREAM_HEADERS)

    def check_plan(self, call: Call, plan: Plan) -> None:  # noqa: ARG002
        if plan.crlf:
            raise self.invalid("x-sandbox-plan: frames have no line ends, so `crlf` makes no sense here")

    def interlude(self) -> bytes:
        return b""

    def error_event(self, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        refusal = self.refusal(429, plan)
        return exception(refusal.kind[0].lower() + refusal.kind[1:], encode({"message": refusal.message}))

    def refusal(self, status: int, plan: Plan) -> Refusal:
        kind, message = ERRORS.get(status, SERVER_ERROR if status >= 500 else CLIENT_ERROR)
        return Refusal(status, message, kind=plan.error_type or kind, retry_after=plan.retry_after)

    def invalid(self, message: str, status: int = 400) -> Refusal:
        return Refusal(status, message, kind=ERRORS.get(status, CLIENT_ERROR)[0])

    def error_headers(self, refusal: Refusal) -> list[Header]:
        headers = [(b"x-amzn-errortype", f"{refusal.kind}:http://internal.amazon.com/".encode())]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", b"%d" % refusal.retry_after))
        return headers

    def error_body(self, refusal: Refusal, serial: str) -> bytes:  # noqa: ARG002
        return encode({"message": refusal.message})

    def headers(self, serial: str, plan: Plan) -> list[Header]:  # noqa: ARG002
        return [SIMULATED, (b"x-amzn-requestid", b"req_" + serial.encode())]


class Converse(Bedrock):
    """`/converse` and `/converse-stream`."""

    def _call(self, request: Document) -> Call:
        messages = request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise self.invalid("messages: at least one message is required")
        settings = request.get("inferenceConfig")
        limit = settings.get("maxTokens") if isinstance(settings, dict) else None
        return self._asked(count_words(messages) + count_words(request.get("system")), limit)

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        content: list[Document] = []
        if generation.reasoning:
            content.append({"reasoningContent": {"reasoningText": {"text": generation.reasoning}}})
        if generation.text:
            content.append({"text": generation.text})
        if tool := generation.tool_call:
            use = {"toolUseId": f"tooluse_{serial}", "name": tool.name, "input": tool.arguments}
            content.append({"toolUse": use})
        said = {"output": {"message": {"role": "assistant", "content": content}}}
        return encode(said | {"stopReason": stop_reason(generation)} | self._closing(call, generation, plan))

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        yield told(Part.FRAME, "messageStart", {"role": "assistant"})
        for index, (start, deltas) in enumerate(blocks(generation, serial)):
            place = {"contentBlockIndex": index}
            if start:
                yield told(Part.FRAME, "contentBlockStart", {"start": start} | place)
            for delta in deltas:
                yield told(Part.DELTA, "contentBlockDelta", {"delta": delta} | place)
            yield told(Part.FRAME, "contentBlockStop", place)
        yield told(Part.TERMINAL, "messageStop", {"stopReason": stop_reason(generation)})
        yield told(Part.TERMINAL, "metadata", self._closing(call, generation, plan))

    def _closing(self, call: Call, generation: Generation, plan: Plan) -> Document:
        """The usage and what stands beside it, in a body and in `metadata` alike."""
        read, said = call.input_tokens, generation.output_tokens
        usage = {"inputTokens": read, "outputTokens": said, "totalTokens": read + said}
        closing: Document = {"metrics": {"latencyMs": 1}}
        if not plan.omit_usage:
            closing["usage"] = usage if plan.usage is None else plan.usage
        if plan.service_tier:
            closing["serviceTier"] = {"type": plan.service_tier}
        return closing | plan.extra


class CountTokens(Bedrock):
    """`/count-tokens`."""

    def _call(self, request: Document) -> Call:
        given = request.get("input")
        if not isinstance(given, dict):
            raise self.invalid("input: expected invokeModel or converse")
        asked = given.get("converse")
        return self._asked(count_words(asked.get("messages")) if isinstance(asked, dict) else 1, None)

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        return encode({"inputTokens": call.input_tokens})

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        raise NotImplementedError


class Invoke(Bedrock):
    """`/invoke` and `/invoke-with-response-stream`: AWS's envelope around a vendor's answer."""

    asked: Call | None = None

    def read(self, body: bytes) -> Call:
        self.asked = super().read(body)
        return self.asked

    def headers(self, serial: str, plan: Plan) -> list[Header]:
        headers = super().headers(serial, plan)
        if plan.service_tier:
            headers.append((b"x-amzn-bedrock-service-tier", plan.service_tier.encode()))
        if self.asked is None or self.streams:
            return headers
        names = {"inputTokenCount": b"input-token-count", "outputTokenCount": b"output-token-count"}
        counts = self._counts(self.asked, generate(plan, self.asked.max_tokens), plan)
        counted = [
            (b"x-amzn-bedrock-" + names[name], b"%d" % counts[name]) for name in names if name in counts
        ]
        return headers + counted

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        for part, native in self._native_events(call, generation, plan, serial):
            last = part is Part.TERMINAL and native.get("type") in {None, "message_stop"}
            counts = self._counts(call, generation, plan) if last else {}
            yield chunk(part, native | ({METRICS: counts} if counts else {}))

    def _counts(self, call: Call, generation: Generation, plan: Plan) -> dict[str, int]:
        """AWS's own counts."""
        if plan.usage is None:
            return {"inputTokenCount": call.input_tokens, "outputTokenCount": generation.output_tokens}
        return {aws: int(str(plan.usage[own])) for own, aws in COUNTS.items() if own in plan.usage}

    def _native_events(
        self, call: Call, generation: Generation, plan: Plan, serial: str
    ) -> Iterator[tuple[Part, Document]]:
        raise NotImplementedError


COUNTS: Final = {
    "input_tokens": "inputTokenCount",
    "output_tokens": "outputTokenCount",
    "cache_read_input_tokens": "cacheReadInputTokenCount",
    "cache_creation_input_tokens": "cacheWriteInputTokenCount",
}


class InvokeAnthropic(Invoke):
    """Anthropic's Messages without `model` and `stream`, which the path says."""

    messages: Final = Messages()

    def _call(self, request: Document) -> Call:
        if "anthropic_version" not in request:
            raise self.invalid("anthropic_version: Field required")
        native = re.sub(r"^.*anthropic\.|-v\d+:\d+$", "", self.model)
        call = self.messages.read(encode(request | {"model": native, "stream": self.streams}))
        return replace(call, stream_headers=STREAM_HEADERS)

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        return self.messages.answer(call, generation, plan, serial)

    def _native_events(
        self, call: Call, generation: Generation, plan: Plan, serial: str
    ) -> Iterator[tuple[Part, Document]]:
        for part, data in self.messages.events(call, generation, plan, serial):
            yield part, msgspec.json.decode(data.partition(b"data: ")[2])


class InvokeLlama(Invoke):
    """Meta's form, for every model without one of its own here."""

    def _call(self, request: Document) -> Call:
        limit = request.get("max_gen_len") or request.get("max_tokens")
        return self._asked(count_words(request.get("prompt")) + count_words(request.get("messages")), limit)

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        counts = {"prompt_token_count": call.input_tokens, "generation_token_count": generation.output_tokens}
        said = {"generation": generation.text, "stop_reason": "length" if generation.was_cut else "stop"}
        return encode(said | ({} if plan.omit_usage or plan.usage is not None else counts) | plan.extra)

    def _native_events(
        self,
        call: Call,  # noqa: ARG002
        generation: Generation,
        plan: Plan,  # noqa: ARG002
        serial: str,  # noqa: ARG002
    ) -> Iterator[tuple[Part, Document]]:
        for piece in generation.text_deltas:
            yield Part.DELTA, {"generation": piece, "stop_reason": None}
        stop = "length" if generation.was_cut else "stop"
        yield Part.TERMINAL, {"generation": "", "stop_reason": stop}


class InvokeTitanEmbeddings(Invoke):
    """Titan's embeddings."""

    def _call(self, request: Document) -> Call:
        return self._asked(count_words(request.get("inputText")), None)

    def _counts(self, call: Call, generation: Generation, plan: Plan) -> dict[str, int]:
        counts = super()._counts(call, generation, plan)
        return {name: count for name, count in counts.items() if name == "inputTokenCount"}

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        own = {} if plan.omit_usage else {"inputTextTokenCount": call.input_tokens}
        return encode({"embedding": [0.25, -0.5]} | own | plan.extra)


def blocks(generation: Generation, serial: str) -> Iterator[tuple[Document, list[Document]]]:
    """Each content block of a stream: its start, which only a tool's has, and its deltas."""
    if generation.reasoning:
        yield {}, [{"reasoningContent": {"text": piece}} for piece in generation.reasoning_deltas]
    if generation.text:
        yield {}, [{"text": piece} for piece in generation.text_deltas]
    if tool := generation.tool_call:
        start = {"toolUse": {"toolUseId": f"tooluse_{serial}", "name": tool.name}}
        yield start, [{"toolUse": {"input": piece}} for piece in generation.tool_deltas]


def told(part: Part, kind: str, payload: Mapping[str, Any]) -> Event:
    """An event, with the padding that hides its length from who only sees the wire."""
    return Event(part, frame(kind, encode({**payload, "p": "abcdefgh"})))


def chunk(part: Part, native: Mapping[str, Any]) -> Event:
    """An event of a vendor's stream in AWS's envelope."""
    return told(part, "chunk", {"bytes": base64.b64encode(encode(native)).decode()})
