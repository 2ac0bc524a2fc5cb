"""Evidence packs that an organisation has handed out (promise S3): the act, and the list."""

from typing import Any, BinaryIO
from uuid import UUID

import msgspec
import psycopg
from django.db import connection

from visionality.core.pack import Pack
from visionality.evidence.packs import Made
from visionality.runtime.sql import statements
from visionality.web.policy.acts import Act

EVENT = "evidence_pack_made"
TAKEN = "evidence_pack_taken"
KEPT = 8 * 1024 * 1024
"""Bytes of an envelope that is kept here, to be taken again; a larger one is its maker's to keep."""

_SQL = statements("visionality.web.issuing", "packs.sql")
_json = msgspec.json.Encoder(order="sorted").encode


def record_pack(act: Act, made: Made, envelope: BinaryIO) -> None:
    """Keep what was made, and its audit row, before it is handed over."""
    pack = made.pack
    kept = None
    if made.size <= KEPT:
        envelope.seek(0)
        kept = envelope.read()
    row: dict[str, Any] = {
        "org_id": act.org_id,
        "pack_id": pack.pack_id,
        "made_at": pack.generated_at,
        "made_by": act.actor,
        "scope_kind": pack.scope.kind,
        "scope_name": pack.scope.name,
        "projects": list(pack.scope.projects),
        "first_day": pack.period.first,
        "last_day": pack.period.last,
        "rows": made.rows,
        "row_count": made.row_count,
        "fingerprint": made.fingerprint,
        "size": made.size,
        "summary": _json(_summary(made)).decode(),
        "checkpoint_size": made.checkpoint_size,
        "checkpoint": pack.checkpoint,
        "envelope": kept,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SQL["keep"], row)
    act.record(
        EVENT,
        {
            "pack": str(pack.pack_id),
            "scope": f"{pack.scope.kind}:{pack.scope.name}",
            "from": pack.period.first.isoformat(),
            "to": pack.period.last.isoformat(),
            "rows": made.rows,
            "row_count": str(made.row_count),
            "fingerprint": made.fingerprint.hex(),
        },
    )


def record_taken(act: Act, pack_id: UUID) -> None:
    """That somebody took a pack that is kept here."""
    act.record(TAKEN, {"pack": str(pack_id)})


def access_packs(reading: psycopg.Connection[dict[str, Any]], org_id: UUID) -> list[dict[str, Any]]:
    """The packs that were handed out, the newest first, a hundred at most."""
    return reading.execute(_SQL["newest"], {"org_id": org_id}).fetchall()


def access_pack(
    reading: psycopg.Connection[dict[str, Any]], org_id: UUID, pack_id: UUID
) -> dict[str, Any] | None:
    return reading.execute(_SQL["one"], {"org_id": org_id, "pack_id": pack_id}).fetchone()


def access_envelope(
    reading: psycopg.Connection[dict[str, Any]], org_id: UUID, pack_id: UUID
) -> dict[str, Any] | None:
    """`envelope`, `first_day` and `last_day` of a pack that was kept; None of any other."""
    return reading.execute(_SQL["envelope"], {"org_id": org_id, "pack_id": pack_id}).fetchone()


def _summary(made: Made) -> dict[str, Any]:
    """What a page shows of it."""
    pack: Pack = made.pack
    return {
        "controls": [
            {
                "control": one.control,
                "title": one.title,
                "status": one.status,
                "population": one.population,
                "passed": one.passed,
                "exceptions": len(one.exceptions),
                "not_operating": [
                    {"name": of.name, "reason": of.reason} for of in one.mechanisms if not of.operating
                ],
            }
            for one in pack.controls
        ],
        "limits": list(pack.limits),
        "totals": {
            currency: {name: total[name] for name in ("cost", "billed", "rows")}
            for currency, total in made.totals.items()
        },
        "verdict": made.verdict,
        "has_previous": pack.previous is not None,
    }
