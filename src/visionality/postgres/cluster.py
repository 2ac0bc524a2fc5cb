"""The embedded PostgreSQL server of one data directory, as a direct child of the supervisor.

Settings are given on the command line, so every start has them, whatever an
earlier version wrote. Knowledge: "Server Configuration" and "Shutting Down the
Server" in the PostgreSQL documentation.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from visionality.postgres.account import Account, server_account
from visionality.postgres.binaries import Binaries
from visionality.postgres.endpoint import Answer, Endpoint
from visionality.postgres.errors import PostgresFault
from visionality.postgres.initialise import create_cluster, remove_leftovers, superuser_password
from visionality.postgres.launch import launch
from visionality.postgres.place import (
    PORT,
    SUPERUSER,
    Place,
    find_place,
    open_data_dir,
    socket_dir_of,
    write_record,
)
from visionality.postgres.remains import clear_the_way
from visionality.postgres.shared import digest_of, make_dir, reachable_binaries

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "wal_level": "replica",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",  # the log is only cut at a start
}
SILENT_S = 60.0  # as long as pg_ctl waits
RECOVERY_S = 600.0  # while the server answers that it replays its log; max_wal_size bounds the work
FAST_STOP_S = 30.0
HARD_STOP_S = 10.0
PAUSE_S = 0.005
RECOVERY_PAUSE_S = 0.05
LOG_LIMIT_BYTES = 20_000_000
TAIL_BYTES = 2_000


class ClusterFailed(PostgresFault):
    """The server did not start; the message ends with what its log says."""


class VersionMismatch(PostgresFault):
    """The cluster was made by another major version than the binaries'."""


class Cluster:
    """One server process at a time. The caller holds the DataDirLock of the data directory."""

    def __init__(self, data_dir: Path, binaries: Binaries, report: Callable[[str], None]) -> None:
        self._data_dir = data_dir.resolve()
        self._binaries = binaries
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The server's pid while it runs."""
        return None if self._process is None or self.poll() is not None else self._process.pid

    def poll(self) -> int | None:
        """None while the server runs, else its exit code; 0 before the first start."""
        return 0 if self._process is None else self._process.poll()

    def start(self, meanwhile: Callable[[], object] = lambda: None) -> Endpoint:
        """Make the cluster when it is new, run the server, return when it takes connections.

        `meanwhile` is called once while the server comes up.
        To be called from the main thread: the server is told to stop when the calling
        thread ends. After a failure no server runs. Raises only PostgresFault: ClusterFailed,
        VersionMismatch, and what binaries, place, initialise and remains raise.
        """
        assert threading.current_thread() is threading.main_thread(), "the server would end with this thread"
        assert self.poll() is not None, "the server runs already"
        try:
            return self._start(meanwhile)
        except OSError as error:
            raise ClusterFailed(f"the database in {self._data_dir} cannot be started: {error}") from error

    def stop(self) -> None:
        """End the server: orderly, then at once (it recovers at its next start), then by force."""
        if self._process is None:
            return
        for number, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, HARD_STOP_S)):
            self._process.send_signal(number)
            try:
                self._process.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
            return
        self._process.kill()
        self._process.wait()

    def _start(self, meanwhile: Callable[[], object]) -> Endpoint:
        account = server_account()
        place = find_place(open_data_dir(self._data_dir), account)
        binaries = reachable_binaries(self._binaries, account, self._report)
        password = superuser_password(place)
        remove_leftovers(place)
        if not place.cluster_dir.exists():
            self._report(f"making a new PostgreSQL {binaries.major} database in {place.cluster_dir}")
            create_cluster(place, binaries, account, password)
        _check(place.cluster_dir, binaries, account)
        name = f"visionality-{digest_of(self._data_dir)}"
        clear_the_way(place.cluster_dir, name, account.uid)
        endpoint = Endpoint(socket_dir_of(place, account), PORT, SUPERUSER, password)
        write_record(place, endpoint.socket_dir)
        self._run(_command(binaries, place, endpoint.socket_dir, name), account, endpoint, meanwhile)
        return endpoint

    def _run(
        self,
        command: list[str | Path],
        account: Account,
        endpoint: Endpoint,
        meanwhile: Callable[[], object],
    ) -> None:
        log = _open_log(self._data_dir / "logs")
        try:
            began_at = os.fstat(log).st_size
            self._process = launch(account, command, log, when_we_die=signal.SIGINT)
            meanwhile()
            if not self._wait_until_ready(self._process, endpoint):
                self.stop()
                tail = os.pread(log, TAIL_BYTES, max(began_at, os.fstat(log).st_size - TAIL_BYTES))
                raise ClusterFailed(
                    f"PostgreSQL did not start in {self._data_dir} (exit code {self.poll()}); "
                    f"its log says: {tail.decode(errors='replace').strip()}"
                )
        finally:
            os.close(log)

    def _wait_until_ready(self, process: subprocess.Popen[bytes], endpoint: Endpoint) -> bool:
        began, recovering = time.monotonic(), False
        while time.monotonic() - began < (RECOVERY_S if recovering else SILENT_S):
            answer = endpoint.knock()
            if answer is Answer.READY:
                return process.poll() is None
            if answer is Answer.NOT_YET and not recovering and time.monotonic() - began > 1:
                recovering = True
                self._report("waiting: PostgreSQL replays its log after an unclean end")
            try:
                process.wait(RECOVERY_PAUSE_S if recovering else PAUSE_S)
            except subprocess.TimeoutExpired:
                continue
            return False
        return False


def _command(binaries: Binaries, place: Place, socket_dir: Path, name: str) -> list[str | Path]:
    quoted = str(socket_dir).replace('"', '""')
    settings = {**SETTINGS, "unix_socket_directories": f'"{quoted}"', "cluster_name": name}
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [binaries.bin_dir / "postgres", "-D", place.cluster_dir, *options]


def _check(cluster_dir: Path, binaries: Binaries, account: Account) -> None:
    try:
        made_by = (cluster_dir / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise ClusterFailed(
            f"{cluster_dir} has no PG_VERSION, so it is not a PostgreSQL data directory: move it away"
        ) from None
    if made_by != str(binaries.major):
        raise VersionMismatch(
            f"the data in {cluster_dir} is of PostgreSQL {made_by}, the binaries in {binaries.bin_dir} are "
            f"{binaries.major}: install PostgreSQL {made_by} and point VIS_POSTGRES_BIN at its bin directory, "
            f"or dump with {made_by} and load into a new data directory"
        )
    owner = cluster_dir.stat().st_uid
    if owner != account.uid:
        raise ClusterFailed(
            f"{cluster_dir} belongs to uid {owner} and the server would run as {account.name} "
            f"(uid {account.uid}): start it as the user who made it"
        )


def _open_log(directory: Path) -> int:
    make_dir(directory, 0o700)
    path = directory / "postgres.log"
    if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)
