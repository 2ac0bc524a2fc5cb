"""How the ledger is doing: what jobs answer on `/livez`, `/readyz` and `/metrics` (Prometheus text format)."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import psycopg

from visionality.runtime.sql import statements

_JOBS = statements("visionality.jobs", "health.sql")
_PARTITIONS = statements("visionality.ledger.sql", "partitions.sql")


def metrics(dsn: str, now: datetime, counters: Mapping[str, int]) -> str:
    """Gauges from the database and counters of this process. Raises what psycopg raises when it is away."""
    with psycopg.connect(dsn, connect_timeout=2) as connection:
        open_holds, oldest, writers = connection.execute(_JOBS["gauges"], {"now": now}).fetchone() or (
            0,
            0,
            0,
        )
        connectors = connection.execute(_JOBS["connectors"], {"now": now}).fetchall()
        horizon = (connection.execute(_PARTITIONS["horizon"], {"now": now}).fetchone() or (None,))[0]
    days = (horizon - now.date()).days if horizon else 0
    gauges = {
        "visionality_open_holds": ("Holds whose call has not settled.", open_holds),
        "visionality_oldest_hold_overdue_seconds": (
            "How long the most overdue hold is past its expiry.",
            oldest,
        ),
        "visionality_live_writers": ("Writers that are not fenced and have a fresh heartbeat.", writers),
        "visionality_partition_days": ("Days until a month has no partition; act below 31.", days),
    }
    lines = []
    for name, (meaning, value) in gauges.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    for name, value in counters.items():
        lines += [f"# TYPE {name} counter", f"{name} {value}"]
    return "\n".join([*lines, *_connectors(connectors)]) + "\n"


def _connectors(found: Iterable[tuple[str, str, int, Mapping[str, int]]]) -> list[str]:
    """A line a connector, and one for each kind of what it holds. Slugs and names have no character to escape."""
    ages, rows = [], []
    for slug, name, age, held in found:
        labels = f'org="{slug}",connector="{name}"'
        ages.append(f"visionality_connector_success_age_seconds{{{labels}}} {age}")
        rows += [
            f'visionality_connector_rows{{{labels},kind="{kind}"}} {count}' for kind, count in held.items()
        ]
    return [
        "# HELP visionality_connector_success_age_seconds Since a connector was last read; it is every 600 seconds.",
        "# TYPE visionality_connector_success_age_seconds gauge",
        *ages,
        "# HELP visionality_connector_rows What of a connector is there.",
        "# TYPE visionality_connector_rows gauge",
        *rows,
    ]
