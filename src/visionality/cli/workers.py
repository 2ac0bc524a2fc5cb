"""The workers of the gateway: as many processes as are wanted behind one listening socket, each a writer of its own."""

import os
import shutil
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from visionality.cli.children import READY_WITHIN, Child, Children
from visionality.cli.installation import report
from visionality.cli.serve import SOCKET_FD, WORKER, WORKERS_DIR
from visionality.cli.tally import Tally
from visionality.runtime.settings import Settings

AT_THE_END = 10.0
"""Seconds that a worker has, when its streams have ended, to write down what it knows."""


def shared_place(stack: ExitStack) -> Path:
    """A directory of this user alone in which workers meet. Its path is short, as that of a Unix socket has to be."""
    place = Path(tempfile.mkdtemp(prefix="vis-workers-"))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    Tally.make(place)
    return place


def environment_of(settings: Settings, workers: int, place: Path) -> dict[str, str]:
    """What the processes are started with: this environment, and what an option said instead of it."""
    environment = {name: value for name, value in os.environ.items() if name != SOCKET_FD}
    environment["VIS_DATA_DIR"] = str(settings.data_dir)
    environment["VIS_GATEWAY_WORKERS"] = str(workers)
    environment[WORKERS_DIR] = str(place)
    if settings.database_url is not None:
        environment["VIS_DATABASE_URL"] = settings.database_url
    return environment


def gateway_workers(
    sock: socket.socket, environment: dict[str, str], count: int, drain_seconds: float, logs: Path | None
) -> list[Child]:
    """Their places; the first is called as the only one would be."""
    patience = drain_seconds + AT_THE_END
    made = []
    for number in range(1, count + 1):
        name = "gateway" if number == 1 else f"gateway-{number}"
        own = environment | {WORKER: str(number)}
        made.append(Child(name, sock, own, logs and logs / f"{name}.log", patience))
    return made


def run_workers(settings: Settings, sock: socket.socket, count: int) -> None:
    """Run so many until a signal. Raises CannotStart when one does not come up at first."""
    children = Children(settings.drain_seconds)
    with ExitStack() as stack:
        children.heed_signals(stack)
        environment = environment_of(settings, count, shared_place(stack))
        environment["VIS_GATEWAY_PORT"] = str(sock.getsockname()[1])
        if settings.sandbox_url is not None:
            environment["VIS_SANDBOX_URL"] = settings.sandbox_url
        children.members = gateway_workers(sock, environment, count, settings.drain_seconds, None)
        stack.callback(children.stop)
        children.start()
        until = time.monotonic() + READY_WITHIN
        while not children.stopping and not children.all_serve(until):
            children.pause()
        if not children.stopping:
            report(f"{count} gateway workers are ready at {children.members[0].url}")
        while not children.stopping:
            children.pause()
            if not children.stopping:
                children.watch()
