"""What the gateways need for a while only: used proofs, and the counts of credentials that are nobody's."""

from datetime import datetime, timedelta

import psycopg

from visionality.runtime.sql import statements

STRANGERS_KEPT = timedelta(days=90)
LATE = timedelta(seconds=30)
"""How long after its last moment a proof is still remembered."""

_SQL = statements("visionality.jobs", "tidy.sql")


def tidy(dsn: str, now: datetime, skew: timedelta) -> int:
    """Forget what nobody asks after. Returns how many proofs that were. Raises psycopg.Error."""
    with psycopg.connect(dsn) as connection:
        nonces = connection.execute(_SQL["nonces"], {"before": now - 2 * skew - LATE}).rowcount
        connection.execute(_SQL["strangers"], {"before": now - STRANGERS_KEPT})
        return nonces
