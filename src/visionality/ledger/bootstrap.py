"""What a cluster needs once, before the first migration: the roles, their passwords, and the two schemas.

Runs as a superuser or a role that may create roles, at every `vis migrate`; it changes nothing that stands.
"""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Mapping

import psycopg
from psycopg import sql

from visionality.runtime.sql import statements

LOGIN_ROLES = ("vis_migrator", "vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor", "vis_sealer")
"""Every role that can log in; `vis_owner` owns the ledger and cannot."""


def bootstrap(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Make roles and schemas where they are missing and set each login role's password where it is another."""
    queries = statements("visionality.ledger.sql", "bootstrap.sql")
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('visionality bootstrap'))")
        connection.execute(queries["roles"])
        connection.execute(queries["database"])
        verifiers = _verifiers(connection)
        for role in LOGIN_ROLES:
            if not is_verifier_of(verifiers.get(role), passwords[role]):
                connection.execute(
                    sql.SQL("alter role {} password {}").format(
                        sql.Identifier(role), sql.Literal(passwords[role])
                    )
                )


def existing_roles(connection: psycopg.Connection) -> list[str]:
    """Those of the login roles that the server has already."""
    query = statements("visionality.ledger.sql", "bootstrap.sql")["existing"]
    return [row[0] for row in connection.execute(query, {"roles": list(LOGIN_ROLES)})]


def is_verifier_of(verifier: str | None, password: str) -> bool:
    """Whether a role with this `pg_authid.rolpassword` lets this password in, and proves itself to its bearer.

    `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>` (PostgreSQL documentation, "pg_authid"; RFC 5802
    section 3). False for every other form, and for a password that SASLprep might change.
    """
    if verifier is None or not verifier.startswith("SCRAM-SHA-256$") or not password.isascii():
        return False
    _, costs, kept = verifier.split("$")
    iterations, salt = costs.split(":")
    stored_key, server_key = map(b64decode, kept.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(iterations))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key) and hmac.compare_digest(
        hmac.digest(salted, b"Server Key", "sha256"), server_key
    )


def _verifiers(connection: psycopg.Connection) -> dict[str, str | None]:
    """What the server keeps of the roles' passwords; nothing for an administrator who may not see it."""
    queries = statements("visionality.ledger.sql", "bootstrap.sql")
    if connection.execute(queries["may_read_verifiers"]).fetchone() != (True,):
        return {}
    return dict(connection.execute(queries["verifiers"], {"roles": list(LOGIN_ROLES)}).fetchall())
