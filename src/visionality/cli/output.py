"""The file that a command writes: whole under its name, or not there at all."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import click


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Write beside the name and take it only when everything is on the disk.

    A device or a pipe is written as it is. Raises click.ClickException when the file system will not have it.
    """
    is_plain = _becomes_a_file(path)
    unfinished = path.with_name(path.name + ".part") if is_plain else path
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            if is_plain:
                os.fsync(file.fileno())
        if is_plain:
            unfinished.replace(path)
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if is_plain:
            with suppress(OSError):
                unfinished.unlink()


def _becomes_a_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True  # not there yet, or in no place that can be: opening it will tell
