"""When keys were last used, and that nothing was served for them after their end (promise K7).

Read as `vis_reader` in a transaction that has named its organisation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from visionality.runtime.sql import statements

GRACE = timedelta(seconds=5)
"""Gateways hear of a revocation within two seconds; their clocks and the database's may differ by the rest."""
BACK = timedelta(days=400)
"""How far back a last use is looked for."""

_SQL = statements("visionality.ledger.sql", "uses.sql")


@dataclass(frozen=True, slots=True)
class SinceEnd:
    """What the ledger has of a key since its end. `served` began more than GRACE after it, `under_way` before it."""

    key_id: UUID
    last_before: datetime | None
    served: int
    served_in_grace: int
    under_way: int
    refused: int
    """With the repeats that a row stands for."""
    last_refused: datetime | None
    last_served: datetime | None


def last_uses(
    connection: psycopg.Connection[Any], org_id: UUID, agents: Iterable[str], now: datetime
) -> Mapping[str, datetime]:
    """When each agent was last served, by its subject; none that was not within BACK."""
    asked = {"org_id": org_id, "agents": list(agents), "since": now - BACK, "now": now}
    return {row["agent_sub"]: row["last_at"] for row in connection.execute(_SQL["last"], asked)}


def since_ends(
    connection: psycopg.Connection[Any], org_id: UUID, ends: Sequence[tuple[UUID, str, datetime]]
) -> dict[UUID, SinceEnd]:
    """By key. `ends` are keys, their agents, and when each ended."""
    keys, agents, moments = ([end[place] for end in ends] for place in range(3))
    asked = {"org_id": org_id, "keys": keys, "agents": agents, "ends": moments, "grace": GRACE}
    with connection.cursor(row_factory=class_row(SinceEnd)) as cursor:
        return {one.key_id: one for one in cursor.execute(_SQL["since_ends"], asked)}
