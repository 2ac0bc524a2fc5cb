"""Heads leave the house: each log's newest goes where the operator said, with the proof that it extends what is there.

What a place keeps is read before anything is added to it. So a database that was put back to an older state, or whose past
was rewritten, is told by the first place that kept a head of it: it contradicts that head. Nothing is then added there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row, scalar_row

from visionality.core.checkpoint import BadNote, Checkpoint
from visionality.core.merkle import check_consistency
from visionality.core.proven_head import BadHead, ProvenHead, proven
from visionality.evidence.heads import LOGS, Head, Log, consistency_of, newest
from visionality.evidence.places._core import NotKept, Place
from visionality.evidence.places.bucket import Bucket
from visionality.evidence.places.directory import Directory
from visionality.runtime.sql import statements

_SQL = statements("visionality.evidence.sql", "publishing.sql")


class Contradicted(Exception):
    """A head that is kept elsewhere is none of this log; the message says what that means."""


class Organisation(NamedTuple):
    org_id: UUID
    slug: str
    time_zone: str
    installation_id: UUID

    def origin(self, log: Log) -> str:
        """The name of a log, as its heads have it."""
        return f"{self.installation_id}/{self.org_id}/{log}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a place has of a log; `error` says why it has no later one."""

    place: str
    log: str
    size: int
    kept_at: datetime | None
    error: str | None
    failed_since: datetime | None
    contradicts: bool


class Failed(NamedTuple):
    """A head that is not where it should be, since when, and whether what is there contradicts the ledger."""

    place: str
    log: Log
    sentence: str
    since: datetime
    contradicts: bool


def places_of(directory: Path | None, bucket: str | None) -> list[Place]:
    """The places that an operator named. Raises NotKept for an address that is none."""
    found: list[Place] = [Directory(directory)] if directory else []
    return [*found, Bucket(bucket)] if bucket else found


def organisations(connection: psycopg.Connection[Any]) -> list[Organisation]:
    with connection.cursor(row_factory=class_row(Organisation)) as cursor:
        return cursor.execute(_SQL["organisations"]).fetchall()


def publish(
    connection: psycopg.Connection[Any], place: Place, whose: Organisation, now: datetime
) -> tuple[int, list[Failed]]:
    """Keep the newest head of each log of an organisation in a place. Returns how many are new there, and what failed."""
    kept, failed = 0, []
    for log in LOGS:
        try:
            size = _publish(connection, place, whose, log)
        except (NotKept, BadHead, BadNote, Contradicted) as error:
            failed.append(failed_in(connection, place.name, whose, log, error, now))
            continue
        if size is None:
            connection.execute(_SQL["agrees"], {"org_id": whose.org_id, "place": place.name, "log": log})
        else:
            remember(connection, whose.org_id, place.name, log, size, now)
            kept += 1
    return kept, failed


def remember(
    connection: psycopg.Connection[Any], org_id: UUID, place: str, log: Log, size: int, now: datetime
) -> None:
    """That a place has the head of this size."""
    connection.execute(_SQL["kept"], {"org_id": org_id, "place": place, "log": log, "size": size, "now": now})


def failed_in(
    connection: psycopg.Connection[Any],
    place: str,
    whose: Organisation,
    log: Log,
    error: Exception,
    now: datetime,
) -> Failed:
    """That a place has not got the newest head of a log, noted."""
    sentence, contradicts = str(error)[:500], isinstance(error, Contradicted)
    given = {"org_id": whose.org_id, "place": place, "log": log, "now": now}
    with connection.cursor(row_factory=scalar_row) as cursor:
        since = cursor.execute(
            _SQL["not_kept"], {**given, "error": sentence, "contradicts": contradicts}
        ).fetchone()
    assert since is not None
    return Failed(place, log, sentence, since, contradicts)


def mailed_at(connection: psycopg.Connection[Any], org_id: UUID, place: str) -> datetime | None:
    """When a place was last given a head."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        found: datetime | None = cursor.execute(_SQL["mailed"], {"org_id": org_id, "place": place}).fetchone()
    return found


def check_kept(
    connection: psycopg.Connection[Any], org_id: UUID, log: Log, kept: Checkpoint, head: Head | None
) -> list[bytes]:
    """What shows that the log's newest head extends one that was kept. Raises Contradicted."""
    size = head.size if head else 0
    if kept.size > size:
        raise Contradicted(
            f"{log}: a head of {kept.size} leaves is kept there, and the database's log has {size}: "
            "an older database was put back, or sealed rows were removed with their seals"
        )
    try:
        path = consistency_of(connection, org_id, log, kept.size, size)
    except ValueError as error:
        raise Contradicted(f"{log}: {error}: seals were removed or changed") from None
    if head and kept.size and not check_consistency(kept.size, kept.root, size, head.root, path):
        raise Contradicted(
            f"{log}: the head of {kept.size} leaves that is kept there has another root than the database's log "
            "had at that size: the log's past was rewritten"
        )
    return path


def kept_of(connection: psycopg.Connection[Any], org_id: UUID) -> list[Kept]:
    """Where this organisation's heads are, and where not."""
    with connection.cursor(row_factory=class_row(Kept)) as cursor:
        return cursor.execute(_SQL["places"], {"org_id": org_id}).fetchall()


def proof(connection: psycopg.Connection[Any], org_id: UUID, log: Log, head: Head, start: int) -> ProvenHead:
    """A head with what shows that it extends the log as it was at `start` leaves. Raises ValueError."""
    return proven(head.note, start, consistency_of(connection, org_id, log, start, head.size))


def _publish(connection: psycopg.Connection[Any], place: Place, whose: Organisation, log: Log) -> int | None:
    """The size that is new there; None when nothing is."""
    head = newest(connection, whose.org_id, log)
    there = place.newest(whose.origin(log))
    kept = there.note().checkpoint if there else None
    path = check_kept(connection, whose.org_id, log, kept, head) if kept else []
    if head is None or (kept is not None and kept.size == head.size):
        return None
    place.keep(whose.origin(log), proven(head.note, kept.size if kept else 0, path))
    return head.size


def digest(whose: Organisation, heads: Mapping[Log, Head]) -> str:
    """The body of a mail to which the heads are attached, each a note of its own."""
    lines = [f"{log:<15} {head.size:>12,} leaves, root {head.root.hex()}" for log, head in heads.items()]
    return "\n".join(
        [
            f"The heads of the logs of {whose.slug}, as they stand now, are attached to this mail. Keep it: with it anybody",
            "can tell later whether what was sealed until now has been changed, removed or put in another order.",
            "",
            *lines,
            "",
            "To check one: vis ledger verify --head request_logs.checkpoint",
        ]
    )
