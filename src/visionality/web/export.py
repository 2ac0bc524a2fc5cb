"""A download that may be large: made at the database's pace into a file, then sent at its reader's.

The query is over before the first byte goes out, so a slow reader holds neither a web thread nor a connection, and what is
sent is whole; memory stays flat. A reader who leaves meanwhile ends the query. A fault cuts the answer short, so that no
part of a file is taken for all of it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from tempfile import TemporaryFile
from threading import Lock
from typing import Any, BinaryIO, cast
from uuid import UUID

import psycopg

from visionality.web.reading import reading_alone

AT_ONCE = 2
"""Files that are being made; others wait their turn."""
MOST = 16
"""Downloads that wait, are made or are being read."""
LARGEST = 4 * 1024**3
"""Bytes of one file: some thirty million lines."""
_BLOCK = 256 * 1024

Write = Callable[[psycopg.Connection[Any], BinaryIO], object]
"""Writes the file; all that it reads is of one moment."""

_threads = ThreadPoolExecutor(AT_ONCE, "export")
_open: set[object] = set()


class TooLarge(Exception):
    """A file would have more than LARGEST bytes."""


class Left(Exception):
    """Nobody waits for the file any more."""


def is_full() -> bool:
    return len(_open) >= MOST


async def blocks(org_id: UUID, write: Write) -> AsyncIterator[bytes]:
    """What `write` writes, in blocks."""
    making = _Making(org_id, write)
    _open.add(making)
    job = _threads.submit(making.make)
    try:
        file = await asyncio.wrap_future(job)
        while block := await asyncio.to_thread(file.read, _BLOCK):
            yield block
    finally:
        _open.discard(making)
        await asyncio.shield(asyncio.to_thread(making.leave))
        job.add_done_callback(_closed)


class _Making:
    """One file as it is made, in a thread of its own."""

    def __init__(self, org_id: UUID, write: Write) -> None:
        self._org_id = org_id
        self._write = write
        self._lock = Lock()
        self._has_left = False
        self._connection: psycopg.Connection[Any] | None = None
        self._size = 0

    def make(self) -> BinaryIO:
        file = cast("BinaryIO", TemporaryFile())  # noqa: SIM115 -- whoever reads it closes it
        try:
            with reading_alone(self._org_id) as connection:
                with self._lock:
                    self._connection = connection
                try:
                    self._write(connection, cast("BinaryIO", _Bounded(file, self)))
                finally:
                    with self._lock:
                        self._connection = None
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def leave(self) -> None:
        """End the query, if it still runs."""
        with self._lock:
            self._has_left = True
            if self._connection is not None:
                self._connection.cancel()

    def count(self, size: int) -> None:
        self._size += size
        if self._has_left:
            raise Left
        if self._size > LARGEST:
            raise TooLarge(f"a download has {LARGEST} bytes at most: ask for a shorter period")


class _Bounded:
    """As much of a file as may be written."""

    def __init__(self, file: BinaryIO, making: _Making) -> None:
        self._file = file
        self._making = making

    def write(self, block: bytes) -> int:
        self._making.count(len(block))
        return self._file.write(block)

    def writelines(self, lines: list[bytes]) -> None:
        for line in lines:
            self.write(line)


def _closed(job: "Future[BinaryIO]") -> None:
    if not job.cancelled() and job.exception() is None:
        job.result().close()
