"""A web plane in a process of its own, on a port of its own; prints the port, then a sign-in link for each line it reads.

A line is an organisation's id and an actor.
"""

import socket
import sys
import threading
from uuid import UUID

import uvicorn

from visionality.runtime.clock import utc_now
from visionality.web.app import WebSettings, application


def main(web_dsn: str, reader_dsn: str, sandbox: str) -> None:
    given = WebSettings(
        web_dsn=web_dsn,
        reader_dsn=reader_dsn,
        secret_key="for tests " * 5,
        sandbox=sandbox == "sandbox",
        gateway_url="http://127.0.0.1:8700",
    )
    server = uvicorn.Server(uvicorn.Config(application(given), log_level="warning", lifespan="on"))
    door = socket.create_server(("127.0.0.1", 0))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    serving.start()
    print(port := door.getsockname()[1], flush=True)

    from django.db import connections

    from visionality.web.accounts.login import make_link

    for line in sys.stdin:
        org_id, actor = line.split()
        print(make_link(UUID(org_id), actor, utc_now(), f"http://127.0.0.1:{port}"), flush=True)
    connections.close_all()
    server.should_exit = True
    serving.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
