"""OpenAI Responses on the wire.

Source: openai-openapi "Create a model response", "Streaming events" and "Background mode"; openai-python. The usage
is in the response object: blocking it is the body, streamed it comes in the terminal event, and no `[DONE]` follows.
`input_tokens` includes cached reads and writes, `output_tokens` includes reasoning. Tools that the provider runs are
billed beside the tokens; `tool_usage` says how many searches, where it is there (not confirmed to be always there).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from visionality.core.call import Ask, Headers, Request, asked_model, clean, token_limit
from visionality.core.sse import Events, payload
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, UsageSource, count, counted
from visionality.gateway.dialects._core import (
    EMITTED_LIMIT,
    NOT_JSON,
    TAIL_LIMIT,
    JsonOverSse,
    counts_of,
    raw_text,
    stated_cost,
    thinking_budget,
)
from visionality.gateway.dialects.chat_completions import ChatCompletions
from visionality.gateway.dialects.member import with_number
from visionality.gateway.dialects.reach import responses_reach
from visionality.gateway.dialects.text import request_text, text_of

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_OPENAI = ChatCompletions()
_DELTA = re.compile(rb'"delta"\s*:\s*("(?:[^"\\]++|\\.)*+")')
_TERMINAL = re.compile(rb'"response\.(?:completed|incomplete|failed)"|"error"(?:\s*:\s*\{|(?!\s*:))')
_TOOL = re.compile(rb'"(?:web_search|file_search|code_interpreter|image_generation|shell)_call"')
SHORTEST = 16
"""The lowest output limit that OpenAI accepts."""

_OBJECTS = ("response", "response.compaction")
_BEGUN = ("queued", "in_progress")
_IN = ("cached_tokens", "cache_write_tokens")
_OUT = ("reasoning_tokens",)

_WITHIN_THE_TOKENS = frozenset(
    {
        *("message", "reasoning", "compaction", "program", "program_output", "additional_tools"),
        *("function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"),
        *("computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"),
        *("shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"),
        *("mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"),
        *("tool_search_call", "tool_search_output"),
    }
)
"""Items of an output that cost their tokens and nothing else; a shell is the client's, or it has a container."""
_BESIDE_THE_TOKENS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call"}
)


class Responses(JsonOverSse):
    """`POST /v1/responses`."""

    name = "responses"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        limit = token_limit(document.get("max_output_tokens"), "max_output_tokens")
        stream = document.get("stream") is True
        return Ask(model or asked_model(document), stream, limit, reach=responses_reach(document))

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        if limit < SHORTEST or limit <= thinking_budget(document):
            return None
        return with_number(body, ["max_output_tokens"], limit)

    def reader(self, ask: Ask) -> "ResponsesStream":  # noqa: ARG002
        return ResponsesStream()

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
        if not isinstance(answer, dict) or answer.get("object") not in _OBJECTS:
            return None
        if answer.get("status") in _BEGUN:
            return _begun(answer)
        return _metered(answer, list(_items(answer)), _said(answer), document)

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        return _OPENAI.error(status, code, message, request_id)

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        """The documented event, with the `error` member besides that makes openai-python raise it.

        Its number is 0: what the provider's events are numbered, only a reader of them could know.
        """
        error = _decode(self.error(500, code, message, request_id))["error"]
        event = {"type": "error", "code": code, "message": message, "param": None, "sequence_number": 0}
        return b"event: error\ndata: " + _encode(event | {"error": error}) + b"\n\n"


class Compaction(Responses):
    """`POST /v1/responses/compact`, which answers with a shorter conversation and takes no limit."""

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:  # noqa: ARG002
        return None


class InputTokens(Responses):
    """`POST /v1/responses/input_tokens`, which costs nothing; every field may be left out."""

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:  # noqa: ARG002
        return Ask(clean(document.get("model"), 200), stream=False, output_limit=None)


class StoredResponse(Responses):
    """`GET /v1/responses/{id}` and `POST …/cancel`: no body asks, and the answer is that of an earlier call."""

    def document(self, request: Request) -> dict[str, Any]:
        return {"stream": parse_qs(request.query).get("stream") == ["true"]}

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:  # noqa: ARG002
        return Ask(None, document["stream"], output_limit=None)


class ResponsesStream:
    """The events of one streamed response."""

    def __init__(self) -> None:
        self._events = Events()
        self._held = b""
        self._response: dict[str, Any] = {}
        self._tools: list[dict[str, Any]] = []
        self._error = False
        self._emitted = bytearray()
        self._emitted_bytes = 0
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
        answer = self._response
        if not self.complete and answer.get("background") is True:
            return _begun(answer)
        emitted = sum(estimated_tokens(text_of(match[1])) for match in _DELTA.finditer(self._emitted))
        if self._emitted_bytes > EMITTED_LIMIT:
            emitted = emitted * self._emitted_bytes // len(self._emitted)
        metered = _metered(answer, list(_items(answer)) or self._tools, emitted, document)
        return msgspec.structs.replace(metered, finish="upstream_error") if self._error else metered

    def _read(self, event: bytes) -> bytes:
        if self.complete:
            self._held = (self._held + event)[:TAIL_LIMIT]
            return b""
        if _TERMINAL.search(event) and self._ends(event):
            self.complete = True
            self._held = event
            return b""
        if b'.delta"' in event and b'audio.delta"' not in event:
            if self._emitted_bytes < EMITTED_LIMIT:
                self._emitted += event
            self._emitted_bytes += len(event)
        elif not self._response or (b'"response.output_item.done"' in event and _TOOL.search(event)):
            self._note(event)
        return event

    def _ends(self, event: bytes) -> bool:
        """Whether an event is the last one; what it says is then known."""
        match _document(event):
            case {
                "type": "response.completed" | "response.incomplete" | "response.failed" as kind,
                "response": dict(response),
            }:
                self._response |= {name: value for name, value in response.items() if value is not None}
                self._response["status"] = kind.removeprefix("response.")
                return True
            case {"type": "error"} | {"error": dict()}:
                self._error = True
                return True
        return False

    def _note(self, event: bytes) -> None:
        match _document(event):
            case {"type": "response.output_item.done", "item": dict(item)}:
                self._tools.append(item)
            case {"response": dict(response)}:
                kept = ("id", "model", "service_tier", "background")
                self._response |= {name: response[name] for name in kept if response.get(name)}


def _document(event: bytes) -> Any:
    try:
        return _decode(payload(event))
    except NOT_JSON:
        return None


def _begun(answer: Mapping[str, Any]) -> Metered:
    """A call that goes on at the provider's: nothing is known yet but where to ask."""
    return Metered(
        Usage(),
        "none",
        clean(answer.get("model"), 200),
        _tier(answer),
        finish=clean(answer.get("status"), 60),
        answer_id=clean(answer.get("id"), 200),
    )


def _metered(
    answer: Mapping[str, Any], items: list[dict[str, Any]], emitted: int, document: Mapping[str, Any]
) -> Metered:
    """What a response says of itself; estimated from the request and what was emitted where it says nothing."""
    reported = answer.get("usage")
    reported = reported if isinstance(reported, dict) else {}
    tools, problems = _tools(answer, items)
    source: UsageSource = "tokenizer_estimate"
    if (
        counted(reported.get("input_tokens")) is not None
        and counted(reported.get("output_tokens")) is not None
    ):
        source = "provider_final"
        usage = _usage(reported, problems)
    else:
        usage = _estimated(document, emitted, problems)
        if answer.get("status"):
            problems.insert(0, "the usage has no counts" if reported else "no usage in the answer")
    return Metered(
        usage + tools,
        source,
        clean(answer.get("model"), 200),
        _tier(answer),
        raw_text(reported),
        _finish(answer),
        "; ".join(problems) or None,
        stated_cost(reported),
        answer_id=clean(answer.get("id"), 200),
    )


def _tier(answer: Mapping[str, Any]) -> dict[str, str]:
    tier = clean(answer.get("service_tier"), 40)
    return {"service_tier": tier} if tier else {}


def _finish(answer: Mapping[str, Any]) -> str | None:
    """How it ended: why it is incomplete, else its status."""
    details = answer.get("incomplete_details")
    reason = clean(details.get("reason"), 60) if isinstance(details, dict) else None
    return reason or clean(answer.get("status"), 60)


def _usage(reported: Mapping[str, Any], problems: list[str]) -> Usage:
    """The disjoint buckets of a report."""
    read, said = count(reported.get("input_tokens")), count(reported.get("output_tokens"))
    (total,) = counts_of(reported, ("total_tokens",), problems)
    details = reported.get("input_tokens_details")
    cached, written = counts_of(details, _IN, problems)
    (reasoning,) = counts_of(reported.get("output_tokens_details"), _OUT, problems)
    if not read:
        problems.append("no input is reported")
    if cached + written > read:
        problems.append(f"the input adds up to {cached + written}, input_tokens says {read}")
    if reasoning > said:
        problems.append(f"reasoning is {reasoning}, output_tokens says {said}")
    if total != read + said and counted(reported.get("total_tokens")) is not None:
        problems.append(f"input and output add up to {read + said}, total_tokens says {total}")
    split = details.get("cache_write_tokens_details") if isinstance(details, dict) else None
    if isinstance(split, dict) and count(split.get("ttl_12h_tokens")):
        problems.append("some was written to the cache for 12 hours, and is priced like a shorter write")
    return Usage(
        in_text=max(0, read - cached - written),
        cache_read=cached,
        cache_write_other=written,
        out_text=max(0, said - reasoning),
        out_reasoning=reasoning,
    )


def _estimated(document: Mapping[str, Any], emitted: int, problems: list[str]) -> Usage:
    asked = [document.get("instructions"), document.get("input"), document.get("tools")]
    earlier = [name for name in ("previous_response_id", "conversation", "prompt") if document.get(name)]
    if earlier:
        problems.append(f"what `{earlier[0]}` brought in is not counted")
    return Usage(in_text=estimated_tokens(request_text(asked)), out_text=emitted)


def _items(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    output = answer.get("output")
    return (item for item in output if isinstance(item, dict)) if isinstance(output, list) else iter(())


def _tools(answer: Mapping[str, Any], items: list[dict[str, Any]]) -> tuple[Usage, list[str]]:
    """What is billed beside the tokens, and what of it is not certain."""
    done = [item for item in items if item.get("status") in ("completed", None)]
    kinds = [item.get("type") for item in done]
    containers = {name for item in items if (name := _container(item))}
    problems = []
    if containers:
        problems.append("a container was used, and whether its session was paid before is not known")
    images = kinds.count("image_generation_call")
    if images:
        problems.append("another model made images, and its tokens are not in the sum")
    unheard_of = {str(item.get("type")) for item in items} - _WITHIN_THE_TOKENS - _BESIDE_THE_TOKENS
    problems += [f"what {clean(kind, 60)} costs is not known" for kind in sorted(unheard_of)]
    searches = _stated_searches(answer)
    if searches is None:
        searches = sum(item.get("type") == "web_search_call" and _is_search(item) for item in done)
    return Usage(
        web_search=searches,
        file_search=kinds.count("file_search_call"),
        code_session=len(containers),
        images=images,
    ), problems


def _container(item: Mapping[str, Any]) -> str | None:
    """The provider's machine that an item ran on. Each is a session, which is billed by time."""
    match item:
        case {"type": "code_interpreter_call"}:
            return clean(item.get("container_id"), 200) or "not named"
        case {"type": "shell_call", "environment": {"container_id": name}}:
            return clean(name, 200)
    return None


def _stated_searches(answer: Mapping[str, Any]) -> int | None:
    """How many searches the provider says that it bills."""
    match answer.get("tool_usage"):
        case {"web_search": {"num_requests": number}}:
            return counted(number)
    return None


def _is_search(item: Mapping[str, Any]) -> bool:
    """Whether a web item is a search: opening a page, or looking within one, is not billed."""
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type", "search") == "search"


def _said(answer: Mapping[str, Any]) -> int:
    """Our count of the text in an output."""
    texts = []
    for item in _items(answer):
        texts += [item.get(name) for name in ("arguments", "input", "code")]
        for parts in (item.get("content"), item.get("summary")):
            if isinstance(parts, list):
                texts += [part.get("text") or part.get("refusal") for part in parts if isinstance(part, dict)]
    return estimated_tokens(request_text(texts))
