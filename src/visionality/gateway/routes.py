"""From a request's method and path to a provider's route. What is not in the table is refused.

A route stands under its provider's name (`/openai/v1/chat/completions`) and bare (`/v1/chat/completions`), for the
first provider that claims it. `/v1/models` is claimed by Anthropic and Google too, whose SDKs say so with their headers;
so does Anthropic's with `/v1/files`, which has no meter there and must not end at OpenAI.
Under any other name OpenAI's routes stand, for a provider that an operator has set up by that name. Under `/cursor`
the body tells the route.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec.structs import replace

from visionality.core.call import Headers, Refusal
from visionality.gateway import cursor
from visionality.gateway.dialects import CHAT_COMPLETIONS, CONVERSE, GEMINI, MESSAGES, Dialect
from visionality.gateway.providers import (
    ANTHROPIC,
    BY_NAME,
    GOOGLE,
    OPENAI,
    PROVIDERS,
    Provider,
    Route,
    named,
)

_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}"
_PLACES = {
    "id": _SEGMENT,
    "model": _SEGMENT,
    "model_id": r"(?:[A-Za-z0-9._:~-]|%3[Aa]|%2[Ff]){1,2048}",
}
_GENERATES = (":generateContent", ":streamGenerateContent")
_SCOPED = re.compile(r"/at/([A-Za-z0-9][A-Za-z0-9._-]{0,99})(?=/)")
PLACE = re.compile(r"\{(\w+)\}")


class Target(msgspec.Struct, frozen=True):
    """A provider, its route, the path behind the provider's base address, and the model where the path names it."""

    provider: Provider
    route: Route
    suffix: str
    model: str | None = None
    is_open: bool = False
    """Whether the body is still to tell the target; this one then says how to refuse until it came."""
    usd_per_request: Decimal | None = None
    """What an operator declared for a call without a meter."""


_EXACT: dict[tuple[str, str], list[Target]] = {}
_OPEN: dict[tuple[str, str], list[tuple[re.Pattern[str], list[Target]]]] = {}
"""Paths with places in them, by method and first segment."""


def _add(path: str, provider: Provider, route: Route) -> None:
    target = Target(provider, route, route.suffix)
    if not PLACE.search(path):
        _EXACT.setdefault((route.method, path), []).append(target)
        return
    names = PLACE.split(path)[1::2]
    literal = [re.escape(part) for part in PLACE.split(path)[::2]]
    pattern = literal[0]
    for name, part in zip(names, literal[1:], strict=True):
        pattern += f"(?P<{name}>{_PLACES[name]}){part}"
    compiled = re.compile(pattern)
    beside = _OPEN.setdefault((route.method, path.split("/", 2)[1]), [])
    known = next((claims for one, claims in beside if one.pattern == compiled.pattern), None)
    if known is None:
        beside.append((compiled, [target]))
    else:
        known.append(target)


for _provider in PROVIDERS:
    for _route in _provider.routes:
        for _name in (_provider.name, *_provider.aliases):
            _add(f"/{_name}{_route.path}", _provider, _route)
        _add(_route.path, _provider, _route)


def without_scope(path: str) -> tuple[str, str | None]:
    """A path without `/at/NAME` before it, and that name: what the call is for (docs/reference/attribution.md)."""
    found = _SCOPED.match(path)
    return (path, None) if found is None else (path[found.end() :], found[1])


def find(method: str, path: str, headers: Headers) -> Target | None:
    """The target of a raw path, or None."""
    if path.startswith("/v1/files") and _speaks_anthropic(headers):
        return None
    if exact := _EXACT.get((method, path)):
        return _claimed(exact, headers)
    for pattern, claims in _OPEN.get((method, path[1:].partition("/")[0]), ()):
        if match := pattern.fullmatch(path):
            claimed, places = _claimed(claims, headers), match.groupdict()
            model = places.get("model") or unquote(places.get("model_id", ""))
            return replace(claimed, suffix=claimed.suffix.format_map(places), model=model or None)
    return _cursor(method, path, headers) or _compatible(method, path, headers)


def settled(document: Mapping[str, Any], headers: Headers) -> tuple[Target, Headers]:
    """The target that the body of an open one tells, and the headers with what its vendor insists on. Raises Refusal."""
    target = find("POST", cursor.path_of(document, headers), headers)
    if target is None:
        raise Refusal(
            404, "route_not_metered", "bodies of this format are not metered here, so they are not served"
        )
    if target.provider is ANTHROPIC and not _speaks_anthropic(headers):
        headers += (cursor.ANTHROPIC_VERSION,)
    return target, headers


def _cursor(method: str, path: str, headers: Headers) -> Target | None:
    """With or without `/v1`: whichever address Cursor was given, it appends the rest."""
    if not path.startswith("/cursor/"):
        return None
    rest = "/v1/" + path.removeprefix("/cursor/").removeprefix("v1/")
    if method == "GET" and rest.startswith("/v1/models"):
        return find(method, f"/openai{rest}", headers)
    if method != "POST" or rest not in cursor.PATHS:
        return None
    likely = cursor.MESSAGES if spoken(path, headers) is MESSAGES else cursor.CHAT
    target = find(method, likely, headers)
    return target and replace(target, is_open=True)


def _compatible(method: str, path: str, headers: Headers) -> Target | None:
    name, slash, rest = path[1:].partition("/")
    provider = None if not slash or name in BY_NAME else named(name)
    as_openai = None if provider is None else find(method, f"/openai/{rest}", headers)
    if provider is None or as_openai is None or as_openai.provider is not OPENAI:
        return None
    if as_openai.route not in provider.routes:
        return None
    return replace(as_openai, provider=provider)


def spoken(path: str, headers: Headers) -> Dialect:
    """The dialect to refuse in when no route matches."""
    if path.startswith(("/bedrock", "/model/")):
        return CONVERSE
    if (
        path.startswith(("/google", "/gemini", "/v1beta"))
        or path.endswith(_GENERATES)
        or _speaks_google(headers)
    ):
        return GEMINI
    if path.startswith("/anthropic") or path.endswith("/messages") or _speaks_anthropic(headers):
        return MESSAGES
    return CHAT_COMPLETIONS


def _speaks_anthropic(headers: Headers) -> bool:
    return _has(headers, b"anthropic-version")


def _speaks_google(headers: Headers) -> bool:
    return _has(headers, b"x-goog-api-key")


def _has(headers: Headers, wanted: bytes) -> bool:
    for name, _ in headers:  # noqa: SIM110 -- `any` takes twice as long, in every call
        if name == wanted:
            return True
    return False


def _claimed(claims: list[Target], headers: Headers) -> Target:
    if len(claims) > 1:
        vendor = ANTHROPIC if _speaks_anthropic(headers) else GOOGLE if _speaks_google(headers) else None
        for claim in claims:
            if claim.provider is vendor:
                return claim
    return claims[0]
