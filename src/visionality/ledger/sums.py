"""What the rows of whole UTC days add up to, by one dimension: the daily rollup and the rows that it has not got yet.

Both come out of one statement, so a sum is the ledger's at every moment, to the last nano-dollar, whether the roller is
behind, stands still or never ran. Read as `vis_reader` in a transaction that has named its organisation (ledger.reader).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from visionality.runtime.sql import statements

SUMS = statements("visionality.ledger.sql", "sums.sql")

Dim = Literal[
    "all",
    "project",
    "customer",
    "team",
    "agent",
    "person",
    "model",
    "task_class",
    "cost_center",
    "gl_code",
    "provider",
    "key",
    "task",
    "epic",
    "place",
    "level",
    "project_agent",
    "project_person",
    "project_model",
    "project_task_class",
    "project_customer",
    "project_task",
    "project_epic",
    "agent_model",
    "agent_task_class",
    "person_agent",
    "project_repo",
    "project_outcome",
    "client",
]
"""`all` has one key, the empty one. A pair has its second part in `key2`; so have `person` (sso_sub, then the agent's
owner), `model` (the one used, then its family) and `place` (repo, then branch). `key` is a virtual key's id, `level` the level
that found the project. `project_outcome` has a JSON list in `key2`: entry, source, decision, reason, status and binding status.
`client` is one without its version, then the level, and behind it where there is no project whether it said where it works:
"7 unplaced" or "7 silent"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One key in one currency; what no row names is an empty key. Corrections count where they book, on their own day."""

    dim: Dim
    day: date | None
    """None for the whole range."""
    key: str | None
    """None for the rest behind the first `top`; `key2` with it."""
    key2: str | None
    currency: str
    members: int
    """How many keys the line sums up: 1, or those of the rest."""
    calls: int
    """Served work, as the chargeback counts it; a call that was corrected counts where it was booked again."""
    asked: int
    """All calls, as the ledger page counts them: with refusals, failures and free catalogue look-ups."""
    refused: int
    """With the repeats that a row stands for."""
    failed: int
    """Failures that cost nothing; those that cost are calls."""
    cost_nusd: int
    billed_nusd: int
    final_nusd: int
    """The part of the cost whose usage is the provider's last word."""
    unpriced: int
    """Rows whose price is unknown."""
    unattributed: int
    """Rows without a project."""
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    last_at: datetime | None
    """The last call, of whatever decision."""

    @property
    def estimated_nusd(self) -> int:
        return self.cost_nusd - self.final_nusd


def sums(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    dim: Dim,
    since: date,
    until: date,
    *,
    keys: Sequence[str] | None = None,
    keys2: Sequence[str] | None = None,
    top: int | None = None,
    simulated: bool = False,
) -> list[Sum]:
    """A line per key and currency of the UTC days from `since` until before `until`, the dearest first.

    `keys` and `keys2` let only those keys through. `top` sums up what is behind the first so many of each currency as one
    line, at the end. `simulated` asks for what the simulated provider answered, which is left out otherwise.
    """
    wanted = _Wanted(org_id, [dim], since, until, keys, keys2, top, simulated)
    return _read(connection, wanted)


def sums_by(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    dims: Sequence[Dim],
    since: date,
    until: date,
    *,
    keys: Sequence[str] | None = None,
    keys2: Sequence[str] | None = None,
    top: int | None = None,
    simulated: bool = False,
    by_day: Sequence[Dim] = (),
) -> dict[Dim, list[Sum]]:
    """The same by several dimensions in one statement, each with its own `top`; the keys narrow all of them.

    Those of `by_day` have the sums of each day as `daily` has them, however many.
    """
    found: dict[Dim, list[Sum]] = {dim: [] for dim in dims}
    wanted = _Wanted(org_id, list(dims), since, until, keys, keys2, top, simulated, list(by_day))
    for one in _read(connection, wanted):
        found[one.dim].append(one)
    return found


def daily(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    dim: Dim,
    since: date,
    until: date,
    *,
    keys: Sequence[str] | None = None,
    keys2: Sequence[str] | None = None,
    simulated: bool = False,
) -> list[Sum]:
    """The sums of each day, the oldest first. A day without rows has no line."""
    wanted = _Wanted(org_id, [dim], since, until, keys, keys2, None, simulated, [dim])
    return _read(connection, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    org_id: UUID
    dims: list[Dim]
    since: date
    until: date
    keys: Sequence[str] | None
    keys2: Sequence[str] | None
    top: int | None
    simulated: bool
    by_day: list[Dim] = field(default_factory=list)


def _read(connection: psycopg.Connection[Any], wanted: _Wanted) -> list[Sum]:
    given = asdict(wanted) | {"start": midnight(wanted.since), "end": midnight(wanted.until)}
    given |= {
        name: None if keys is None else list(keys)
        for name, keys in (("keys", wanted.keys), ("keys2", wanted.keys2))
    }
    with connection.cursor(row_factory=class_row(Sum)) as cursor:
        return cursor.execute(_READ, given).fetchall()


def midnight(day: date) -> datetime:
    """When a UTC day begins."""
    return datetime.combine(day, time.min, UTC)


def counted(rows: str) -> sql.Composed:
    """The rows of a fragment by day, dimension and key, each with what it counts for."""
    parts = {name: sql.SQL(SUMS[name]) for name in ("alike", "measures", "call", "is_served", "dimensions")}
    return sql.SQL(SUMS["counted"]).format(rows=sql.SQL(rows), **parts)


MEASURES = sql.SQL(SUMS["measures"])
_READ = sql.SQL(SUMS["read"]).format(counted=counted(SUMS["tail"]), measures=MEASURES)
