"""What a provider says of a batch and of each of its lines, read without a clock or a socket.

Sources: openai-python 3.54, `types/batch.py`, and OpenAI's guide "Batch API" for the lines of output and error files;
anthropic-sdk-python 2.12, `types/messages/message_batch*.py`. Lines come in any order. What is wrong with one line is
no reason to lose another: whatever cannot be read is None.
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from visionality.core.call import Headers, clean
from visionality.core.usage import Metered
from visionality.gateway.batches.endpoints import AT_ANTHROPIC
from visionality.gateway.cursor import ANTHROPIC_VERSION
from visionality.gateway.dialects import Dialect
from visionality.gateway.dialects._core import NOT_JSON
from visionality.gateway.routes import Target
from visionality.pricebook.book import STANDARD

ENDED = frozenset({"completed", "failed", "expired", "cancelled", "ended"})
"""The states of either vendor from which a batch does not go on."""

_ACCEPT = (b"accept", b"*/*")
_AGENT = (b"user-agent", b"visionality")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_ORDINARY = STANDARD | {"batch"}
"""What an answer in a batch calls its service tier: it says nothing beside the price of batches."""
_REASONS = {"batch_expired": "expired", "batch_cancelled": "canceled"}
_NOT_ASKED = "what was asked is not counted"


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is, and where its results are once it has ended: paths behind the provider's base address."""

    has_ended: bool
    results: tuple[str, ...]
    succeeded: int
    """How many lines the provider says it answered."""


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one line. Without a usage it failed, and `reason` says how."""

    custom_id: str
    status: int
    metered: Metered | None = None
    reason: str | None = None
    finish: str | None = None
    upstream_request_id: str | None = None


class Reader(Protocol):
    """How a vendor tells of its batches."""

    @property
    def headers(self) -> Headers:
        """What a request about them carries beside the key."""

    def path(self, batch_id: str) -> str:
        """Where to ask how far a batch is."""

    def state(self, body: bytes) -> State | None: ...

    def line(self, text: bytes, dialect: Dialect) -> Line | None: ...


class _Counts(msgspec.Struct):
    completed: int = 0
    succeeded: int = 0


class _Batch(msgspec.Struct):
    id: str
    status: str
    output_file_id: str | None = None
    error_file_id: str | None = None
    request_counts: _Counts | None = None


class _Answer(msgspec.Struct):
    status_code: int
    request_id: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    type: str | None = None
    code: str | None = None


class _Output(msgspec.Struct):
    custom_id: str
    response: _Answer | None = None
    error: _Error | None = None


class OpenAIResults:
    """An output file for the lines that were answered, an error file for the others; either may be missing."""

    headers = (_ACCEPT, _AGENT)

    def __init__(self) -> None:
        self._batch = msgspec.json.Decoder(_Batch).decode
        self._line = msgspec.json.Decoder(_Output).decode
        self._error = msgspec.json.Decoder(_Failed).decode

    def path(self, batch_id: str) -> str:
        return f"/batches/{batch_id}"

    def state(self, body: bytes) -> State | None:
        try:
            said = self._batch(body)
        except NOT_JSON:
            return None
        files = [name for name in (said.output_file_id, said.error_file_id) if name and _ID.fullmatch(name)]
        counts = said.request_counts or _Counts()
        results = tuple(f"/files/{name}/content" for name in files)
        return State(said.status in ENDED, results, counts.completed)

    def line(self, text: bytes, dialect: Dialect) -> Line | None:
        try:
            said = self._line(text)
        except NOT_JSON:
            return None
        if said.response is not None:
            return self._answered(said.custom_id, said.response, dialect)
        if said.error is None:
            return None
        code = clean(said.error.code, 60)
        return Line(said.custom_id, 0, reason=_REASONS.get(code or "", "upstream_refused"), finish=code)

    def _answered(self, custom_id: str, said: _Answer, dialect: Dialect) -> Line | None:
        status, body, request_id = said.status_code, bytes(said.body), clean(said.request_id, 128)
        if not 100 <= status < 1000:
            return None
        if not 200 <= status < 300:
            return Line(custom_id, status, None, "upstream_refused", self._why(body), request_id)
        metered = _metered(body, dialect)
        if metered is None:
            return None
        return Line(custom_id, status, metered, upstream_request_id=request_id)

    def _why(self, body: bytes) -> str | None:
        try:
            error = self._error(body).error
        except NOT_JSON:
            return None
        return None if error is None else clean(error.code, 60) or clean(error.type, 60)


class _Failed(msgspec.Struct):
    error: _Error | None = None


class _MessageBatch(msgspec.Struct):
    id: str
    processing_status: str
    request_counts: _Counts | None = None


class _Result(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: _Failed | None = None


class _Individual(msgspec.Struct):
    custom_id: str
    result: _Result


class AnthropicResults:
    """One list of results with a line for each request, whatever became of it."""

    headers = (_ACCEPT, _AGENT, ANTHROPIC_VERSION)

    def __init__(self) -> None:
        self._batch = msgspec.json.Decoder(_MessageBatch).decode
        self._line = msgspec.json.Decoder(_Individual).decode

    def path(self, batch_id: str) -> str:
        return f"/v1/messages/batches/{batch_id}"

    def state(self, body: bytes) -> State | None:
        try:
            said = self._batch(body)
        except NOT_JSON:
            return None
        if not _ID.fullmatch(said.id):
            return None
        counts = said.request_counts or _Counts()
        results = (f"{self.path(said.id)}/results",)
        return State(said.processing_status in ENDED, results, counts.succeeded)

    def line(self, text: bytes, dialect: Dialect) -> Line | None:
        try:
            said = self._line(text)
        except NOT_JSON:
            return None
        result = said.result
        match result.type:
            case "succeeded":
                metered = _metered(bytes(result.message), dialect)
                return None if metered is None else Line(said.custom_id, 200, metered)
            case "errored":
                error = result.error.error if result.error else None
                why = clean(error.type, 60) if error else None
                return Line(said.custom_id, 0, reason="upstream_refused", finish=why)
            case "canceled" | "expired":
                return Line(said.custom_id, 0, reason=result.type)
        return None


def reader_of(target: Target) -> Reader:
    """Who reads the batches whose lines go there."""
    return _ANTHROPIC if target is AT_ANTHROPIC else _OPENAI


_OPENAI, _ANTHROPIC = OpenAIResults(), AnthropicResults()
_NO_DOCUMENT: dict[str, Any] = {}


def _metered(body: bytes, dialect: Dialect) -> Metered | None:
    """The usage of an answered line at the price of batches; None when its answer is not one of its format."""
    metered = dialect.metered_body(body, _NO_DOCUMENT)
    if metered is None or (metered.source == "none" and metered.answer_id is not None):
        return None
    tier = {name: said for name, said in metered.tier.items() if said not in _ORDINARY}
    replaced = {"tier": {**tier, "processing": "batch"}}
    if metered.source == "provider_final":
        return msgspec.structs.replace(metered, **replaced, source="batch_result")
    if metered.source == "tokenizer_estimate":
        problem = "; ".join(filter(None, (metered.problem, _NOT_ASKED)))
        return msgspec.structs.replace(metered, **replaced, problem=problem)
    return msgspec.structs.replace(metered, **replaced)
