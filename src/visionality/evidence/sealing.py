"""One step of the sealer: what stands behind the last seals is appended to the trees, numbered, and signed for.

A step is one transaction, so it happened or it did not. Who holds the lease takes steps; its row is locked for as long as one
lasts, so two never step at once, and one that was taken for dead finds the lease with another's fence when it wakes. Were all that to
fail, the keys of vis.seals take one seal of each number only.

Each log of an organisation is an RFC 6962 tree that grows by its frontier; leaves are those that the writers stored, and some of
them are made again from their rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import SystemRandom
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import scalar_row, tuple_row

from visionality.core.checkpoint import Checkpoint, note_signed
from visionality.core.merkle import EMPTY_ROOT, Frontier
from visionality.evidence.due import AT_ONCE, Break, Due, by_org, due_of_events, due_of_writers
from visionality.evidence.heads import Log
from visionality.evidence.keys import EvidenceKey, NoKeyYet, active, make, make_missing
from visionality.evidence.rows import ROW_LOGS, RowLog, not_as_hashed
from visionality.evidence.scopes import Scopes
from visionality.ledger.reader import CLOCKS_APART
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider

LEASE = timedelta(seconds=10)
ONE_IN = 200
"""One row in so many is hashed again as it is sealed, and one a step at least."""

_SQL = statements("visionality.evidence.sql", "sealing.sql")
_json = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Altered:
    """A row whose columns do not give the leaf that its writer stored."""

    log: RowLog
    org_id: UUID
    row_id: UUID


@dataclass(slots=True)
class Step:
    """What a step did."""

    leads: bool = True
    """False where another sealer holds the lease: then it did nothing."""
    leaves: int = 0
    is_all: bool = True
    """Whether nothing more waits to be sealed, but behind breaks."""
    breaks: list[Break] = field(default_factory=list)
    altered: list[Altered] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Top:
    """A log as its last seal left it."""

    seal_no: int = 0
    sealed_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    root: bytes = EMPTY_ROOT
    frontier: Frontier = field(default_factory=Frontier)


@dataclass(slots=True)
class _Growth:
    """What one log of one organisation is to get."""

    row_ids: list[bytes]
    leaves: list[bytes]
    cursors: Mapping[str, int] = field(default_factory=dict)


_Name = tuple[UUID, Log]


def step(
    connection: psycopg.Connection[Any],
    keys: KeyProvider,
    holder: UUID,
    now: datetime,
    *,
    at_once: int = AT_ONCE,
    silent_too: bool = True,
) -> Step:
    """Seal what waits, at most so many rows of each log. `connection` is of vis_sealer, in no transaction.

    `holder` names this sealer. `silent_too` looks at writers that have had no heartbeat for an hour as well. Raises what
    psycopg raises; then nothing was sealed.
    """
    with connection.transaction():
        if not _leads(connection, holder, now):
            return Step(leads=False)
        make_missing(connection, keys, now)
        due: dict[RowLog, Due] = {
            "request_logs": due_of_writers(
                connection, "request_logs", at_once=at_once, silent_too=silent_too
            ),
            "budget_events": due_of_writers(
                connection, "budget_events", at_once=at_once, silent_too=silent_too
            ),
            **due_of_events(connection, ("key_events", "admin_events"), at_once=at_once),
        }
        done = Step(
            leaves=sum(len(one.leaves) for one in due.values()),
            is_all=all(one.is_all for one in due.values()),
            breaks=[broken for one in due.values() for broken in one.breaks],
        )
        scopes = Scopes(connection, now)
        scopes.number(due["request_logs"].leaves)
        if done.is_all:
            scopes.close_days()
            scopes.close_asked()
        growths = _growths(due)
        for closed in scopes.closed:
            growth = growths.setdefault((closed.segment.org_id, "segments"), _Growth([], []))
            growth.row_ids.append(closed.id.bytes)
            growth.leaves.append(closed.leaf)
        tops = _tops(connection, growths)
        _seal(connection, keys, growths, tops, now)
        scopes.store(
            {org_id: tops[org_id, log].seal_no + 1 for org_id, log in growths if log == "request_logs"},
            {org_id: tops[org_id, log].frontier.size for org_id, log in growths if log == "segments"},
        )
        _move(connection, due)
        done.altered = _altered(connection, due)
        return done


def leave(connection: psycopg.Connection[Any], holder: UUID) -> None:
    """Give the lease up, so that another sealer need not wait for its end."""
    connection.execute(_SQL["leave"], {"holder": holder})


def _leads(connection: psycopg.Connection[Any], holder: UUID, now: datetime) -> bool:
    given = {"holder": holder, "lease": LEASE, "now": now}
    return connection.execute(_SQL["lead"], given).fetchone() is not None


def _growths(due: Mapping[RowLog, Due]) -> dict[_Name, _Growth]:
    growths: dict[_Name, _Growth] = {}
    for log, one in due.items():
        for org_id, leaves in by_org(one.leaves).items():
            growths[org_id, log] = _Growth(
                [leaf.row_id for leaf in leaves],
                [leaf.leaf for leaf in leaves],
                {str(writer_no): wseq for writer_no, wseq in sorted(one.cursors.items())},
            )
    return growths


def _tops(connection: psycopg.Connection[Any], names: Iterable[_Name]) -> dict[_Name, _Top]:
    tops = {name: _Top() for name in names}
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        given = {"orgs": [org_id for org_id, _ in tops], "logs": [log for _, log in tops]}
        for org_id, log, seal_no, sealed_at, size, root, frontier in cursor.execute(_SQL["heads"], given):
            tops[org_id, log] = _Top(
                seal_no, sealed_at, bytes(root), Frontier.unpacked(size, bytes(frontier))
            )
    return tops


def _seal(
    connection: psycopg.Connection[Any],
    keys: KeyProvider,
    growths: Mapping[_Name, _Growth],
    tops: Mapping[_Name, _Top],
    now: datetime,
) -> None:
    if not growths:
        return
    installation_id = _installation(connection)
    signers = {
        org_id: _signer(connection, keys, org_id, now) for org_id in sorted({org_id for org_id, _ in growths})
    }
    seals = []
    for (org_id, log), growth in growths.items():
        top, (key, private) = tops[org_id, log], signers[org_id]
        frontier = top.frontier.extend(growth.leaves)
        sealed_at = _time_of(now, top.sealed_at)
        head = Checkpoint(
            origin=f"{installation_id}/{org_id}/{log}",
            size=frontier.size,
            root=frontier.root(),
            time_ms=int(sealed_at.timestamp() * 1000),
            prev=top.root,
        )
        seals.append(
            {
                "org_id": org_id,
                "log": log,
                "seal_no": top.seal_no + 1,
                "sealed_at": sealed_at,
                "first_index": top.frontier.size,
                "tree_size": frontier.size,
                "root": head.root,
                "frontier": frontier.packed(),
                "row_ids": b"".join(growth.row_ids),
                "leaf_hashes": b"".join(growth.leaves),
                "cursors": _json(growth.cursors).decode(),
                "key_id": key.fingerprint,
                "note": note_signed(head, private),
            }
        )
    with connection.cursor() as cursor:
        cursor.executemany(_SQL["seal"], seals)


def _time_of(now: datetime, before: datetime) -> datetime:
    """When a head is signed. A clock that is put right by a little does not make it older than the one before.

    One that had been wrong by more must not make every head to come as wrong as it was.
    """
    return before if now < before <= now + CLOCKS_APART else now


def _installation(connection: psycopg.Connection[Any]) -> UUID:
    with connection.cursor(row_factory=scalar_row) as cursor:
        found = cursor.execute(_SQL["installation"]).fetchone()
    assert isinstance(found, UUID), "the master key was opened before, which makes the installation"
    return found


def _signer(
    connection: psycopg.Connection[Any], keys: KeyProvider, org_id: UUID, now: datetime
) -> tuple[EvidenceKey, Ed25519PrivateKey]:
    try:
        return active(connection, keys, org_id, "log")
    except NoKeyYet:  # rows of an organisation that is not in the list
        make(connection, keys, org_id, "log", now)
        return active(connection, keys, org_id, "log")


def _move(connection: psycopg.Connection[Any], due: Mapping[RowLog, Due]) -> None:
    for log, one in due.items():
        if one.cursors:
            given = {"log": log, "writers": list(one.cursors), "upto": list(one.cursors.values())}
            connection.execute(_SQL["move"], given)


def _altered(connection: psycopg.Connection[Any], due: Mapping[RowLog, Due]) -> list[Altered]:
    draw, found = SystemRandom(), []
    for log in ROW_LOGS:
        leaves: Sequence[Any] = due[log].leaves
        few = draw.sample(leaves, min(len(leaves), 1 + len(leaves) // ONE_IN))
        marks = [(leaf.org_id, leaf.created_at, leaf.row_id, leaf.leaf) for leaf in few]
        found += [Altered(log, org_id, row_id) for org_id, row_id in not_as_hashed(connection, log, marks)]
    return found
