"""What witnesses signed comes back into the database, so that packs carry it (promise S3).

Only a line that was checked is taken: against the witness's public key, and under a head that this ledger signed itself.
"""

from base64 import b64encode
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row

from visionality.core.checkpoint import read_note
from visionality.core.witness import key_id
from visionality.evidence.heads import LOGS, Head, Log, at_size
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "cosignatures.sql")


class NotOurs(Exception):
    """A note that this ledger did not sign, or that the named witness did not; the message says which."""


class Witnessed(NamedTuple):
    """The greatest head of a log that a witness signed, and when its line came here."""

    name: str
    size: int
    added_at: datetime


def add(
    connection: psycopg.Connection[Any], org_id: UUID, text: str, witness: tuple[str, bytes], now: datetime
) -> tuple[Log, int]:
    """Take a witness's line from a co-signed note. Returns the log and the size of its head.

    `witness` is its name and its public key. Raises NotOurs, checkpoint.BadNote.
    """
    name, public = witness
    note = read_note(text)
    head = note.checkpoint
    log = next((one for one in LOGS if head.origin.endswith(f"/{org_id}/{one}")), None)
    ours = at_size(connection, org_id, log, head.size) if log else None
    if log is None or ours is None or read_note(ours.note).checkpoint != head:
        raise NotOurs(
            f"this ledger never signed a head of {head.size} leaves of {head.origin} with this root and time"
        )
    if not note.witnesses({name: public}):
        raise NotOurs(f"the note has no signature of {name} that its key verifies")
    for line in note.lines:
        if line.name == name and line.key_id == key_id(name, public):
            spelled = b64encode(line.key_id + line.value).decode()
            given = {
                "org_id": org_id,
                "log": log,
                "size": head.size,
                "root": head.root,
                "name": name,
                "now": now,
            }
            connection.execute(_SQL["add"], {**given, "line": f"\u2014 {name} {spelled}\n"})
    return log, head.size


def cosigned_note(connection: psycopg.Connection[Any], org_id: UUID, log: Log, head: Head) -> str:
    """The note of a head with the lines of every witness that came back: what a pack carries."""
    given = {"org_id": org_id, "log": log, "size": head.size, "root": head.root}
    with connection.cursor(row_factory=scalar_row) as cursor:
        return head.note + "".join(cursor.execute(_SQL["lines"], given).fetchall())


def witnessed(connection: psycopg.Connection[Any], org_id: UUID, log: Log) -> list[Witnessed]:
    """How far each witness followed a log."""
    with connection.cursor(row_factory=class_row(Witnessed)) as cursor:
        return cursor.execute(_SQL["newest"], {"org_id": org_id, "log": log}).fetchall()
