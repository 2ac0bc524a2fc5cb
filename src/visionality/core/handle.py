"""The virtual key that a person pastes into an SDK: `visk_live_...`.

An opaque 190-bit name for a grant: `visk_` env `_` 32 base62 digits and 6 base62 digits of CRC-32. The checksum lets
a scanner find a leaked key without asking us; it is no security. At rest only HMAC-SHA256(pepper, handle) exists.
The signed envelope (`core.spend_token`) is a second presentation of the same grant.
"""

import hmac
import re
import string
import zlib

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SHAPE = re.compile(r"visk_(live|test)_[0-9A-Za-z]{38}")
BODY_DIGITS = 32
CRC_DIGITS = 6
SHOWN = 12
"""How many leading characters of a handle may ever be shown again."""


def base62(number: int, digits: int) -> str:
    """The number in base 62, most significant digit first, padded to `digits`."""
    out = []
    for _ in range(digits):
        number, digit = divmod(number, 62)
        out.append(_DIGITS[digit])
    return "".join(reversed(out))


def number_of(digits: str) -> int:
    """The number that base-62 digits stand for."""
    number = 0
    for digit in digits:
        number = number * 62 + _DIGITS.index(digit)
    return number


def from_entropy(entropy: bytes, env: str = "live") -> str:
    """The handle that 32 random bytes give (190 bits of them end up in it)."""
    assert len(entropy) == 32
    head = f"visk_{env}_{base62(int.from_bytes(entropy, 'big') % 62**BODY_DIGITS, BODY_DIGITS)}"
    return head + checksum(head)


def has_shape(text: str) -> bool:
    """Whether this could be a handle."""
    return _SHAPE.fullmatch(text) is not None


def is_well_formed(text: str) -> bool:
    """Whether this is a handle at all: shape and checksum."""
    return has_shape(text) and checksum(text[:-CRC_DIGITS]) == text[-CRC_DIGITS:]


def at_rest(pepper: bytes, handle: str) -> bytes:
    """What is stored and looked up instead of the handle, 32 bytes."""
    return hmac.digest(pepper, handle.encode(), "sha256")


def checksum(text: str) -> str:
    """The six digits at a credential's end."""
    return base62(zlib.crc32(text.encode()), CRC_DIGITS)
