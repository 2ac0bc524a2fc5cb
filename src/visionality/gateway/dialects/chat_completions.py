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

from visionality.core.call import Ask, Headers, Request, asked_model, clean, token_limit
from visionality.core.sse import Events, payload, with_payload
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, UsageSource, counted
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
from visionality.gateway.dialects.member import (
    Members,
    member_of,
    members_of,
    with_member,
    with_number,
    without_member,
)
from visionality.gateway.dialects.openai_errors import OpenAIErrors
from visionality.gateway.dialects.reach import chat_reach
from visionality.gateway.dialects.text import request_text, text_of

_decode = msgspec.json.Decoder().decode
_LIMITS = ("max_completion_tokens", "max_tokens")
_OPENAIS = re.compile(r"(?:ft:|openai/)*(?:chatgpt-|codex-|computer-use|gpt-(?!oss)|o\d)")
_DELTA = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments)"\s*:\s*("(?:[^"\\]++|\\.)*+")'
)
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"([a-z_]{1,40})"')
_NULL = re.compile(rb'"usage"\s*:\s*null(?=\s*[,}])')
_NULL_LAST = b',"usage":null}\n\n'
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens")
_IN = ("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens")
_OUT = ("reasoning_tokens", "audio_tokens", "rejected_prediction_tokens")


class ChatCompletions(OpenAIErrors, JsonOverSse):
    """`POST /v1/chat/completions`."""

    name = "chat_completions"

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        limit = None
        for name in _LIMITS:
            if name in document and (given := token_limit(document[name], name)):
                limit = max(given, limit or 0)
        choices = (token_limit(document["n"], "n") or 1) if "n" in document else 1
        options = document.get("stream_options")
        stream = document.get("stream") is True
        included = not stream or (isinstance(options, dict) and options.get("include_usage") is True)
        return Ask(
            model or asked_model(document),
            stream,
            limit and limit * choices,
            included,
            answers=choices,
            reach=chat_reach(document),
        )

    def outgoing(self, request: Request, ask: Ask) -> bytes:
        return request.body if ask.include_usage else with_usage_asked(request.body)

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        """The body with a limit in the member that the client used.

        Where it used none: OpenAI's newer models know only the one name, and some that speak its format only the other.
        """
        each = limit // (document.get("n") or 1)
        used = [name for name in _LIMITS if document.get(name) is not None]
        if len(used) > 1 or each <= thinking_budget(document):
            return None
        name = _LIMITS[not _OPENAIS.match(str(document.get("model")))]
        return with_number(body, used or [name], each)

    def reader(self, ask: Ask) -> "ChatCompletionsStream":
        return ChatCompletionsStream(hide_usage=not ask.include_usage)

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
        if type(answer) is not dict or type(answer.get("choices")) is not list:
            return None
        choices = [choice for choice in answer["choices"] if type(choice) is dict]
        finish = clean(choices[0].get("finish_reason"), 60) if choices else None
        reported = answer.get("usage")
        if type(reported) is dict and _is_report(reported):
            return _metered(reported, answer, "provider_final", finish)
        emitted = estimated_tokens(request_text([choice.get("message") for choice in choices]))
        return _estimated(document, emitted, answer, reported, finish, "no usage in the answer")


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
        self._done = False
        self._error = False
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
        finish = "upstream_error" if self._error else self._finish
        if _is_report(self._usage):
            source: UsageSource = "provider_final" if self._done or self._finish else "provider_partial"
            return _metered(self._usage, self._chunk, source, finish)
        emitted = sum(estimated_tokens(text_of(match[1])) for match in _DELTA.finditer(self._emitted))
        if self._emitted_bytes > EMITTED_LIMIT:
            emitted = emitted * self._emitted_bytes // len(self._emitted)
        return _estimated(document, emitted, self._chunk, self._usage, finish, None)

    def _read(self, event: bytes) -> bytes:
        if b"[DONE]" in event and payload(event) == b"[DONE]":
            self.complete = self._done = True
        out = event if self._done else self._chunk_for_client(event)
        if self._error:  # OpenRouter reports usage after it
            self.complete = True
        if not self.complete:
            return out
        self._held = (self._held + out)[:TAIL_LIMIT]
        return b""

    def _chunk_for_client(self, event: bytes) -> bytes:
        """Learn from an event, and leave out of it what the client did not ask for."""
        if not self._chunk:
            self._note(event)
        if finish := _FINISH.search(event):
            self._finish = finish[1].decode()
        if b'"error"' in event:
            self._error |= _is_error(event)
        if self._emitted_bytes < EMITTED_LIMIT:
            self._emitted += event
        self._emitted_bytes += len(event)
        reports = event.count(b'"usage"')
        if not reports:
            return event
        if reports == 1 and event.endswith(_NULL_LAST) and _is_one_line(event):
            return event[: -len(_NULL_LAST)] + b"}\n\n" if self._hide else event
        return self._without_null(event) or self._without_usage(event)

    def _note(self, event: bytes) -> None:
        try:
            chunk = _decode(payload(event))
        except NOT_JSON:
            return
        if isinstance(chunk, dict):
            self._chunk |= {name: chunk[name] for name in ("model", "service_tier") if chunk.get(name)}

    def _without_null(self, event: bytes) -> bytes | None:
        """A chunk that says that there is no usage yet; None when the event needs a closer look."""
        start = event.find(b'"usage"')
        null = _NULL.match(event, start)
        if null is None or b'"usage"' in event[null.end() :] or not _is_one_line(event):
            return None
        if not self._hide:
            return event
        before, after = event[:start].rstrip(), event[null.end() :]
        rest = _STRINGS.sub(b"", after)
        is_on_top = rest.count(b"}") + rest.count(b"]") - rest.count(b"{") - rest.count(b"[") == 1
        return before[:-1] + after if is_on_top and before.endswith(b",") else None

    def _without_usage(self, event: bytes) -> bytes:
        data = payload(event)
        try:
            members = members_of(data)
            reported = _decode(members["usage"])
        except (KeyError, *NOT_JSON):
            return event
        if isinstance(reported, dict):
            self._usage |= {name: value for name, value in reported.items() if value is not None}
            self._note(event)
        if not self._hide:
            return event
        if reported is not None and _is_empty_list(members.get("choices")):
            return b""
        return with_payload(event, data, without_member(data, members, "usage"))


def _is_one_line(event: bytes) -> bool:
    return event.startswith(b"data:") and event.count(b"\n") <= 2


def _is_empty_list(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(raw).translate(None, b" \t\r\n") == b"[]"


def _is_error(event: bytes) -> bool:
    try:
        return bool(_decode(members_of(payload(event)).get("error", b"null")))
    except NOT_JSON:
        return False


def with_usage_asked(body: bytes) -> bytes:
    """The body with `stream_options.include_usage` true, changed in the smallest span of bytes.

    A `stream_options` that is neither an object nor null is left for the provider to refuse.
    """
    members = members_of(body)
    if "stream_options" not in members:
        return with_member(body, members, b'"stream_options":{"include_usage":true}')
    options = bytes(members["stream_options"])
    start, end = member_of(body, members, "stream_options")[1:]
    return body[:start] + _with_usage_included(options) + body[end:]


def _with_usage_included(options: bytes) -> bytes:
    if options == b"null":
        return b'{"include_usage":true}'
    try:
        members: Members = members_of(options)
    except msgspec.ValidationError:
        return options
    if "include_usage" not in members:
        return with_member(options, members, b'"include_usage":true')
    start, end = member_of(options, members, "include_usage")[1:]
    return options[:start] + b"true" + options[end:]


def _is_report(reported: Mapping[str, Any]) -> bool:
    return (
        counted(reported.get("prompt_tokens")) is not None
        and counted(reported.get("completion_tokens")) is not None
    )


def _metered(
    reported: dict[str, Any], answer: Mapping[str, Any], source: UsageSource, finish: str | None
) -> Metered:
    usage, problem = _usage(reported)
    model = clean(answer.get("model"), 200)
    stated = stated_cost(reported)
    return Metered(usage, source, model, _tier(answer), raw_text(reported), finish, problem, stated)


def _tier(answer: Mapping[str, Any]) -> dict[str, str]:
    tier = clean(answer["service_tier"], 40) if "service_tier" in answer else None
    return {"service_tier": tier} if tier else {}


def _usage(reported: Mapping[str, Any]) -> tuple[Usage, str | None]:
    """The disjoint buckets of a report, and what in it contradicts itself."""
    problems: list[str] = []
    prompt, completion, total = counts_of(reported, _TOTALS, problems)
    cached, written, audio, image = counts_of(reported.get("prompt_tokens_details"), _IN, problems)
    reasoning, spoken, rejected = counts_of(reported.get("completion_tokens_details"), _OUT, problems)
    if reasoning and total == prompt + completion + reasoning:
        completion += reasoning  # vendors that count reasoning beside `completion_tokens` (xAI)
    fresh, said = prompt - cached - written - audio - image, completion - reasoning - spoken - rejected
    usage = Usage(
        in_text=max(0, fresh),
        in_image=image,
        in_audio=audio,
        cache_read=cached,
        cache_write_other=written,
        out_text=max(0, said),
        out_reasoning=reasoning,
        out_audio=spoken,
        out_rejected_prediction=rejected,
    )
    if not prompt:
        problems.append("no input is reported")
    if fresh < 0:
        problems.append(f"the input adds up to {usage.total_input_tokens}, prompt_tokens says {prompt}")
    if said < 0:
        problems.append(f"the output adds up to {usage.output_tokens}, completion_tokens says {completion}")
    if total != prompt + completion and counted(reported.get("total_tokens")) is not None:
        problems.append(f"input and output add up to {prompt + completion}, total_tokens says {total}")
    return usage, "; ".join(problems) or None


def _estimated(
    document: Mapping[str, Any],
    emitted: int,
    answer: Mapping[str, Any],
    reported: object,
    finish: str | None,
    problem: str | None,
) -> Metered:
    read = estimated_tokens(request_text([document.get("messages"), document.get("tools")]))
    return Metered(
        Usage(in_text=read, out_text=emitted),
        "tokenizer_estimate",
        clean(answer.get("model"), 200),
        _tier(answer),
        raw_text(reported) if isinstance(reported, dict) else None,
        finish,
        problem or ("the usage has no counts" if reported else None),
    )
