"""Whether any application role can change history by now (promise L2): looked at every few minutes, not at starts alone.

The last result is kept for the page of the security seat. A finding is an alert to every organisation: it is one ledger.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

import psycopg
import structlog

from visionality.core.alert import Told
from visionality.jobs.tell import tell
from visionality.ledger.privileges import findings
from visionality.runtime.sql import statements

EVERY = 300.0
"""Seconds between two looks."""
SCOPE = "ledger"

log = structlog.get_logger()
_SQL = statements("visionality.jobs", "guard.sql")


def guard(dsn_of: Callable[[str], str], now: datetime) -> int:
    """Look, keep what was found, and tell it once. Returns how many alerts are new. Raises psycopg.Error."""
    found = _found(dsn_of)
    with psycopg.connect(dsn_of("vis_jobs")) as connection:
        kept = connection.execute(_SQL["keep"], {"now": now, "findings": found}).fetchone()
        assert kept is not None
        if not found:
            return 0
        log.error("ledger_not_append_only", findings=found)
        subject = uuid5(NAMESPACE_URL, f"{kept[0].isoformat()} {found}")
        told = _told(found)
        orgs = [org_id for (org_id,) in connection.execute(_SQL["organisations"])]
        return sum(tell(connection, org_id, now, "privileges", subject, 0, SCOPE, told) for org_id in orgs)


def _found(dsn_of: Callable[[str], str]) -> list[str]:
    """What two looks find: a server that is full or goes away for a moment is no finding."""
    first = findings(dsn_of)
    return [finding for finding in findings(dsn_of) if finding in first] if first else []


def _told(found: Sequence[str]) -> Told:
    lines = [
        "The check that tries to change history as every application role found a way:",
        *(f"- {finding}" for finding in found),
        "No gateway starts until it is closed. `vis check` shows this list again after a repair.",
    ]
    return Told("The ledger is not append-only for every role", "\n".join(lines), {"findings": list(found)})
