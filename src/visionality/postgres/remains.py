"""What an earlier server left behind on the same cluster, and when a new one may start.

After kill -9 of the server its pid file stays, and its backends end only when they
next wait: one that computes goes on, attached to the old shared memory, and
PostgreSQL rightly refuses to start beside it. Sources: the format of
postmaster.pid (src/include/utils/pidfile.h), proc(5), sysvipc(7).
Without /proc all this is left to PostgreSQL's own checks.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from visionality.postgres.errors import PostgresFault

PROC = Path("/proc")
STOPPING_S = 60.0  # an orderly end writes a checkpoint
ENDING_S = 10.0
PAUSE_S = 0.005


class ServerStillRuns(PostgresFault):
    """A server that is not our child runs on this cluster."""


@dataclass(frozen=True, slots=True)
class PidFile:
    """The lines of postmaster.pid that matter here."""

    pid: int
    memory_id: int | None
    stopping: bool


def read_pid_file(cluster_dir: Path) -> PidFile | None:
    """None when there is none, or when a crash left it unreadable."""
    try:
        lines = (cluster_dir / "postmaster.pid").read_text().splitlines() + [""] * 8
        memory = lines[6].split()
        return PidFile(
            int(lines[0]), int(memory[1]) if len(memory) == 2 else None, lines[7].startswith("stopping")
        )
    except (FileNotFoundError, ValueError):
        return None


def clear_the_way(cluster_dir: Path, cluster_name: str, uid: int) -> None:
    """Return when a new server can start at its first attempt.

    Waits for a server that is shutting down, ends backends whose server died, and
    removes a pid file whose pid belongs to another process now. Raises ServerStillRuns.
    """
    found = read_pid_file(cluster_dir)
    if found is None or not (PROC / "self").exists():
        return
    _wait_for_server(cluster_dir, uid)
    for pid in _backends(cluster_name, uid):
        _signal(pid, signal.SIGQUIT)
    _wait_for_memory(found.memory_id)
    if (PROC / str(found.pid)).exists():
        # PostgreSQL would take that process for the server; no backend is left, so the file guards nothing
        (cluster_dir / "postmaster.pid").unlink(missing_ok=True)


def _wait_for_server(cluster_dir: Path, uid: int) -> None:
    began = time.monotonic()
    while (found := read_pid_file(cluster_dir)) and _serves(found.pid, cluster_dir, uid):
        if time.monotonic() - began > (STOPPING_S if found.stopping else ENDING_S):
            raise ServerStillRuns(
                f"a PostgreSQL server that this supervisor did not start (pid {found.pid}) runs on "
                f"{cluster_dir}: stop it with `kill -INT {found.pid}` and start again"
            )
        time.sleep(PAUSE_S)


def _wait_for_memory(memory_id: int | None) -> None:
    began = time.monotonic()
    while _attached(memory_id) and time.monotonic() - began < ENDING_S:
        time.sleep(PAUSE_S)


def _serves(pid: int, cluster_dir: Path, uid: int) -> bool:
    words = _command_line(pid, uid)
    if not words or os.path.basename(words[0]) != b"postgres" or b"-D" not in words[:-1]:  # noqa: PTH119 - bytes
        return False
    directory = words[words.index(b"-D") + 1]
    try:
        return not directory.startswith(b"/") or cluster_dir.samefile(os.fsdecode(directory))
    except OSError:
        return False


def _backends(cluster_name: str, uid: int) -> list[int]:
    """Processes of the cluster other than its server; each has the cluster's name in its title."""
    title = f"postgres: {cluster_name}: ".encode()
    pids = [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]
    return [pid for pid in pids if b"\0".join(_command_line(pid, uid)).startswith(title)]


def _command_line(pid: int, uid: int) -> list[bytes]:
    """The words of a live process of this user; nothing for a zombie or somebody else's."""
    process = PROC / str(pid)
    try:
        if process.stat().st_uid != uid:
            return []
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _attached(memory_id: int | None) -> bool:
    try:
        lines = (PROC / "sysvipc" / "shm").read_text().splitlines()
    except OSError:
        return False
    rows = (dict(zip(lines[0].split(), line.split(), strict=False)) for line in lines[1:])
    return any(int(row["shmid"]) == memory_id and int(row["nattch"]) > 0 for row in rows)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
