"""One supervisor per data directory.

An flock(2) belongs to the open file: the kernel drops it with the last
descriptor, also after kill -9, and programs that we start do not inherit it.
"""

import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from visionality.postgres.errors import PostgresFault
from visionality.postgres.place import DataDirUnusable, open_data_dir

if sys.platform != "win32":
    import fcntl


class DataDirInUse(PostgresFault):
    """Another supervisor runs on this data directory."""


class DataDirLock:
    """Held from `acquire` (or `with`) until `release` or the end of the process."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock and write our pid into it. Raises DataDirInUse, DataDirUnusable."""
        assert self._handle is None, "the lock is held already"
        path = open_data_dir(self._data_dir) / "supervisor.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DataDirUnusable(f"{path} cannot be opened: {error.strerror}") from error
        try:
            self._take(handle, path)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        """Let the next supervisor in; the file stays, since removing it would race with others."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self, handle: int, path: Path) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            raise DataDirInUse(self._in_use(os.pread(handle, 20, 0))) from None
        except OSError as error:
            raise DataDirUnusable(f"{path} cannot be locked: {error.strerror}") from error

    def _in_use(self, written: bytes) -> str:
        pid = written.decode(errors="replace").strip() or "unknown"
        return (
            f"{self._data_dir} is in use by another supervisor (pid {pid}): "
            f"stop that one first, or choose another --data-dir"
        )
