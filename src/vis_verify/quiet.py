"""What a program that only reads needs nothing of: the network, other programs, files to write.

An audit hook (PEP 578) cannot be taken away again once it is set. It guards against our own mistakes and those of the
library, and against nobody who may write this program.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "ctypes.",
)


class NotAllowed(Exception):
    """Something that a verifier never does."""


def refuse_all_but_reading() -> None:
    """From now on this process opens no socket, starts no program and writes no file."""
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith(_REFUSED):
        raise NotAllowed(f"vis-verify does not do this: {event}")
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        raise NotAllowed("vis-verify writes no files")
