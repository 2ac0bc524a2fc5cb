"""Administrative acts and the life of keys, appended in the transaction of the change (promises S5 and K7).

And the caps of budgets, moved in that transaction too: a cap is in force for whatever is held after it (promise B1).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec.structs import asdict

from visionality.core.canonical import leaf_hash
from visionality.ledger.batch import Window
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

_SQL = statements("visionality.ledger.sql", "administration.sql")
_json = msgspec.json.Encoder(order="sorted").encode


class Cursor(Protocol):
    """What psycopg's and Django's cursors have in common."""

    def execute(self, query: str, params: Mapping[str, Any], /) -> object: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


def append_key_event(
    cursor: Cursor,
    org_id: UUID,
    now: datetime,
    kind: str,
    key_id: UUID,
    subject: str,
    actor: str,
    detail: Mapping[str, str],
) -> None:
    """One step in the life of a key: issued, revoked."""
    columns = {"kind": kind, "key_id": key_id, "subject": subject, "actor": actor, "detail": dict(detail)}
    _append(cursor, "key_events", "key_event", org_id, now, columns)


def append_admin_event(
    cursor: Cursor,
    org_id: UUID,
    now: datetime,
    kind: str,
    actor: str,
    detail: Mapping[str, str],
    source_ip: str | None = None,
) -> None:
    """One act of an administrator, and the address that it was done from, where there was one."""
    columns = {"kind": kind, "actor": actor, "source_ip": source_ip, "detail": dict(detail)}
    _append(cursor, "admin_events", "admin_event", org_id, now, columns)


def open_budget(cursor: Cursor, org_id: UUID, budget_id: UUID, cap_nusd: int, *, hard: bool) -> None:
    """Begin a budget. Its windows are made by whoever needs them first."""
    budget = {"org_id": org_id, "budget_id": budget_id, "cap_nusd": cap_nusd, "hard": hard}
    cursor.execute(_SQL["open_budget"], budget)


def open_window(cursor: Cursor, window: Window, opening_nusd: int) -> None:
    """Make a window of a budget that was just begun, in which this much was spent before."""
    cursor.execute(_SQL["open_window"], {**asdict(window), "opening_nusd": opening_nusd})


def move_cap(cursor: Cursor, org_id: UUID, budget_id: UUID, cap_nusd: int, *, hard: bool) -> int:
    """Set the cap of a budget in all its windows. Returns the position since which it is in force.

    Below what is spent and held already it only keeps more from being held.
    """
    budget = {"org_id": org_id, "budget_id": budget_id}
    cursor.execute(_SQL["lock_anchor"], budget)
    cursor.execute(_SQL["lock_windows"], budget)
    locked = cursor.fetchone()
    assert locked is not None
    position: int = locked[0] + 1
    cursor.execute(_SQL["move_cap"], {**budget, "cap_nusd": cap_nusd, "hard": hard, "position": position})
    return position


def _append(
    cursor: Cursor, log: str, query: str, org_id: UUID, now: datetime, columns: dict[str, Any]
) -> None:
    cursor.execute(_SQL["next_seq"], {"org_id": org_id, "log": log})
    numbered = cursor.fetchone()
    assert numbered is not None
    row = {"org_id": org_id, "created_at": now, "id": uuid7(), "seq": numbered[0], **columns}
    leaf = leaf_hash(row)
    cursor.execute(_SQL[query], {**row, "detail": _json(row["detail"]).decode(), "leaf_hash": leaf})
