"""Closed segments of scopes, as packs carry them; and how one asks for a segment that is still open.

Run inside a transaction that may see the organisation. What a segment is, is in docs/audit/formats.md section 3.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import scalar_row

from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "segments.sql")


def ask_to_close(
    connection: psycopg.Connection[Any], org_id: UUID, projects: Iterable[str], now: datetime
) -> None:
    """Have the sealer close the open segments of these scopes within a second, with rows or without.

    First it seals every row that stands by then. A scope that never had a row gets a segment without rows. Run as vis_web or vis_jobs.
    """
    request = {"org_id": org_id, "request_id": uuid7(), "projects": sorted(set(projects)), "now": now}
    connection.execute(_SQL["ask"], request)


def is_closed_until(
    connection: psycopg.Connection[Any], org_id: UUID, projects: Iterable[str], moment: datetime
) -> bool:
    """Whether each of these scopes that has a segment was closed at this moment or later, and nothing asked before it waits."""
    wanted = {"org_id": org_id, "projects": sorted(set(projects)), "moment": moment}
    with connection.cursor(row_factory=scalar_row) as cursor:
        return bool(cursor.execute(_SQL["closed_until"], wanted).fetchone())


def headers(connection: psycopg.Connection[Any], org_id: UUID, project: str) -> list[bytes]:
    """The segments of a scope by their bytes, the oldest first."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found = cursor.execute(_SQL["headers"], {"org_id": org_id, "project_id": project}).fetchall()
    return [bytes(one) for one in found]
