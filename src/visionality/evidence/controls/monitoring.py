"""CC7.1 and CC7.2, monitoring: history can still not be changed, and what was written is sealed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from visionality.core.control import Judged
from visionality.evidence.controls._core import (
    Asked,
    Collector,
    Facts,
    Record,
    facts_of,
    judged,
    mechanism,
    switched_on,
)

SILENT_AFTER = timedelta(minutes=15)
"""The check is made every five minutes and a head is signed every second: past this either has stopped."""


def judge(rows: Sequence[Record], asked: Asked) -> Judged:
    sealed = switched_on(rows, "has_heads")
    return judged(
        rows,
        {
            "append-only check": lambda check: _check(check, asked),
            "way to change history": lambda way: (
                f"an application role could change history at {way['found_at']}"
            ),
            "log": lambda log: _log(log, asked) if sealed else None,
        },
        [
            mechanism(
                "The check that no application role can change history",
                ""
                if facts_of(rows, "append-only check")
                else "not switched on: the jobs have not looked yet",
            ),
            mechanism(
                "Sealing of the logs", "" if sealed else "not switched on: no head of any log has been signed"
            ),
            mechanism(
                "Forecasts and alerts of budgets that burn",
                ""
                if switched_on(rows, "has_soft_cap")
                else "not switched on: no budget has a soft threshold",
            ),
            mechanism("Eight anomaly detectors", "not built: nothing but a budget's threshold flags a spend"),
            mechanism("A seeded anomaly is found every day", "not built: there are no detectors"),
            mechanism(
                "Drift of the configuration", "not built: changes are in the audit log, and nothing compares"
            ),
        ],
    )


def _check(check: Facts, asked: Asked) -> str | None:
    """The check keeps its last result and since when it is so; what was before is in the alerts."""
    if check["findings"]:
        return f"ways to change history at {check['checked_at']}: {check['findings']}"
    if asked.at == asked.now and asked.now - _moment(check["checked_at"]) > SILENT_AFTER:
        return f"silent since {check['checked_at']}, expected every five minutes"
    return "" if _moment(check["since"]) < asked.at else None


def _log(log: Facts, asked: Asked) -> str | None:
    """A row may wait for its seal as long as a stopped sealer takes to be told from a running one."""
    if log["is_sealed"]:
        return ""
    if asked.now - _moment(log["newest_row_at"]) <= SILENT_AFTER:
        return None
    return f"its newest row of the period, of {log['newest_row_at']}, is not sealed"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


MONITORING = Collector("CC7.1/7.2", "Monitoring", "monitoring.sql", judge)
