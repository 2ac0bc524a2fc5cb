"""What a call is, stage by stage. Each stage takes the value of the one before and adds to it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from visionality.core.body import Preview

Headers = tuple[tuple[bytes, bytes], ...]


class Weighed(msgspec.Struct, frozen=True):
    """What the lines of a batch can cost at most together, in nano-USD, and how many have a price that nobody knows."""

    nusd: int
    unpriced: int


class Reach(msgspec.Struct, frozen=True):
    """What a call can be billed for beyond a token for each byte of its body."""

    tokens: int = 0
    """Of input, more than its bytes; negative where pictures take more bytes than tokens."""
    unseen: bool = False
    """Whether it has input that no byte of it bounds: what it only names, a document, what a tool may bring."""
    rounds: int = 1
    """How often the model may be asked: once more with each thing that a tool found which the provider runs."""
    anew: bool = False
    """Whether a round is a call of its own, as at Anthropic: it reads everything anew, and has the whole output limit.

    Else the limit is for all rounds together, and what one has read the next has from the cache, as at OpenAI.
    """
    uses: tuple[tuple[str, int], ...] = ()
    """How often such tools may be used, by the bucket that a use is billed in."""


ITS_BYTES = Reach()
"""Of a call whose text is all that it has."""


class Ask(msgspec.Struct, frozen=True):
    """What the client asked of a model, as far as the gateway must know it."""

    model: str | None
    stream: bool
    output_limit: int | None
    """The most output tokens the client allows over all answers; None when it set no limit."""
    include_usage: bool = True
    """Whether the client itself asked for the usage report of a stream."""
    answers: int = 1
    """How many answers the client asks for: choices, candidates, images."""
    in_events: bool = True
    """Whether a streamed answer is made of server-sent events; else its bytes are the content itself."""
    batch: Weighed | None = None
    """What it asks line by line, where it is a batch."""
    reach: Reach = ITS_BYTES


class Request(msgspec.Struct, frozen=True):
    """One request as it came in, its path relative to the provider's base address."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    preview: Preview | None = None
    """What was seen of a large body while it came."""

    def header(self, name: bytes) -> str | None:
        """The first value of a header, or None. Names are lower case."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


class Refusal(Exception):
    """The gateway's own no, before any byte left: a status, a stable code, and a sentence for a person."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Headers = (),
        tags: Mapping[str, str] = MappingProxyType({}),
        is_repeat: bool = False,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        """What a program may read of it."""
        self.tags = tags
        """What its row says beside the code."""
        self.is_repeat = is_repeat
        """Whether it only repeats a refusal of a moment ago: such are counted, and written up together."""


def clean(text: object, limit: int) -> str | None:
    """A foreign string as a row may keep it: no control characters, at most `limit` long; None if it is no string."""
    if type(text) is not str or not text:
        return None
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable()) or None


def asked_model(document: Mapping[str, Any]) -> str:
    """The model a body names. Raises Refusal when it names none or no sane one."""
    model = document.get("model")
    if type(model) is not str or clean(model, 200) != model:
        raise Refusal(400, "bad_request", "`model` must be a printable string of 1 to 200 characters")
    return model


def token_limit(value: object, name: str) -> int | None:
    """A client's output limit. Raises Refusal when it is there and no positive number."""
    if value is None:
        return None
    if type(value) is not int or not 0 < value < 2**31:
        raise Refusal(400, "bad_request", f"`{name}` must be a positive integer")
    return value
