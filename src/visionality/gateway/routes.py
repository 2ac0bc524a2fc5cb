"""From a request's method and path to a provider's route. What is not in the table is refused.

A route stands under its provider's name (`/openai/v1/chat/completions`) and bare (`/v1/chat/completions`), for the
first provider that claims it. `/v1/models` is claimed by Anthropic too, whose SDK says so with its version header.
Under any other name OpenAI's routes stand, for a provider that an operator has set up by that name.
"""

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote

from visionality.core.call import Headers
from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES, Dialect
from visionality.gateway.providers import ANTHROPIC, BY_NAME, NAME, PROVIDERS, Provider, Route, compatible

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}"
_PLACES = {
    "id": _SEGMENT,
    "model": _SEGMENT,
    "model_id": r"(?:[A-Za-z0-9._:~-]|%3[Aa]|%2[Ff]){1,2048}",
}
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Target:
    """A provider, its route, the path behind the provider's base address, and the model where the path names it."""

    provider: Provider
    route: Route
    suffix: str
    model: str | None = None


_EXACT: dict[tuple[str, str], list[tuple[Provider, Route]]] = {}
_OPEN: list[tuple[re.Pattern[str], list[tuple[Provider, Route]]]] = []


def _add(path: str, provider: Provider, route: Route) -> None:
    if not _PLACE.search(path):
        _EXACT.setdefault((route.method, path), []).append((provider, route))
        return
    names = _PLACE.split(path)[1::2]
    literal = [re.escape(part) for part in _PLACE.split(path)[::2]]
    pattern = literal[0]
    for name, part in zip(names, literal[1:], strict=True):
        pattern += f"(?P<{name}>{_PLACES[name]}){part}"
    compiled = re.compile(f"{route.method} {pattern}")
    known = next((claims for one, claims in _OPEN if one.pattern == compiled.pattern), None)
    if known is None:
        _OPEN.append((compiled, [(provider, route)]))
    else:
        known.append((provider, route))


for _provider in PROVIDERS:
    for _route in _provider.routes:
        _add(f"/{_provider.name}{_route.path}", _provider, _route)
        _add(_route.path, _provider, _route)


def find(method: str, path: str, headers: Headers) -> Target | None:
    """The target of a raw path, or None."""
    if exact := _EXACT.get((method, path)):
        provider, route = _claimed(exact, headers)
        return Target(provider, route, route.suffix)
    for pattern, claims in _OPEN:
        if match := pattern.fullmatch(f"{method} {path}"):
            provider, route = _claimed(claims, headers)
            places = match.groupdict()
            model = places.get("model") or unquote(places.get("model_id", ""))
            return Target(provider, route, route.suffix.format_map(places), model or None)
    return _compatible(method, path, headers)


def _compatible(method: str, path: str, headers: Headers) -> Target | None:
    name, slash, rest = path[1:].partition("/")
    if not slash or name in BY_NAME or not NAME.fullmatch(name):
        return None
    as_openai = find(method, f"/openai/{rest}", headers)
    return as_openai and replace(as_openai, provider=compatible(name))


def spoken(path: str, headers: Headers) -> Dialect:
    """The dialect to refuse in when no route matches."""
    if path.startswith("/anthropic") or path.endswith("/messages") or _speaks_anthropic(headers):
        return MESSAGES
    return CHAT_COMPLETIONS


def _speaks_anthropic(headers: Headers) -> bool:
    return any(name == b"anthropic-version" for name, _ in headers)


def _claimed(claims: list[tuple[Provider, Route]], headers: Headers) -> tuple[Provider, Route]:
    if len(claims) > 1 and _speaks_anthropic(headers):
        return next((claim for claim in claims if claim[0] is ANTHROPIC), claims[0])
    return claims[0]
