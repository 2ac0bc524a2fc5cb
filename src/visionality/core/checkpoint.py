r"""The head of a log as it is handed out: a C2SP checkpoint in a signed note, which witnesses may co-sign.

    <origin>                    — <origin> <base64 of: key id (4) || Ed25519 (64)>
    <number of leaves>          key id = SHA-256(name || 0x0A || 0x01 || public key), first 4 bytes
    <root>
    time <unix milliseconds>    — <witness> <base64 of: key id (4) || unix seconds (8) || Ed25519 (64)>
    prev <root before>          key id with 0x04; over "cosignature/v1\ntime <seconds>\n" and the text

Sources: c2sp.org/tlog-checkpoint, signed-note and tlog-cosignature (v1); docs/audit/formats.md section 2. Reading is strict: a
note has one spelling, and what has another is none.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LONGEST = 64 * 1024
"""Bytes of a note: a checkpoint and some hundred signatures."""

_LOG_KEY, _COSIGNATURE_KEY = b"\x01", b"\x04"
_ID, _SECONDS, _SIGNATURE = 4, 8, 64
_DIGEST = 32
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,255}")


class BadNote(Exception):
    """What should be a signed head of a log is none; the message says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How a log stood: `size` leaves under `root`, at `time_ms` since 1970; `prev` is the root of the head before."""

    origin: str
    size: int
    root: bytes
    time_ms: int
    prev: bytes

    def text(self) -> str:
        """What is signed, the last line feed included."""
        return f"{self.origin}\n{self.size}\n{_spelled(self.root)}\ntime {self.time_ms}\nprev {_spelled(self.prev)}\n"


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note. Nothing of it is believed yet."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness saw this head, at so many seconds since 1970, and found that it extends what it had seen before."""

    name: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read; whose it is `is_by` and `witnesses` say."""

    checkpoint: Checkpoint
    lines: tuple[SignatureLine, ...]

    def is_by(self, public: bytes) -> bool:
        """Whether the log's key, 32 bytes, signed this head."""
        name = self.checkpoint.origin
        ours = self._lines_of(name, _key_id(name, _LOG_KEY, public))
        text = self.checkpoint.text().encode()
        return bool(ours) and all(_verifies(public, line.value, text) for line in ours)

    def witnesses(self, publics: Mapping[str, bytes]) -> list[Cosignature]:
        """Which of these witnesses, by name with their public keys of 32 bytes, co-signed this head; sorted by name."""
        seen = []
        for name, public in sorted(publics.items()):
            for line in self._lines_of(name, _key_id(name, _COSIGNATURE_KEY, public)):
                if len(line.value) != _SECONDS + _SIGNATURE:
                    continue
                seconds = int.from_bytes(line.value[:_SECONDS], "big")
                covered = _cosigned_bytes(self.checkpoint, seconds)
                if _verifies(public, line.value[_SECONDS:], covered):
                    seen.append(Cosignature(name, seconds))
                    break
        return seen

    def _lines_of(self, name: str, key_id: bytes) -> list[SignatureLine]:
        return [line for line in self.lines if line.name == name and line.key_id == key_id]


def note_signed(checkpoint: Checkpoint, private: Ed25519PrivateKey) -> str:
    """The whole note, under the signature of its log."""
    text = checkpoint.text()
    key_id = _key_id(checkpoint.origin, _LOG_KEY, private.public_key().public_bytes_raw())
    return f"{text}\n{_line(checkpoint.origin, key_id + private.sign(text.encode()))}"


def cosigned(note_text: str, name: str, private: Ed25519PrivateKey, seconds: int) -> str:
    """The note with the line of a witness of this name behind it. Raises BadNote."""
    if _NAME.fullmatch(name) is None:
        raise BadNote(f"{name!r} cannot stand in a note: a witness's name has no spaces and no +")
    checkpoint = read_note(note_text).checkpoint
    key_id = _key_id(name, _COSIGNATURE_KEY, private.public_key().public_bytes_raw())
    value = private.sign(_cosigned_bytes(checkpoint, seconds))
    return note_text + _line(name, key_id + seconds.to_bytes(_SECONDS, "big") + value)


def read_note(text: str) -> Note:
    """The note of this text; nothing of it is believed yet. Raises BadNote."""
    if len(text) > LONGEST or not _is_text(text):
        raise BadNote(f"a note is UTF-8 of at most {LONGEST} characters")
    body, blank, signatures = text.partition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise BadNote("a note is a text, an empty line and lines of signatures, each with its line feed")
    lines = tuple(_signature_line(line) for line in signatures[:-1].split("\n"))
    return Note(_checkpoint(body.split("\n")), lines)


def _checkpoint(lines: list[str]) -> Checkpoint:
    match lines:
        case [origin, size, root, time, prev] if time.startswith("time ") and prev.startswith("prev "):
            if _NAME.fullmatch(origin) is None:
                raise BadNote("the first line of a head is not the name of a log")
            return Checkpoint(
                origin,
                _number(size),
                _digest(root),
                _number(time[len("time ") :]),
                _digest(prev[len("prev ") :]),
            )
    raise BadNote("a head has five lines: its origin, its size, its root, `time` and `prev`")


def _signature_line(line: str) -> SignatureLine:
    match line.split(" "):
        case ["\u2014", name, spelled] if _NAME.fullmatch(name):
            value = _bytes_of(spelled)
            if len(value) <= _ID:
                raise BadNote("a signature of the note is too short to be one")
            return SignatureLine(name, value[:_ID], value[_ID:])
    raise BadNote("a signature of a note is a dash, a name and base64, with one space between them")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise BadNote(f"{text[:32]!r} is no number as a head has it")
    return int(text)


def _digest(text: str) -> bytes:
    value = _bytes_of(text)
    if len(value) != _DIGEST:
        raise BadNote(f"a root has {_DIGEST} bytes, and this has {len(value)}")
    return value


def _bytes_of(text: str) -> bytes:
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        value = b""
    if _spelled(value) != text:
        raise BadNote(f"{text[:32]!r} is not base64 in its one right spelling")
    return value


def _spelled(value: bytes) -> str:
    return b64encode(value).decode()


def _line(name: str, value: bytes) -> str:
    return f"\u2014 {name} {_spelled(value)}\n"


def _key_id(name: str, kind: bytes, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + kind + public).digest()[:_ID]


def _cosigned_bytes(checkpoint: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{checkpoint.text()}".encode()


def _verifies(public: bytes, value: bytes, covered: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(value, covered)
    except (InvalidSignature, ValueError):
        return False
    return True
