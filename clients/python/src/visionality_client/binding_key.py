"""The secret that only a backend holds, as it is handed over.

    {"key_id": "…", "key": "visb_live_<base64url of 32 bytes>_<checksum>", "aud": "<the installation's id>"}

The checksum is six base62 digits of CRC-32 over all before the last `_`: it finds a typing error, it is no security.
"""

from __future__ import annotations

import binascii
import json
import re
import string
import zlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 32

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_EXPORT = re.compile(r"(visb_(?:live|test)_([A-Za-z0-9_-]{43}))_([0-9A-Za-z]{6})")
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase


class BadBindingKey(ValueError):
    """What was given is no binding key. Its text says what was expected, and nothing of what came."""


@dataclass(frozen=True)
class BindingKey:
    """A binding key and where it counts. Raises BadBindingKey for one that no gateway could know."""

    key_id: str
    key: bytes = field(repr=False)
    """32 bytes."""
    aud: str
    """The gateways that it is for: the installation's id."""

    def __post_init__(self) -> None:
        if not isinstance(self.key_id, str) or not _ID.fullmatch(self.key_id):
            raise BadBindingKey("key_id: expected 1 to 64 letters, digits and dashes")
        if not isinstance(self.key, bytes) or len(self.key) != KEY_BYTES:
            raise BadBindingKey(f"key: expected {KEY_BYTES} bytes")
        if not isinstance(self.aud, str) or not self.aud:
            raise BadBindingKey("aud: expected the installation's id")

    @classmethod
    def from_export(cls, exported: str | bytes | Mapping[str, Any]) -> BindingKey:
        """The key that an export names, given as JSON or as what JSON says. Raises BadBindingKey."""
        said = _document(exported) if isinstance(exported, (str, bytes)) else exported
        try:
            return cls(said["key_id"], _key(said["key"]), said["aud"])
        except (KeyError, TypeError):
            raise BadBindingKey("expected an object with key_id, key and aud") from None


def _document(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadBindingKey("expected JSON with key_id, key and aud") from None


def _key(spelled: Any) -> bytes:
    found = _EXPORT.fullmatch(spelled)
    if found is None:
        raise BadBindingKey("key: expected visb_live_…, 43 base64url characters and a checksum of 6")
    whole, encoded, checksum = found.groups()
    if _checksum(whole) != checksum:
        raise BadBindingKey(
            "key: its checksum is not that of the rest, so something was mistyped or left out"
        )
    try:
        return urlsafe_b64decode(encoded + "=")
    except binascii.Error:
        raise BadBindingKey("key: expected base64url") from None


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits
