"""The master key from the environment, or on one machine from a 0600 file that the first start makes."""

import base64
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visionality.vault.sealing import Context, seal, unseal

MASTER_BYTES = 32
FILE = "master.key"
_MAKE_ONE = "make one with `openssl rand -base64 32`"


class MasterKeyMissing(Exception):
    """There is no usable master key; the message says where one was expected."""


class EnvKeyProvider:
    """Wraps with AES-256-GCM under the master key, as `vault.sealing` does."""

    name = "env"

    def __init__(self, master: bytes) -> None:
        assert len(master) == MASTER_BYTES
        self._master = master

    def wrap(self, context: Context, key: bytes) -> bytes:
        return seal(self._master, context, key)

    def unwrap(self, context: Context, blob: bytes) -> bytes:
        return unseal(self._master, context, blob)

    def secret(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, None, b"vis/secret/v1" + purpose.encode()).derive(self._master)

    def health(self) -> None:
        """It is in memory: there is nobody to ask."""


def from_text(text: str, where: str = "VIS_MASTER_KEY") -> EnvKeyProvider:
    """The provider of a base64 master key. Raises MasterKeyMissing when it is not 32 bytes, or all one byte."""
    try:
        master = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        raise MasterKeyMissing(f"{where} is not base64: {_MAKE_ONE}") from None
    if len(master) != MASTER_BYTES:
        raise MasterKeyMissing(f"{where} holds {len(master)} bytes, expected {MASTER_BYTES}: {_MAKE_ONE}")
    if len(set(master)) < 8:
        raise MasterKeyMissing(f"{where} is no random key: {_MAKE_ONE}")
    return EnvKeyProvider(master)


def from_data_dir(data_dir: Path, may_make: bool, report: Callable[[str], None]) -> EnvKeyProvider:
    """The provider of the data directory's own key file, made when it is missing and may be made."""
    path = data_dir / FILE
    if not path.exists():
        if not may_make:
            raise MasterKeyMissing(
                f"the master key is missing: {path} does not exist and VIS_MASTER_KEY is not set, but this installation "
                "has secrets under one; put the file back or set VIS_MASTER_KEY"
            )
        _make(path)
        report(
            f"made a master key in {path} (0600): back it up, or move it to VIS_MASTER_KEY from your secret store"
        )
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyMissing(f"{path} cannot be read as a master key: {type(error).__name__}") from None
    return from_text(text, str(path))


def _make(path: Path) -> None:
    """Write a new key beside its place and put it there whole, so that no crash and no second process finds half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(os.urandom(MASTER_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # another process was first: its key is the one
        path.hardlink_to(draft)
    draft.unlink()
