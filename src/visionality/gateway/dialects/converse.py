"""Amazon Bedrock's Converse and ConverseStream on the wire.

Source: botocore's service model `bedrock-runtime`; AWS, "Converse API" and "Prompt caching" (August 2026).
`inputTokens` excludes cached tokens, and `totalTokens` counts everything. Where an OpenAI model answers, `inputTokens`
was seen to include them; `totalTokens` tells the two apart, and the row says when it did.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, Reach, clean, token_limit
from visionality.core.eventstream import Frame
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, counted
from visionality.gateway.dialects._core import NOT_JSON, counts_of, raw_text, thinking_budget
from visionality.gateway.dialects.bedrock import Bedrock, Emitted, FrameStream, limits_in, text_behind
from visionality.gateway.dialects.member import with_number
from visionality.gateway.dialects.reach import converse_reach
from visionality.gateway.dialects.text import request_text

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_SAID = text_behind("text", "input", "signature", "redactedContent")
_COUNTS = ("inputTokens", "outputTokens", "totalTokens")
_CACHED = ("cacheReadInputTokens", "cacheWriteInputTokens")
_CACHED_TOO = ("cacheReadInputTokenCount", "cacheWriteInputTokenCount")
"""As Amazon's own models name the same counts in their native bodies."""


class Converse(Bedrock):
    """`POST /model/{id}/converse` and `/converse-stream`, and `/count-tokens`, which costs nothing."""

    name = "converse"

    def reach(self, document: Mapping[str, Any], model: str) -> Reach:
        return converse_reach(document, model)

    def output_limit(self, document: Mapping[str, Any]) -> int | None:
        settings = document.get("inferenceConfig")
        limit = token_limit(settings.get("maxTokens"), "maxTokens") if isinstance(settings, dict) else None
        more = document.get("additionalModelRequestFields")
        if limit is None or not isinstance(more, dict):
            return limit
        return max([limit, *limits_in(more)])

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        more = document.get("additionalModelRequestFields")
        if isinstance(more, dict) and (limits_in(more) or limit <= thinking_budget(more)):
            return None
        return with_number(body, ["inferenceConfig", "maxTokens"], limit)

    def reader(self, ask: Ask) -> "ConverseStream":  # noqa: ARG002
        return ConverseStream()

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
        if not isinstance(answer, dict) or not isinstance(answer.get("output"), dict):
            return None
        emitted = Emitted(_SAID)
        emitted.add(_encode(answer["output"]))
        return metered(answer, document, emitted)


class ConverseStream(FrameStream):
    """The events of one streamed answer; `metadata` is the last of them and has the usage."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: dict[str, Any] = {}
        self._emitted = Emitted(_SAID)

    def metered(self, document: Mapping[str, Any]) -> Metered:
        found = metered(self._answer, document, self._emitted)
        if self._failed or not self.complete:
            found = msgspec.structs.replace(found, problem=None)
        return msgspec.structs.replace(found, finish="upstream_error") if self._failed else found

    def _ends(self, event: Frame) -> bool:
        if event.kind == "contentBlockDelta":
            self._emitted.add(event.payload)
        elif event.kind in {"messageStop", "metadata"}:
            try:
                told = _decode(event.payload)
            except NOT_JSON:
                told = None
            if isinstance(told, dict):
                self._answer |= {name: value for name, value in told.items() if value is not None}
        return event.kind == "metadata"


def metered(answer: Mapping[str, Any], document: Mapping[str, Any], emitted: Emitted) -> Metered:
    """What an answer says, blocking or put together from its events; estimated where it has no usable report."""
    reported = answer.get("usage")
    usage, problem = _usage(reported) if isinstance(reported, dict) else (Usage(), None)
    is_report = isinstance(reported, dict) and all(
        counted(reported.get(name)) is not None for name in ("inputTokens", "outputTokens")
    )
    if not is_report:
        usage = _estimated(usage, document, emitted.tokens)
        problem = "no usage in the answer"
    return Metered(
        usage,
        "provider_final" if is_report else "tokenizer_estimate",
        _invoked_model(answer.get("trace")),
        _tier(answer),
        raw_text(reported) if isinstance(reported, dict) else None,
        clean(answer.get("stopReason"), 60),
        problem,
    )


def _invoked_model(trace: object) -> str | None:
    """The model that a prompt router chose, by the last segment of its ARN."""
    match trace:
        case {"promptRouter": {"invokedModelId": str(arn)}}:
            return clean(arn.rpartition("/")[2], 200)
    return None


def _tier(answer: Mapping[str, Any]) -> dict[str, str]:
    tier = {}
    match answer.get("serviceTier"):
        case {"type": str(kind)}:
            tier["service_tier"] = clean(kind, 40)
    match answer.get("performanceConfig"):
        case {"latency": str(latency)}:
            tier["latency"] = clean(latency, 40)
    return {name: value for name, value in tier.items() if value}


def _usage(reported: Mapping[str, Any]) -> tuple[Usage, str | None]:
    """The disjoint buckets of a report, and what in it contradicts itself or the rule."""
    problems: list[str] = []
    fresh, output, total = counts_of(reported, _COUNTS, problems)
    names = tuple(
        other if reported.get(name) is None else name
        for name, other in zip(_CACHED, _CACHED_TOO, strict=True)
    )
    read, written = counts_of(reported, names, problems)
    short, long, other = _split(reported.get("cacheDetails"), problems)
    if short + long + other > written:
        if written:
            problems.append(f"cacheDetails add up to {short + long + other}, {_CACHED[1]} says {written}")
        written = short + long + other
    additive, cached = fresh + read + written + output, read + written
    if counted(reported.get("totalTokens")) is not None and total != additive:
        if cached <= fresh and total == fresh + output:
            fresh -= cached
            problems.append("inputTokens includes the cache, says totalTokens")
        else:
            problems.append(f"the counts add up to {additive}, totalTokens says {total}")
    usage = Usage(
        in_text=fresh,
        cache_read=read,
        cache_write_5m=written - long - other,
        cache_write_1h=long,
        cache_write_other=other,
        out_text=output,
    )
    if not usage.total_input_tokens:
        problems.append("no input is reported")
    return usage, "; ".join(problems) or None


def _split(details: object, problems: list[str]) -> tuple[int, int, int]:
    """Cache writes that live for five minutes, for an hour, and for another time."""
    found = {"5m": 0, "1h": 0, "": 0}
    for detail in details if isinstance(details, list) else ():
        (tokens,) = counts_of(detail, ("inputTokens",), problems)
        ttl = detail.get("ttl") if isinstance(detail, dict) else None
        found[ttl if ttl in ("5m", "1h") else ""] += tokens
    return found["5m"], found["1h"], found[""]


def _estimated(known: Usage, document: Mapping[str, Any], emitted: int) -> Usage:
    """What is known of the input, else our count of it; of the output, the larger of report and our count."""
    read = known.in_text
    if not known.total_input_tokens:
        asked = [document.get(name) for name in ("system", "messages", "toolConfig", "promptVariables")]
        read = estimated_tokens(request_text(asked))
    return msgspec.structs.replace(known, in_text=read, out_text=max(emitted, known.output_tokens))
