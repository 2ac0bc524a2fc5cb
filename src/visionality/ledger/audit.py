"""The audit logs of an organisation, read for people: what administrators did, and the life of keys (promises S5 and K7).

Run inside a transaction that has named its organisation (`ledger.reader`).
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from visionality.core.canonical import leaf_hash
from visionality.ledger.reader import CLOCKS_APART, Record
from visionality.runtime.ids import made_at
from visionality.runtime.sql import statements

ADMIN, KEYS = "admin", "keys"
LOGS = (ADMIN, KEYS)
MADE_WITHIN = timedelta(days=31)
"""How long after the moment that it is dated to an event's id may have been made."""

_SQL = statements("visionality.ledger.sql", "audit.sql")
_OF_ALL = ("org_id", "created_at", "id", "seq", "kind", "actor", "detail")
_OF_A_LOG = {ADMIN: ("source_ip",), KEYS: ("key_id", "subject")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; None lets everything through. The range is half open."""

    log: str | None = None
    kind: str | None = None
    actor: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None


Mark = tuple[datetime, UUID]
"""The (created_at, id) of an event."""


def events(
    connection: psycopg.Connection[Record],
    org_id: UUID,
    wanted: Wanted,
    limit: int,
    before: Mark | None = None,
) -> list[Record]:
    """The newest events of both logs, the newest first; or those after the last of the page above.

    One is of the `log` admin or keys, and has the columns of both tables; those that its own lacks are None.
    """
    at, event_id = before or (None, None)
    page = {"org_id": org_id, "limit": limit, "before": at, "before_id": event_id}
    return connection.execute(_SQL["newest"], {**page, **asdict(wanted)}).fetchall()


def event(connection: psycopg.Connection[Record], org_id: UUID, event_id: UUID) -> Record | None:
    """The event with this id, of either log."""
    made = made_at(event_id)
    if made is None:
        return None
    bounds = {"since": made - MADE_WITHIN, "until": made + CLOCKS_APART}
    return connection.execute(_SQL["one"], {"org_id": org_id, "id": event_id, **bounds}).fetchone()


def hash_agrees(found: Record) -> bool:
    """Whether hashing an event's columns again gives its stored leaf hash."""
    columns: dict[str, Any] = {name: found[name] for name in (*_OF_ALL, *_OF_A_LOG[found["log"]])}
    return leaf_hash(columns) == bytes(found["leaf_hash"])
