"""An ASGI application behind its listening socket, until a signal."""

import os
import socket
from typing import Any

import uvicorn

from visionality.cli.installation import CannotStart
from visionality.cli.serve import SOCKET_FD, listening_socket
from visionality.gateway.connection import Connection


def serve(app: Any, port: int, option: str, *, patience: int = 30) -> None:
    """Run it until a signal; open streams get `patience` seconds to end."""
    handed_down = os.environ.get(SOCKET_FD)
    sock = socket.socket(fileno=int(handed_down)) if handed_down else listening_socket(port, option)
    config = uvicorn.Config(
        app,
        http=Connection,
        loop="uvloop",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=patience,
    )
    server = uvicorn.Server(config)
    server.run(sockets=[sock])
    if not server.started:
        raise CannotStart("the process could not start; its log says why")
