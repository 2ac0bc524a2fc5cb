"""What a cluster needs once, before the first migration: the roles, their passwords, and the two schemas.

Runs as a superuser or a role that may create roles, at every `vis migrate`; it changes nothing that stands.
"""

from collections.abc import Mapping

import psycopg
from psycopg import sql

from visionality.runtime.sql import statements

LOGIN_ROLES = ("vis_migrator", "vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor", "vis_sealer")
"""Every role that can log in; `vis_owner` owns the ledger and cannot."""


def bootstrap(connection: psycopg.Connection, passwords: Mapping[str, str]) -> None:
    """Make roles and schemas where they are missing and set each login role's password."""
    queries = statements("visionality.ledger.sql", "bootstrap.sql")
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(hashtext('visionality bootstrap'))")
        connection.execute(queries["roles"])
        connection.execute(queries["database"])
        for role in LOGIN_ROLES:
            connection.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(role), sql.Literal(passwords[role])
                )
            )


def existing_roles(connection: psycopg.Connection) -> list[str]:
    """Those of the login roles that the server has already."""
    query = statements("visionality.ledger.sql", "bootstrap.sql")["existing"]
    return [row[0] for row in connection.execute(query, {"roles": list(LOGIN_ROLES)})]
