"""The whole ledger of organisations, made again and held against what was sealed of it (promise L3).

Every leaf is hashed anew from the columns of its row; every writer's numbers are there, each once; every sealed row is there and
every row below the last seal is in one; the leaves make the roots that were signed; the numbering of each project and the
headers of its segments follow from the rows. What does not is named, the first of its kind.

Seals are read in the order of their time and rows by the numbers that the seals say, some thousands at a time. Rows that are found
before their seal, or after it, wait for each other: nothing here depends on the order being right.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from operator import attrgetter
from secrets import SystemRandom
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import set_json_loads

from visionality.core.checkpoint import Note
from visionality.core.finding import Finding, Kind
from visionality.core.segment import header_leaf
from visionality.evidence import contiguity, reread
from visionality.evidence.found import Found
from visionality.evidence.heads import LOGS, Log, newest
from visionality.evidence.keys import everything
from visionality.evidence.numbering import Numbering, closed_of, runs_of
from visionality.evidence.publishing import Contradicted, check_kept
from visionality.evidence.reread import Reread
from visionality.evidence.rows import ROW_LOGS, RowLog
from visionality.evidence.sealed import ID, Seal, Tree, asked, seals
from visionality.runtime.sql import statements

AT_ONCE = 10_000
"""Leaves whose rows are compared at a time."""
FURTHEST = 2**62
"""Behind every number."""
KEPT_APART = 100_000
"""Rows and leaves that may wait for each other. More is no order that went wrong but another ledger."""
WRITER_LOGS = ("request_logs", "budget_events")

Extent = Literal["full", "sample"]
Progress = Callable[[int, int], None]
"""Told how many more leaves have been compared, of how many in all."""

_SQL = statements("visionality.evidence.sql", "verification.sql")


@dataclass(slots=True)
class Verified:
    """What a check saw of an organisation. `rows` were hashed, `waiting` of them are not sealed yet."""

    org_id: UUID
    name: str
    rows: int = 0
    waiting: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    """Leaves of each log when the check began."""
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A head of an organisation's log that is kept elsewhere, and where."""

    org_id: UUID
    log: Log
    note: Note
    where: str


@dataclass(slots=True)
class _Wanted:
    """A sealed leaf whose row has not been seen, and the numbers among which it was."""

    place: int
    span: Mapping[int, tuple[int, int]]


_Key = tuple[UUID, bytes]


@dataclass(slots=True)
class _Reading:
    """One log as far as it was read: up to which number of each writer, and what waits for its other half."""

    log: RowLog
    begun: Mapping[int, int] = field(default_factory=dict)
    """The same where reading began."""
    after: dict[int, int] = field(init=False)
    rows: dict[_Key, Reread] = field(default_factory=dict)
    wanted: dict[_Key, _Wanted] = field(default_factory=dict)
    numbering: dict[UUID, Numbering] = field(default_factory=dict)
    sealed: dict[UUID, dict[int, int]] = field(default_factory=dict)
    """Up to which number of each writer an organisation's seals went so far."""

    def __post_init__(self) -> None:
        self.after = dict(self.begun)

    def span(self, seal: Seal) -> dict[int, tuple[int, int]]:
        """Among which of its writers' numbers the rows of the next seal of its organisation are."""
        before = self.sealed.setdefault(seal.org_id, dict(self.begun))
        upto = {int(name): number for name, number in seal.cursors.items()}
        span = {writer_no: (before.get(writer_no, 0), number) for writer_no, number in upto.items()}
        before.update(upto)
        return span

    @property
    def is_lost(self) -> bool:
        return max(len(self.rows), len(self.wanted)) > KEPT_APART


class Check:
    """One check of some organisations, by their names. `connection` is of vis_auditor, and in autocommit."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        orgs: Mapping[UUID, str],
        progress: Progress | None = None,
    ) -> None:
        self._connection = connection
        self._orgs = list(orgs)
        self._found = {org_id: Found(name) for org_id, name in orgs.items()}
        self._done = {org_id: Verified(org_id, name) for org_id, name in orgs.items()}
        self._keys = {org_id: everything(connection, org_id) for org_id in orgs}
        self._progress = progress
        connection.execute("set timezone = 'UTC'")
        set_json_loads(msgspec.json.decode, connection)
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            self.installation_id = self._ask("installation")[0][0]
            self._stands = {
                (org_id, log): (seal_no, size)
                for org_id, log, seal_no, size in self._ask("stands", orgs=self._orgs, logs=list(LOGS))
            }
            self._cursors = {log: dict(self._ask("cursors", log=log)) for log in WRITER_LOGS}
            self._given = {
                log: dict(self._ask("last_seq", log=log, orgs=self._orgs))
                for log in ROW_LOGS
                if log not in WRITER_LOGS
            }
            self._closed = {org_id: closed_of(connection, org_id) for org_id in orgs}
        for (org_id, log), (_, size) in self._stands.items():
            self._done[org_id].sizes[log] = size
        self._in_all = sum(size for (_, log), (_, size) in self._stands.items() if log in ROW_LOGS)

    def full(self, kept: Iterable[KeptHead] = ()) -> list[Verified]:
        """Everything. Raises what psycopg raises."""
        for log in ROW_LOGS:
            reading = _Reading(log)
            if log == "request_logs":
                reading.numbering = {
                    org_id: Numbering(org_id, self._closed[org_id], self._found[org_id])
                    for org_id in self._orgs
                }
            self._read(reading, {org_id: self._tree(org_id, log) for org_id in self._orgs})
            for numbering in reading.numbering.values():
                numbering.finish()
        self._numbers()
        for org_id in self._orgs:
            self._segments(org_id, self._tree(org_id, "segments"))
        return self._ended(kept)

    def since(self, moment: datetime, kept: Iterable[KeptHead] = ()) -> list[Verified]:
        """What was sealed from a moment on, and every number; not the numbering of projects, which takes all rows."""
        for log in ROW_LOGS:
            trees = {org_id: self._tree_at(org_id, log, moment) for org_id in self._orgs}
            after = (
                {}
                if log not in WRITER_LOGS
                else self._ask("mentioned", orgs=self._orgs, log=log, since=moment)
            )
            self._read(_Reading(log, dict(after)), trees)
        self._numbers()
        for org_id in self._orgs:
            self._segments(org_id, self._tree_at(org_id, "segments", moment))
        return self._ended(kept)

    def sample(self, rows: int, kept: Iterable[KeptHead] = ()) -> list[Verified]:
        """The rows of seals that are drawn by lot, until there are so many of each log."""
        draw = SystemRandom()
        for (org_id, log), (_, size) in self._stands.items():
            if log not in ROW_LOGS:
                continue
            left, seen = min(rows, size), set[int]()
            for _ in range(rows):
                drawn = asked(
                    self._connection,
                    "one_seal",
                    {"org_id": org_id, "log": log, "index": draw.randrange(size)},
                )
                for seal in drawn:
                    if seal.seal_no not in seen:
                        self._one(log, seal)
                        left -= len(seal.ids())
                    seen.add(seal.seal_no)
                if left <= 0:
                    break
        return self._ended(kept)

    def _read(self, reading: _Reading, trees: Mapping[UUID, Tree]) -> None:
        """All seals of a log from where the trees stand, and what is behind the last of them."""
        for chunk in _chunks(self._seals(reading.log, trees)):
            self._compare(reading, chunk, trees)
            if reading.is_lost:
                break
        if reading.log in WRITER_LOGS:
            ends = {
                writer_no: (reading.after.get(writer_no, 0), upto)
                for writer_no, upto in self._cursors[reading.log].items()
                if upto > reading.after.get(writer_no, 0)
            }
            self._take(reading, reread.of_writers(self._connection, reading.log, self._orgs, ends))
        self._left(reading)
        self._wait(reading.log)

    def _one(self, log: RowLog, seal: Seal) -> None:
        """One seal by itself, behind the one before it."""
        tree = self._tree(seal.org_id, log)
        given = {"org_id": seal.org_id, "log": log, "index": seal.first_index - 1}
        for before in asked(self._connection, "one_seal", given):
            tree.start(before.seal_no, before.tree_size, before.frontier, before.root)
        mentioned = self._ask(
            "before", org_id=seal.org_id, log=log, seal_no=seal.seal_no, writers=list(seal.cursors)
        )
        reading = _Reading(log, dict(mentioned))
        self._compare(reading, [seal], {seal.org_id: tree})
        self._left(reading)

    def _seals(self, log: Log, trees: Mapping[UUID, Tree]) -> Iterator[Seal]:
        """The seals of all organisations in the order of their time."""
        streams = [
            seals(self._connection, org_id, log, tree.seal_no, self._stands[org_id, log][0])
            for org_id, tree in trees.items()
            if (org_id, log) in self._stands
        ]
        return merge(*streams, key=attrgetter("sealed_at", "seal_no"))

    def _compare(self, reading: _Reading, chunk: Sequence[Seal], trees: Mapping[UUID, Tree]) -> None:
        self._take(reading, self._rows(reading, chunk, [*trees]))
        runs = runs_of(self._connection, chunk) if reading.numbering else {}
        for seal in chunk:
            wrong = trees[seal.org_id].add(seal)
            if wrong:
                self._found[seal.org_id].add("seal", reading.log, wrong, place=seal.first_index)
            sound = self._match(reading, seal, is_signed_so=wrong is None)
            if reading.numbering:
                reading.numbering[seal.org_id].add(seal, runs.get((seal.org_id, seal.seal_no), []), sound)
            if self._progress:
                self._progress(len(seal.row_ids) // ID, self._in_all)

    def _rows(self, reading: _Reading, chunk: Sequence[Seal], orgs: list[UUID]) -> Iterator[Reread]:
        """The rows that these seals say they have."""
        log = reading.log
        if log not in WRITER_LOGS:
            spans: dict[UUID, tuple[int, int]] = {}
            for seal in chunk:
                first = spans.get(seal.org_id, (seal.first_index, 0))[0]
                spans[seal.org_id] = first, seal.tree_size
            return reread.of_orgs(self._connection, log, spans)
        upto: dict[int, int] = {}
        for seal in chunk:
            for name, number in seal.cursors.items():
                upto[int(name)] = max(number, upto.get(int(name), 0))
        span = {
            writer_no: (reading.after.get(writer_no, 0), number)
            for writer_no, number in upto.items()
            if number > reading.after.get(writer_no, 0)
        }
        reading.after.update({writer_no: number for writer_no, (_, number) in span.items()})
        return reread.of_writers(self._connection, log, orgs, span)

    def _take(self, reading: _Reading, rows: Iterable[Reread]) -> None:
        for row in rows:
            self._done[row.org_id].rows += 1
            key = row.org_id, row.row_id
            if key in reading.rows:
                self._tell("doubled", reading.log, row, None, f"row {_id(row)} stands there twice")
            reading.rows[key] = row

    def _match(self, reading: _Reading, seal: Seal, *, is_signed_so: bool) -> dict[bytes, Reread]:
        """Hold the leaves of a seal against its rows. Returns the rows that are as they were sealed.

        Where a seal no longer holds the leaves that were signed, a row that agrees with its own writer's hash is not blamed.
        """
        sound: dict[bytes, Reread] = {}
        span = reading.span(seal)
        for place, (row_id, leaf) in enumerate(
            zip(seal.ids(), seal.leaves(), strict=False), seal.first_index
        ):
            row = reading.rows.pop((seal.org_id, row_id), None)
            if row is None:
                reading.wanted[seal.org_id, row_id] = _Wanted(place, span)
            elif row.leaf == leaf or (row.leaf == row.stored and not is_signed_so):
                sound[row_id] = row
            else:
                self._tell("edited", reading.log, row, place, _edited(row, leaf, seal))
        return sound

    def _left(self, reading: _Reading) -> None:
        """What found no other half: sealed rows that are gone, and rows that no seal has."""
        told: set[UUID] = set()
        for (org_id, row_id), wanted in sorted(reading.wanted.items(), key=lambda one: one[1].place):
            if org_id in told:
                self._found[org_id].add("missing", reading.log, "", place=wanted.place)
                continue
            self._gone(reading.log, org_id, UUID(bytes=row_id), wanted)
            told.add(org_id)
        for row in reading.rows.values():
            words = (
                f"row {_id(row)} is in no seal, though its number is below what is sealed: it was put there afterwards, "
                "or the seal that had it was removed"
            )
            self._tell("inserted", reading.log, row, None, words)

    def _gone(self, log: RowLog, org_id: UUID, row_id: UUID, wanted: _Wanted) -> None:
        for row in reread.of_ids(self._connection, log, org_id, [row_id]):
            words = f"row {row_id} was sealed at place {wanted.place} and has another number now, or was sealed twice"
            self._tell("edited", log, row, wanted.place, words)
            return
        lacking = {
            writer_no: number
            for writer_no, (after, upto) in wanted.span.items()
            if (number := contiguity.first_missing(self._connection, log, writer_no, after, upto)) is not None
        }
        writer_no, number = next(iter(lacking.items())) if len(lacking) == 1 else (None, None)
        if log not in WRITER_LOGS:
            number = wanted.place + 1
        words = f"row {row_id} was sealed at place {wanted.place} and is missing: it was deleted"
        if len(lacking) > 1:
            numbers = " or ".join(f"number {number} of writer {one}" for one, number in lacking.items())
            words = f"{words}; it was {numbers}"
        self._found[org_id].add(
            "missing", log, words, writer_no=writer_no, number=number, row_id=row_id, place=wanted.place
        )

    def _wait(self, log: RowLog) -> None:
        """Rows behind the last seal: no seal says yet what they were, but their own writer does."""
        if log in WRITER_LOGS:
            ends = {writer_no: (upto, FURTHEST) for writer_no, upto in self._cursors[log].items()}
            rows = reread.of_writers(self._connection, log, self._orgs, ends)
        else:
            sizes = {org_id: self._stands.get((org_id, log), (0, 0))[1] for org_id in self._orgs}
            rows = reread.of_orgs(
                self._connection, log, {one: (size, FURTHEST) for one, size in sizes.items()}
            )
        for row in rows:
            done = self._done[row.org_id]
            done.rows, done.waiting = done.rows + 1, done.waiting + 1
            if row.leaf != row.stored:
                words = f"row {_id(row)} was edited before it was sealed: its columns do not give the hash that its writer stored"
                self._tell("edited", log, row, None, words)

    def _numbers(self) -> None:
        for log in ROW_LOGS:
            broken = (
                contiguity.of_writers(self._connection, log, self._cursors[log])
                if log in WRITER_LOGS
                else contiguity.of_orgs(self._connection, log, self._orgs, self._given[log])
            )
            for one in broken:
                org_id = one.org_id or self._orgs[0]
                if org_id in self._found:
                    self._found[org_id].add(
                        one.kind,
                        log,
                        one.words,
                        writer_no=one.writer_no,
                        number=one.number,
                        row_id=one.row_id,
                    )

    def _segments(self, org_id: UUID, tree: Tree) -> None:
        """The log of segments, from where its tree stands, against the headers that are stored."""
        found = self._found[org_id]
        stored = {one.leaf_index: one for one in self._closed[org_id]}
        for seal in self._seals("segments", {org_id: tree}):
            wrong = tree.add(seal)
            if wrong:
                found.add("seal", "segments", wrong, place=seal.first_index)
            for place, (row_id, leaf) in enumerate(
                zip(seal.ids(), seal.leaves(), strict=False), seal.first_index
            ):
                one = stored.get(place)
                if one is None:
                    found.add(
                        "segment",
                        "segments",
                        f"the segment that was sealed at place {place} is missing",
                        place=place,
                    )
                elif header_leaf(one.header) != leaf or one.leaf_hash != leaf or one.id.bytes != row_id:
                    words = (
                        f"project {one.project_id}: segment {one.segment_no} is not the one that was sealed"
                    )
                    found.add("segment", "segments", words, number=one.segment_no, place=place)

    def _tree(self, org_id: UUID, log: Log) -> Tree:
        return Tree(f"{self.installation_id}/{org_id}/{log}", self._keys[org_id])

    def _tree_at(self, org_id: UUID, log: Log, moment: datetime) -> Tree:
        """The tree as the last seal before a moment left it."""
        tree = self._tree(org_id, log)
        for seal_no, size, root, frontier in self._ask("first", org_id=org_id, log=log, since=moment):
            tree.start(seal_no, size, bytes(frontier), bytes(root))
        return tree

    def _ended(self, kept: Iterable[KeptHead]) -> list[Verified]:
        for one in kept:
            sentence = self._contradiction(one)
            if sentence:
                self._found[one.org_id].add("head", one.log, f"{one.where}: {sentence}")
        for org_id, done in self._done.items():
            done.findings = list(self._found[org_id])
        return list(self._done.values())

    def _contradiction(self, kept: KeptHead) -> str | None:
        if not any(key.role == "log" and kept.note.is_by(key.public) for key in self._keys[kept.org_id]):
            return (
                "the head that is kept there was signed by no key that this database knows: it is a forgery, "
                "or an older database was put back"
            )
        try:
            head = newest(self._connection, kept.org_id, kept.log)
            check_kept(self._connection, kept.org_id, kept.log, kept.note.checkpoint, head)
        except Contradicted as error:
            return str(error)
        return None

    def _tell(self, kind: Kind, log: str, row: Reread, place: int | None, words: str) -> None:
        self._found[row.org_id].add(
            kind, log, words, writer_no=row.writer_no, number=row.number, row_id=_id(row), place=place
        )

    def _ask(self, statement: str, **given: Any) -> list[tuple[Any, ...]]:
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            return cursor.execute(_SQL[statement], given).fetchall()


def broken_off(org_id: UUID, name: str, error: Exception) -> Verified:
    """What a check that could not go on found: what is stored of seals cannot be read, which is no reason to find nothing."""
    sentence = (
        f"organisation {name}: the check broke off, for what is stored cannot be what was sealed: {error!r}"
    )
    return Verified(
        org_id, name, findings=[Finding(kind="seal", log="request_logs", sentence=sentence[:500])]
    )


def _chunks(ordered: Iterable[Seal]) -> Iterator[list[Seal]]:
    """Seals in their order, some thousands of leaves at a time."""
    chunk: list[Seal] = []
    leaves = 0
    for seal in ordered:
        chunk.append(seal)
        leaves += len(seal.row_ids) // ID
        if leaves >= AT_ONCE:
            yield chunk
            chunk, leaves = [], 0
    if chunk:
        yield chunk


def _edited(row: Reread, leaf: bytes, seal: Seal) -> str:
    stored = "" if row.stored == leaf else ", and the hash beside them was changed too"
    return (
        f"row {_id(row)} was edited: its columns do not give the hash that was sealed on "
        f"{seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC{stored}"
    )


def _id(row: Reread) -> UUID:
    return UUID(bytes=row.row_id)
