"""What became known after a row was written is ordered as a correction, by the author `resolver` (promise A6).

A session that said later what it is for, or in a call that another gateway served, takes its calls without evidence along.
And a true-up of a row that was corrected follows it to where it is booked now.
"""

from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from visionality.core.correction import MOST_ROWS
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

SESSION_SAID = "its session said later what it is for"
SETTLED_LATE = "its cost was settled after it was corrected"

_SQL = statements("visionality.jobs", "afterwards.sql")
_BOOKING = (
    "org_id",
    "project_id",
    "customer_id",
    "task_id",
    "epic_id",
    "repo",
    "branch",
    "level",
    "confidence",
)
_NOT_SAID = ("task_id", "epic_id", "repo", "branch")


def look(dsn: str, now: datetime) -> int:
    """Order what is to be corrected. Returns of how many rows. Raises psycopg.Error.

    Nothing is ordered while an order of before waits, so no row is ordered twice.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        led = connection.execute(_SQL["lead"]).fetchone()
        if led is None or not all(led.values()):
            return 0
        found = 0
        for query, reason in (("sessions", SESSION_SAID), ("true_ups", SETTLED_LATE)):
            rows = connection.execute(_SQL[query], {"now": now}).fetchall()
            for order in _orders(rows):
                connection.execute(_SQL["order"], {**order, "id": uuid7(), "reason": reason, "now": now})
            found += len(rows)
        return found


def _orders(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that go to one booking are one order."""
    ordered = sorted(rows, key=_booking)
    return [
        {
            **{name: those[0][name] for name in _BOOKING},
            **{name: those[0][name] or "" for name in _NOT_SAID},
            "rows": msgspec.json.encode(
                [(row["id"], row["created_at"].isoformat()) for row in those[start : start + MOST_ROWS]]
            ).decode(),
        }
        for _, group in groupby(ordered, key=_booking)
        for those in [list(group)]
        for start in range(0, len(those), MOST_ROWS)
    ]


def _booking(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in _BOOKING)
