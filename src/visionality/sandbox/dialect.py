"""What the two wire formats have in common: a call is read, answered whole or streamed, or refused."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from visionality.sandbox.exchange import Header
from visionality.sandbox.generation import Generation
from visionality.sandbox.plan import Plan
from visionality.sandbox.stream import Event

SIMULATED: Final[Header] = (b"x-sandbox", b"simulated")
JSON: Final[Header] = (b"content-type", b"application/json")
EVENT_STREAM: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)
LONGEST_MODEL_NAME: Final = 256

_SERIALS: Final = itertools.count(1)
_PROCESS: Final = secrets.token_hex(4)


def new_serial() -> str:
    """Twenty-four characters that no other answer of any sandbox process has."""
    return f"{_PROCESS}{next(_SERIALS):016x}"


@dataclass(frozen=True, slots=True)
class Call:
    """A model request, as far as the sandbox needs to understand it."""

    model: str
    streams: bool
    input_tokens: int
    max_tokens: int | None
    service_tier: str
    answers: int = 1
    has_stream_options: bool = False
    wants_stream_usage: bool = False
    stream_headers: tuple[Header, ...] = EVENT_STREAM


class Refusal(Exception):
    """An answer that is an error of the dialect."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after = retry_after


class Dialect(Protocol):
    """One wire format. Methods are pure, but for serial numbers and the time of day in the answer."""

    def check_headers(self, headers: dict[bytes, bytes]) -> None:
        """Raises Refusal when the credential or another required header is missing."""

    def read(self, body: bytes) -> Call:
        """Raises Refusal when the body is not a request that the provider would accept."""

    def check_plan(self, call: Call, plan: Plan) -> None:
        """Raises Refusal when the plan makes the provider refuse this call."""

    def answer(self, call: Call, generation: Generation, plan: Plan, serial: str) -> bytes: ...

    def events(self, call: Call, generation: Generation, plan: Plan, serial: str) -> Iterator[Event]: ...

    def interlude(self) -> bytes:
        """What the dialect sends when it has nothing to say: comments, pings."""

    def error_event(self, plan: Plan, serial: str) -> bytes: ...

    def refusal(self, status: int, plan: Plan) -> Refusal:
        """The provider's error for an HTTP status."""

    def invalid(self, message: str, status: int = 400) -> Refusal: ...

    def error_headers(self, refusal: Refusal) -> list[Header]: ...

    def error_body(self, refusal: Refusal, serial: str) -> bytes: ...

    def headers(self, serial: str, plan: Plan) -> list[Header]: ...


def encode_merged(answer: msgspec.Struct, extra: dict[str, object]) -> bytes:
    """An answer as JSON, with the plan's extra fields laid over its own."""
    if not extra:
        return msgspec.json.encode(answer)
    fields: dict[str, object] = msgspec.to_builtins(answer)
    return msgspec.json.encode(fields | extra)


def bearer(headers: dict[bytes, bytes]) -> bytes:
    """The token of an `authorization: Bearer` header, empty when there is none."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def json_type(value: object) -> str:
    """A value's type in the words of OpenAI's error messages."""
    names: dict[type, str] = {
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")
