"""A directory that keeps heads, on another machine's disk if it is to show anything.

    <installation>/<organisation>/<log>.checkpoint           the newest head, a note
    <installation>/<organisation>/<log>-2026-11.heads        each head of a month with its proof, one a line

A file of a month is only added to; a line that a crash cut off is no line, and the next one takes its place.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from visionality.core.proven_head import ProvenHead, read, written
from visionality.evidence.places._core import NotKept

_TAIL = 256 * 1024
"""Bytes at the end of a file among which its last line stands."""


class Directory:
    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def newest(self, origin: str) -> ProvenHead | None:
        with _told(self.name):
            for month in sorted(self._months(origin), reverse=True):
                if line := _last_line(month):
                    return read(line)
        return None

    def keep(self, origin: str, head: ProvenHead) -> None:
        at = datetime.fromtimestamp(head.note().checkpoint.time_ms / 1000, UTC)
        latest = self._path / f"{origin}.checkpoint"
        with _told(self.name):
            latest.parent.mkdir(parents=True, exist_ok=True)
            _add(latest.with_name(f"{latest.stem}-{at:%Y-%m}.heads"), written(head))
            fresh = latest.with_name(latest.name + ".new")
            _write(fresh, head.checkpoint.encode())
            fresh.replace(latest)

    def _months(self, origin: str) -> list[Path]:
        if not self._path.is_dir():
            raise NotKept(f"{self._path} is no directory")
        latest = self._path / origin
        return list(latest.parent.glob(f"{latest.name}-[0-9][0-9][0-9][0-9]-[0-9][0-9].heads"))


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotKept(f"{error.filename or name}: {error.strerror or error}") from None


def _last_line(path: Path) -> bytes | None:
    """The last whole line of a file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        lines = file.read().split(b"\n")
    return lines[-2] if len(lines) > 1 else None


def _add(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(handle, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL))
        tail = file.read()
        file.seek(size - (len(tail) - tail.rfind(b"\n") - 1))
        file.truncate()
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
