"""How a connector fares, in words for people and as a record for programs."""

from collections.abc import Mapping
from datetime import datetime

from visionality.connectors.services import KINDS
from visionality.web.connecting.models import ConnectorRun


def record(run: ConnectorRun, now: datetime) -> dict[str, object]:
    """A connector and its last run. No secret is in it."""
    one = run.connector
    return {
        "name": one.name,
        "kind": one.kind,
        "base_url": one.base_url,
        "scope": one.scope,
        "account": one.account,
        "connector_id": str(one.id),
        "state": state(run, now),
        "mode": run.mode,
        "doing": run.doing,
        "counts": run.counts,
        "held": run.held,
        "error": run.error,
        "succeeded_at": run.succeeded_at,
        "next_at": run.next_at,
        "secret_expires_at": one.secret_expires_at,
    }


def line(run: ConnectorRun, now: datetime) -> str:
    """One line: which, what it stands at, what goes on and what is wrong."""
    one = run.connector
    parts = [f"{one.name:<16} {KINDS[one.kind]:<17} {state(run, now)}"]
    if is_running(run):
        parts.append(progress(run))
    elif run.is_paused:
        parts.append(run.doing)
    if run.error:
        parts.append(run.error)
    if held := counted(run.held):
        parts.append(f"holds {held}")
    if one.secret_expires_at is not None:
        parts.append(f"its credential ends {one.secret_expires_at:%Y-%m-%d}")
    return "; ".join(parts)


def state(run: ConnectorRun, now: datetime) -> str:
    if run.failures:
        since = run.failing_since or run.next_at
        return f"cannot be read since {since:%Y-%m-%d %H:%M} UTC"
    if run.succeeded_at is None:
        return "is being read for the first time" if run.started_at else "waits for its first reading"
    return f"read {_ago((now - run.succeeded_at).total_seconds())} ago"


def progress(run: ConnectorRun) -> str:
    """What the run that goes on is doing, and what it was told so far."""
    doing = run.doing or "begins"
    counts = counted(run.counts)
    how = "reading everything" if run.mode == "full" else "reading what changed"
    return f"{how}: {doing}" + (f" ({counts} so far)" if counts else "")


def is_running(run: ConnectorRun) -> bool:
    return run.started_at is not None and run.finished_at is None


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return "less than a minute"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
