"""The file that a command writes: whole under its name, or not there at all."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write beside the name and take it only when everything is on the disk.

    A device or a pipe is written as it is. Raises click.ClickException when the file system will not have it.
    """
    if not _becomes_a_file(path):
        with _told(path), path.open("wb") as file:
            yield file
        return
    with _taken_at_the_end(path, path.with_name(path.name + ".part").open, "wb") as file:
        yield file


@contextmanager
def private_file(path: Path) -> Iterator[BinaryIO]:
    """The same for what only its owner may read, and can be read again before its name is taken: a file and nothing else."""
    if not _becomes_a_file(path):
        raise click.ClickException(f"{path} is no file: this is written to a file only")
    unfinished = path.with_name(path.name + ".part")
    with suppress(OSError):
        unfinished.unlink()
    with _taken_at_the_end(path, partial(open, unfinished, opener=_owners_only), "w+b") as file:
        yield file


@contextmanager
def _taken_at_the_end(path: Path, begin: Callable[[str], Any], mode: str) -> Iterator[BinaryIO]:
    unfinished = path.with_name(path.name + ".part")
    try:
        with _told(path):
            with begin(mode) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None


def _owners_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _becomes_a_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # not there yet, or in no place that can be: opening it will tell
