"""A DSSE envelope of docs/audit/formats.md section 5, read in pieces, so that one of a gigabyte fits anywhere.

The envelope has one spelling: {"payload":...,"payloadType":...,"signatures":[one]}. Its bytes are checked before
anything in them is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from vis_verify import ed25519
from vis_verify.canonical import NotCanonical, NotStrict, read_canonical
from vis_verify.keys import Key, Keys
from vis_verify.spelling import is_hash, of_base64, of_whole_groups
from vis_verify.verdict import Code, Refused

LARGEST = 2 * 1024**3
TYPE = "application/vnd.in-toto+json"
_HEAD = b'{"payload":"'
_TAIL = 65_536
_PIECE = 4 * 1024**2
_ASK = "get the file again from where it came"


class Held(Protocol):
    """Bytes that are held somewhere."""

    size: int

    def piece(self, start: int, stop: int) -> bytes: ...


class InMemory:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self.size = len(content)

    def piece(self, start: int, stop: int) -> bytes:
        return self._content[start:stop]


class OnDisk:
    """An open file, of the size that it had when it was opened."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def piece(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(min(stop, self.size) - start)


@dataclass(frozen=True)
class Envelope:
    """An envelope whose form is right. The payload is not believed before `must_be_signed` returns."""

    held: Held
    stop: int
    """Where the payload's base64 ends."""
    keyid: str
    signature: bytes

    @property
    def payload_size(self) -> int:
        padding = self.held.piece(self.stop - 2, self.stop).count(b"=") if self.stop > len(_HEAD) else 0
        return (self.stop - len(_HEAD)) // 4 * 3 - padding

    def payload(self) -> Iterator[bytes]:
        """The payload in pieces. Raises Refused when it is not base64 in its one spelling."""
        try:
            for start in range(len(_HEAD), self.stop, _PIECE):
                stop = min(start + _PIECE, self.stop)
                piece = self.held.piece(start, stop)
                yield of_base64(piece.decode("ascii")) if stop == self.stop else of_whole_groups(piece)
        except ValueError:
            came = "it is not, or it is in another spelling than its own"
            raise Refused(Code.UNREADABLE, "the payload to be base64 with padding", came, _ASK) from None

    def payload_end(self) -> bytes:
        """The last few million bytes of the payload."""
        groups = (self.stop - len(_HEAD)) // 4
        first = len(_HEAD) + 4 * max(0, groups - _PIECE // 4)
        return of_base64(self.held.piece(first, self.stop).decode("ascii"))

    def must_be_signed(self, keys: Keys, role: str) -> tuple[Key, str]:
        """The key that signed the payload, and the payload's fingerprint. Raises Refused."""
        key = keys.must_have(self.keyid, role)
        fingerprint = hashlib.sha256()
        if not ed25519.verify(key.public, self.signature, self._signed(fingerprint)):
            do = "refuse it: it was changed after it was signed, or not signed by this key"
            what = f"the signature to be that of {role} key {key.fingerprint[:16]} over the payload"
            raise Refused(Code.SIGNATURE, what, "it is not", do)
        return key, fingerprint.hexdigest()

    def _signed(self, fingerprint: hashlib._Hash) -> Iterator[bytes]:
        """What the signature covers (DSSE's PAE), in pieces; the payload alone goes into the fingerprint."""
        yield b"DSSEv1 %d %s %d " % (len(TYPE), TYPE.encode(), self.payload_size)
        for piece in self.payload():
            fingerprint.update(piece)
            yield piece


def read_envelope(held: Held) -> Envelope:
    """The envelope of a file. Raises Refused."""
    if held.size > LARGEST:
        came = f"it has {held.size} bytes"
        raise Refused(
            Code.UNREADABLE,
            f"at most {LARGEST} bytes",
            came,
            "ask for a pack with rows in a file of their own",
        )
    if held.piece(0, len(_HEAD)) != _HEAD:
        raise Refused(Code.UNREADABLE, 'a file that begins with {"payload":"', "this one does not", _ASK)
    start = max(len(_HEAD), held.size - _TAIL)
    tail = held.piece(start, held.size)
    ends = tail.find(b'"')
    try:
        found = read_canonical('{"payload":"' + tail[ends:].decode()) if ends >= 0 else None
    except (NotStrict, NotCanonical, UnicodeDecodeError) as error:
        came = str(error) if not isinstance(error, UnicodeDecodeError) else "it is not UTF-8"
        raise Refused(Code.UNREADABLE, "one JSON object in its one form", came, _ASK) from None
    if not isinstance(found, dict) or set(found) != {"payload", "payloadType", "signatures"}:
        what = "an object of payload, payloadType and signatures"
        raise Refused(Code.UNREADABLE, what, "it is something else", _ASK)
    if found["payloadType"] != TYPE:
        came = f"it is {str(found['payloadType'])[:80]}"
        raise Refused(Code.TYPE, f"the payload type {TYPE}", came, "use the program that is made for it")
    return Envelope(held, start + ends, *_only_signature(found["signatures"]))


def _only_signature(found: object) -> tuple[str, bytes]:
    what = "one signature with the fingerprint of its key and 64 bytes in base64"
    one = found[0] if isinstance(found, list) and len(found) == 1 else None
    if not isinstance(one, dict) or set(one) != {"keyid", "sig"} or not is_hash(one["keyid"]):
        raise Refused(Code.UNREADABLE, what, "something else stands there", _ASK)
    try:
        signature = of_base64(one["sig"]) if isinstance(one["sig"], str) else b""
    except ValueError:
        signature = b""
    if len(signature) != 64:
        raise Refused(Code.UNREADABLE, what, "the signature is not that", _ASK)
    return one["keyid"], signature
