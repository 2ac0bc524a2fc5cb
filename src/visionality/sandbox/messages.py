"""Anthropic Messages as Anthropic speaks it.

Sources: the types of the official Python SDK (2.12) and docs.claude.com, pages "Streaming
Messages" and "Errors" (Aug 2026). Error sentences are those that the service has been seen
to send. Usage in `message_start` names the input and the first output token; usage in
`message_delta` is cumulative.
"""

import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from visionality.sandbox.dialect import LONGEST_MODEL_NAME, SIMULATED, Call, Refusal, bearer, encode_merged
from visionality.sandbox.exchange import Header
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import COMMENT, Event, Part

SIGNATURE: Final = "c2ltdWxhdGVkIHNpZ25hdHVyZQ=="  # "simulated signature"
RESET_AFTER_S: Final = 60

HEADERS: Final[tuple[Header, ...]] = (
    SIMULATED,
    (b"anthropic-organization-id", b"00000000-0000-4000-8000-000000000000"),
    (b"anthropic-ratelimit-requests-limit", b"4000"),
    (b"anthropic-ratelimit-requests-remaining", b"3999"),
    (b"anthropic-ratelimit-tokens-limit", b"480000"),
    (b"anthropic-ratelimit-tokens-remaining", b"479000"),
    (b"anthropic-ratelimit-input-tokens-limit", b"400000"),
    (b"anthropic-ratelimit-input-tokens-remaining", b"400000"),
    (b"anthropic-ratelimit-output-tokens-limit", b"80000"),
    (b"anthropic-ratelimit-output-tokens-remaining", b"79000"),
)
RESET_NAMES: Final = tuple(
    b"anthropic-ratelimit-%b-reset" % what
    for what in (b"requests", b"tokens", b"input-tokens", b"output-tokens")
)

# status: type, message
ERRORS: Final = {
    400: ("invalid_request_error", "Invalid request (simulated)."),
    401: ("authentication_error", "invalid x-api-key (simulated)"),
    402: ("billing_error", "Your credit balance is too low (simulated)."),
    403: ("permission_error", "Your API key does not have permission to use the resource (simulated)."),
    404: ("not_found_error", "model: simulated"),
    413: ("request_too_large", "Request exceeds the maximum size (simulated)."),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit (simulated)."),
    504: ("timeout_error", "The request timed out (simulated)."),
    529: ("overloaded_error", "Overloaded"),
}
CLIENT_ERROR: Final = ("invalid_request_error", "The request was refused (simulated).")
SERVER_ERROR: Final = ("api_error", "Internal server error")


class Request(msgspec.Struct):
    """The fields of a request that the sandbox reads. Their types are checked by hand, for the vendor's words."""

    model: object = None
    max_tokens: object = None
    messages: object = None
    system: object = None
    stream: object = None


class CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class OutputTokensDetails(msgspec.Struct):
    thinking_tokens: int


class Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation: CacheCreation | UnsetType = UNSET
    output_tokens_details: OutputTokensDetails | UnsetType = UNSET
    service_tier: str | UnsetType = UNSET


AnyUsage = Usage | dict[str, object] | UnsetType


class Block(msgspec.Struct, omit_defaults=True):
    """A content block: text, thinking or tool_use, told apart by `type`."""

    type: str
    text: str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    input: dict[str, object] | UnsetType = UNSET


class Message(msgspec.Struct):
    id: str
    model: str
    type: str = "message"
    role: str = "assistant"
    content: list[Block] = msgspec.field(default_factory=list)
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: AnyUsage = UNSET


class Delta(msgspec.Struct, omit_defaults=True):
    """The `delta` of a content_block_delta, told apart by `type`."""

    type: str
    text: str | UnsetType = UNSET
    thinking: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    partial_json: str | UnsetType = UNSET


class MessageStart(msgspec.Struct, tag_field="type", tag="message_start"):
    message: msgspec.Raw


class BlockStart(msgspec.Struct, tag_field="type", tag="content_block_start"):
    index: int
    content_block: Block


class BlockDelta(msgspec.Struct, tag_field="type", tag="content_block_delta"):
    index: int
    delta: Delta


class BlockStop(msgspec.Struct, tag_field="type", tag="content_block_stop"):
    index: int


class Stop(msgspec.Struct):
    stop_reason: str
    stop_sequence: None = None


class MessageDelta(msgspec.Struct, tag_field="type", tag="message_delta"):
    delta: Stop
    usage: AnyUsage


class Error(msgspec.Struct):
    type: str
    message: str


class ErrorBody(msgspec.Struct, tag_field="type", tag="error"):
    error: Error
    request_id: str


_REQUEST: Final = msgspec.json.Decoder(Request)
PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP: Final = Event(Part.TERMINAL, b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def invalid(message: str, *, status: int = 400, kind: str = "invalid_request_error") -> Refusal:
    return Refusal(status, message, kind=kind)


def decode(body: bytes) -> Request:
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise invalid("Input should be a valid dictionary or object to extract fields from") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(f"The request body is not valid JSON: {error}") from error


def checked_model(value: object) -> str:
    if value is None:
        raise invalid("model: Field required")
    if not isinstance(value, str):
        raise invalid("model: Input should be a valid string")
    if not value:
        raise invalid("model: String should have at least 1 character")
    if len(value) > LONGEST_MODEL_NAME:
        raise invalid(f"model: String should have at most {LONGEST_MODEL_NAME} characters")
    return value


def checked_max_tokens(value: object) -> int:
    if value is None:
        raise invalid("max_tokens: Field required")
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if value < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    return value


def checked_messages(value: object) -> list[object]:
    if value is None:
        raise invalid("messages: Field required")
    if not isinstance(value, list):
        raise invalid("messages: Input should be a valid list")
    if not value:
        raise invalid("messages: at least one message is required")
    return value


def checked_stream(value: object) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid("stream: Input should be a valid boolean")
    return value


def stop_reason(generation: Generation) -> str:
    if generation.was_cut:
        return "max_tokens"
    return "tool_use" if generation.tool_call else "end_turn"


def usage_of(call: Call, generation: Generation, plan: Plan) -> AnyUsage:
    if plan.omit_usage:
        return UNSET
    if plan.usage is not None:
        return plan.usage
    reasoning_tokens = generation.reasoning_tokens
    return Usage(
        input_tokens=call.input_tokens,
        output_tokens=generation.output_tokens,
        cache_creation=CacheCreation(),
        output_tokens_details=OutputTokensDetails(reasoning_tokens) if reasoning_tokens else UNSET,
        service_tier=plan.service_tier or call.service_tier,
    )


def opening_usage(usage: AnyUsage) -> AnyUsage:
    """The usage as it stands at `message_start`: all of the input, one token of the output."""
    if isinstance(usage, Usage):
        return msgspec.structs.replace(
            usage, output_tokens=min(1, usage.output_tokens), output_tokens_details=UNSET
        )
    if isinstance(usage, dict) and isinstance(output_tokens := usage.get("output_tokens"), int):
        return usage | {"output_tokens": min(1, output_tokens)}
    return usage


def closing_usage(usage: AnyUsage) -> AnyUsage:
    """The usage as it stands at `message_delta`, which repeats the totals without the write and tier details."""
    if isinstance(usage, Usage):
        return msgspec.structs.replace(usage, cache_creation=UNSET, service_tier=UNSET)
    return usage


def blocks(generation: Generation, serial: str) -> Iterator[tuple[Block, Block, Iterable[Delta]]]:
    """Each content block: empty as a stream opens it, whole, and the deltas between the two, made when they are taken."""
    if generation.reasoning:
        yield (
            Block("thinking", thinking="", signature=""),
            Block("thinking", thinking=generation.reasoning, signature=SIGNATURE),
            chain(
                (Delta("thinking_delta", thinking=piece) for piece in generation.reasoning_deltas),
                (Delta("signature_delta", signature=SIGNATURE),),
            ),
        )
    if generation.text:
        yield (
            Block("text", text=""),
            Block("text", text=generation.text),
            (Delta("text_delta", text=piece) for piece in generation.text_deltas),
        )
    if tool := generation.tool_call:
        pieces = ("", *generation.tool_deltas)
        yield (
            Block("tool_use", id=f"toolu_{serial}", name=tool.name, input={}),
            Block("tool_use", id=f"toolu_{serial}", name=tool.name, input=tool.arguments),
            (Delta("input_json_delta", partial_json=piece) for piece in pieces),
        )


def event(part: Part, name: bytes, payload: msgspec.Struct) -> Event:
    return Event(part, b"event: " + name + b"\ndata: " + msgspec.json.encode(payload) + b"\n\n")


def block_part(delta: Delta) -> Part:
    """A signature and the empty first piece of a tool's input carry no content, so plans do not count them."""
    return Part.FRAME if delta.type == "signature_delta" or delta.partial_json == "" else Part.DELTA


@lru_cache(maxsize=1)
def reset_headers(reset_at_s: int) -> tuple[Header, ...]:
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(reset_at_s)).encode()
    return tuple((name, reset) for name in RESET_NAMES)


def input_tokens_of(request: Request) -> int:
    """A token a word. Raises Refusal without messages."""
    return max(1, count_words(checked_messages(request.messages)) + count_words(request.system))


class Messages:
    """The dialect of `POST /v1/messages`."""

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        if not (headers.get(b"x-api-key", b"").strip() or bearer(headers)):
            raise invalid("x-api-key header is required", status=401, kind="authentication_error")
        if not headers.get(b"anthropic-version"):
            raise invalid("anthropic-version: header is required")

    def read(self, body: bytes) -> Call:
        request = decode(body)
        return Call(
            model=checked_model(request.model),
            max_tokens=checked_max_tokens(request.max_tokens),
            input_tokens=input_tokens_of(request),
            streams=checked_stream(request.stream),
            service_tier="standard",
        )

    def check_plan(self, call: Call, plan: Plan) -> None:
        """No plan makes this dialect refuse a call; stream options are the other's."""

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        message = self._message(call, plan, serial)
        message.content = [whole for _, whole, _ in blocks(generation, serial)]
        message.stop_reason = stop_reason(generation)
        message.usage = usage_of(call, generation, plan)
        return encode_merged(message, plan.extra)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        usage = usage_of(call, generation, plan)
        message = self._message(call, plan, serial)
        message.usage = opening_usage(usage)
        start = MessageStart(msgspec.Raw(encode_merged(message, plan.extra)))
        yield event(Part.FRAME, b"message_start", start)
        for index, (opening, _, block_deltas) in enumerate(blocks(generation, serial)):
            yield event(Part.FRAME, b"content_block_start", BlockStart(index, opening))
            if index == 0:
                yield Event(Part.FRAME, PING)
            for delta in block_deltas:
                yield event(block_part(delta), b"content_block_delta", BlockDelta(index, delta))
            yield event(Part.FRAME, b"content_block_stop", BlockStop(index))
        stop = MessageDelta(Stop(stop_reason(generation)), closing_usage(usage))
        yield event(Part.TERMINAL, b"message_delta", stop)
        yield MESSAGE_STOP

    def _message(self, call: Call, plan: Plan, serial: str) -> Message:
        return Message(id=f"msg_{serial}", model=plan.served_model or call.model)

    def interlude(self) -> bytes:
        return COMMENT + PING

    def error_event(self, plan: Plan, serial: str) -> bytes:
        return b"event: error\ndata: " + self.error_body(self.refusal(529, plan), serial) + b"\n\n"

    def refusal(self, status: int, plan: Plan) -> Refusal:
        kind, message = ERRORS.get(status, SERVER_ERROR if status >= 500 else CLIENT_ERROR)
        retry_after = 1 if plan.retry_after is None and status == 429 else plan.retry_after
        return Refusal(status, message, kind=plan.error_type or kind, retry_after=retry_after)

    def invalid(self, message: str, status: int = 400) -> Refusal:
        kinds = {404: "not_found_error", 413: "request_too_large"}
        return invalid(message, status=status, kind=kinds.get(status, "invalid_request_error"))

    def error_headers(self, refusal: Refusal) -> list[Header]:
        is_passing = refusal.status in {408, 409, 429} or refusal.status >= 500
        headers = [(b"x-should-retry", b"true" if is_passing else b"false")]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", b"%d" % refusal.retry_after))
        return headers

    def error_body(self, refusal: Refusal, serial: str) -> bytes:
        return msgspec.json.encode(ErrorBody(Error(refusal.kind, refusal.message), f"req_{serial}"))

    def headers(self, serial: str, plan: Plan) -> list[Header]:  # noqa: ARG002 - no header depends on the plan
        return [
            *HEADERS,
            *reset_headers(int(time.time()) + RESET_AFTER_S),
            (b"request-id", b"req_" + serial.encode()),
        ]


class CountTokens(Messages):
    """The dialect of `POST /v1/messages/count_tokens`, which asks for no limit and generates nothing."""

    def read(self, body: bytes) -> Call:
        request = decode(body)
        return Call(
            model=checked_model(request.model),
            max_tokens=None,
            input_tokens=input_tokens_of(request),
            streams=False,
            service_tier="standard",
        )

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:  # noqa: ARG002
        return msgspec.json.encode({"input_tokens": call.input_tokens} | plan.extra)
