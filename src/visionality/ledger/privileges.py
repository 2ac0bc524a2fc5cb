"""Whether any application role can change an audit table: read off the catalogue, and tried.

It is the proof behind promise L2 and runs at every deploy and start. The clauses, and the attack that each one
answers, are in sql/privileges.sql.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import psycopg

from visionality.ledger.bootstrap import LOGIN_ROLES
from visionality.runtime.sql import statements

APP_ROLES = tuple(role for role in LOGIN_ROLES if role != "vis_migrator")
"""Every role that a plane logs in as. The migrator may act as the owner and is not one of them."""

_CATALOGUE_READER = "vis_auditor"
_LIMITS = "set local search_path = pg_catalog; set local lock_timeout = '500ms'; set local statement_timeout = '10s'"


@dataclass(frozen=True, slots=True)
class Checked:
    """The last result that the jobs kept: when they looked, since when it is so, and what they found."""

    checked_at: datetime
    since: datetime
    findings: list[str]


def findings(dsn_of: Callable[[str], str]) -> list[str]:
    """One sentence for everything that is not as it must be, sorted; none when no application role has a way.

    `dsn_of` gives a role's libpq address. A role that cannot log in is a finding; a server that goes away in the
    middle raises psycopg.Error. Nothing is left behind.
    """
    with ThreadPoolExecutor(len(APP_ROLES)) as pool:  # every process start waits for it
        found = pool.map(lambda role: _findings_as(role, dsn_of(role)), APP_ROLES)
        return sorted({finding for findings_of_role in found for finding in findings_of_role})


def _findings_as(role: str, dsn: str) -> list[str]:
    queries = statements("visionality.ledger.sql", "privileges.sql")
    try:
        connection = psycopg.connect(dsn, connect_timeout=10)
    except psycopg.OperationalError as error:
        return [
            f"{role} cannot log in, so nothing was tried as this role: {str(error).strip().splitlines()[-1]}"
        ]
    with connection:
        connection.read_only = False
        connection.execute(_LIMITS)
        found = _probe(connection, role)
        if role == _CATALOGUE_READER:
            found += [sentence for (sentence,) in connection.execute(queries["catalogue"])]
        connection.rollback()
    return found


def _probe(connection: psycopg.Connection, role: str) -> list[str]:
    queries = statements("visionality.ledger.sql", "privileges.sql")
    connection.execute(queries["probe"])
    asked, acted, allowed = connection.execute(queries["probed"]).fetchone() or ("nobody", "nobody", [])
    strangers = sorted({asked, acted} - {role})
    return [*allowed, *(f"the address of {role} logs in as {stranger}" for stranger in strangers)]
