"""An ASGI application behind its listening socket, until a signal.

SIGTERM and SIGINT end it: open streams get some seconds. SIGHUP retires it, when a successor serves the same socket:
it takes no more connections, and ends when its last call has, however long that takes.
"""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any, cast

import uvicorn

from visionality.cli.door import Door
from visionality.cli.installation import CannotStart
from visionality.cli.serve import READY_FD, SOCKET_FD, listening_socket
from visionality.cli.tally import Tally
from visionality.gateway.connection import Connection


class Server(uvicorn.Server):
    """uvicorn's, that says when it serves, and can be retired."""

    _retired = False
    _door: Door | None = None

    def __init__(self, config: uvicorn.Config, sock: socket.socket, tally: Tally | None) -> None:
        super().__init__(config)
        self._sock = sock
        self._tally = tally

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            if self._tally is not None:
                connections = self.server_state.connections
                self._door = Door(self._sock, self._connection, lambda: len(connections), self._tally)
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._retire)
            if telling := os.environ.get(READY_FD):
                os.write(int(telling), b"r")
                os.close(int(telling))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._door is not None:
            self._door.close()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        if await super().on_tick(counter):
            return True
        if self._door is not None:
            self._door.tell()
        if not self._retired:
            return False
        state = self.server_state
        for connection in list(state.connections):  # one may have been on its way in when we closed
            cast("Connection", connection).retire()
        return not (state.connections or state.tasks)

    def _connection(self) -> asyncio.Protocol:
        return Connection(self.config, self.server_state, self.lifespan.state)

    def _retire(self) -> None:
        self._retired = True
        if self._door is not None:
            self._door.close()
        for server in self.servers:
            server.close()


def serve(
    app: Any, port: int, option: str, *, patience: int = 30, workers: tuple[Path, int] | None = None
) -> None:
    """Run it until a signal; open streams get `patience` seconds to end.

    Where others serve the same socket, `workers` is where they meet, and which one of them this is.
    """
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
    tally = Tally(*workers) if workers else None
    server = Server(config, sock, tally)
    server.run(sockets=[] if workers else [sock])
    if not server.started:
        raise CannotStart("the process could not start; its log says why")
