"""Start a program of PostgreSQL as the server's account, tied to our own life.

The parent-death signal of prctl(2) is cleared by a change of user, so it is set
after that; and a parent that died before it was set is noticed by getppid(2).
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from visionality.postgres.account import Account

PR_SET_PDEATHSIG = 1
INHERITED = ("PATH", "LD_LIBRARY_PATH")  # not our other variables: they may be secret


def launch(
    account: Account, argv: Sequence[str | Path], output: int, when_we_die: signal.Signals
) -> subprocess.Popen[bytes]:
    """A direct child in its own session (Ctrl-C is for us alone), output and errors in one place.

    The signal follows the thread that calls, so that must be one that lives as long as we do.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",  # ours may be closed to the account
        env={**inherited, "LC_ALL": "C", "TZ": "UTC"},
        start_new_session=True,
        user=account.uid if account.switch else None,
        group=account.gid if account.switch else None,
        extra_groups=account.groups if account.switch else None,
        preexec_fn=_die_with_parent(when_we_die),  # noqa: PLW1509 - two system calls, no lock
    )


def _die_with_parent(when_we_die: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, int(when_we_die), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return hook
