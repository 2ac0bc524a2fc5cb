"""The one door of the API: token, limit, size, preconditions, and the operation behind it, in one transaction.

The operations are imported when the first request comes: a web plane that nobody's program asks starts without them.
"""

import hashlib
import re
import threading
import time
from functools import cache
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, URLResolver
from django.urls.resolvers import RegexPattern
from django.views.decorators.csrf import csrf_exempt

from visionality.core.rate_limit import Limit, RateLimiter
from visionality.web.accounts.members import open_to_all
from visionality.web.api.bearer import Ask, admitted
from visionality.web.api.idempotency import once
from visionality.web.api.problem import Problem, answered
from visionality.web.handler import LARGEST_BODY
from visionality.web.policy.acts import alone

DESCRIPTION = "openapi.json"
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_IF_MATCH = re.compile(r'\*|"[0-9a-f]{32}"(, ?"[0-9a-f]{32}"){0,9}')
A_MINUTE = Limit(requests=6000)
"""Requests of one token that are answered in any minute."""

_used: RateLimiter[UUID] = RateLimiter()
_counting = threading.Lock()


@open_to_all
@csrf_exempt
def enter(request: HttpRequest, place: str) -> HttpResponseBase:
    """Answer a program. There is no session and no cookie, so there is nothing that another site could make a browser send."""
    try:
        if place == DESCRIPTION:
            return _described(request)
        with admitted(request) as ask:
            _count(ask)
            response = _served(ask, place)
        return _with_tag(request, response)
    except Problem as problem:
        return problem.response()


def _described(request: HttpRequest) -> HttpResponse:
    if request.method not in {"GET", "HEAD"}:
        raise Problem(405, f"expected GET, HEAD, and {request.method} came", headers={"Allow": "GET, HEAD"})
    return HttpResponse(_description(), content_type="application/json")


def _count(ask: Ask) -> None:
    with _counting:
        wait = _used.take(time.monotonic(), {ask.token_id: A_MINUTE}, 0)
    if wait is not None:
        told = f"this token asked more than {A_MINUTE.requests} times in a minute: wait {wait.seconds} s"
        raise Problem(429, told, headers={"Retry-After": str(wait.seconds)})


def _served(ask: Ask, place: str) -> HttpResponseBase:
    request = ask.request
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise Problem(413, f"the body is larger than {LARGEST_BODY} bytes: send it in parts")
    request._body = body  # noqa: SLF001 -- read once, and by our own limit instead of Django's
    request.ask = ask  # type: ignore[attr-defined]
    found = _found(request, place)
    request.places = found.kwargs  # type: ignore[attr-defined]
    _check_method(request, found)
    if request.method not in WRITES:
        return _run(request, found, "GET")
    expected = request.headers.get("if-match")
    if expected is not None and not _IF_MATCH.fullmatch(expected):
        raise Problem(422, "If-Match: expected the ETag of what was read, or several, or *")

    def act() -> HttpResponse:
        if expected is not None:
            alone(ask.act)
            _compare(request, found, expected)
        response = _run(request, found, request.method)
        assert isinstance(response, HttpResponse)
        return response

    return once(ask, act)


def _found(request: HttpRequest, place: str) -> ResolverMatch:
    nothing = Problem(404, f"there is nothing at {request.path}")
    if "\0" in place:
        raise nothing
    try:
        return _operations().resolve(place)
    except Resolver404:
        raise nothing from None


def _check_method(request: HttpRequest, found: ResolverMatch) -> None:
    """Raises Problem for a method that no operation has here."""
    known = set(_run(request, found, "OPTIONS")["Allow"].split(", "))
    allowed = known | {"HEAD"} if "GET" in known else known
    if request.method not in allowed:
        told = ", ".join(sorted(allowed))
        raise Problem(405, f"expected {told}, and {request.method} came", headers={"Allow": told})


def _run(request: HttpRequest, found: ResolverMatch, method: str | None) -> HttpResponseBase:
    """Have the operation of this method answer. Raises Problem."""
    asked, request.method = request.method, method
    try:
        response: HttpResponseBase = found.func(request, **found.kwargs)
    finally:
        request.method = asked
    return response


def _compare(request: HttpRequest, found: ResolverMatch, expected: str) -> None:
    """Raises Problem when what is to be changed is no longer what the caller read."""
    try:
        now = _tag(_run(request, found, "GET"))
    except Problem:  # it is not there
        now = None
    if now is None or (expected != "*" and now not in [one.strip() for one in expected.split(",")]):
        raise Problem(
            412,
            f"this is {now or 'not there'} by now, and If-Match says {expected}: read it again first",
        )


def _with_tag(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    tag = _tag(response) if request.method in {"GET", "HEAD"} else None
    if tag is None:
        return response
    known = request.headers.get("if-none-match", "")
    if known == "*" or tag in _tags(known):
        return HttpResponse(status=304, headers={"ETag": tag})
    response["ETag"] = tag
    return response


def _tag(response: HttpResponseBase) -> str | None:
    """What names this content, where it has one: a strong ETag (RFC 9110)."""
    if response.status_code != 200 or not isinstance(response, HttpResponse):
        return None
    return f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'


def _tags(header: str) -> set[str]:
    return {one.strip().removeprefix("W/") for one in header.split(",")}


@cache
def _operations() -> URLResolver:
    from visionality.web.api.operations import patterns  # noqa: PLC0415 -- when the first request comes

    return URLResolver(RegexPattern(r"^"), patterns())


@cache
def _description() -> bytes:
    from visionality.web.api.operations import described  # noqa: PLC0415

    return bytes(answered(described()).content)
