"""When a key stopped working, and by what: the first of what ended it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

REVOKED = "revoked"
WITH_PERSON = "revoked with all access of its person"
WITH_ORGANISATION = "revoked with every key of the organisation"
EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded step in the life of keys. `epoch` is what a count was moved to; 0 for steps that move none."""

    at: datetime
    kind: str
    """As in `key_events`: revoked, person_revoked, all_revoked, …"""
    actor: str
    reason: str = ""
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A key, as far as its end follows from it. The epochs are those that it was issued under."""

    expires_at: datetime
    revoked_at: datetime | None
    person_epoch: int
    org_epoch: int


@dataclass(frozen=True, slots=True)
class End:
    at: datetime
    how: str
    actor: str = ""
    """Nobody where it expired."""
    reason: str = ""


def end_of(
    key: Held, own: Iterable[Step], persons: Iterable[Step], organisations: Iterable[Step], now: datetime
) -> End | None:
    """None while it works. `own` are steps of the key, `persons` of its person, `organisations` of all keys."""
    ends = []
    if key.revoked_at is not None:
        said = next((step for step in own if step.kind == "revoked"), None)
        ends.append(End(key.revoked_at, REVOKED, said.actor if said else "", said.reason if said else ""))
    for how, kind, steps, epoch in (
        (WITH_PERSON, "person_revoked", persons, key.person_epoch),
        (WITH_ORGANISATION, "all_revoked", organisations, key.org_epoch),
    ):
        ends += [
            End(step.at, how, step.actor, step.reason)
            for step in steps
            if step.kind == kind and step.epoch > epoch
        ]
    if key.expires_at <= now:
        ends.append(End(key.expires_at, EXPIRED))
    return min(ends, key=lambda end: end.at, default=None)
