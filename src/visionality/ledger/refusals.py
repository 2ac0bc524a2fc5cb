"""What was refused in a range of time, and the credentials that were nobody's.

Run as `vis_reader` inside a transaction that has named its organisation (`ledger.reader`). A row may stand for many calls;
every count here is of calls.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import msgspec
import psycopg

from visionality.ledger.reader import Record
from visionality.runtime.sql import statements

MOST = 10
"""Keys and clients that are listed."""
NEWEST = 20

_SQL = statements("visionality.ledger.sql", "refusals.sql")


@dataclass(frozen=True, slots=True)
class Counted:
    """One UTC day, status, state of the proof and reason. `answered` counts rows that a provider answered."""

    day: date
    status: int
    binding_status: str
    reason: str
    calls: int
    cost_nusd: int
    answered: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class OfKey:
    key_id: UUID | None
    agent_sub: str | None
    project_id: str | None
    calls: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class OfClient:
    """What the program said that it is, and who signed its proofs; empty where neither is known."""

    client: str
    caller: str
    calls: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row, and how many calls it stands for."""

    id: UUID
    created_at: datetime
    status: int
    reason: str
    binding_status: str
    agent_sub: str | None
    project_id: str | None
    calls: int


@dataclass(frozen=True, slots=True)
class Stranger:
    """A code that credentials of nobody got."""

    code: str
    times: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Refusals:
    """Of a range; lists have the greatest or the newest first."""

    counted: list[Counted]
    keys: list[OfKey]
    clients: list[OfClient]
    newest: list[Refusal]
    strangers: list[Stranger]
    """Of the whole installation: a credential of nobody is of no organisation."""


def refusals(
    connection: psycopg.Connection[Record], org_id: UUID, start: datetime, end: datetime
) -> Refusals:
    """What was refused from `start` until before `end`, as of one moment and in one statement."""
    asked = {"org_id": org_id, "start": start, "end": end, "most": MOST, "newest": NEWEST}
    row = connection.execute(_SQL["refusals"], asked).fetchone()
    assert row is not None
    return msgspec.convert(row["found"], Refusals)
