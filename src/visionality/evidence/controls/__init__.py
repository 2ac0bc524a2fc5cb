"""The six controls, each judged over its whole population: one query and one pure judge a file.

What each asks, when it fails and what does not operate is said in docs/audit/controls.md.
"""

import hashlib
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from visionality.core.control import Control, control
from visionality.core.period import Period
from visionality.evidence.controls._core import Asked, Collector, Record
from visionality.evidence.controls.boundary import BOUNDARY
from visionality.evidence.controls.change import CHANGE, KINDS
from visionality.evidence.controls.incidents import INCIDENTS
from visionality.evidence.controls.leavers import LEAVERS
from visionality.evidence.controls.logical_access import LOGICAL_ACCESS
from visionality.evidence.controls.monitoring import MONITORING
from visionality.runtime.sql import statements, text

__all__ = ["COLLECTORS", "Asked", "Collector", "NotScoped", "collect", "judge", "rows_of"]

COLLECTORS = (LOGICAL_ACCESS, LEAVERS, BOUNDARY, MONITORING, INCIDENTS, CHANGE)

_HERE = "visionality.evidence.controls"


class NotScoped(Exception):
    """The transaction has not named the organisation that was asked for: row security would leave nothing to judge."""


def collect(
    connection: psycopg.Connection[Any], org_id: UUID, period: Period, now: datetime
) -> list[Control]:
    """The six in their order, of what was so by the end of the period, or by now while it runs.

    Asked inside a transaction that has named the organisation, as `vis_reader` or `vis_auditor`; one that sees one moment gives
    controls that belong together. Raises NotScoped.
    """
    return [judge(connection, org_id, one, Asked(period, now)) for one in COLLECTORS]


def judge(connection: psycopg.Connection[Any], org_id: UUID, collector: Collector, asked: Asked) -> Control:
    """One of them. Raises NotScoped."""
    rows = rows_of(connection, org_id, collector, asked)
    judged = collector.judge(rows, asked)
    return control(collector.control, collector.title, judged, _query(collector.sql), rows)


def rows_of(
    connection: psycopg.Connection[Any], org_id: UUID, collector: Collector, asked: Asked
) -> list[Record]:
    """What a collector judges, in its order. Raises NotScoped."""
    _check_scope(connection, org_id)
    query = statements(_HERE, collector.sql)["rows"]
    given = {"org_id": org_id, "start": asked.period.start, "at": asked.at, "kinds": list(KINDS)}
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query, given).fetchall()


def _query(file: str) -> str:
    """The file, and the SHA-256 of its bytes: `sha256sum` of the file as it is in the source."""
    return f"{file} sha256:{hashlib.sha256(text(_HERE, file).encode()).hexdigest()}"


def _check_scope(connection: psycopg.Connection[Any], org_id: UUID) -> None:
    with connection.cursor(row_factory=psycopg.rows.scalar_row) as cursor:
        named = cursor.execute("select current_setting('vis.org_id', true)").fetchone()
    if named != str(org_id):
        raise NotScoped(f"the transaction must name the organisation {org_id} in vis.org_id first")
