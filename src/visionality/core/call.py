"""What a call is, stage by stage. Each stage takes the value of the one before and adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What the client asked of a model, as far as the gateway must know it."""

    model: str | None
    stream: bool
    output_limit: int | None
    """The most output tokens the client allows over all choices; None when it set no limit."""
    include_usage: bool = True
    """Whether the client itself asked for the usage report of a stream."""
    answers: int = 1
    """How many images the client asks for."""
    in_events: bool = True
    """Whether a streamed answer is made of server-sent events; else its bytes are the content itself."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came in, its path relative to the provider's base address."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The first value of a header, or None. Names are lower case."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


class Refusal(Exception):
    """The gateway's own no, before any byte left: a status, a stable code, and a sentence for a person."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


def clean(text: object, limit: int) -> str | None:
    """A foreign string as a row may keep it: no control characters, at most `limit` long; None if it is no string."""
    if not isinstance(text, str) or not text:
        return None
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable()) or None


def asked_model(document: Mapping[str, Any]) -> str:
    """The model a body names. Raises Refusal when it names none or no sane one."""
    model = document.get("model")
    if not isinstance(model, str) or clean(model, 200) != model:
        raise Refusal(400, "bad_request", "`model` must be a printable string of 1 to 200 characters")
    return model


def token_limit(value: object, name: str) -> int | None:
    """A client's output limit. Raises Refusal when it is there and no positive number."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
        raise Refusal(400, "bad_request", f"`{name}` must be a positive integer")
    return value
