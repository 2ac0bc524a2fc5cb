"""The URL map of the web plane as it is, for the process that has Django set up (serve.py)."""

import re
from typing import Any
from unittest.mock import patch

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


def routes() -> list[dict[str, Any]]:
    """Every route: its address, the names of what varies in it, and what its view says of itself."""
    from django.urls import get_resolver  # noqa: PLC0415 -- Django must be set up first

    return [
        {
            "address": "/" + address,
            "name": one.name or "",
            "varies": re.findall(r"<(?:\w+:)?(\w+)>", address),
            "is_open": getattr(one.callback, "open_to_all", False),
            "roles": sorted(getattr(one.callback, "roles", ())),
            "is_exempt": getattr(one.callback, "csrf_exempt", False),
        }
        for address, one in _all(get_resolver())
    ]


def admitted(roles: list[str]) -> list[list[str]]:
    """Which routes, by address and method, let somebody with these roles in: what the real middleware decides of a member
    that is planted here (simulated sign-in)."""
    from django.test import RequestFactory  # noqa: PLC0415
    from django.urls import get_resolver  # noqa: PLC0415

    from visionality.runtime.ids import uuid7  # noqa: PLC0415
    from visionality.web.accounts import members  # noqa: PLC0415
    from visionality.web.accounts.roles import Role  # noqa: PLC0415

    member = members.Member(uuid7(), "planted", frozenset(map(Role, roles)))
    door = members.SignInRequired(lambda request: None)
    found = []
    with patch.object(members, "member_or_none", lambda request: member), patch.object(members, "render"):
        for address, one in _all(get_resolver()):
            for method in METHODS:
                request = RequestFactory().generic(method, "/x")
                if door.process_view(request, one.callback, (), {}) is None:
                    found.append(["/" + address, method])
    return found


def _all(resolver: Any, before: str = "") -> list[tuple[str, Any]]:
    found = []
    for one in resolver.url_patterns:
        here = before + str(one.pattern)
        found += _all(one, here) if hasattr(one, "url_patterns") else [(here, one)]
    return found
