"""`vis up`: the supervisor. One command, one machine, the whole product.

It holds the data directory's lock and the listening sockets, runs PostgreSQL, prepares the database, starts the
processes, restarts one that dies, and stops all in order: gateway first, so that open streams end and their rows are
written, PostgreSQL last.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from visionality.cli.installation import ADDRESSES, CannotStart, Installation, installation, report
from visionality.cli.login import make_link
from visionality.cli.serve import GO_FD, HOST, SOCKET_FD, listening_socket
from visionality.postgres import Cluster, DataDirLock, PostgresFault, find_binaries
from visionality.runtime.clock import utc_now

READY_WITHIN = 30.0
ASK_AGAIN_AFTER = 0.02
STABLE = 3.0
"""Seconds a process must live for its restart delay to start over."""
LONGEST_DELAY = 10.0
PARTITIONS_EVERY = 3600.0
STOP_WITHIN = {"gateway": 40.0}
"""Seconds that a process may take to end; others have 10."""
LOG_LIMIT = 20_000_000


@dataclass(slots=True)
class Child:
    """One process of the product: how it is started, where it listens, how it fares."""

    name: str
    sock: socket.socket
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = 0.0
    due: float | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.sock.getsockname()[1]}"

    def start(self, *, go: int | None = None) -> None:
        """Start it with its socket, its log, and the promise that it ends when we do.

        With `go`, it loads its code and then waits for a byte on that descriptor before it touches the database.
        """
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        fd = self.sock.fileno()
        handed = {SOCKET_FD: str(fd)} | ({GO_FD: str(go)} if go is not None else {})
        supervisor = os.getpid()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "visionality.cli", self.name],
                env=self.environment | handed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=tuple(int(number) for number in handed.values()),
                preexec_fn=lambda: _end_with(supervisor),  # noqa: PLW1509 -- the supervisor has one thread
                start_new_session=True,
            )
        self.started, self.due = time.monotonic(), None

    def watch(self, now: float) -> None:
        """Restart it when it has died, at once the first time, later with growing pauses."""
        if self.process is not None and self.process.poll() is not None:
            report(
                f"{self.name} ended with code {self.process.returncode}; starting it again (log: {self.log})"
            )
            self.delay = 0.0 if now - self.started > STABLE else min(max(0.5, self.delay * 2), LONGEST_DELAY)
            self.process, self.due = None, now + self.delay
        if self.due is not None and now >= self.due:
            try:
                self.start()
            except OSError as error:
                self.due = now + LONGEST_DELAY
                report(f"{self.name} cannot be started ({error}); trying again in {LONGEST_DELAY:g} s")

    def ask(self) -> socket.socket:
        """A connection on which it says whether it is ready, once it takes connections."""
        host, port = self.sock.getsockname()
        path = "/sandbox/health" if self.name == "sandbox" else "/readyz"
        connection = socket.create_connection((host, port))
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n".encode()
        )
        return connection

    def stop(self) -> None:
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(STOP_WITHIN.get(self.name, 10.0))
        except subprocess.TimeoutExpired:
            report(f"{self.name} did not end in time; it is killed")
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Supervisor:
    """Runs until it is told to stop. To be used from the main thread only."""

    here: Installation
    use_sandbox: bool
    ports: dict[str, int]
    cluster: Cluster | None = None
    children: list[Child] = field(default_factory=list)
    stopping: bool = False
    login: str = ""
    _partitions_at: float = 0.0
    _database_due: float = 0.0
    _database_delay: float = 0.0

    def run(self, announce: Callable[["Supervisor"], None]) -> None:
        with ExitStack() as stack:
            wakeup = _wakeup_pipe(stack)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._asked_to_stop)
            signal.signal(signal.SIGCHLD, lambda *_: None)
            stack.enter_context(DataDirLock(self.here.settings.data_dir))
            sockets = self._sockets(stack)
            stack.callback(self._stop_database)
            stack.callback(self._stop_children)
            go = self._start_children(sockets)
            try:
                self._start_database()
                from visionality.cli.prepare import prepare  # loaded by now, if we run the database ourselves

                prepare(self.here.access, utc_now, report)
                self.here.keys()
                os.write(go, b"g" * len(self.children))
            finally:
                os.close(go)
            self._partitions_at = time.monotonic() + PARTITIONS_EVERY
            if not self.stopping:
                self.login = make_link(self.here, self.summary()["web"])  # while the processes come up
                self._wait_until_ready(wakeup)
            if not self.stopping:
                addresses = self.here.settings.data_dir / ADDRESSES
                addresses.write_text(json.dumps(self.summary()))
                stack.callback(lambda: addresses.unlink(missing_ok=True))
                announce(self)
            while not self.stopping:
                select.select([wakeup], [], [], 0.5)
                _drain(wakeup)
                self._watch()

    def summary(self) -> dict[str, Any]:
        """Addresses and process ids, as `--json` prints them."""
        pids = {child.name: child.process.pid for child in self.children if child.process}
        if self.cluster is not None:
            pids["postgres"] = self.cluster.pid or 0
        return {
            **{child.name: child.url for child in self.children},
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

    def _start_children(self, sockets: dict[str, socket.socket]) -> int:
        """Let the processes load while the database starts. Returns the descriptor that tells them to go on."""
        settings = self.here.settings
        environment = {name: value for name, value in os.environ.items() if name != SOCKET_FD}
        environment["VIS_DATA_DIR"] = str(settings.data_dir)
        environment["VIS_GATEWAY_PORT"] = str(sockets["gateway"].getsockname()[1])
        if settings.database_url is not None:
            environment["VIS_DATABASE_URL"] = settings.database_url
        environment.pop("VIS_SANDBOX_URL", None)
        if self.use_sandbox:
            environment["VIS_SANDBOX_URL"] = f"http://{HOST}:{sockets['sandbox'].getsockname()[1]}"
        logs = settings.data_dir / "logs"
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.children = [
            Child(name, sock, environment, logs / f"{name}.log") for name, sock in sockets.items()
        ]
        waits, go = os.pipe()
        for child in self.children:
            child.start(go=waits)
        os.close(waits)
        return go

    def _wait_until_ready(self, wakeup: int) -> None:
        """Return when each process has said that it is ready. Raises CannotStart."""
        until = time.monotonic() + READY_WITHIN
        asked = {child.ask(): child for child in self.children}
        try:
            while asked and not self.stopping:
                awaited: list[Any] = [wakeup, *asked]
                answered, _, _ = select.select(awaited, [], [], 0.5)
                _drain(wakeup)
                self._give_up_on_a_dead_or_slow_one(list(asked.values()), until)
                for connection in asked.keys() & answered:
                    child = asked.pop(connection)
                    if not _says_ready(connection):
                        time.sleep(ASK_AGAIN_AFTER)
                        asked[child.ask()] = child
        finally:
            for connection in asked:
                connection.close()

    def _give_up_on_a_dead_or_slow_one(self, waiting: list[Child], until: float) -> None:
        for child in waiting:
            if child.process is not None and child.process.poll() is not None:
                raise CannotStart(f"{child.name} did not start:\n{_tail(child.log)}")
        if time.monotonic() > until:
            names = ", ".join(child.name for child in waiting)
            raise CannotStart(
                f"not ready after {READY_WITHIN:g} s: {names}; see {self.here.settings.data_dir / 'logs'}"
            )

    def _watch(self) -> None:
        now = time.monotonic()
        if self.cluster is not None and not self.stopping and self.cluster.poll() is not None:
            self._restart_database(self.cluster, now)
        for child in self.children:
            if not self.stopping:
                child.watch(now)
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

    def _stop_children(self) -> None:
        for child in self.children:
            child.stop()
            child.wait()

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        self.stopping = True


def _wakeup_pipe(stack: ExitStack) -> int:
    """A descriptor that becomes readable at every signal, so that no signal waits for a time-out."""
    reader, writer = os.pipe()
    for end in (reader, writer):
        os.set_blocking(end, False)
        stack.callback(os.close, end)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    stack.callback(signal.set_wakeup_fd, previous)
    return reader


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        while os.read(descriptor, 512):
            pass


def _end_with(supervisor: int) -> None:
    """In the child: end by SIGTERM when the supervisor does (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(1)


def _load_what_prepares() -> None:
    import visionality.cli.prepare  # noqa: F401 -- only to be loaded while PostgreSQL boots


def _says_ready(connection: socket.socket) -> bool:
    """Whether the answer that has begun to come says so."""
    with connection, suppress(OSError):
        return connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


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
@click.option(
    "--no-sandbox", is_flag=True, help="Refuse calls of providers without a key instead of simulating them."
)
@click.option(
    "--json",
    "in_json",
    is_flag=True,
    help="When ready, print one JSON line: addresses, process ids, data dir.",
)
def up_command(here: Installation, *, in_json: bool, no_sandbox: bool, **ports: int | None) -> None:
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
    Supervisor(here, not no_sandbox, chosen).run(lambda supervisor: _announce(supervisor, in_json=in_json))
