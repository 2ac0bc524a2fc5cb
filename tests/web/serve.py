"""A web plane in a process of its own, on a port of its own: Django can be set up only once a process.

Prints the port, then answers each line it reads with one of JSON: `link ORG ACTOR`, `addresses`, `providers`,
`service-token ORG DAYS SCOPE...` (issued ten days ago).
"""

import base64
import json
import socket
import sys
import threading
from datetime import timedelta
from uuid import UUID

import psycopg
import uvicorn

from visionality.core.vendors import TITLES
from visionality.runtime.clock import utc_now
from visionality.vault.keyproviders.env import from_text
from visionality.web.accounts.links import make_link
from visionality.web.app import WebSettings, application

TOKEN_PEPPER = b"for tests " * 5
KEYS = from_text(base64.b64encode(bytes(range(32))).decode())


def main(web_dsn: str, reader_dsn: str, sandbox: str) -> None:
    given = WebSettings(
        web_dsn=web_dsn,
        reader_dsn=reader_dsn,
        secret_key="for tests " * 5,
        token_pepper=TOKEN_PEPPER,
        keys=KEYS,
        sandbox=sandbox == "sandbox",
        gateway_url="http://127.0.0.1:8700",
    )
    server = uvicorn.Server(uvicorn.Config(application(given), log_level="warning", lifespan="on"))
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


def answer(words: list[str], port: int, web_dsn: str) -> object:
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
        case ["addresses"]:
            return [f"/{one.pattern}" for one in get_resolver().url_patterns]
        case ["providers"]:
            return list(TITLES)
    raise AssertionError(words)


if __name__ == "__main__":
    main(*sys.argv[1:])
