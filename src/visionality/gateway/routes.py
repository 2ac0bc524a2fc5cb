"""From a request's method and path to a provider's route. What is not in the table is refused.

A route stands under its provider's name (`/openai/v1/chat/completions`) and, where no other provider claims it, bare
(`/v1/chat/completions`). `/v1/models` is claimed by both: Anthropic's SDK says so with its version header.
"""

import re
from dataclasses import dataclass

from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES, Dialect
from visionality.gateway.providers import ANTHROPIC, PROVIDERS, Provider, Route

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


@dataclass(frozen=True, slots=True)
class Target:
    """A provider, its route, and the path behind the provider's base address."""

    provider: Provider
    route: Route
    suffix: str


_TABLE: dict[tuple[str, str], list[tuple[Provider, Route]]] = {}
for _provider in PROVIDERS:
    for _route in _provider.routes:
        _TABLE.setdefault((_route.method, f"/{_provider.name}{_route.path}"), []).append((_provider, _route))
        _TABLE.setdefault((_route.method, _route.path), []).append((_provider, _route))


def find(method: str, path: str, *, anthropic: bool) -> Target | None:
    """The target of a raw path, or None. `anthropic`: the request carries Anthropic's version header."""
    if exact := _TABLE.get((method, path)):
        return _target(exact, "", anthropic=anthropic)
    head, _, segment = path.rpartition("/")
    if (open_ended := _TABLE.get((method, head + "/*"))) and _SEGMENT.fullmatch(segment):
        return _target(open_ended, segment, anthropic=anthropic)
    return None


def spoken(path: str, *, anthropic: bool) -> Dialect:
    """The dialect to refuse in when no route matches."""
    return (
        MESSAGES
        if anthropic or path.startswith("/anthropic") or path.endswith("/messages")
        else CHAT_COMPLETIONS
    )


def _target(found: list[tuple[Provider, Route]], segment: str, *, anthropic: bool) -> Target:
    provider, route = found[0]
    if len(found) > 1 and anthropic:
        provider, route = next(pair for pair in found if pair[0] is ANTHROPIC)
    return Target(provider, route, route.suffix.replace("*", segment))
