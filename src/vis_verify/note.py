"""Signed heads of a log: C2SP signed notes that hold checkpoints of docs/audit/formats.md section 2, and cosignatures."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vis_verify import ed25519
from vis_verify.keys import Key, Keys, key_id
from vis_verify.spelling import of_base64, of_milliseconds
from vis_verify.verdict import Code, Refused

LONGEST = 65_536
_BODY = re.compile(
    r"(?P<origin>[^\s+\x00-\x1f\x7f]{1,255})\n(?P<size>0|[1-9][0-9]{0,18})\n(?P<root>[^\n]{44})\n"
    r"time (?P<time>0|[1-9][0-9]{0,18})\nprev (?P<prev>[^\n]{44})\n"
)
_LINE = re.compile(r"\u2014 (?P<name>[^\s+\x00-\x1f\x7f]{1,255}) (?P<blob>[A-Za-z0-9+/=]+)")


class BadNote(Exception):
    """Text that is no signed head; the message says why, as half a sentence about it."""


@dataclass(frozen=True)
class Witness:
    """Somebody who signs heads after comparing them with what they saw before."""

    name: str
    public: bytes


@dataclass(frozen=True)
class Note:
    """A head and the lines below it. Nothing of it is believed before `must_be_of` returns."""

    text: str
    body: str
    origin: str
    size: int
    root: bytes
    time: str
    lines: tuple[tuple[str, bytes], ...]
    """Name and bytes of each signature."""

    def must_be_of(self, keys: Keys, origin: str) -> Key:
        """The log key that signed it. Raises Refused."""
        if self.origin != origin:
            do = "ask for the head of the log that the evidence is about"
            raise Refused(Code.CHECKPOINT, f"a head of the log {origin}", f"it is one of {self.origin}", do)
        trusted = keys.of_role("log")
        if not trusted:
            do = "give the list of keys, or a log key as --key log=..."
            raise Refused(Code.UNTRUSTED_KEY, "a key with the role log", "none was given", do)
        for key in trusted:
            blobs = self._blobs(origin, key_id(origin, 1, key.public))
            if blobs and all(ed25519.verify(key.public, blob[4:], [self.body.encode()]) for blob in blobs):
                key.must_count(self.time)
                return key
        do = "ask for the list of keys anew on a path of your own; if it stays so, the head is not the log's"
        raise Refused(
            Code.CHECKPOINT, "the head's signature to be by a log key that was given", "it is by none", do
        )

    def is_witnessed_by(self, witness: Witness) -> bool:
        """Whether a line of this witness covers this very head."""
        for blob in self._blobs(witness.name, key_id(witness.name, 4, witness.public)):
            seconds = int.from_bytes(blob[4:12], "big")
            said = f"cosignature/v1\ntime {seconds}\n{self.body}".encode()
            if len(blob) == 76 and ed25519.verify(witness.public, blob[12:], [said]):
                return True
        return False

    def _blobs(self, name: str, number: bytes) -> list[bytes]:
        return [blob for said, blob in self.lines if said == name and blob[:4] == number]


def read_note(text: str) -> Note:
    """A head as it stands in a file or a pack. Raises BadNote."""
    if len(text) > LONGEST:
        raise BadNote(f"it is longer than {LONGEST} characters")
    head, gap, tail = text.partition("\n\n")
    body = _BODY.fullmatch(head + "\n")
    if not gap or body is None or not tail.endswith("\n"):
        raise BadNote("it is not the five lines of a head, an empty line and lines of signatures")
    lines = [_LINE.fullmatch(line) for line in tail[:-1].split("\n")]
    try:
        root, _ = of_base64(body["root"]), of_base64(body["prev"])
        blobs = tuple((line["name"], of_base64(line["blob"])) for line in lines if line)
        time = of_milliseconds(int(body["time"]))
    except (ValueError, OverflowError):
        raise BadNote("a root, a signature or a time in it is not spelled as it must be") from None
    if len(blobs) != len(lines) or len(root) != 32:
        raise BadNote("a line or a root in it is not spelled as it must be")
    return Note(text, head + "\n", body["origin"], int(body["size"]), root, time, blobs)
