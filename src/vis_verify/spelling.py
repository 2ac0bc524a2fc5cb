"""The one spelling of bytes, times, days and money in text. Every function raises ValueError for any other spelling."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import a2b_base64
from datetime import date, datetime, timedelta, timezone

NANO = 1_000_000_000
MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
"""The form of a time: such texts stand in the order of the times they mean."""
WHOLE = r"0|-?[1-9][0-9]{0,29}"
"""The form of an amount in nano-units."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def of_base64(text: str) -> bytes:
    """Padded, of RFC 4648 section 4. Several texts decode to the same bytes; only the one that encoding gives counts."""
    plain = b64decode(text.encode("ascii"), validate=True)
    if b64encode(plain).decode() != text:
        raise ValueError("base64 in another spelling than its own")
    return plain


def of_base64url(text: str) -> bytes:
    """Without padding, of RFC 4648 section 5."""
    plain = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if urlsafe_b64encode(plain).decode().rstrip("=") != text:
        raise ValueError("base64url in another spelling than its own")
    return plain


def of_whole_groups(piece: bytes) -> bytes:
    """Base64 of whole groups of four characters without padding, fast: a character that is none makes the result short."""
    plain = a2b_base64(piece)
    if 4 * len(plain) != 3 * len(piece):
        raise ValueError("a character that is not of base64")
    return plain


def of_hash(text: str) -> bytes:
    """64 hexadecimal digits in lower case."""
    if not is_hash(text):
        raise ValueError("not 64 hexadecimal digits in lower case")
    return bytes.fromhex(text)


def is_hash(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None


is_moment_form = re.compile(MOMENT, re.ASCII).fullmatch
_is_whole_form = re.compile(WHOLE, re.ASCII).fullmatch


def moment(text: str) -> datetime:
    """RFC 3339 in UTC with six digits of a second."""
    if not is_moment_form(text):
        raise ValueError("not a time in UTC with six digits of a second")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def spelled(at: datetime) -> str:
    """The text of a time in UTC."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def of_milliseconds(since_1970: int) -> str:
    """The text of a time that a head gives. Raises OverflowError past the year 9999."""
    return spelled(_EPOCH + timedelta(milliseconds=since_1970))


def day(text: str) -> date:
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII) is None:
        raise ValueError("not a day as YYYY-MM-DD")
    return date.fromisoformat(text)


def nano(text: str) -> int:
    """Nano-units as decimal digits."""
    if _is_whole_form(text) is None:
        raise ValueError("not a whole number of nano-units")
    return int(text)


def units(amount: int) -> str:
    """Nano-units as units of the currency, exact, without trailing zeros: 3_400_000 is "0.0034"."""
    whole, part = divmod(abs(amount), NANO)
    return ("-" if amount < 0 else "") + f"{whole}.{part:09d}".rstrip("0").rstrip(".")
