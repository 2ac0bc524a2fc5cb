"""A head that was kept elsewhere, with what shows that it extends the one kept before (docs/audit/heads.md).

    {"checkpoint":NOTE,"consistency":[HASH,...],"from":SIZE}

One JSON object a line, sorted names, no spaces; hashes in hexadecimal. A file has one such line, or a log's whole history, the
oldest first: then each line extends the one above it. A bare note is read as a head that comes without a proof.
"""

from collections.abc import Iterable

import msgspec

from visionality.core.checkpoint import LONGEST, Checkpoint, Note, read_note
from visionality.core.merkle import DIGEST, EMPTY_ROOT, check_consistency

DEEPEST = 64
"""Hashes of a proof: one a level of the tree, and a log has less than 2^53 leaves."""


class BadHead(Exception):
    """What should be a head that was kept is none; the message says why."""


class ProvenHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from"}):
    """`consistency` shows that the head extends one of `start` leaves; from 0 leaves it takes none."""

    checkpoint: str
    consistency: list[str]
    start: int

    def note(self) -> Note:
        """Raises checkpoint.BadNote."""
        return read_note(self.checkpoint)

    def path(self) -> list[bytes]:
        """The hashes. Raises BadHead."""
        try:
            path = [bytes.fromhex(one) for one in self.consistency]
        except ValueError:
            raise BadHead("a hash of the proof is not hexadecimal") from None
        if len(path) > DEEPEST or any(len(one) != DIGEST for one in path):
            raise BadHead(f"a proof has at most {DEEPEST} hashes of {DIGEST} bytes")
        return path


def proven(note: str, start: int, path: Iterable[bytes]) -> ProvenHead:
    return ProvenHead(checkpoint=note, consistency=[one.hex() for one in path], start=start)


def written(head: ProvenHead) -> bytes:
    """One line, its line feed included."""
    return _encode(head) + b"\n"


def read(line: bytes) -> ProvenHead:
    """The head of one line. Raises BadHead."""
    if len(line) > 2 * LONGEST:
        raise BadHead(f"a line has {len(line)} bytes; a head with its proof has at most {2 * LONGEST}")
    try:
        return _read(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadHead(f"this is no head with its proof: {error}") from None


def read_all(content: bytes) -> list[ProvenHead]:
    """The heads of a file, the oldest first; or the one of a bare note. Raises BadHead."""
    if content[:1] != b"{":
        try:
            note = content.replace(b"\r\n", b"\n").decode()
            return [ProvenHead(checkpoint=note, consistency=[], start=0)]
        except UnicodeDecodeError:
            raise BadHead("this is neither a note nor lines of heads") from None
    return [read(line) for line in content.splitlines() if line]


def extends(older: Checkpoint | None, newer: Checkpoint, path: list[bytes]) -> bool:
    """Whether the path shows it; every head extends none."""
    size, root = (older.size, older.root) if older else (0, EMPTY_ROOT)
    return check_consistency(size, root, newer.size, newer.root, path)


_encode = msgspec.json.Encoder(order="sorted").encode
_read = msgspec.json.Decoder(ProvenHead).decode
