"""Scopes as they grow: each row of `request_logs` gets the next number of its project, and days close into segments.

A segment closes before the first row of a later day of its organisation, when that day is over, and when somebody asks for it.
So what piled up before there was a sealer closes day by day too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import psycopg
import structlog
from psycopg.rows import tuple_row

from visionality.core.merkle import Frontier
from visionality.core.segment import NO_PROJECT, Segment, header_leaf
from visionality.core.window import bounds
from visionality.evidence.due import LedgerLeaf
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "scopes.sql")
_json = msgspec.json.Encoder().encode
_UTC = ZoneInfo("UTC")

log = structlog.get_logger()

Scope = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of a scope that got numbers in one step, within one segment."""

    org_id: UUID
    project_id: str
    segment_no: int
    first_seq: int
    rows: list[LedgerLeaf]


@dataclass(frozen=True, slots=True)
class Closed:
    """A segment that is closed, by the bytes that are sealed of it."""

    segment: Segment
    closed_at: datetime
    id: UUID
    header: bytes
    leaf: bytes


@dataclass(slots=True)
class _Growing:
    """A scope during a step: its open segment, and the rows that it got since its last run."""

    segment: Segment
    day_ends: datetime | None = None
    rows: list[LedgerLeaf] = field(default_factory=list)


class Scopes:
    """The scopes that one step touches. Nothing is written before `store`."""

    def __init__(self, connection: psycopg.Connection[Any], now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._zones = _zones(connection)
        self._growing: dict[Scope, _Growing] = {}
        self.runs: list[Run] = []
        self.closed: list[Closed] = []

    def number(self, rows: Sequence[LedgerLeaf]) -> None:
        """Give each row, in this order, the next number of its scope."""
        self._load({_scope_of(row) for row in rows})
        for row in rows:
            growing = self._growing[_scope_of(row)]
            created_at = row.created_at
            if growing.day_ends is None or created_at >= growing.day_ends:
                if growing.segment.count:
                    self._close(growing, self._now)
                growing.day_ends = self._day(row.org_id, created_at)[1]
            segment = growing.segment
            if segment.opened_at is None:
                segment.opened_at = self._now
            segment.add(created_at, row.currency, row.cost_nusd, row.billed_nusd)
            growing.rows.append(row)

    def close_days(self) -> None:
        """Close every segment that was opened on a day that is over."""
        began = {org_id: self._day(org_id, self._now)[0] for org_id in self._zones}
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            given = {"orgs": list(began), "days": list(began.values())}
            over = {(org_id, project_id) for org_id, project_id in cursor.execute(_SQL["over"], given)}
        self._load(over)
        for scope in sorted(over):
            opened_at = self._growing[scope].segment.opened_at
            if opened_at is not None and opened_at < began[scope[0]]:
                self._close(self._growing[scope], self._now)

    def close_asked(self) -> None:
        """Close what was asked for, with rows or without: a scope that never had a row gets a first segment that says so."""
        with self._connection.cursor(row_factory=tuple_row) as cursor:
            asked = cursor.execute(_SQL["requests"]).fetchall()
        latest: dict[Scope, datetime] = {}
        for org_id, projects, asked_at in asked:
            for project_id in projects:
                latest[org_id, project_id] = max(asked_at, latest.get((org_id, project_id), asked_at))
        self._load(latest)
        for scope, asked_at in sorted(latest.items()):
            self._close(self._growing[scope], max(self._now, asked_at))

    def store(self, seal_nos: Mapping[UUID, int], leaf_indexes: Mapping[UUID, int]) -> None:
        """Write what was numbered and closed: by organisation the seal of its rows, and where its next segment's leaf stands."""
        for growing in self._growing.values():
            self._end_run(growing)
        with self._connection.cursor() as cursor:
            cursor.executemany(_SQL["run"], [_run_columns(run, seal_nos[run.org_id]) for run in self.runs])
            indexes = dict(leaf_indexes)
            rows = []
            for closed in self.closed:
                org_id = closed.segment.org_id
                rows.append(_segment_columns(closed, indexes[org_id]))
                indexes[org_id] += 1
            cursor.executemany(_SQL["segment"], rows)
            if self._growing:
                cursor.execute(_SQL["keep"], _open_columns([one.segment for one in self._growing.values()]))

    def _load(self, scopes: Iterable[Scope]) -> None:
        wanted = [scope for scope in scopes if scope not in self._growing]
        if not wanted:
            return
        orgs, projects = zip(*wanted, strict=True)
        with self._connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            for found in cursor.execute(_SQL["open"], {"orgs": list(orgs), "projects": list(projects)}):
                segment = _segment(found)
                last_at = segment.last_at
                ends = None if last_at is None else self._day(segment.org_id, last_at)[1]
                self._growing[segment.org_id, segment.project_id] = _Growing(segment, ends)
        for scope in wanted:
            self._growing.setdefault(scope, _Growing(Segment(*scope)))

    def _close(self, growing: _Growing, closed_at: datetime) -> None:
        self._end_run(growing)
        segment = growing.segment
        header = segment.header(closed_at)
        leaf = header_leaf(header)
        self.closed.append(Closed(segment, closed_at, uuid7(), header, leaf))
        growing.segment, growing.day_ends = segment.after(leaf), None

    def _end_run(self, growing: _Growing) -> None:
        if not growing.rows:
            return
        segment, rows = growing.segment, growing.rows
        segment.frontier = segment.frontier.extend(row.leaf for row in rows)
        first = segment.last_seq - len(rows) + 1
        self.runs.append(Run(segment.org_id, segment.project_id, segment.segment_no, first, rows))
        growing.rows = []

    def _day(self, org_id: UUID, at: datetime) -> tuple[datetime, datetime]:
        return bounds("day", self._zones.get(org_id, _UTC), at)


def _scope_of(row: LedgerLeaf) -> Scope:
    return row.org_id, NO_PROJECT if row.project_id is None else row.project_id


def _zones(connection: psycopg.Connection[Any]) -> dict[UUID, ZoneInfo]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        return {org_id: _zone(org_id, name) for org_id, name in cursor.execute(_SQL["zones"])}


def _zone(org_id: UUID, name: str) -> ZoneInfo:
    """A day has to end somewhere: in UTC where this machine does not know the zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        log.warning("time_zone_unknown", org_id=str(org_id), time_zone=name, instead="UTC")
        return _UTC


def _segment(found: tuple[Any, ...]) -> Segment:
    (
        org_id,
        project_id,
        segment_no,
        first_seq,
        last_seq,
        opened_at,
        first_at,
        last_at,
        totals,
        frontier,
        prev,
    ) = found
    opened_at, first_at, last_at = (
        None if at is None else at.astimezone(UTC) for at in (opened_at, first_at, last_at)
    )
    tree = Frontier.unpacked(last_seq - first_seq + 1, bytes(frontier))
    place = (org_id, project_id, segment_no, first_seq, last_seq)
    return Segment(*place, opened_at, first_at, last_at, totals, tree, bytes(prev))


def _open_columns(segments: Sequence[Segment]) -> dict[str, list[Any]]:
    plain = (
        "org_id",
        "project_id",
        "segment_no",
        "first_seq",
        "last_seq",
        "opened_at",
        "first_at",
        "last_at",
        "prev",
    )
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in segments] for name in plain}
    columns["totals"] = [_json(one.totals).decode() for one in segments]
    columns["frontier"] = [one.frontier.packed() for one in segments]
    return columns


def _run_columns(run: Run, seal_no: int) -> dict[str, Any]:
    times = [row.created_at for row in run.rows]
    return {
        "org_id": run.org_id,
        "project_id": run.project_id,
        "first_seq": run.first_seq,
        "last_seq": run.first_seq + len(run.rows) - 1,
        "segment_no": run.segment_no,
        "seal_no": seal_no,
        "first_at": min(times),
        "last_at": max(times),
        "row_ids": b"".join(row.row_id for row in run.rows),
    }


def _segment_columns(closed: Closed, leaf_index: int) -> dict[str, Any]:
    segment = closed.segment
    names = ("org_id", "project_id", "segment_no", "first_seq", "last_seq", "first_at", "last_at")
    columns: dict[str, Any] = {name: getattr(segment, name) for name in names}
    sealed = {"closed_at": closed.closed_at, "header": closed.header, "leaf_hash": closed.leaf}
    return columns | sealed | {"id": closed.id, "leaf_index": leaf_index}
