"""The keys that an organisation's evidence is signed with, as an administrator replaces them (promise L3).

Only the sealer makes them, so that whoever answers people can never sign a head. An act here is an order that it carries out
within a second, and a row of the audit of keys.
"""

from typing import Any

import psycopg
from django.db import connection

from visionality.evidence.keys import EvidenceKey, KeyRole, ask_to_revoke, ask_to_rotate, everything
from visionality.web.issuing.events import record
from visionality.web.policy.acts import Act, Unknown, alone


def rotate(act: Act, role: KeyRole, reason: str) -> EvidenceKey:
    """Have a new key sign in this role. Returns the one before, which stays believed for what it signed. Raises Unknown."""
    alone(act)
    before = next((key for key in _of(act) if key.role == role and _signs(key)), None)
    if before is None:
        raise Unknown(f"no {role} key signs yet: the jobs process makes it within a second of its start")
    with connection.cursor() as cursor:
        ask_to_rotate(cursor, act.org_id, role, act.now)
    _record(act, "evidence_key_rotated", before, reason)
    return before


def revoke(act: Act, fingerprint: str, reason: str) -> EvidenceKey:
    """Believe nothing that a key ever signed; where it was the one that signs, a new one does. Raises Unknown."""
    alone(act)
    key = next((key for key in _of(act) if key.fingerprint == fingerprint), None)
    if key is None:
        raise Unknown(f"there is no evidence key {fingerprint}: `vis evidence keys` shows their fingerprints")
    if key.revoked_at is None:
        with connection.cursor() as cursor:
            ask_to_revoke(cursor, act.org_id, key.role, key.key_id, act.now)
        _record(act, "evidence_key_revoked", key, reason)
    return key


def _of(act: Act) -> list[EvidenceKey]:
    connection.ensure_connection()
    raw: psycopg.Connection[Any] = connection.connection
    return everything(raw, act.org_id)


def _signs(key: EvidenceKey) -> bool:
    return key.verify_until is None and key.revoked_at is None


def _record(act: Act, kind: str, key: EvidenceKey, reason: str) -> None:
    record(act, kind, key.key_id, "", reason, {"role": key.role, "fingerprint": key.fingerprint})
