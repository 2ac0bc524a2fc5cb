"""How the ledger is doing: what jobs answer on `/livez`, `/readyz` and `/metrics` (Prometheus text format)."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import psycopg

from visionality.core.attribution import UNATTRIBUTED
from visionality.core.money import usd
from visionality.runtime.sql import statements

_JOBS = statements("visionality.jobs", "health.sql")
_PARTITIONS = statements("visionality.ledger.sql", "partitions.sql")


_DAY = timedelta(days=1)
_TIMES = 20
"""A sum stays good for this many times as long as it took, so that a scrape never costs more than a twentieth of the time."""


class Spend:
    """What all organisations spent in the last 24 hours, by the level that found the project (A6)."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._good_until = float("-inf")

    def lines(self, connection: psycopg.Connection, now: datetime) -> list[str]:
        """The metric; every level is there, so that one that nothing was found by is 0."""
        began = time.monotonic()
        if began < self._good_until:
            return self._lines
        found: dict[int, int] = dict(
            connection.execute(_JOBS["spend_by_level"], {"since": now - _DAY}).fetchall()
        )
        name = "visionality_spend_usd_24h"
        self._lines = [
            f"# HELP {name} Spend of the last 24 hours by the level of evidence that found its project; 0 has no level.",
            f"# TYPE {name} gauge",
            *(
                f'{name}{{level="{level}"}} {usd(int(found.get(level, 0)))}'
                for level in range(UNATTRIBUTED + 1)
            ),
        ]
        done = time.monotonic()
        self._good_until = done + _TIMES * (done - began)
        return self._lines


def metrics(dsn: str, now: datetime, counters: Mapping[str, int], spend: Spend) -> str:
    """Gauges from the database and counters of this process. Raises what psycopg raises when it is away."""
    with psycopg.connect(dsn, connect_timeout=2) as connection:
        found = connection.execute(_JOBS["gauges"], {"now": now}).fetchone()
        open_holds, oldest, writers, seal_age = found or (0, 0, 0, 0)
        spent = spend.lines(connection, now)
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
        "visionality_seal_age_seconds": ("Since the last step of whoever seals; act above 60.", seal_age),
        "visionality_partition_days": ("Days until a month has no partition; act below 31.", days),
    }
    lines = []
    for name, (meaning, value) in gauges.items():
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", f"{name} {value}"]
    for name, value in counters.items():
        lines += [f"# TYPE {name} counter", f"{name} {value}"]
    return "\n".join([*lines, *_connectors(connectors), *spent]) + "\n"


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
