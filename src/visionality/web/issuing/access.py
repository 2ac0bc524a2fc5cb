"""What of an organisation's keys may be read, and by whom it is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from visionality.web.issuing.events import SQL
from visionality.web.start import organisation_context


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that works now. `since` is when it was issued, or rotated last."""

    id: UUID
    shown: str
    agent_sub: str
    owner: str
    has_person: bool
    project: str
    level: int
    floor: int
    since: datetime
    expires_at: datetime

    @property
    def is_below_floor(self) -> bool:
        """It was made with less than it has to show by now."""
        return self.level < self.floor

    @property
    def is_ownerless(self) -> bool:
        return not (self.owner or self.has_person)


def access_live_keys(org_id: UUID, now: datetime) -> list[LiveKey]:
    """Every key of this organisation that works at a moment, the newest first."""
    with organisation_context(org_id):
        return _live_keys(org_id, now)


def access_key_names(org_id: UUID, ids: Iterable[str]) -> dict[str, str]:
    """What keys of this organisation are called on pages, `visk_live_Wv…, alice@arctrade`, by their ids; unknown ids are left out."""
    wanted = set(ids)
    if not wanted:
        return {}
    with organisation_context(org_id):
        return _key_names(org_id, wanted)


def access_live_and_named(
    org_id: UUID, now: datetime, ids: Iterable[str]
) -> tuple[list[LiveKey], dict[str, str]]:
    """The keys that work, and the names of others, in one transaction."""
    with organisation_context(org_id):
        return _live_keys(org_id, now), _key_names(org_id, ids)


def _live_keys(org_id: UUID, now: datetime) -> list[LiveKey]:
    with connection.cursor() as cursor:
        cursor.execute(SQL["live_keys"], {"org_id": org_id, "now": now})
        return [LiveKey(*row) for row in cursor.fetchall()]


def _key_names(org_id: UUID, ids: Iterable[str]) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(SQL["key_names"], {"org_id": org_id, "ids": sorted(ids)})
        return {str(key_id): f"{shown}…, {agent}" for key_id, shown, agent in cursor.fetchall()}
