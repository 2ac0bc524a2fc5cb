"""Make a new cluster: initdb in a directory beside, then one rename.

An initdb that was interrupted leaves only the directory beside, which the next
start removes. Knowledge: initdb in the PostgreSQL documentation.
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from visionality.postgres.account import Account
from visionality.postgres.binaries import Binaries
from visionality.postgres.endpoint import password_file
from visionality.postgres.errors import PostgresFault
from visionality.postgres.launch import launch
from visionality.postgres.place import SUPERUSER, Place, sync_dir, write_durably
from visionality.postgres.shared import make_dir

TIMEOUT_S = 300


class InitFailed(PostgresFault):
    """The new cluster could not be made; nothing of it is left."""


def superuser_password(place: Place) -> str:
    """The password in the secrets of the data directory, made with the cluster.

    Raises InitFailed when a cluster exists and its password does not.
    """
    path = password_file(place.data_dir)
    if path.exists():
        return path.read_text().strip()
    if place.cluster_dir.exists():
        raise InitFailed(
            f"the database in {place.cluster_dir} exists and its password file {path} does not: "
            f"restore the file, or move {place.cluster_dir} away to begin an empty database"
        )
    make_dir(path.parent, 0o700)
    write_durably(path, (made := secrets.token_urlsafe(32)).encode() + b"\n")
    return made


def create_cluster(place: Place, binaries: Binaries, account: Account, password: str) -> None:
    """Leave a complete cluster in `place.cluster_dir`. Raises InitFailed."""
    work = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=place.home))
    try:
        work.chmod(0o711)
        _initdb(work, binaries, account, password)
        (work / "data").rename(place.cluster_dir)
        sync_dir(place.home)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def remove_leftovers(place: Place) -> None:
    """Clear away what interrupted starts left; what a dying initdb still writes goes the next time."""
    for left in place.home.glob("postgres.new-*"):
        shutil.rmtree(left, ignore_errors=True)


def _initdb(work: Path, binaries: Binaries, account: Account, password: str) -> None:
    (work / "data").mkdir(0o700)
    account.own(work / "data")
    handle = os.open(work / "password", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(password + "\n")
    account.own(work / "password")
    command: list[str | Path] = [
        binaries.bin_dir / "initdb", "--pgdata", work / "data", "--username", SUPERUSER,
        "--pwfile", work / "password", "--auth", "scram-sha-256", "--data-checksums",
        "--locale=C", "--encoding=UTF8",
    ]  # fmt: skip
    _run(command, account)


def _run(command: list[str | Path], account: Account) -> None:
    process = launch(account, command, subprocess.PIPE, when_we_die=signal.SIGKILL)
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise InitFailed(f"initdb did not end within {TIMEOUT_S} s: is the disk very slow?") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise InitFailed(_why(said.decode(errors="replace"), process.returncode))


def _why(said: str, code: int) -> str:
    if "No space left on device" in said:
        return "initdb found no space left on the disk: free about 100 MB and start again"
    lines = [line for line in said.splitlines() if "error" in line.lower() or "FATAL" in line]
    return f"initdb ended with {code}: {'; '.join(lines[-3:]) or said[-300:]}"
