"""`vis up`: the supervisor. One command, one machine, the whole product.

It holds the data directory's lock and the listening sockets, runs PostgreSQL, prepares the database, starts the
processes, restarts one that dies, renews the gateway's workers at SIGHUP, and stops all in order: gateway first, so that
open streams end and their rows are written, PostgreSQL last.
"""

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from visionality.cli.children import LONGEST_DELAY, READY_WITHIN, Child, Children
from visionality.cli.installation import ADDRESSES, CannotStart, Installation, installation, report
from visionality.cli.login import make_link
from visionality.cli.serve import HOST, listening_socket, workers_option
from visionality.cli.workers import environment_of, gateway_workers, shared_place
from visionality.postgres import Cluster, DataDirLock, PostgresFault, find_binaries
from visionality.runtime.clock import utc_now

ASK_AGAIN_AFTER = 0.02
PARTITIONS_EVERY = 3600.0


@dataclass(slots=True)
class Supervisor:
    """Runs until it is told to stop. To be used from the main thread only."""

    here: Installation
    use_sandbox: bool
    ports: dict[str, int]
    workers: int
    """Gateway processes."""
    children: Children
    cluster: Cluster | None = None
    login: str = ""
    _partitions_at: float = 0.0
    _database_due: float = 0.0
    _database_delay: float = 0.0

    def run(self, announce: Callable[["Supervisor"], None]) -> None:
        children = self.children
        with ExitStack() as stack:
            children.heed_signals(stack)
            stack.enter_context(DataDirLock(self.here.settings.data_dir))
            sockets = self._sockets(stack)
            stack.callback(self._stop_database)
            stack.callback(children.stop)
            go = self._start_children(sockets, stack)
            try:
                self._start_database()
                from visionality.cli.prepare import prepare  # loaded by now, if we run the database ourselves

                prepare(self.here.access, utc_now, report)
                self.here.keys()
                os.write(go, b"g" * len(children.members))
            finally:
                os.close(go)
            self._partitions_at = time.monotonic() + PARTITIONS_EVERY
            if not children.stopping:
                self.login = make_link(self.here, self.summary()["web"])  # while the processes come up
                self._wait_until_ready()
            if not children.stopping:
                addresses = self.here.settings.data_dir / ADDRESSES
                addresses.write_text(json.dumps(self.summary()))
                stack.callback(lambda: addresses.unlink(missing_ok=True))
                announce(self)
            while not children.stopping:
                children.pause()
                self._watch()

    def summary(self) -> dict[str, Any]:
        """Addresses and process ids, as `--json` prints them: `gateway` is the first of its workers, `gateway-2` the next."""
        members = self.children.members
        pids = {child.name: child.run.process.pid for child in members if child.run is not None}
        if self.cluster is not None:
            pids["postgres"] = self.cluster.pid or 0
        return {
            **{child.command: child.url for child in members},
            "pids": {"supervisor": os.getpid(), **pids},
            "data_dir": str(self.here.settings.data_dir),
        }

    # ------------------------------------------------------------------ steps

    def _sockets(self, stack: ExitStack) -> dict[str, socket.socket]:
        sockets = {}
        for name, port in self.ports.items():
            sockets[name] = stack.enter_context(listening_socket(port, f"--{name}-port"))
        if self.use_sandbox:
            sockets["sandbox"] = stack.enter_context(listening_socket(0, "--no-sandbox"))
        return sockets

    def _start_database(self) -> None:
        settings = self.here.settings
        if settings.database_url is None:
            self.cluster = Cluster(settings.data_dir, find_binaries(settings.postgres_bin), report)
            self.cluster.start(meanwhile=_load_what_prepares)

    def _stop_database(self) -> None:
        if self.cluster is not None:
            self.cluster.stop()

    def _start_children(self, sockets: dict[str, socket.socket], stack: ExitStack) -> int:
        """Let the processes load while the database starts. Returns the descriptor that tells them to go on."""
        settings = self.here.settings
        environment = environment_of(settings, self.workers, shared_place(stack))
        environment["VIS_GATEWAY_PORT"] = str(sockets["gateway"].getsockname()[1])
        environment.pop("VIS_SANDBOX_URL", None)
        if self.use_sandbox:
            environment["VIS_SANDBOX_URL"] = f"http://{HOST}:{sockets['sandbox'].getsockname()[1]}"
        logs = settings.data_dir / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.children.members = gateway_workers(
            sockets["gateway"], environment, self.workers, settings.drain_seconds, logs
        )
        self.children.members += [
            Child(name, sock, environment, logs / f"{name}.log")
            for name, sock in sockets.items()
            if name != "gateway"
        ]
        waits, go = os.pipe()
        self.children.start(go=waits)
        os.close(waits)
        return go

    def _wait_until_ready(self) -> None:
        """Return when every process serves and each address says that it is ready. Raises CannotStart."""
        children, until = self.children, time.monotonic() + READY_WITHIN
        addresses = {child.command: child for child in children.members}
        asked = {_ask(child): child for child in addresses.values()}
        try:
            while not children.stopping and (not children.all_serve(until) or asked):
                for connection in children.pause(asked):
                    child = asked.pop(connection)
                    if not _says_ready(connection):
                        time.sleep(ASK_AGAIN_AFTER)
                        asked[_ask(child)] = child
                if asked and time.monotonic() > until:
                    names = ", ".join(child.name for child in asked.values())
                    raise CannotStart(
                        f"not ready after {READY_WITHIN:g} s: {names}; see {self.here.settings.data_dir / 'logs'}"
                    )
        finally:
            for connection in asked:
                connection.close()

    def _watch(self) -> None:
        now = time.monotonic()
        if self.cluster is not None and not self.children.stopping and self.cluster.poll() is not None:
            self._restart_database(self.cluster, now)
        if not self.children.stopping:
            self.children.watch()
        if now >= self._partitions_at:
            self._add_partitions()
            self._partitions_at = now + PARTITIONS_EVERY

    def _restart_database(self, cluster: Cluster, now: float) -> None:
        """Start the server again; one that dies while it starts is tried again, with growing pauses."""
        if now < self._database_due:
            return
        report(f"PostgreSQL ended with code {cluster.poll()}; starting it again")
        try:
            cluster.start()
        except PostgresFault as fault:
            self._database_delay = min(max(0.5, self._database_delay * 2), LONGEST_DELAY)
            self._database_due = time.monotonic() + self._database_delay
            report(f"{fault}\ntrying again in {self._database_delay:g} s")
        else:
            self._database_delay = 0.0

    def _add_partitions(self) -> None:
        import psycopg

        from visionality.web.migrate import add_partitions

        try:
            with psycopg.connect(self.here.access.dsn("vis_migrator"), autocommit=True) as connection:
                add_partitions(connection, utc_now())
        except psycopg.Error as error:
            report(f"partitions could not be made ahead, trying again in an hour: {error}")


def _ask(child: Child) -> socket.socket:
    """A connection on which it says whether it is ready, once it takes connections."""
    host, port = child.sock.getsockname()
    path = "/sandbox/health" if child.command == "sandbox" else "/readyz"
    connection = socket.create_connection((host, port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n".encode())
    return connection


def _load_what_prepares() -> None:
    import visionality.cli.prepare  # noqa: F401 -- only to be loaded while PostgreSQL boots


def _says_ready(connection: socket.socket) -> bool:
    """Whether the answer that has begun to come says so."""
    with connection, suppress(OSError):
        return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    return False


def _announce(supervisor: Supervisor, *, in_json: bool) -> None:
    summary, link = supervisor.summary(), supervisor.login
    if in_json:
        click.echo(json.dumps(summary | {"login": link}))
        return
    click.echo(
        f"Visionality is up.  gateway {summary['gateway']}   web {summary['web']}   data {summary['data_dir']}"
    )
    if supervisor.use_sandbox:
        click.echo(
            "Calls of a provider without a key go to the SANDBOX, a simulated provider: no real model answers.\n"
            "    vis provider add anthropic     adds a real key;  --no-sandbox forbids the sandbox"
        )
    data_dir = summary["data_dir"]
    option = "" if data_dir == str(Path.cwd() / ".visionality") else f" --data-dir {data_dir}"
    click.echo(f"Send a first call:      {_vis()} try{option}")
    click.echo(f"Open the ledger (once): {link}")
    click.echo("Stop with Ctrl-C.")


def _vis() -> str:
    """How this very program is typed again."""
    program = Path(sys.argv[0])
    relative = os.path.relpath(program)
    return "vis" if program.name != "vis" else min(relative, str(program), key=len)


@click.command(epilog="Example: vis up --data-dir ./data --gateway-port 0 --web-port 0 --json")
@installation
@click.option(
    "--gateway-port", type=int, help="Port of the gateway, 0 for a free one.  [VIS_GATEWAY_PORT, 8700]"
)
@click.option("--web-port", type=int, help="Port of the pages, 0 for a free one.  [VIS_WEB_PORT, 8701]")
@click.option(
    "--jobs-port", type=int, help="Port for health and metrics, 0 for a free one.  [VIS_JOBS_PORT, 8702]"
)
@workers_option
@click.option(
    "--no-sandbox", is_flag=True, help="Refuse calls of providers without a key instead of simulating them."
)
@click.option(
    "--json",
    "in_json",
    is_flag=True,
    help="When ready, print one JSON line: addresses, process ids, data dir.",
)
def up_command(
    here: Installation, *, in_json: bool, no_sandbox: bool, workers: int | None, **ports: int | None
) -> None:
    """Start everything and keep it running: PostgreSQL, gateway, web and jobs.

    The first start makes the database; it takes a few seconds. Everything lives in the data directory.
    """
    settings = here.settings
    given = {
        "gateway": (ports["gateway_port"], settings.gateway_port),
        "web": (ports["web_port"], settings.web_port),
        "jobs": (ports["jobs_port"], settings.jobs_port),
    }
    chosen = {name: setting if option is None else option for name, (option, setting) in given.items()}
    children = Children(settings.drain_seconds)
    supervisor = Supervisor(here, not no_sandbox, chosen, workers or settings.gateway_workers, children)
    supervisor.run(lambda ready: _announce(ready, in_json=in_json))
