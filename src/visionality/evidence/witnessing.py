"""A customer's own witness: it remembers the last head of each log in a file, and co-signs what extends it.

It needs no database and no network: a head that was kept elsewhere, the list of the log's keys, its own key and its own memory
(docs/audit/heads.md). What it saw is on the disk before its signature leaves.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from visionality.core.checkpoint import BadNote, Checkpoint, cosigned, read_note
from visionality.core.proven_head import read_all
from visionality.core.witness import BadKeys, NotWitnessed, Trusted, followed, spelled_key

if sys.platform != "win32":
    import fcntl

_NAME = "witness: "


class BadState(Exception):
    """What a witness remembers cannot be read, so nothing can be checked against it; the message says why."""


def witness(
    content: bytes, keys: list[Trusted], state: Path, name: str, private: Ed25519PrivateKey, now: datetime
) -> str:
    """The newest head of a file under the witness's signature, once it has been remembered.

    Raises NotWitnessed, BadState, checkpoint.BadNote, proven_head.BadHead and OSError; then nothing is remembered.
    """
    heads = read_all(content)
    if not heads:
        raise NotWitnessed("there is no head in this file")
    origin = heads[0].note().checkpoint.origin
    with _alone(state):
        seen = _remembered(state)
        newest = followed(_last(seen, origin), heads, keys, now)
        _remember(state, {**seen, origin: newest.checkpoint})
    return cosigned(newest.checkpoint, name, private, int(now.timestamp()))


def note_text(content: bytes) -> str:
    """A note out of a file. Raises checkpoint.BadNote."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadNote("a note is text, and this is not") from None


def new_key(name: str, path: Path) -> str:
    """Make a witness's key in a file that nobody else may read; returns its public half. Raises BadKeys, FileExistsError."""
    private = Ed25519PrivateKey.generate()
    public = spelled_key(name, private.public_key().public_bytes_raw())
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(f"{_NAME}{name}\n".encode() + secret)
    return public


def read_private(path: Path) -> tuple[str, Ed25519PrivateKey]:
    """The name and the key of a witness. Raises BadKeys, OSError."""
    first, _, secret = path.read_bytes().partition(b"\n")
    try:
        name, private = first.decode(), load_pem_private_key(secret, None)
    except (ValueError, TypeError):
        raise BadKeys(f"{path} has no key of a witness: `vis evidence witness-key` makes one") from None
    if not name.startswith(_NAME) or not isinstance(private, Ed25519PrivateKey):
        raise BadKeys(f"{path} has no key of a witness: `vis evidence witness-key` makes one")
    return name.removeprefix(_NAME), private


def _last(seen: dict[str, str], origin: str) -> Checkpoint | None:
    return read_note(seen[origin]).checkpoint if origin in seen else None


def _remembered(state: Path) -> dict[str, str]:
    """The last head of each log, by its origin."""
    try:
        return msgspec.json.decode(state.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadState(
            f"{state} is not what a witness remembers: {error}; "
            "restore it, or begin anew with another name of the witness"
        ) from None


def _remember(state: Path, seen: dict[str, str]) -> None:
    fresh = state.with_name(state.name + ".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(seen, order="sorted"), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(state)
    _sync_directory(state.absolute().parent)


def _sync_directory(path: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Two runs with one memory, one after the other: each alone could co-sign another past."""
    with state.with_name(state.name + ".lock").open("a") as file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
