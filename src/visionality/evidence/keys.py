"""The keys that sign an organisation's evidence: one for heads, one for packs and figures, one for receipts.

The sealer makes all three when it first sees an organisation, and replaces one when an administrator asks for it. Their
private halves are sealed under a key that follows from the installation's root, each bound to its organisation, id and role.
What each signs is in docs/audit/formats.md.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.rows import tuple_row

from visionality.core.canonical import timestamp
from visionality.core.key_document import written
from visionality.ledger.administration import Cursor
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import EVIDENCE_KEYS, evidence_context
from visionality.vault.sealing import seal, unseal

KeyRole = Literal["log", "pack", "receipt"]
ROLES: tuple[KeyRole, ...] = ("log", "pack", "receipt")

_SQL = statements("visionality.evidence.sql", "keys.sql")


class NoKeyYet(Exception):
    """Nobody signs for this organisation yet: the sealer makes its keys within a second of its being made."""


@dataclass(frozen=True, slots=True)
class EvidenceKey:
    """One key, its public half in 32 bytes. It is believed for what it signed from `active_from` until `verify_until`."""

    org_id: UUID
    key_id: UUID
    role: KeyRole
    public: bytes
    active_from: datetime
    verify_until: datetime | None
    """None while it signs."""
    revoked_at: datetime | None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public half, in hexadecimal."""
        return sha256(self.public).hexdigest()


def active(
    connection: psycopg.Connection[Any], keys: KeyProvider, org_id: UUID, role: KeyRole
) -> tuple[EvidenceKey, Ed25519PrivateKey]:
    """The key of this role that signs now. Raises NoKeyYet, SealBroken, and what psycopg raises.

    `vis_sealer` is given all of them, `vis_reader`, `vis_web` and `vis_jobs` those of packs, `vis_writer` those of receipts.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL["active"], {"org_id": org_id, "role": role}).fetchone()
    if found is None or found[-1] is None:
        raise NoKeyYet(
            f"there is no {role} key that signs for this organisation: is the jobs process running?"
        )
    key, sealed = EvidenceKey(*found[:-1]), found[-1]
    private = unseal(keys.secret(EVIDENCE_KEYS), evidence_context(org_id, key.key_id, role), bytes(sealed))
    return key, Ed25519PrivateKey.from_private_bytes(private)


def everything(connection: psycopg.Connection[Any], org_id: UUID) -> list[EvidenceKey]:
    """Every key that ever signed for this organisation, the oldest first."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL["all"], {"org_id": org_id}).fetchall()
    return [EvidenceKey(*one) for one in found]


def published(connection: psycopg.Connection[Any], org_id: UUID, now: datetime) -> bytes:
    """The list of keys that a verifier is given (docs/audit/formats.md section 4).

    Run inside a transaction that has set vis.org_id.
    """
    with connection.cursor(row_factory=tuple_row) as cursor:
        found = cursor.execute(_SQL["whose"], {"org_id": org_id}).fetchone()
    assert found is not None, "the transaction has named its organisation"
    installation_id, slug, name = found
    return written(
        {
            "installation": str(installation_id),
            "issued_at": timestamp(now),
            "keys": [_published(key) for key in everything(connection, org_id)],
            "org": {"id": str(org_id), "name": name, "slug": slug},
            "type": "visionality verification keys",
            "v": 1,
        }
    )


def ask_to_rotate(cursor: Cursor, org_id: UUID, role: KeyRole, now: datetime) -> None:
    """Have the sealer sign with a new key of this role, within a second. What the one before signed stays believed."""
    _ask(cursor, org_id, role, now, "rotate", None)


def ask_to_revoke(cursor: Cursor, org_id: UUID, role: KeyRole, key_id: UUID, now: datetime) -> None:
    """Have the sealer revoke a key, within a second: nothing that it ever signed is believed."""
    _ask(cursor, org_id, role, now, "revoke", key_id)


def make_missing(
    connection: psycopg.Connection[Any], keys: KeyProvider, now: datetime
) -> list[tuple[UUID, KeyRole]]:
    """Do what was asked for, and make the keys that organisations lack. For the sealer. Returns whose signers are new."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        for org_id, role, act, key_id in cursor.execute(_SQL["orders"]).fetchall():
            given = {"org_id": org_id, "role": role, "key_id": key_id, "now": now}
            cursor.execute(_SQL["retire" if act == "rotate" else "revoke"], given)
        missing = cursor.execute(_SQL["missing"]).fetchall()
    for org_id, role in missing:
        make(connection, keys, org_id, role, now)
    return missing


def make(
    connection: psycopg.Connection[Any], keys: KeyProvider, org_id: UUID, role: KeyRole, now: datetime
) -> None:
    """Make the key of a role that nobody signs with. For the sealer."""
    private, key_id = Ed25519PrivateKey.generate(), uuid7()
    context = evidence_context(org_id, key_id, role)
    sealed = seal(keys.secret(EVIDENCE_KEYS), context, private.private_bytes_raw())
    # heads say milliseconds, and its first is of now
    since = now.replace(microsecond=now.microsecond // 1000 * 1000)
    made = {"org_id": org_id, "key_id": key_id, "role": role, "now": since}
    connection.execute(_SQL["make"], {**made, "public": private.public_key().public_bytes_raw()})
    connection.execute(_SQL["keep"], {**made, "sealed": sealed})


def _ask(cursor: Cursor, org_id: UUID, role: KeyRole, now: datetime, act: str, key_id: UUID | None) -> None:
    order = {"org_id": org_id, "order_id": uuid7(), "role": role, "act": act, "key_id": key_id, "now": now}
    cursor.execute(_SQL["ask"], order)


def _published(key: EvidenceKey) -> dict[str, str | None]:
    return {
        "active_from": timestamp(key.active_from),
        "alg": "Ed25519",
        "fingerprint": key.fingerprint,
        "public": b64encode(key.public).decode(),
        "revoked_at": None if key.revoked_at is None else timestamp(key.revoked_at),
        "role": key.role,
        "verify_until": None if key.verify_until is None else timestamp(key.verify_until),
    }
