"""Paths without a meter, passed on for the projects whose operator opened them; each such call is a row all the same.

Nothing of it is understood, so its price is unknown, or what the operator declared for a request. A path that only
looks different from a metered one is not passed on: this is no way around the meter.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import msgspec

from visionality.core.call import Ask, Headers, Refusal, Request
from visionality.core.money import NANO, rounded_nusd
from visionality.core.row import Row
from visionality.core.usage import Metered, Usage
from visionality.gateway.dialects import Dialect
from visionality.gateway.dialects._core import is_of_type
from visionality.gateway.providers import PROVIDERS, Provider, Route, named
from visionality.gateway.routes import PLACE, Target, find
from visionality.registry.snapshot import Grant

NOT_METERED = "route_not_metered"

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_PATH = re.compile(r"(?:/[A-Za-z0-9._~:@!$&'()*+,;=%-]+)+")
_BEHIND = re.compile(r"(?:[;?#]|[^!-~])[^/]*")
"""What a server may cut off a segment of a path before it looks for a route."""
_ALIASES = {alias: provider for provider in PROVIDERS for alias in provider.aliases}
_decode = msgspec.json.Decoder(dict[str, str | None]).decode


class PassThrough:
    """A dialect that understands nothing, and refuses in the words of the provider's own."""

    name = "passthrough"

    def __init__(self, own: Dialect) -> None:
        self._own = own
        self.error = own.error
        self.error_headers = own.error_headers
        self.stream_error = own.stream_error

    def document(self, request: Request) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:  # noqa: ARG002
        return Ask(None, stream=True, output_limit=None)

    def outgoing(self, request: Request, ask: Ask) -> bytes:  # noqa: ARG002
        return request.body

    def streams(self, headers: Headers) -> bool:
        return is_of_type(headers, b"text/event-stream")

    def reader(self, ask: Ask) -> "PassThroughStream":  # noqa: ARG002
        return PassThroughStream()

    def metered_body(
        self,
        body: bytes,  # noqa: ARG002
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        return None

    def served_tier(self, headers: Headers) -> dict[str, str]:  # noqa: ARG002
        return {}


class PassThroughStream:
    """Every byte at once. The end of the body alone is held until the row is durable."""

    complete = False

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        self.complete = True
        return b""

    def metered(self, document: Mapping[str, Any]) -> Metered:  # noqa: ARG002
        return Metered(Usage(), "none")


def passed(method: str, path: str) -> Target | None:
    """The target of a path that has no metered route; None where there is no provider, or a metered path is meant."""
    name, _, rest = path[1:].partition("/")
    provider = _ALIASES.get(name) or named(name)
    suffix = _suffix(provider, f"/{rest}") if provider and method in _METHODS else None
    if provider is None or suffix is None:
        return None
    meant = _BEHIND.sub("", unquote(unquote(rest)).lower()).rstrip("/")
    if any(part in {"", ".", ".."} for part in re.split(r"[/\\]", meant)):
        return None
    if find(method, f"/{name}/{meant}", ()) or _resembles_a_call(provider, method, f"/{meant}"):
        return None
    own = provider.routes[0].dialect
    return Target(provider, Route(method, path, suffix, PassThrough(own), "passthrough"), suffix)


def _resembles_a_call(provider: Provider, method: str, path: str) -> bool:
    """Whether a server could take a path for that of a model call, whatever stands in its places and in either case."""
    return any(
        re.fullmatch(".+".join(map(re.escape, PLACE.split(route.path)[::2])), path, re.IGNORECASE)
        for route in provider.routes
        if route.kind == "model_call" and route.method == method
    )


def _suffix(provider: Provider, path: str) -> str | None:
    """What stands behind the provider's base address, as for its metered routes."""
    first = provider.routes[0]
    prefix = first.path.removesuffix(first.suffix)
    if not _PATH.fullmatch(path) or not path.startswith(f"{prefix}/"):
        return None
    return path.removeprefix(prefix)


def is_open(grant: Grant, provider: Provider) -> bool:
    """Whether the key's project may pass calls through to this provider."""
    return bool(grant.passthrough) and provider.name in _decode(grant.passthrough or "{}")


def opened(target: Target, grant: Grant, row: Row) -> Target:
    """The target with what the operator declared for it. Raises Refusal when the project may not pass it through."""
    if not is_open(grant, target.provider):
        raise Refusal(404, NOT_METERED, "this path is not metered here, so it is not served")
    declared = _decode(grant.passthrough or "{}")[target.provider.name]
    row.price_state = "known" if declared else "unknown"
    return replace(target, usd_per_request=Decimal(declared) if declared else None)


def price(row: Row, target: Target, status: int, *, was_sent: bool) -> None:
    """Write into a row what its call cost: as declared, or unknown; nothing when the provider refused it."""
    if status >= 400 or not was_sent:
        return
    usd = target.usd_per_request
    if usd is None:
        row.price_state = "unknown"
        return
    row.usage = {"request": 1}
    row.cost_nusd = row.billed_nusd = rounded_nusd(usd * NANO)
    row.rates = {"request": f"{usd * 1_000_000:f}", "source": "declared for a request"}
