"""Amazon Bedrock's InvokeModel and InvokeModelWithResponseStream: any vendor's own JSON, in AWS's envelope.

Source: botocore's service model `bedrock-runtime`; AWS, "Inference request parameters and response fields" (August 2026).
A body says most about its tokens and is read first, in the dialect that it is written in. What it leaves out is filled
in from AWS's own counts: headers on a blocking answer, `amazon-bedrock-invocationMetrics` in a stream's last chunk.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, Reach, clean
from visionality.core.eventstream import Frame
from visionality.core.tokens import estimated_tokens
from visionality.core.usage import Metered, Usage, counted
from visionality.gateway.dialects import converse
from visionality.gateway.dialects._core import NOT_JSON, raw_text
from visionality.gateway.dialects.bedrock import Bedrock, Emitted, FrameStream, limits_in, text_behind
from visionality.gateway.dialects.chat_completions import ChatCompletions
from visionality.gateway.dialects.messages import Messages, MessagesStream
from visionality.gateway.dialects.reach import invoke_reach
from visionality.gateway.dialects.text import request_text

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_NUMBER = re.compile(rb"\d{1,12}")
_METRICS = "amazon-bedrock-invocationMetrics"
_SAID = text_behind("text", "generation", "outputText", "completion", "content", "input", "arguments")
_STOPS = ("stop_reason", "stopReason", "completionReason", "finish_reason")
_STOPPED = re.compile(rb'"(?:%b)"\s*:\s*"([A-Za-z_-]{1,60})"' % "|".join(_STOPS).encode())
_HEADERS = {
    b"x-amzn-bedrock-input-token-count": "input_tokens",
    b"x-amzn-bedrock-output-token-count": "output_tokens",
    b"x-amzn-bedrock-cache-read-input-token-count": "cache_read_input_tokens",
    b"x-amzn-bedrock-cache-write-input-token-count": "cache_creation_input_tokens",
}
_NAMES = {
    "inputTokenCount": "input_tokens",
    "outputTokenCount": "output_tokens",
    "cacheReadInputTokenCount": "cache_read_input_tokens",
    "cacheWriteInputTokenCount": "cache_creation_input_tokens",
}
"""AWS's own counts, in Anthropic's words, which are those of the row's buckets."""

_PLAIN = {
    "prompt_token_count": "input_tokens",
    "inputTextTokenCount": "input_tokens",
    "generation_token_count": "output_tokens",
    "totalOutputTextTokenCount": "output_tokens",
}
"""Counts that stand in a body by themselves: Meta's and Titan's."""
_CONVERSE = {
    "input_tokens": "inputTokens",
    "output_tokens": "outputTokens",
    "cache_read_input_tokens": "cacheReadInputTokenCount",
    "cache_creation_input_tokens": "cacheWriteInputTokenCount",
}
_ASKED = ("system", "messages", "tools", "prompt", "inputText", "texts", "inputs", "toolConfig")

_MESSAGES = Messages()
_CHAT = ChatCompletions()

Counts = Mapping[str, int]


class _Chunk(msgspec.Struct):
    part: bytes = msgspec.field(name="bytes", default=b"")


_chunk = msgspec.json.Decoder(_Chunk).decode


class InvokeModel(Bedrock):
    """`POST /model/{id}/invoke` and `/invoke-with-response-stream`."""

    name = "invoke_model"

    def reach(self, document: Mapping[str, Any], model: str) -> Reach:  # noqa: ARG002
        return invoke_reach(document)

    def output_limit(self, document: Mapping[str, Any]) -> int | None:
        return max(limits_in(document), default=None)

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        """Of a body in Anthropic's format. How others name their limit, the model decides."""
        return _MESSAGES.limited(body, document, limit) if "anthropic_version" in document else None

    def reader(self, ask: Ask) -> "InvokeStream":  # noqa: ARG002
        return InvokeStream()

    def metered_body(self, body: bytes, document: Mapping[str, Any], headers: Headers = ()) -> Metered | None:
        try:
            answer = _decode(body)
        except NOT_JSON:
            return None
        if not isinstance(answer, dict):
            return None
        said = {name: int(value) for name, value in headers if name in _HEADERS and _NUMBER.fullmatch(value)}
        aws = _counts(_HEADERS, said)
        emitted = Emitted(_SAID)
        emitted.add(body)
        found = _metered(answer, aws, document, emitted)
        return _without_model(found, found.tier | self.served_tier(headers))


class InvokeStream(FrameStream):
    """The chunks of one streamed answer: each has an event of the vendor's own stream in it."""

    def __init__(self) -> None:
        super().__init__()
        self._messages = MessagesStream()
        self._speaks_messages = False
        self._answer: dict[str, Any] = {}
        self._aws: Counts = {}
        self._emitted = Emitted(_SAID)

    def metered(self, document: Mapping[str, Any]) -> Metered:
        if self._speaks_messages:
            found = _marked(self._messages.metered(document), self._aws)
        elif self._aws or (self.complete and not self._failed):
            found = _metered(self._answer, self._aws, document, self._emitted)
        else:
            found = msgspec.structs.replace(_metered({}, {}, document, self._emitted), problem=None)
        found = _without_model(found, found.tier)
        return msgspec.structs.replace(found, finish="upstream_error") if self._failed else found

    def _ends(self, event: Frame) -> bool:
        if event.kind != "chunk":
            return False
        try:
            native = _chunk(event.payload).part
        except NOT_JSON:
            return False
        self._speaks_messages |= b'"message_start"' in native
        if self._speaks_messages:
            self._messages.feed(b"data: " + b" ".join(native.splitlines()) + b"\n\n")
        else:
            self._emitted.add(native)
            self._note(native)
        is_last = _METRICS.encode() in native and self._reports(native)
        return is_last or self._messages.complete

    def _note(self, native: bytes) -> None:
        """Keep of a chunk that is not Anthropic's what a blocking answer would say of its tokens."""
        if stop := _STOPPED.search(native):
            self._answer["stop_reason"] = stop[1].decode()
        if b'"usage"' not in native and not any(name.encode() in native for name in _PLAIN):
            return
        told = _object(native)
        metadata = told.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("usage"), dict):
            self._answer |= {"usage": metadata["usage"], "output": {}}
        elif isinstance(told.get("usage"), dict):
            self._answer |= {"usage": told["usage"], "choices": []}
        self._answer |= {name: told[name] for name in _PLAIN if told.get(name) is not None}

    def _reports(self, native: bytes) -> bool:
        """Take AWS's own counts, and fill in with them what the vendor's events leave out."""
        metrics = _object(native).get(_METRICS)
        if not isinstance(metrics, dict):
            return False
        self._aws = _counts(_NAMES, metrics)
        self._messages.fill(self._aws)
        return True


def _object(data: bytes) -> dict[str, Any]:
    try:
        document = _decode(data)
    except NOT_JSON:
        return {}
    return document if isinstance(document, dict) else {}


def _counts(names: Mapping[Any, str], reported: Mapping[Any, object]) -> Counts:
    return {
        known: number for name, known in names.items() if (number := counted(reported.get(name))) is not None
    }


def _without_model(found: Metered, tier: Mapping[str, str]) -> Metered:
    """The model asked for is what is priced: the vendor's own name leaves out the profile, which changes the price.

    So does its `inference_geo`: the profile in the path is what AWS bills by.
    """
    kept = {name: value for name, value in tier.items() if name != "inference_geo"}
    return msgspec.structs.replace(found, model=None, tier=kept)


def _metered(answer: dict[str, Any], aws: Counts, document: Mapping[str, Any], emitted: Emitted) -> Metered:
    """What an answer in any vendor's form says, with AWS's counts where it says nothing."""
    native = _native(answer, aws, document, emitted)
    if native is None or native.source != "provider_final":
        plain = _plain(answer, aws, document, emitted)
        native = plain if native is None or plain.source == "provider_final" else native
    return _marked(msgspec.structs.replace(native, finish=native.finish or _stop(answer)), aws)


def _native(
    answer: dict[str, Any], aws: Counts, document: Mapping[str, Any], emitted: Emitted
) -> Metered | None:
    """What an answer says in a dialect that has a reader of its own; None for another."""
    reported = answer.get("usage")
    usage = _present(reported) if isinstance(reported, dict) else {}
    if answer.get("type") == "message":
        return _MESSAGES.metered_body(_encode(answer | {"usage": {**aws, **usage}}), document)
    if isinstance(answer.get("choices"), list):
        return _CHAT.metered_body(_encode(answer), document)
    if isinstance(answer.get("output"), dict):
        known = {_CONVERSE[name]: number for name, number in aws.items()}
        return converse.metered(answer | {"usage": {**known, **usage}}, document, emitted)
    return None


def _present(reported: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reported.items() if value is not None}


def _plain(answer: Mapping[str, Any], aws: Counts, document: Mapping[str, Any], emitted: Emitted) -> Metered:
    """An answer whose tokens are counted by themselves, by AWS, or by us."""
    own = {
        known: number for name, known in _PLAIN.items() if (number := counted(answer.get(name))) is not None
    }
    if (titan := _titan_output(answer)) is not None:
        own["output_tokens"] = titan
    counts = {**aws, **own}
    embeds = "embedding" in answer or "embeddings" in answer
    read, said = counts.get("input_tokens"), counts.get("output_tokens", 0 if embeds else None)
    is_known = read is not None and said is not None
    if read is None:
        read = estimated_tokens(request_text([document.get(name) for name in _ASKED]))
    usage = Usage(
        in_text=0 if embeds else read,
        embed=read if embeds else 0,
        cache_read=counts.get("cache_read_input_tokens", 0),
        cache_write_5m=counts.get("cache_creation_input_tokens", 0),
        out_text=emitted.tokens if said is None else said,
    )
    return Metered(
        usage,
        "provider_final" if is_known else "tokenizer_estimate",
        raw_usage=raw_text(counts),
        problem=None if is_known else "no usage in the answer",
    )


def _titan_output(answer: Mapping[str, Any]) -> int | None:
    results = answer.get("results")
    if not isinstance(results, list):
        return None
    counts = [counted(result.get("tokenCount")) for result in results if isinstance(result, dict)]
    return sum(number for number in counts if number is not None) if None not in counts and counts else None


def _stop(answer: Mapping[str, Any]) -> str | None:
    """Why the model stopped, where its vendor says so."""
    lists = (answer.get(name) for name in ("results", "outputs", "choices"))
    places = [answer, *(found[0] for found in lists if isinstance(found, list) and found)]
    said = (place.get(name) for place in places if isinstance(place, dict) for name in _STOPS)
    return next((text for value in said if (text := clean(value, 60))), None)


def _marked(found: Metered, aws: Counts) -> Metered:
    """The same, flagged where AWS has counted something else than the vendor. Its input may include the cache or not."""
    problems = [found.problem] if found.problem else []
    if found.source == "provider_final":
        usage = found.usage
        said, read = aws.get("output_tokens"), aws.get("input_tokens")
        if said not in {None, usage.output_tokens}:
            problems.append(f"the output is {usage.output_tokens}, AWS counts {said}")
        if read not in {None, usage.input_tokens, usage.total_input_tokens}:
            problems.append(f"the input is {usage.input_tokens}, AWS counts {read}")
    return msgspec.structs.replace(found, problem="; ".join(problems) or None)
