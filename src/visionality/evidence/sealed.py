"""Seals read in their order, and the tree that their leaves really make."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from visionality.core.checkpoint import BadNote, read_note
from visionality.core.merkle import DIGEST, EMPTY_ROOT, Frontier, cut
from visionality.evidence.heads import Log
from visionality.evidence.keys import EvidenceKey
from visionality.runtime.sql import statements

ID = 16

_SQL = statements("visionality.evidence.sql", "verification.sql")
_PAGE = 32
"""Seals that are read at a time: of a busy log some twenty thousand leaves each."""


class Seal(NamedTuple):
    org_id: UUID
    seal_no: int
    sealed_at: datetime
    first_index: int
    tree_size: int
    root: bytes
    frontier: bytes
    row_ids: bytes
    leaf_hashes: bytes
    cursors: dict[str, int]
    note: str

    def ids(self) -> list[bytes]:
        return [self.row_ids[at : at + ID] for at in range(0, len(self.row_ids), ID)]

    def leaves(self) -> list[bytes]:
        return cut(self.leaf_hashes)


def seals(
    connection: psycopg.Connection[Any], org_id: UUID, log: Log, after: int, upto: int
) -> Iterator[Seal]:
    """The seals of a log behind one number up to another, in their order."""
    while after < upto:
        given = {"org_id": org_id, "log": log, "after": after, "upto": upto, "page": _PAGE}
        page = asked(connection, "seals", given)
        if not page:
            return
        yield from page
        after = page[-1].seal_no


def asked(connection: psycopg.Connection[Any], statement: str, given: dict[str, Any]) -> list[Seal]:
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        return [Seal(*one) for one in cursor.execute(_SQL[statement], given)]


class Tree:
    """One log as its seals make it. `keys` are those that ever signed its heads."""

    def __init__(self, origin: str, keys: Sequence[EvidenceKey]) -> None:
        self._origin = origin
        self._keys = [key for key in keys if key.role == "log"]
        self.seal_no = 0
        self.frontier = Frontier()
        self.root = EMPTY_ROOT

    def start(self, seal_no: int, size: int, frontier: bytes, root: bytes) -> None:
        """Begin behind a seal instead of at the first, with the edge of the tree that it keeps."""
        self.seal_no, self.frontier, self.root = seal_no, Frontier.unpacked(size, frontier), root

    def add(self, seal: Seal) -> str | None:
        """Go on by a seal. Returns what is the matter with it, in a sentence; the tree then goes on from it as it is."""
        wrong = self._wrong_before(seal)
        frontier = self.frontier.extend(seal.leaves())
        root = frontier.root()
        wrong = wrong or self._wrong_behind(seal, frontier, root)
        self.seal_no, self.frontier, self.root = seal.seal_no, frontier, root
        return wrong

    def _wrong_before(self, seal: Seal) -> str | None:
        if seal.seal_no != self.seal_no + 1:
            return f"seal {self.seal_no + 1} is missing"
        if seal.first_index != self.frontier.size:
            return f"seal {seal.seal_no} begins at place {seal.first_index}, and the one before it ends at {self.frontier.size}"
        if len(seal.row_ids) // ID != len(seal.leaf_hashes) // DIGEST:
            return f"seal {seal.seal_no} has other rows than leaves"
        return None

    def _wrong_behind(self, seal: Seal, frontier: Frontier, root: bytes) -> str | None:
        what = f"seal {seal.seal_no} of {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC"
        try:
            head = (note := read_note(seal.note)).checkpoint
        except BadNote as error:
            return f"{what} has a damaged note: {error}"
        if (seal.tree_size, seal.root) != (frontier.size, root) or (head.size, head.root) != (
            frontier.size,
            root,
        ):
            return (
                f"{what} was signed over other leaves than it holds now: places {seal.first_index} to "
                f"{seal.tree_size - 1} or those before them were changed"
            )
        if (head.origin, head.prev) != (self._origin, self.root):
            return f"{what} is of another log, or follows another head than the one before it"
        if seal.frontier != frontier.packed():
            return f"{what} keeps another edge of the tree than its leaves make"
        if not any(key.active_from <= seal.sealed_at and note.is_by(key.public) for key in self._keys):
            return f"{what} was signed by no key of this organisation"
        return None
