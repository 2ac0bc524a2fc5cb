"""An alert reaches the inbox, and is due at every channel of its organisation."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from visionality.core.alert import Told
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements

_SQL = statements("visionality.jobs", "tell.sql")
_json = msgspec.json.Encoder().encode


def tell(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    now: datetime,
    kind: str,
    subject_id: UUID,
    mark: int,
    scope: str,
    told: Told,
) -> bool:
    """Tell it, unless one of this kind, subject and mark has been told. Returns whether it is new. Raises psycopg.Error."""
    alert = {
        "org_id": org_id,
        "alert_id": uuid7(),
        "now": now,
        "kind": kind,
        "subject_id": subject_id,
        "mark": mark,
        "scope": scope,
        "title": told.title,
        "body": told.body,
        "detail": _json(told.detail).decode(),
    }
    with connection.transaction():
        is_new = connection.execute(_SQL["tell"], alert).fetchone() is not None
        if is_new:
            connection.execute(_SQL["address"], alert)
    return is_new
