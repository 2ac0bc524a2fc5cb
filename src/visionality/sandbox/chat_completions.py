"""OpenAI Chat Completions as OpenAI speaks it.

Sources: the OpenAPI description openai/openai-openapi (21 Aug 2026) and the types of the
official Python SDK (3.54). Error sentences are those that the service has been seen to
send. `reasoning_content` is not OpenAI's: it is how DeepSeek, vLLM and other compatible
vendors show reasoning, which OpenAI itself only counts.
"""

import time
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from visionality.sandbox.dialect import (
    LONGEST_MODEL_NAME,
    SIMULATED,
    Call,
    Refusal,
    bearer,
    encode_merged,
    json_type,
)
from visionality.sandbox.exchange import Header
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import COMMENT, Event, Part

FINGERPRINT: Final = "fp_sandbox"
MOST_ANSWERS: Final = 128  # the service's own limit for `n`
DONE: Final = Event(Part.TERMINAL, b"data: [DONE]\n\n")

HEADERS: Final[tuple[Header, ...]] = (
    SIMULATED,
    (b"openai-organization", b"sandbox-organization"),
    (b"openai-version", b"2020-10-01"),
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-limit-tokens", b"2000000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"x-ratelimit-remaining-tokens", b"1999000"),
    (b"x-ratelimit-reset-requests", b"6ms"),
    (b"x-ratelimit-reset-tokens", b"30ms"),
)

# status: type, code, message
ERRORS: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", None, "Invalid request (simulated)."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided (simulated)."),
    402: ("insufficient_quota", "insufficient_quota", "You have insufficient credits (simulated)."),
    403: ("permission_error", None, "You have insufficient permissions for this operation (simulated)."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist (simulated)."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests (simulated)."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later (simulated)."),
    529: ("server_error", "overloaded", "The provider is overloaded (simulated)."),
}
CLIENT_ERROR: Final = ("invalid_request_error", None, "The request was refused (simulated).")
SERVER_ERROR: Final = (
    "server_error",
    None,
    "The server had an error while processing your request (simulated).",
)

# The tier that a request asks for: the tier that the answer names.
SERVED_TIERS: Final = {"flex": "flex", "priority": "priority", "fast": "priority", "scale": "scale"}


class Request(msgspec.Struct):
    """The fields of a request that the sandbox reads. Their types are checked by hand, for the vendor's words."""

    model: object = None
    messages: object = None
    stream: object = None
    stream_options: object = None
    max_tokens: object = None
    max_completion_tokens: object = None
    n: object = None
    service_tier: object = None


class PromptTokensDetails(msgspec.Struct):
    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct):
    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


AnyUsage = Usage | dict[str, object] | UnsetType | None


class Function(msgspec.Struct, omit_defaults=True):
    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class ToolCall(msgspec.Struct):
    """A tool call, whole (no `index`) or as a delta (no `id` and `type` after the first)."""

    function: Function
    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


class Answer(msgspec.Struct):
    """A `message`, or the `delta` of a chunk, which leaves out what it does not add to."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    annotations: list[object] | UnsetType = UNSET


class Choice(msgspec.Struct):
    index: int
    message: Answer | UnsetType = UNSET
    delta: Answer | UnsetType = UNSET
    logprobs: None = None
    finish_reason: str | None = None


class Completion(msgspec.Struct):
    """A `chat.completion` or one `chat.completion.chunk`."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: AnyUsage = UNSET
    service_tier: str = "default"
    system_fingerprint: str = FINGERPRINT


class Error(msgspec.Struct):
    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(msgspec.Struct):
    error: Error


_REQUEST: Final = msgspec.json.Decoder(Request)


def invalid(message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> Refusal:
    return Refusal(status, message, kind="invalid_request_error", param=param, code=code)


def decode(body: bytes) -> Request:
    try:
        return _REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise invalid("The JSON body of your request must be an object.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
            f"your HTTP library correctly. The API expects a JSON payload: {error}.)"
        ) from error


def checked_model(value: object) -> str:
    if value is None or value == "":
        raise invalid("you must provide a model parameter")
    if not isinstance(value, str):
        raise wrong_type("model", "a string", value)
    if len(value) > LONGEST_MODEL_NAME:
        raise invalid(
            f"Invalid 'model': the longest name has {LONGEST_MODEL_NAME} characters.", param="model"
        )
    return value


def checked_messages(value: object) -> list[object]:
    if value is None:
        raise invalid(
            "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    if not isinstance(value, list):
        raise wrong_type("messages", "an array of objects", value)
    if not value:
        raise invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    return value


def checked_integer(name: str, value: object, highest: int | None = None) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "an integer", value)
    if value < 1:
        raise invalid(
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead.",
            param=name,
            code="integer_below_min_value",
        )
    if highest is not None and value > highest:
        raise invalid(
            f"Invalid '{name}': integer above maximum value. "
            f"Expected a value <= {highest}, but got {value} instead.",
            param=name,
            code="integer_above_max_value",
        )
    return value


def checked_stream_options(value: object, *, streams: bool) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong_type("stream_options", "an object", value)
    if not streams:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    return value


def checked_boolean(name: str, value: object) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def wrong_type(name: str, expected: str, value: object) -> Refusal:
    return invalid(
        f"Invalid type for '{name}': expected {expected}, but got {json_type(value)} instead.",
        param=name,
        code="invalid_type",
    )


def usage_of(call: Call, generation: Generation, plan: Plan) -> AnyUsage:
    if plan.omit_usage:
        return UNSET
    if plan.usage is not None:
        return plan.usage
    output_tokens = generation.output_tokens * call.answers
    return Usage(
        prompt_tokens=call.input_tokens,
        completion_tokens=output_tokens,
        total_tokens=call.input_tokens + output_tokens,
        prompt_tokens_details=PromptTokensDetails(),
        completion_tokens_details=CompletionTokensDetails(
            reasoning_tokens=generation.reasoning_tokens * call.answers
        ),
    )


def finish_reason(generation: Generation) -> str:
    if generation.was_cut:
        return "length"
    return "tool_calls" if generation.tool_call else "stop"


def whole_answer(generation: Generation, call_id: str) -> Answer:
    answer = Answer(role="assistant", content=generation.text, refusal=None, annotations=[])
    if generation.reasoning:
        answer.reasoning_content = generation.reasoning
    if generation.tool_call:
        answer.content = generation.text or None
        function = Function(generation.tool_call.name, generation.tool_arguments)
        answer.tool_calls = [ToolCall(function, id=call_id, type="function")]
    return answer


def deltas(generation: Generation, call_id: str) -> Iterator[tuple[Part, Answer]]:
    """The deltas of one choice, from its role to its last piece."""
    first_content = None if generation.tool_call and not generation.text else ""
    yield Part.FRAME, Answer(role="assistant", content=first_content, refusal=None)
    for piece in generation.reasoning_deltas:
        yield Part.DELTA, Answer(reasoning_content=piece)
    for piece in generation.text_deltas:
        yield Part.DELTA, Answer(content=piece)
    if generation.tool_call:
        opening = Function(generation.tool_call.name, "")
        yield Part.FRAME, Answer(tool_calls=[ToolCall(opening, index=0, id=call_id, type="function")])
        for piece in generation.tool_deltas:
            yield Part.DELTA, Answer(tool_calls=[ToolCall(Function(arguments=piece), index=0)])


class ChatCompletions:
    """The dialect of `POST /v1/chat/completions`."""

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        if not bearer(headers):
            raise invalid(
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )

    def read(self, body: bytes) -> Call:
        request = decode(body)
        streams = checked_boolean("stream", request.stream)
        options = checked_stream_options(request.stream_options, streams=streams)
        limits = (
            checked_integer("max_completion_tokens", request.max_completion_tokens),
            checked_integer("max_tokens", request.max_tokens),
        )
        return Call(
            model=checked_model(request.model),
            streams=streams,
            input_tokens=max(1, count_words(checked_messages(request.messages))),
            max_tokens=limits[0] or limits[1],
            service_tier=SERVED_TIERS.get(str(request.service_tier), "default"),
            answers=checked_integer("n", request.n, MOST_ANSWERS) or 1,
            has_stream_options=request.stream_options is not None,
            wants_stream_usage=options.get("include_usage") is True,
        )

    def check_plan(self, call: Call, plan: Plan) -> None:
        if plan.reject_stream_options and call.has_stream_options:
            raise invalid(
                "Unknown parameter: 'stream_options'.", param="stream_options", code="unknown_parameter"
            )

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        reason = finish_reason(generation)
        choices = [
            Choice(index, message=whole_answer(generation, f"call_{serial}{index}"), finish_reason=reason)
            for index in range(call.answers)
        ]
        completion = self._completion("chat.completion", call, plan, serial, choices)
        completion.usage = usage_of(call, generation, plan)
        return encode_merged(completion, plan.extra)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        reports_usage = call.wants_stream_usage and not plan.ignore_stream_options
        chunk = self._completion("chat.completion.chunk", call, plan, serial, [])
        chunk.usage = None if reports_usage else UNSET

        def event(part: Part, *choices: Choice) -> Event:
            chunk.choices = list(choices)
            return Event(part, b"data: " + encode_merged(chunk, plan.extra) + b"\n\n")

        for index in range(call.answers):
            for part, delta in deltas(generation, f"call_{serial}{index}"):
                yield event(part, Choice(index, delta=delta))
        reason = finish_reason(generation)
        for index in range(call.answers):
            yield event(Part.TERMINAL, Choice(index, delta=Answer(), finish_reason=reason))
        if reports_usage and not plan.omit_usage:
            chunk.usage = usage_of(call, generation, plan)
            yield event(Part.TERMINAL)
        yield DONE

    def _completion(
        self, kind: str, call: Call, plan: Plan, serial: str, choices: list[Choice]
    ) -> Completion:
        return Completion(
            id=f"chatcmpl-{serial}",
            object=kind,
            created=int(time.time()),
            model=plan.served_model or call.model,
            choices=choices,
            service_tier=plan.service_tier or call.service_tier,
        )

    def interlude(self) -> bytes:
        return COMMENT

    def error_event(self, plan: Plan, serial: str) -> bytes:
        return b"data: " + self.error_body(self.refusal(500, plan), serial) + b"\n\n"

    def refusal(self, status: int, plan: Plan) -> Refusal:
        kind, code, message = ERRORS.get(status, SERVER_ERROR if status >= 500 else CLIENT_ERROR)
        retry_after = 1 if plan.retry_after is None and status == 429 else plan.retry_after
        return Refusal(status, message, kind=plan.error_type or kind, code=code, retry_after=retry_after)

    def invalid(self, message: str, status: int = 400) -> Refusal:
        return invalid(message, status=status)

    def error_headers(self, refusal: Refusal) -> list[Header]:
        if refusal.retry_after is None:
            return []
        return [(b"retry-after", b"%d" % refusal.retry_after)]

    def error_body(self, refusal: Refusal, serial: str) -> bytes:  # noqa: ARG002 - the body names no request
        return msgspec.json.encode(
            ErrorBody(Error(refusal.message, refusal.kind, refusal.param, refusal.code))
        )

    def headers(self, serial: str, plan: Plan) -> list[Header]:
        return [
            *HEADERS,
            (b"openai-processing-ms", b"%d" % (plan.first_delay_ms + 1)),
            (b"x-request-id", b"req_" + serial.encode()),
        ]
