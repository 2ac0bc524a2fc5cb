"""What checks of the ledger found, kept so that it stands until a whole check finds it no longer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row, tuple_row

from visionality.core.finding import Finding
from visionality.evidence.verification import Extent, Verified
from visionality.ledger.privileges import Checked
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "verifications.sql")
STANDING = _SQL["standing"]
"""One row, for a page that has more to ask for in the same statement."""
STANDING_COLUMNS = 11
_json = msgspec.json.Encoder().encode
_read = msgspec.json.Decoder(list[Finding]).decode


class Night(NamedTuple):
    """An organisation, and the day on which it was checked last."""

    org_id: UUID
    slug: str
    time_zone: str
    day: date | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an organisation's ledger now: the last whole check, and what was found since.

    `checked_at` and `rows` are of the whole check; None and 0 where there was none yet.
    """

    append_only: Checked | None
    """Whether history can be changed; None before the first look."""
    checked_at: datetime | None
    rows: int
    findings: tuple[str, ...]
    failing_places: int
    """Places that have not got the newest heads."""


def keep(
    connection: psycopg.Connection[Any],
    done: Verified,
    extent: Extent,
    day: date,
    started_at: datetime,
    ended_at: datetime,
) -> None:
    """Keep what a check saw. `day` is the organisation's."""
    given = {
        "org_id": done.org_id,
        "extent": extent,
        "day": day,
        "started_at": started_at,
        "ended_at": ended_at,
    }
    findings = _json(done.findings).decode()
    connection.execute(
        _SQL["keep"], {**given, "rows": done.rows, "waiting": done.waiting, "findings": findings}
    )


def nights(connection: psycopg.Connection[Any]) -> list[Night]:
    with connection.cursor(row_factory=class_row(Night)) as cursor:
        return cursor.execute(_SQL["nights"]).fetchall()


def standing(connection: psycopg.Connection[Any], org_id: UUID) -> Standing:
    """What is known of the ledger of an organisation, and of its heads elsewhere."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(STANDING, {"org_id": org_id}).fetchone()
    assert found is not None
    return standing_of(found)


def standing_of(found: Sequence[Any]) -> Standing:
    """The same out of the one row of the statement."""
    (*append_only, began_at, checked_at, rows, full, sampled_at, sample, contradicted, failing) = found
    findings = _read(full) if full else []
    if sample and (began_at is None or sampled_at > began_at):
        findings += _read(sample)
    return Standing(
        append_only=Checked(*append_only) if append_only[0] else None,
        checked_at=checked_at,
        rows=rows or 0,
        findings=tuple(dict.fromkeys([*(one.sentence for one in findings), *contradicted])),
        failing_places=failing,
    )
