"""OpenAI's Responses: the wire format of `POST /v1/responses`, and of the answers that are kept and fetched by id.

Source: openai-openapi, "Create a model response", "Streaming events", "Background mode" and "Retrieve a model
response"; openai-python, whose stream helper checks the order of the events. Credential and errors are those of
Chat Completions.

A call with `background` is answered with `queued`; it is in progress when it is fetched for the first time, and
complete after that. Answers are kept in memory, the latest MOST_KEPT of them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from visionality.sandbox.call import refuse
from visionality.sandbox.chat_completions import (
    SERVED_TIERS,
    ChatCompletions,
    checked_boolean,
    checked_integer,
    checked_model,
    invalid,
    wrong_type,
)
from visionality.sandbox.dialect import EVENT_STREAM, JSON, Call, Refusal, new_serial
from visionality.sandbox.exchange import Exchange
from visionality.sandbox.generation import Generation, count_words
from visionality.sandbox.plan import NO_PLAN, Plan
from visionality.sandbox.stream import Event, Part, play

PATH: Final = "/v1/responses"
MOST_KEPT: Final = 1000
NO_OUTPUT: Final[dict[str, object]] = {"output": [], "usage": None, "completed_at": None}

Json = dict[str, Any]


class Request(msgspec.Struct):
    """The fields of a request that the sandbox reads."""

    model: object = None
    input: object = None
    instructions: object = None
    stream: object = None
    background: object = None
    store: object = None
    max_output_tokens: object = None
    previous_response_id: object = None
    service_tier: object = None
    tools: list[Any] = []


_REQUEST: Final = msgspec.json.Decoder(Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCall(Call):
    """A call whose answer may be kept, and fetched later."""

    background: bool
    is_kept: bool
    echoed: Json
    input: object


@dataclass(slots=True)
class Kept:
    """An answer that is kept. `stage` is `in_progress`, `cancelled` or `ended`."""

    call: ResponseCall
    generation: Generation
    plan: Plan
    serial: str
    stage: str


class Responses(ChatCompletions):
    """The dialect of `POST /v1/responses`."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    def read(self, body: bytes) -> ResponseCall:
        try:
            request = _REQUEST.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise invalid(f"We could not parse the JSON body of your request: {error}") from error
        if not isinstance(request.input, str | list):
            raise wrong_type("input", "a string or an array of objects", request.input)
        background = checked_boolean("background", request.background)
        if background and request.store is False:
            raise invalid("Background mode requires store to be true.", param="store")
        return ResponseCall(
            model=checked_model(request.model),
            streams=checked_boolean("stream", request.stream),
            input_tokens=max(1, count_words(request.input) + count_words(request.instructions)),
            max_tokens=checked_integer("max_output_tokens", request.max_output_tokens),
            service_tier=SERVED_TIERS.get(str(request.service_tier), "default"),
            background=background,
            is_kept=request.store is not False,
            echoed={
                "instructions": request.instructions,
                "tools": request.tools,
                "previous_response_id": request.previous_response_id,
                "store": request.store is not False,
                "max_output_tokens": request.max_output_tokens,
            },
            input=request.input,
        )

    def check_plan(self, call: Call, plan: Plan) -> None:
        """No plan makes this provider refuse a call; a status does."""

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        assert isinstance(call, ResponseCall)
        self._keep(Kept(call, generation, plan, serial, "in_progress" if call.background else "ended"))
        whole = response(call, generation, plan, serial)
        return msgspec.json.encode(whole | NO_OUTPUT | {"status": "queued"} if call.background else whole)

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]:
        assert isinstance(call, ResponseCall)
        self._keep(Kept(call, generation, plan, serial, "ended"))
        whole = response(call, generation, plan, serial)
        for number, (part, event) in enumerate(steps(whole, generation)):
            data = msgspec.json.encode(event | {"sequence_number": number})
            yield Event(part, b"event: " + event["type"].encode() + b"\ndata: " + data + b"\n\n")

    def error_event(self, plan: Plan, serial: str) -> bytes:  # noqa: ARG002 - the event names no request
        error = self.refusal(500, plan)
        event = {"type": "error", "code": error.kind, "message": error.message, "param": None}
        return b"event: error\ndata: " + msgspec.json.encode(event | {"sequence_number": 99}) + b"\n\n"

    def kept(self, name: str) -> Kept:
        """Raises Refusal when there is no such answer."""
        if name not in self._kept:
            raise invalid(f"Response with id '{name}' not found.", status=404)
        return self._kept[name]

    def forget(self, name: str) -> None:
        del self._kept[name]

    def _keep(self, kept: Kept) -> None:
        if kept.call.is_kept:
            self._kept[f"resp_{kept.serial}"] = kept
            while len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]


class Compaction(Responses):
    """The dialect of `POST /v1/responses/compact`."""

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes:
        compaction = {"id": f"cmp_{serial}", "type": "compaction", "encrypted_content": generation.text}
        answer = {
            "id": f"resp_{serial}",
            "object": "response.compaction",
            "created_at": int(time.time()),
            "output": [compaction],
            "usage": usage_of(call, generation, plan),
        }
        return msgspec.json.encode(answer | plan.extra)


def response(call: ResponseCall, generation: Generation, plan: Plan, serial: str) -> Json:
    """The whole response, as it is at its end."""
    whole: Json = {
        "id": f"resp_{serial}",
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": int(time.time()),
        "status": "incomplete" if generation.was_cut else "completed",
        "background": call.background,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if generation.was_cut else None,
        "metadata": {},
        "model": plan.served_model or call.model,
        "output": items(generation, serial),
        "parallel_tool_calls": True,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": plan.service_tier or call.service_tier,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage_of(call, generation, plan),
        "user": None,
    }
    return whole | call.echoed | plan.extra


def usage_of(call: Call, generation: Generation, plan: Plan) -> object:
    if plan.omit_usage:
        return None
    return plan.usage or {
        "input_tokens": call.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": generation.output_tokens,
        "output_tokens_details": {"reasoning_tokens": generation.reasoning_tokens},
        "total_tokens": call.input_tokens + generation.output_tokens,
    }


def items(generation: Generation, serial: str) -> list[Json]:
    """The items of the output: reasoning, message, tool call, as far as there are any."""
    found: list[Json] = []
    if generation.reasoning:
        summary = [{"type": "summary_text", "text": generation.reasoning}]
        found.append({"id": f"rs_{serial}", "type": "reasoning", "summary": summary})
    if generation.text or not generation.tool_call:
        text = {"type": "output_text", "text": generation.text, "annotations": [], "logprobs": []}
        message = {"id": f"msg_{serial}", "type": "message", "role": "assistant", "content": [text]}
        found.append(message | {"status": "incomplete" if generation.was_cut else "completed"})
    if generation.tool_call:
        call = {"id": f"fc_{serial}", "type": "function_call", "call_id": f"call_{serial}"}
        asked = {"name": generation.tool_call.name, "arguments": generation.tool_arguments}
        found.append(call | asked | {"status": "completed"})
    return found


def steps(whole: Json, generation: Generation) -> Iterator[tuple[Part, Json]]:
    """The events of a stream, without their numbers."""
    begun = whole | NO_OUTPUT | {"status": "in_progress", "incomplete_details": None, "error": None}
    yield Part.FRAME, {"type": "response.created", "response": begun}
    yield Part.FRAME, {"type": "response.in_progress", "response": begun}
    said = items(generation, whole["id"].removeprefix("resp_"))
    for index, item in enumerate(said):
        place: Json = {"output_index": index, "item_id": item["id"]}
        yield Part.FRAME, {"type": "response.output_item.added", "output_index": index, "item": empty(item)}
        match item["type"]:
            case "reasoning":
                yield from reasoning_steps(place, item, generation)
            case "message":
                yield from text_steps(place, item, generation)
            case _:
                yield from argument_steps(place, item, generation)
        yield Part.FRAME, {"type": "response.output_item.done", "output_index": index, "item": item}
    yield Part.TERMINAL, {"type": f"response.{whole['status']}", "response": whole}


def empty(item: Json) -> Json:
    """An item as it is before anything was said of it."""
    begun: Json = {"status": "in_progress"} if "status" in item else {}
    nothing: Json = {"summary": [], "content": [], "arguments": ""}
    return item | begun | {name: value for name, value in nothing.items() if name in item}


def reasoning_steps(place: Json, item: Json, generation: Generation) -> Iterator[tuple[Part, Json]]:
    place = place | {"summary_index": 0}
    kind, (part,) = "response.reasoning_summary", item["summary"]
    yield Part.FRAME, place | {"type": f"{kind}_part.added", "part": part | {"text": ""}}
    for piece in generation.reasoning_deltas:
        yield Part.DELTA, place | {"type": f"{kind}_text.delta", "delta": piece}
    yield Part.FRAME, place | {"type": f"{kind}_text.done", "text": generation.reasoning}
    yield Part.FRAME, place | {"type": f"{kind}_part.done", "part": part}


def text_steps(place: Json, item: Json, generation: Generation) -> Iterator[tuple[Part, Json]]:
    place = place | {"content_index": 0}
    (part,) = item["content"]
    yield Part.FRAME, place | {"type": "response.content_part.added", "part": part | {"text": ""}}
    for piece in generation.text_deltas:
        yield Part.DELTA, place | {"type": "response.output_text.delta", "delta": piece, "logprobs": []}
    whole = {"type": "response.output_text.done", "text": generation.text, "logprobs": []}
    yield Part.FRAME, place | whole
    yield Part.FRAME, place | {"type": "response.content_part.done", "part": part}


def argument_steps(place: Json, item: Json, generation: Generation) -> Iterator[tuple[Part, Json]]:
    kind = "response.function_call_arguments"
    for piece in generation.tool_deltas:
        yield Part.DELTA, place | {"type": f"{kind}.delta", "delta": piece}
    yield Part.FRAME, place | {"type": f"{kind}.done", "name": item["name"], "arguments": item["arguments"]}


async def answer_kept(exchange: Exchange, dialect: Responses) -> None:
    """Answer a request about an answer that is kept, or for a count of input tokens."""
    serial = new_serial()
    headers = [*dialect.headers(serial, NO_PLAN), JSON]
    name, _, verb = exchange.path.removeprefix(PATH + "/").partition("/")
    try:
        body = await exchange.body()
        dialect.check_headers(exchange.headers)
        match exchange.method, name, verb:
            case "POST", "input_tokens", "":
                await exchange.answer(200, headers, counted(dialect.read(body)))
            case "GET", _, "":
                await fetch(exchange, dialect, dialect.kept(name))
            case "GET", _, "input_items":
                await exchange.answer(200, headers, input_items(dialect.kept(name)))
            case "POST", _, "cancel":
                await exchange.answer(200, headers, cancelled(dialect.kept(name)))
            case "DELETE", _, "":
                dialect.kept(name)
                dialect.forget(name)
                gone = {"id": name, "object": "response", "deleted": True}
                await exchange.answer(200, headers, msgspec.json.encode(gone))
            case _:
                raise invalid(f"Invalid URL ({exchange.method} {exchange.path}).", status=404)
    except Refusal as refusal:
        await refuse(exchange, dialect, refusal, serial)


async def fetch(exchange: Exchange, dialect: Responses, kept: Kept) -> None:
    """Answer with a kept answer as it is by now: whole, or as the stream that it was."""
    query = parse_qs(exchange.target.partition(b"?")[2].decode())
    if query.get("stream") == ["true"]:
        kept.stage = "ended"
        after = int(query.get("starting_after", ["-1"])[0])
        events = list(dialect.events(kept.call, kept.generation, kept.plan, kept.serial))[after + 1 :]
        await exchange.start(200, [*dialect.headers(kept.serial, NO_PLAN), *EVENT_STREAM])
        await play(exchange, events, NO_PLAN, interlude=b"", error_event=b"")
        return
    headers = [*dialect.headers(new_serial(), NO_PLAN), JSON]
    await exchange.answer(200, headers, msgspec.json.encode(as_it_is(kept)))
    if kept.stage == "in_progress":
        kept.stage = "ended"


def as_it_is(kept: Kept) -> Json:
    whole = response(kept.call, kept.generation, kept.plan, kept.serial)
    if kept.stage == "ended":
        return whole
    return whole | NO_OUTPUT | {"status": kept.stage}


def cancelled(kept: Kept) -> bytes:
    """Raises Refusal when the answer is none that runs in the background."""
    if not kept.call.background:
        raise invalid("Only responses created with background=true can be cancelled.")
    if kept.stage != "ended":
        kept.stage = "cancelled"
    return msgspec.json.encode(as_it_is(kept))


def counted(call: ResponseCall) -> bytes:
    return msgspec.json.encode({"object": "response.input_tokens", "input_tokens": call.input_tokens})


def input_items(kept: Kept) -> bytes:
    given = kept.call.input
    text = [{"type": "input_text", "text": given}]
    asked = [{"type": "message", "role": "user", "content": text}] if isinstance(given, str) else given
    assert isinstance(asked, list)
    data = [{"id": f"item_{kept.serial}{at}"} | item for at, item in enumerate(asked)]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return msgspec.json.encode({"object": "list", "data": data, "has_more": False} | ends)
