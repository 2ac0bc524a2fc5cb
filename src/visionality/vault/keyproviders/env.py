"""The master key from the environment, or on one machine from a 0600 file that the first start makes."""

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from visionality.vault.sealing import Context, seal, unseal

MASTER_BYTES = 32
FILE = "master.key"


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


def from_text(text: str) -> EnvKeyProvider:
    """The provider of a base64 master key. Raises MasterKeyMissing when it is not 32 bytes, or all one byte."""
    try:
        master = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise MasterKeyMissing("VIS_MASTER_KEY is not base64: make one with `openssl rand -base64 32`") from None
    if len(master) != MASTER_BYTES:
        raise MasterKeyMissing(f"VIS_MASTER_KEY holds {len(master)} bytes, expected 32: make one with `openssl rand -base64 32`")
    if len(set(master)) < 8:
        raise MasterKeyMissing("VIS_MASTER_KEY is no random key: make one with `openssl rand -base64 32`")
    return EnvKeyProvider(master)


def from_data_dir(data_dir: Path, may_make: bool, report: Callable[[str], None]) -> EnvKeyProvider:
    """The provider of the data directory's own key file, made when it is missing and may be made."""
    path = data_dir / FILE
    if path.exists():
        return from_text(path.read_text())
    if not may_make:
        raise MasterKeyMissing(
            f"the master key is missing: {path} does not exist and VIS_MASTER_KEY is not set, but this installation "
            "has secrets under one; put the file back or set VIS_MASTER_KEY"
        )
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = base64.b64encode(os.urandom(MASTER_BYTES)).decode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    report(f"made a master key in {path} (0600): back it up, or move it to VIS_MASTER_KEY from your secret store")
    return from_text(text)
