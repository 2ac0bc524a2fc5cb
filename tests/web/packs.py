"""A pack that was handed out, as the table of packs has it: the smallest row that it takes."""

from hashlib import sha256
from typing import Any
from uuid import UUID

from psycopg.types.json import Json

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.conftest import Office

ENVELOPE = b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}'


def handed_out(office: Office, **columns: Any) -> UUID:
    """Its id."""
    row = {
        "org_id": office.org_id,
        "pack_id": uuid7(),
        "made_at": utc_now(),
        "made_by": "cli:olga",
        "scope_kind": "project",
        "scope_name": "HPC",
        "projects": ["HPC"],
        "first_day": "2026-11-01",
        "last_day": "2026-11-30",
        "rows": "embedded",
        "row_count": 2,
        "fingerprint": sha256(b"{}").digest(),
        "size": len(ENVELOPE),
        "summary": Json({}),
        "checkpoint_size": 1,
        "checkpoint": "note",
        "envelope": ENVELOPE,
    } | columns
    named, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
    with office.plane.database.as_role("vis_super") as connection:
        connection.execute(f"insert into vis.evidence_packs ({named}) values ({marks})", row)
    return row["pack_id"]
