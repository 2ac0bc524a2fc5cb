"""The pull request that a row led to, found when it is read: when the call was made there mostly was none (promise P1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from visionality.chargeback.task_report import composed


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What its Git host says of it."""

    url: str
    title: str
    state: str
    """open, merged or declined."""


def pull_requests_of(
    connection: psycopg.Connection[Any], org_id: UUID, rows: Sequence[dict[str, Any]]
) -> dict[UUID, PullRequest]:
    """By the id of the row, for those of these rows that a connected Git host knows one for."""
    if not rows:
        return {}
    where = sql.SQL("org_id = {} and id = any({}) and created_at between {} and {}").format(
        org_id,
        [row["id"] for row in rows],
        min(row["created_at"] for row in rows),
        max(row["created_at"] for row in rows),
    )
    found = connection.execute(composed("pull_of", where)).fetchall()
    return {row["id"]: PullRequest(row["url"], row["title"], row["state"]) for row in found}
