"""A web plane in a process of its own, on a port of its own: Django can be set up only once a process.

Prints the port, then answers each line it reads with one of JSON: `link ORG ACTOR`, `addresses`, `roles`, `providers`,
`service-token ORG DAYS SCOPE...` (issued ten days ago), `statements` (all SQL since they were last asked for),
`age SESSION SECONDS` (makes a session older), `forget-attempts`, `routes` and `admitted ROLE...` (route_map.py).
"""

import base64
import json
import socket
import sys
import threading
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import uvicorn
from django.contrib.auth.hashers import ScryptPasswordHasher
from route_map import admitted, routes

from visionality.core.vendors import TITLES
from visionality.runtime.clock import utc_now
from visionality.vault.keyproviders.env import from_text
from visionality.web.accounts.links import make_link
from visionality.web.app import WebSettings, application

TOKEN_PEPPER = b"for tests " * 5
KEYS = from_text(base64.b64encode(bytes(range(32))).decode())


said: list[str] = []
"""Every statement that a view has sent, by Django or by itself; `begin` and `commit` are not among them."""


def listen() -> None:
    for name in ("execute", "executemany", "copy"):
        setattr(psycopg.Cursor, name, _heard(getattr(psycopg.Cursor, name)))


def _heard(send: Any) -> Any:
    def heard(cursor: psycopg.Cursor[Any], query: Any, *given: Any, **options: Any) -> Any:
        said.append(query if isinstance(query, str) else str(query))
        return send(cursor, query, *given, **options)

    return heard


def main(web_dsn: str, reader_dsn: str, sandbox: str, public_url: str, smtp_url: str, hops: str) -> None:
    given = WebSettings(
        web_dsn=web_dsn,
        reader_dsn=reader_dsn,
        secret_key="for tests " * 5,
        token_pepper=TOKEN_PEPPER,
        keys=KEYS,
        sandbox=sandbox == "sandbox",
        gateway_url="http://127.0.0.1:8700",
        public_url=public_url,
        smtp_url=smtp_url or None,
        trusted_hops=int(hops),
    )
    listen()
    ScryptPasswordHasher.work_factor = 64  # a thousand sign-ins pay it
    server = uvicorn.Server(
        uvicorn.Config(application(given), log_level="warning", lifespan="on", proxy_headers=False)
    )
    door = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    serving.start()
    print(port := door.getsockname()[1], flush=True)

    from django.db import connections  # noqa: PLC0415 -- Django must be set up first

    for line in sys.stdin:
        print(json.dumps(answer(line.split(), port, web_dsn)), flush=True)
    connections.close_all()
    server.should_exit = True
    serving.join()


def answer(words: list[str], port: int, web_dsn: str) -> object:  # noqa: C901, PLR0911 -- one for each question
    from django.urls import get_resolver  # noqa: PLC0415 -- Django must be set up first

    match words:
        case ["link", org_id, actor]:
            with psycopg.connect(web_dsn) as connection:
                return make_link(connection, UUID(org_id), actor, utc_now(), f"http://127.0.0.1:{port}")
        case ["service-token", org_id, days, *scopes]:
            from visionality.web.issuing.service_tokens import issue  # noqa: PLC0415 -- Django must be set up first
            from visionality.web.policy.acts import Act  # noqa: PLC0415
            from visionality.web.start import organisation_context  # noqa: PLC0415

            with organisation_context(org_id):
                act = Act(UUID(org_id), "test", utc_now() - timedelta(days=10))
                made, token = issue(act, TOKEN_PEPPER, scopes, timedelta(days=int(days)), "test")
            return [str(made.id), token]
        case ["statements"]:
            heard, said[:] = said[:], []
            return heard
        case ["routes"]:
            return routes()
        case ["admitted", *roles]:
            return admitted(roles)
        case ["addresses"]:
            return [f"/{address}" for address in addresses_of(get_resolver())]
        case ["age", session, seconds]:
            return age(session, float(seconds))
        case ["forget-attempts"]:
            from django.core.cache import cache  # noqa: PLC0415

            return cache.clear()
        case ["roles"]:
            return {
                f"/{one.pattern}": sorted(getattr(one.callback, "roles", ()))
                for one in get_resolver().url_patterns
                if hasattr(one, "callback")
            }
        case ["providers"]:
            return list(TITLES)
    raise AssertionError(words)


def addresses_of(resolver: object, before: str = "") -> list[str]:
    """Every address, those of included modules too."""
    found = []
    for one in resolver.url_patterns:
        here = before + str(one.pattern).removeprefix("^").removesuffix("$")
        found += addresses_of(one, here) if hasattr(one, "url_patterns") else [here]
    return found


def age(session: str, seconds: float) -> None:
    """Have a session begin, and its owner confirm who they are, that much earlier."""
    from visionality.web.accounts.sealed_sessions import SessionStore  # noqa: PLC0415 -- Django must be set up first

    kept = SessionStore(session)
    if "actor" in kept:
        kept["since"] -= seconds
    for one in kept.get("account_authentication_methods", []):
        one["at"] -= seconds
    kept.save()


if __name__ == "__main__":
    main(*sys.argv[1:])
