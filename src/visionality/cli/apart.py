"""Something done once at the start, in a process of its own: what it imports and allocates goes with it.

A gateway asks the database a few things before it serves, by a driver that it has no use for afterwards. Kept for life, that
and what came with it would be a tenth of a worker's memory; and beside it the worker imports what it serves with.
"""

import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


def apart(work: Callable[[], _T]) -> Callable[[], _T]:
    """Begin `work` in a fork of this process, which may not have threads yet. What comes back waits for its end.

    That returns what `work` returned, which has to be picklable, or raises what it raised. Raises EOFError when the other
    process was killed.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _tell(work, writing)

    os.close(writing)

    def ended() -> _T:
        with os.fdopen(reading, "rb") as pipe:
            told = pipe.read()
        os.waitpid(pid, 0)
        if not told:
            raise EOFError("what is checked before the start did not come to its end: its process was killed")
        result, error = pickle.loads(told)  # noqa: S301 -- our own process wrote it
        if error is not None:
            raise error
        returned: _T = result
        return returned

    return ended


def _tell(work: Callable[[], _T], writing: int) -> None:
    """In the other process, which ends here, without what its like does at an end."""
    try:
        try:
            told = pickle.dumps((work(), None))
        except BaseException as error:  # noqa: BLE001 -- it is raised where the result is waited for
            told = _fault(error)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(told)
        with suppress(OSError):
            sys.stderr.flush()
    finally:
        os._exit(0)


def _fault(error: BaseException) -> bytes:
    try:
        told = pickle.dumps((None, error))
        pickle.loads(told)  # noqa: S301 -- an exception with arguments of its own may not come back
    except Exception:  # noqa: BLE001 -- there are as many reasons as libraries
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return told
