"""What every wire format must be able to do. A dialect knows bytes and nothing of providers, keys or money.

A stream reader is sans-I/O: it is fed the upstream's bytes, gives back what the client may have at once, and keeps
the terminal event, or an error, until the row is durable. What it learns does not depend on how the network cut the
stream.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

import msgspec

from visionality.core.body import parsed
from visionality.core.call import Ask, Headers, Request
from visionality.core.usage import Metered, count, counted

EMITTED_LIMIT = 1024 * 1024
"""Bytes of output kept for an estimate, should the stream break off; beyond, the estimate scales up."""
TAIL_LIMIT = 64 * 1024
"""Bytes held behind the terminal event. No client reads there, so what goes beyond is dropped."""
RAW_LIMIT = 8192
"""Bytes of the provider's own usage report that a row keeps, as its column allows."""

STATED_LIMIT = 10**6
"""US dollars: more is no cost of one call."""

_BUDGETS = (("thinking", "budget_tokens"), ("reasoning_config", "budget_tokens"), ("reasoning", "max_tokens"))
"""Where they stand: at Anthropic, in Converse, and at OpenRouter."""

NOT_JSON = (msgspec.DecodeError, RecursionError, ValueError)
"""What the decoder raises for bytes of a stranger."""

_encode = msgspec.json.Encoder().encode


class StreamReader(Protocol):
    """Reads one streamed answer."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes from upstream; return those that may go to the client now."""

    def finish(self) -> bytes:
        """The upstream has ended; return what was held back: the terminal event, or nothing."""

    @property
    def complete(self) -> bool:
        """Whether the terminal event came, or an error, at which SDKs raise: so that nothing follows for the client."""

    def metered(self, document: Mapping[str, Any]) -> Metered:
        """What the stream so far says; estimated from the request and the emitted text where it says nothing."""


@runtime_checkable
class Framing(Protocol):
    """A reader of a stream that is one document, where an error cannot just follow what came before."""

    def framed(self, error: bytes) -> bytes:
        """An error event of the dialect, as it must stand at the end of what the client has."""


class Dialect(Protocol):
    """A wire format: how a request asks, how an answer reports, how a refusal looks."""

    name: str

    def document(self, request: Request) -> dict[str, Any]:
        """What of the body must be understood. Raises BadBody."""

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:
        """What the request asks, of the model that its path names if it names one. Raises Refusal."""

    def outgoing(self, request: Request, ask: Ask) -> bytes:
        """The body to send: the very bytes that came, but for the documented injection."""

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:
        """The body with at most this many tokens of output over all choices; None where the format cannot say that."""

    def streams(self, headers: Headers) -> bool:
        """Whether an answer with these headers is a stream of this format."""

    def reader(self, ask: Ask) -> StreamReader: ...

    def metered_body(self, body: bytes, document: Mapping[str, Any], headers: Headers = ()) -> Metered | None:
        """What a blocking answer reports; None when the body is not of this format."""

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:
        """A body in the vendor's error shape."""

    def error_headers(self, status: int, code: str, request_id: str) -> Headers:
        """What an error of this format says in headers."""

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        """The in-stream error event, for when the status has already gone out."""

    def served_tier(self, headers: Headers) -> dict[str, str]:
        """What the headers of an answer say of its tier, where its body does not."""


class JsonOverSse:
    """What most formats share: a JSON body, passed on as it came, and an answer in JSON or in server-sent events."""

    def document(self, request: Request) -> dict[str, Any]:
        return parsed(request.body, request.preview)

    def outgoing(self, request: Request, ask: Ask) -> bytes:  # noqa: ARG002 -- nothing is injected
        return request.body

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:  # noqa: ARG002
        return None

    def streams(self, headers: Headers) -> bool:
        return is_of_type(headers, b"text/event-stream")

    def error_headers(self, status: int, code: str, request_id: str) -> Headers:  # noqa: ARG002 -- its body says all
        return ()

    def served_tier(self, headers: Headers) -> dict[str, str]:  # noqa: ARG002 -- its body says all
        return {}


def is_of_type(headers: Headers, media_type: bytes) -> bool:
    return any(name == b"content-type" and value.startswith(media_type) for name, value in headers)


def raw_text(reported: Mapping[str, Any]) -> str | None:
    """A provider's usage report as a row keeps it; None for an empty one."""
    return _encode(reported)[:RAW_LIMIT].decode(errors="ignore") if reported else None


def counts_of(reported: object, names: tuple[str, ...], problems: list[str]) -> list[int]:
    """The members of a report in this order, 0 for one that is not there or is no count; the latter is a problem."""
    if type(reported) is not dict:
        return [0] * len(names)
    counts = []
    for name in names:
        number = 0
        if name in reported and (value := reported[name]) is not None:
            known = counted(value)
            if known is None:
                problems.append(f"{name} is no count")
            else:
                number = known
        counts.append(number)
    return counts


def stated_usd(value: object) -> Decimal | None:
    """A cost out of a provider's JSON. Its digits are those of the number's shortest form."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= STATED_LIMIT:
        return None
    return Decimal(str(value))


def stated_cost(reported: Mapping[str, Any]) -> Decimal | None:
    """What a usage report says that its call cost (OpenRouter, usage accounting, August 2026).

    With a key of the customer's own (`is_byok`), `cost` is only the reseller's fee: what that key's vendor charges is
    added, and without it nothing is stated. The same field is there on other calls too, where `cost` covers it.
    """
    if "cost" not in reported:
        return None
    cost = stated_usd(reported["cost"])
    if reported.get("is_byok") is not True:
        return cost
    details = reported.get("cost_details")
    vendor = stated_usd(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    return None if cost is None or vendor is None else cost + vendor


def nonsense(reported: object, names: tuple[str, ...]) -> list[str]:
    """The members of a report that are there and are no counts."""
    if not isinstance(reported, dict):
        return []
    return [
        f"{name} is no count"
        for name in names
        if reported.get(name) is not None and counted(reported[name]) is None
    ]


def thinking_budget(document: Mapping[str, Any]) -> int:
    """The tokens that a request gives to thinking, which its output limit must exceed; 0 where it gives none."""
    given = [
        count(settings.get(inner))
        for name, inner in _BUDGETS
        if isinstance(settings := document.get(name), dict)
    ]
    return max(given, default=0)
