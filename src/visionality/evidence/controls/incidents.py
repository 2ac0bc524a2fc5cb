"""CC7.3 and CC7.4, incidents: an alert is seen to in time, and whoever shuts something off says why."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from visionality.core.control import Judged
from visionality.evidence.controls._core import (
    Asked,
    Collector,
    Facts,
    Record,
    judged,
    mechanism,
    switched_on,
    together,
)

SEEN_WITHIN = timedelta(hours=72)
"""A long weekend. Nothing in the product sets another time."""


def judge(rows: Sequence[Record], asked: Asked) -> Judged:
    return judged(
        rows,
        {"alert": lambda alert: _alert(alert, asked.now), "shut off": _shut_off},
        [
            mechanism("An inbox of alerts, each with who saw to it and when", ""),
            mechanism(
                "Alerts are sent to somebody",
                ""
                if switched_on(rows, "has_channel")
                else "not switched on: no mailbox and no webhook is set",
            ),
            mechanism("Caps refuse calls, and access is shut off at once", ""),
            mechanism(
                "Records of incidents with their evidence",
                "not built: an alert is seen to, and what was done about it is written nowhere",
            ),
        ],
    )


def _alert(alert: Facts, now: datetime) -> str | None:
    seen = alert["seen_at"]
    waited = (datetime.fromisoformat(seen) if seen else now) - datetime.fromisoformat(alert["made_at"])
    hours = waited // timedelta(hours=1)
    late = f"{'seen to after' if seen else 'waits for'} {hours} hours, expected {SEEN_WITHIN // timedelta(hours=1)} at most"
    said = together(
        late if waited > SEEN_WITHIN else "",
        f"deliveries given up: {alert['given_up']}" if alert["given_up"] else "",
    )
    return said if said or seen else None


def _shut_off(done: Facts) -> str:
    return together(
        "" if done["actor_is_said"] else "the audit row names nobody who did it",
        "" if done["reason_is_said"] else "no reason was given",
    )


INCIDENTS = Collector("CC7.3/7.4", "Incidents", "incidents.sql", judge)
