"""The numbering of scopes made again from the sealed rows, and the headers of segments with it (docs/audit/formats.md section 3)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from visionality.core.segment import NO_PROJECT, Segment, header_leaf
from visionality.evidence.found import Found
from visionality.evidence.reread import Reread
from visionality.evidence.sealed import ID, Seal
from visionality.runtime.sql import statements

LOG = "request_logs"

_SQL = statements("visionality.evidence.sql", "verification.sql")


class Run(NamedTuple):
    """Numbers that a seal gave to rows of a scope."""

    org_id: UUID
    seal_no: int
    project_id: str
    segment_no: int
    first_seq: int
    last_seq: int
    row_ids: bytes

    def ids(self) -> list[bytes]:
        return [self.row_ids[at : at + ID] for at in range(0, len(self.row_ids), ID)]


class Closed(NamedTuple):
    """A segment as it was closed."""

    project_id: str
    segment_no: int
    id: UUID
    leaf_index: int
    closed_at: datetime
    header: bytes
    leaf_hash: bytes


def runs_of(connection: psycopg.Connection[Any], seals: Iterable[Seal]) -> dict[tuple[UUID, int], list[Run]]:
    """What these seals numbered, by organisation and seal."""
    spans: dict[UUID, tuple[int, int]] = {}
    for seal in seals:
        first, last = spans.get(seal.org_id, (seal.seal_no, seal.seal_no))
        spans[seal.org_id] = min(first, seal.seal_no), max(last, seal.seal_no)
    firsts, lasts = zip(*spans.values(), strict=True)
    found: dict[tuple[UUID, int], list[Run]] = defaultdict(list)
    with connection.cursor(row_factory=class_row(Run), binary=True) as cursor:
        for run in cursor.execute(
            _SQL["runs"], {"orgs": list(spans), "first": list(firsts), "last": list(lasts)}
        ):
            found[run.org_id, run.seal_no].append(run)
    return found


def closed_of(connection: psycopg.Connection[Any], org_id: UUID, start: int = 0) -> list[Closed]:
    """The closed segments of an organisation whose leaves stand at a place or behind it, in their order."""
    with connection.cursor(row_factory=class_row(Closed), binary=True) as cursor:
        return cursor.execute(_SQL["segments"], {"org_id": org_id, "start": start}).fetchall()


class Numbering:
    """The scopes of one organisation, numbered again seal by seal."""

    def __init__(self, org_id: UUID, closed: Iterable[Closed], found: Found) -> None:
        self._org_id = org_id
        self._closed = {(one.project_id, one.segment_no): one for one in closed}
        self._found = found
        self._open: dict[str, Segment] = {}
        self._unsure: set[tuple[str, int]] = set()
        """Segments of rows that are not as they were sealed: those rows have been told, and no header can agree."""

    def add(self, seal: Seal, runs: Sequence[Run], rows: Mapping[bytes, Reread]) -> None:
        """Number the rows of a seal. `rows` are those of it that are as they were sealed, by their ids."""
        ordered: dict[str, list[bytes]] = defaultdict(list)
        scope_of = {row_id: run.project_id for run in runs for row_id in run.ids()}
        for place, row_id in enumerate(seal.ids(), seal.first_index):
            row, scope = rows.get(row_id), scope_of.get(row_id)
            if scope is None:
                self._tell(row, row_id, place, "the row was sealed and has no number in its project")
            elif row is not None and (row.project_id or NO_PROJECT) != scope:
                self._tell(row, row_id, place, f"the row is numbered in project {scope}, and is of another")
            if scope is not None:
                ordered[scope].append(row_id)
        leaves = dict(zip(seal.ids(), seal.leaves(), strict=False))
        numbered: dict[str, list[bytes]] = defaultdict(list)
        for run in runs:
            numbered[run.project_id] += run.ids()
            self._run(run, rows, leaves)
        for scope, ids in numbered.items():
            if ids != ordered.get(scope):
                words = f"project {scope}: seal {seal.seal_no} numbered its rows in another order than it sealed them"
                self._found.add("numbering", LOG, words, place=seal.first_index)

    def finish(self) -> None:
        """Close what is left to be closed."""
        last: dict[str, int] = defaultdict(int)
        for project_id, segment_no in self._closed:
            last[project_id] = max(last[project_id], segment_no)
        for project_id, segment_no in last.items():
            self._close_until(project_id, segment_no + 1)

    def _run(self, run: Run, rows: Mapping[bytes, Reread], leaves: Mapping[bytes, bytes]) -> None:
        segment = self._close_until(run.project_id, run.segment_no)
        if (run.first_seq, run.segment_no) != (segment.last_seq + 1, segment.segment_no):
            words = (
                f"project {run.project_id}: number {segment.last_seq + 1} of segment {segment.segment_no} is next, "
                f"and seal {run.seal_no} gave number {run.first_seq} of segment {run.segment_no}"
            )
            self._found.add("numbering", LOG, words)
            self._unsure.add((run.project_id, segment.segment_no))
            segment.first_seq += run.first_seq - segment.last_seq - 1 if not segment.count else 0
            segment.last_seq = run.first_seq - 1
        for row_id in run.ids():
            row = rows.get(row_id)
            if row is None:
                self._unsure.add((run.project_id, segment.segment_no))
                segment.last_seq += 1
            else:
                segment.add(row.created_at, row.currency, row.cost_nusd, row.billed_nusd)
        segment.frontier = segment.frontier.extend(leaves.get(row_id, bytes(32)) for row_id in run.ids())

    def _close_until(self, project_id: str, segment_no: int) -> Segment:
        """The open segment of a scope, once all below this number are closed as they were."""
        segment = self._open.setdefault(project_id, Segment(self._org_id, project_id))
        while segment.segment_no < segment_no:
            closed = self._closed.get((project_id, segment.segment_no))
            if closed is None:
                words = f"project {project_id}: segment {segment.segment_no} is missing"
                self._found.add("segment", "segments", words, number=segment.segment_no)
                segment = segment.after(bytes(32))
                self._unsure.add((project_id, segment.segment_no))
                continue
            sure = (project_id, segment.segment_no) not in self._unsure
            if sure and segment.header(closed.closed_at) != closed.header:
                words = f"project {project_id}: segment {closed.segment_no} does not say what its sealed rows add up to"
                self._found.add(
                    "segment", "segments", words, number=closed.segment_no, place=closed.leaf_index
                )
            segment = segment.after(header_leaf(closed.header))
        self._open[project_id] = segment
        return segment

    def _tell(self, row: Reread | None, row_id: bytes, place: int, words: str) -> None:
        self._found.add(
            "numbering",
            LOG,
            words,
            writer_no=row.writer_no if row else None,
            number=row.number if row else None,
            row_id=UUID(bytes=row_id),
            place=place,
        )
