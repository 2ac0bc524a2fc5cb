"""Paths without a meter, passed on for the projects whose operator opened them; each such call is a row all the same.

Nothing of it is understood, so its price is unknown, or what the operator declared for a request. A path that only
looks different from a metered one is not passed on: this is no way around the meter.
"""

import re
from decimal import Decimal
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from visionality.core.allocation import bill
from visionality.core.call import Refusal
from visionality.core.money import NANO, rounded_nusd
from visionality.core.row import Row
from visionality.gateway.dialects import PassThrough
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
        if route.kind in {"model_call", "batch"} and route.method == method
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
    row.cost_nusd = rounded_nusd(usd * NANO)
    bill(row)
    row.rates = {"request": f"{usd * 1_000_000:f}", "source": "declared for a request"}
