"""The operating system account that the server runs as, and what it can reach.

PostgreSQL refuses to run as root, so root starts it as an unprivileged account.
`os.access` answers yes to everything for root; permissions are therefore computed
from the modes of every directory on the way, as in path_resolution(7). Access
control lists are not read: they can only make us copy more than needed, or
PostgreSQL say itself what it may not open.
"""

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from visionality.postgres.errors import PostgresFault

if sys.platform != "win32":
    import pwd

ROOT_RUNS_AS = ("postgres", "nobody")


class NoServerAccount(PostgresFault):
    """Root found no unprivileged account to run the server as."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server runs as. `switch` is true when that is not who we are."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    switch: bool

    def may_enter(self, directory: Path) -> bool:
        """Whether it can pass through the directory and all that lead to it."""
        if not self.switch:
            return True
        directory = directory.resolve()
        return all(self._may(path, 0o1) for path in (directory, *directory.parents))

    def may_run(self, program: Path) -> bool:
        """Whether it can read and execute the program."""
        if not self.switch:
            return True
        program = program.resolve()
        return self.may_enter(program.parent) and self._may(program, 0o5)

    def own(self, path: Path) -> None:
        """Give it something that we have just made."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _may(self, path: Path, wanted: int) -> bool:
        found = path.stat()
        if found.st_uid == self.uid:
            granted = found.st_mode >> 6
        elif found.st_gid in (self.gid, *self.groups):
            granted = found.st_mode >> 3
        else:
            granted = found.st_mode
        return granted & wanted == wanted


def server_account() -> Account:
    """Ourselves; for root the first of `postgres` and `nobody` that exists."""
    if os.geteuid() != 0:
        return Account(f"uid {os.geteuid()}", os.geteuid(), os.getegid(), (), switch=False)
    for name in ROOT_RUNS_AS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        groups = tuple(os.getgrouplist(name, entry.pw_gid))
        return Account(name, entry.pw_uid, entry.pw_gid, groups, switch=True)
    raise NoServerAccount(
        f"PostgreSQL does not run as root and none of the accounts {', '.join(ROOT_RUNS_AS)} exists: "
        f"create one of them, or run as an ordinary user"
    )


def is_private_dir_of(path: Path, uid: int) -> bool:
    """Whether it is a real directory (no symbolic link) of that user, closed to all others."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not found.st_mode & 0o077
