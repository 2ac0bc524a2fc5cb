"""When a connector is read, how much of it, and what the operator is told when that stops working (promises A4, P1)."""

from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from visionality.core.alert import Told

EVERY = timedelta(minutes=10)
OVERLAP = timedelta(minutes=5)
"""How much is read again: trackers search by the minute, in another's time zone, and a little late."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
NIGHTLY = time(3)
"""On the organisation's own clock."""

Mode = Literal["full", "incremental"]


def mode(full_at: datetime | None, now: datetime, zone: ZoneInfo, *, wants_full: bool) -> Mode:
    """Everything at first, once after each night's hour, and when it is asked for; else what changed."""
    if wants_full or full_at is None or full_at < last_night(now, zone):
        return "full"
    return "incremental"


def last_night(now: datetime, zone: ZoneInfo) -> datetime:
    """The latest nightly hour that has begun."""
    here = now.astimezone(zone)
    tonight = datetime.combine(here.date(), NIGHTLY, zone)
    return tonight if tonight <= here else datetime.combine(here.date() - timedelta(days=1), NIGHTLY, zone)


def wait_after(failures: int) -> timedelta:
    """Before the next try, after so many failures in a row: 1, 2, 4 … minutes, an hour at most."""
    assert failures >= 1
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(failures - 1, 10)))


def stopped(name: str, kind: str, error: str, succeeded_at: datetime | None, next_at: datetime) -> Told:
    """A connector cannot be read any more."""
    since = f"from {succeeded_at:%Y-%m-%d %H:%M} UTC" if succeeded_at else "none yet"
    lines = [
        error,
        f"What was read stays in use ({since}).",
        f"The next try is at {next_at:%Y-%m-%d %H:%M} UTC, later ones at most an hour apart. You are told when it works.",
        f"`vis connector test {name}` tries it now; `vis connector set-secret {name}` gives it another credential.",
    ]
    return Told(
        f"{kind} {name} cannot be read", "\n".join(lines), {"connector": name, "kind": kind, "error": error}
    )


def works_again(name: str, kind: str, since: datetime) -> Told:
    """A connector that could not be read is read again."""
    body = f"It could not be read since {since:%Y-%m-%d %H:%M} UTC. What changed meanwhile has been read."
    return Told(f"{kind} {name} is read again", body, {"connector": name, "kind": kind})
