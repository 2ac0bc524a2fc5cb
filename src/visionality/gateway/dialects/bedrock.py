"""What both formats of Amazon Bedrock Runtime share: models in paths, errors named by a header, streams of frames.

Source: botocore's service model `bedrock-runtime`; AWS, "Amazon Bedrock Runtime" API reference (August 2026).
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from visionality.core.call import Ask, Headers, Reach, Refusal, asked_model, clean, token_limit
from visionality.core.eventstream import Frame, Frames, exception
from visionality.core.tokens import estimated_tokens
from visionality.gateway.dialects._core import EMITTED_LIMIT, TAIL_LIMIT, JsonOverSse, is_of_type
from visionality.gateway.dialects.text import text_of

_encode = msgspec.json.Encoder().encode

_ERROR_TYPES = {
    401: "UnrecognizedClientException",
    402: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "RequestTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}
_NAMED = {"signature_invalid": "InvalidSignatureException"}
_STREAM_ERRORS = {
    "ledger_unavailable": "serviceUnavailableException",
    "gateway_stopped": "serviceUnavailableException",
    "upstream_broke": "modelStreamErrorException",
    "upstream_timeout": "modelStreamErrorException",
}
_DOTS = frozenset({"", ".", ".."})
_LIMITS = (
    ("max_tokens",),
    ("max_completion_tokens",),
    ("max_tokens_to_sample",),
    ("max_gen_len",),
    ("inferenceConfig", "maxTokens"),
    ("inferenceConfig", "max_new_tokens"),
    ("textGenerationConfig", "maxTokenCount"),
)
"""Where the vendors' bodies have their output limit."""
_TIER_HEADERS = {
    b"x-amzn-bedrock-service-tier": "service_tier",
    b"x-amzn-bedrock-performanceconfig-latency": "latency",
}


class Bedrock(JsonOverSse):
    """A JSON body, and an answer in JSON or in frames. Which of the two, the route decides and the answer's type shows."""

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        path = model or asked_model(document)
        reach = self.reach(document, path)
        return Ask(last_segment(path), stream=True, output_limit=self.output_limit(document), reach=reach)

    def reach(self, document: Mapping[str, Any], model: str) -> Reach:
        """What a body can be billed for beyond its bytes, at the model that a path has."""
        raise NotImplementedError

    def output_limit(self, document: Mapping[str, Any]) -> int | None:
        """The most output tokens that a body allows. Raises Refusal."""
        raise NotImplementedError

    def streams(self, headers: Headers) -> bool:
        return is_of_type(headers, b"application/vnd.amazon.eventstream")

    def served_tier(self, headers: Headers) -> dict[str, str]:
        return {
            known: value
            for name, raw in headers
            if (known := _TIER_HEADERS.get(name)) and (value := clean(raw.decode("latin-1"), 40))
        }

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:  # noqa: ARG002 -- AWS tells both in headers
        return _encode({"message": f"{code}: {message}"})

    def error_headers(self, status: int, code: str, request_id: str) -> Headers:
        other = "InternalServerException" if status >= 500 else "ValidationException"
        kind = _NAMED.get(code) or _ERROR_TYPES.get(status, other)
        return (b"x-amzn-errortype", kind.encode()), (b"x-amzn-requestid", request_id.encode())

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        kind = _STREAM_ERRORS.get(code, "internalServerException")
        return exception(kind, self.error(500, code, message, request_id))


def last_segment(identifier: str) -> str:
    """The model that a path names: an id, or what an ARN ends in. Raises Refusal when it could lead to another path."""
    segments = identifier.split("/")
    name = segments[-1]
    if not _DOTS.isdisjoint(segments) or clean(name, 200) != name:
        raise Refusal(
            400,
            "bad_request",
            "the model in the path must be a model's id or ARN with a name of 1 to 200 characters",
        )
    return name


def limits_in(document: Mapping[str, Any]) -> list[int]:
    """The output limits that stand in a vendor's body. Raises Refusal for one that is no positive number."""
    found = [token_limit(_at(document, path), path[-1]) for path in _LIMITS]
    return [limit for limit in found if limit is not None]


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = document
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


class Emitted:
    """What an answer has said so far, for an estimate: the JSON strings that stand behind the pattern's names."""

    def __init__(self, names: re.Pattern[bytes]) -> None:
        self._names = names
        self._kept = bytearray()
        self._size = 0

    def add(self, document: bytes) -> None:
        self._size += len(document)
        if len(self._kept) < EMITTED_LIMIT:
            self._kept += document

    @property
    def tokens(self) -> int:
        counted = sum(estimated_tokens(text_of(match[1])) for match in self._names.finditer(self._kept))
        return counted * self._size // len(self._kept) if self._size > EMITTED_LIMIT else counted


def text_behind(*names: str) -> re.Pattern[bytes]:
    """Finds the strings that are the values of these names."""
    return re.compile(rb'"(?:%b)"\s*:\s*("(?:[^"\\]++|\\.)*+")' % "|".join(names).encode())


class FrameStream:
    """The frames of one answer. What is no frame passes as it came, so that the client sees the same fault as we."""

    def __init__(self) -> None:
        self._frames = Frames()
        self._held = b""
        self._failed = False
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        out = [self._passed(frame) for frame in self._frames.feed(data)]
        if self._frames.fault is not None:
            self._failed |= not self.complete
            rest = self._frames.take_rest()
            out.append(self._hold(rest) if self.complete else rest)
        return out[0] if len(out) == 1 else b"".join(out)

    def finish(self) -> bytes:
        rest = self._frames.take_rest()
        if self.complete:
            self._hold(rest)
            rest = b""
        held, self._held = self._held + rest, b""
        return held

    def _passed(self, frame: Frame) -> bytes:
        if not frame.is_event:
            self._failed |= not self.complete
            self.complete = True
        elif self._ends(frame) and not self.complete:
            self.complete = True
            self._held = frame.raw
            return b""
        return self._hold(frame.raw) if self.complete else frame.raw

    def _hold(self, raw: bytes) -> bytes:
        if len(self._held) + len(raw) <= TAIL_LIMIT:
            self._held += raw
        return b""

    def _ends(self, event: Frame) -> bool:
        """Take note of an event; whether it is the one that ends the answer."""
        raise NotImplementedError
