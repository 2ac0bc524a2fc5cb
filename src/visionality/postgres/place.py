"""Where a data directory keeps its database.

Inside it, unless root runs the product and the server's account cannot get there:
then under /var/lib/visionality. A cluster stays where it was made, and
`database.json` in the data directory says where that is, so that a change of
permissions never makes us begin an empty one beside it.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from visionality.postgres.account import Account, is_private_dir_of
from visionality.postgres.errors import PostgresFault
from visionality.postgres.shared import SHARED_ROOT, digest_of, make_dir, shared_root

PORT = 5432  # only names the socket: nothing listens on TCP
SUPERUSER = "vis_super"
RECORD = "database.json"
LONGEST_SOCKET_PATH = 107  # bytes, sun_path of unix(7) without its end


class DataDirUnusable(PostgresFault):
    """The data directory cannot be used as it is."""


class Record(msgspec.Struct, frozen=True):
    """`database.json`. Paths are relative to the data directory when they are inside it."""

    cluster_dir: str
    socket_dir: str
    port: int
    superuser: str


@dataclass(frozen=True, slots=True)
class Place:
    """The home holds the cluster and usually its socket directory."""

    data_dir: Path
    home: Path

    @property
    def cluster_dir(self) -> Path:
        return self.home / "postgres"


def open_data_dir(data_dir: Path) -> Path:
    """The data directory, made when absent, with symbolic links resolved. Raises DataDirUnusable."""
    resolved = data_dir.resolve()
    try:
        # the server's account passes through root's, so 0711; everything secret inside is 0700
        make_dir(resolved, 0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise DataDirUnusable(
            f"{resolved} cannot be made: {error.strerror}; choose another --data-dir"
        ) from error
    if not resolved.is_dir() or not os.access(resolved, os.R_OK | os.W_OK | os.X_OK):
        raise DataDirUnusable(
            f"{resolved} must be a directory that this user can write to: choose another --data-dir"
        )
    return resolved


def find_place(data_dir: Path, account: Account) -> Place:
    """Where the cluster of this data directory is, or will be. Raises DataDirUnusable."""
    hidden_home = SHARED_ROOT / digest_of(data_dir)
    if (record := read_record(data_dir)) is not None:
        place = Place(data_dir, (data_dir / record.cluster_dir).parent)
        _must_exist(place)
    elif (data_dir / "postgres").exists():
        place = Place(data_dir, data_dir)
    elif (hidden_home / "postgres").exists():
        place = Place(data_dir, hidden_home)
    elif account.may_enter(data_dir):
        place = Place(data_dir, data_dir)
    else:
        make_dir(shared_root() / hidden_home.name, 0o755)
        place = Place(data_dir, hidden_home)
    if not account.may_enter(place.home):
        raise DataDirUnusable(
            f"the account {account.name} can no longer reach the database in {place.cluster_dir}: "
            f"give it passage (mode x) through the directories that lead there"
        )
    return place


def _must_exist(place: Place) -> None:
    if not place.cluster_dir.exists():
        raise DataDirUnusable(
            f"{place.data_dir / RECORD} says that the database is in {place.cluster_dir} and it is not there: "
            f"bring it back, or remove {place.data_dir / RECORD} to begin an empty one"
        )


def socket_dir_of(place: Place, account: Account) -> Path:
    """A directory that only the account can enter, short enough for a socket; made when absent."""
    short_name = f"visionality-{digest_of(place.data_dir)}"
    roots = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - ownership and mode are verified
    for path in (place.home / "run", *(root / short_name for root in roots)):
        if _fits(path) and account.may_enter(path.parent) and _make_private(path, account):
            return path
    # somebody else took our name: any other will do, since it is recorded
    path = Path(tempfile.mkdtemp(prefix=f"{short_name}-", dir=roots[-1]))
    account.own(path)
    return path


def _fits(directory: Path) -> bool:
    # a comma separates hosts in libpq and directories in unix_socket_directories
    path = os.fsencode(directory / f".s.PGSQL.{PORT}")
    return len(path) <= LONGEST_SOCKET_PATH and b"," not in path


def _make_private(path: Path, account: Account) -> bool:
    try:
        path.mkdir(0o700)
    except FileExistsError:
        return is_private_dir_of(path, account.uid)
    account.own(path)
    return True


def read_record(data_dir: Path) -> Record | None:
    """What the last start wrote, None before the first. Raises DataDirUnusable."""
    path = data_dir / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise DataDirUnusable(
            f"{path} cannot be read ({error}): use the account that started the database, "
            f"or restore the file from a backup"
        ) from error


def write_record(place: Place, socket_dir: Path) -> None:
    """Say where the cluster and its socket are."""
    record = Record(
        cluster_dir=_relative(place.cluster_dir, place.data_dir),
        socket_dir=_relative(socket_dir, place.data_dir),
        port=PORT,
        superuser=SUPERUSER,
    )
    if record != read_record(place.data_dir):
        write_durably(place.data_dir / RECORD, msgspec.json.encode(record) + b"\n")


def _relative(path: Path, data_dir: Path) -> str:
    return str(path.relative_to(data_dir) if path.is_relative_to(data_dir) else path)


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file that only we can read, whole or not at all, also across a power cut."""
    handle, work = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(work).replace(path)
    finally:
        Path(work).unlink(missing_ok=True)
    sync_dir(path.parent)


def sync_dir(directory: Path) -> None:
    """Make renames in the directory durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
