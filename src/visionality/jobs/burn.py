"""The burn detector: a budget that reaches one of its thresholds is told, once, with its forecast and the reason (B2)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from visionality.core.alert import Told, burning
from visionality.core.burn import Driver, drivers, forecast
from visionality.core.scope import Scope
from visionality.core.window import EVER
from visionality.jobs.tell import tell
from visionality.runtime.sql import statements

BEFORE = timedelta(weeks=8)
"""How far before a window a forecast looks."""
THRESHOLD = "budget_threshold"

_SQL = statements("visionality.jobs", "burn.sql")


class Standing(NamedTuple):
    """A window as it stands, and the thresholds of its budget; `told` are those that were told already."""

    org_id: UUID
    time_zone: str
    scope_kind: str
    scope_value: str
    window_id: UUID
    starts_at: datetime
    ends_at: datetime
    cap_nusd: int
    spent_nusd: int
    soft: list[int]
    told: list[int]

    @property
    def reached(self) -> int | None:
        """The highest threshold that is reached, when it has not been told."""
        reached = [percent for percent in self.soft if self.spent_nusd * 100 >= percent * self.cap_nusd]
        highest = max(reached, default=None)
        return None if highest is None or highest in self.told else highest


def watch(dsn: str, now: datetime) -> int:
    """Tell every crossing that has not been told. Returns how many there were. Raises what psycopg raises."""
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        found = connection.execute(_SQL["standing"], {"now": now}).fetchall()
        return sum(_tell(connection, Standing(*one), now) for one in found)


def _tell(connection: psycopg.Connection, standing: Standing, now: datetime) -> bool:
    """Tell the highest threshold that is reached; those below it are told with it."""
    percent = standing.reached
    if percent is None:
        return False
    told = _told(connection, standing, percent, now)
    scope = str(Scope(standing.scope_kind, standing.scope_value))
    return tell(connection, standing.org_id, now, THRESHOLD, standing.window_id, percent, scope, told)


def _told(connection: psycopg.Connection, standing: Standing, percent: int, now: datetime) -> Told:
    zone = ZoneInfo(standing.time_zone)
    scope = {
        "org_id": standing.org_id,
        "kind": standing.scope_kind,
        "value": standing.scope_value,
        "now": now,
    }
    since = max(standing.starts_at - BEFORE, EVER[0])
    days = connection.execute(_SQL["daily"], {**scope, "zone": standing.time_zone, "since": since}).fetchall()
    burn = forecast(
        starts_at=standing.starts_at,
        ends_at=standing.ends_at,
        now=now,
        zone=zone,
        cap_nusd=standing.cap_nusd,
        spent_nusd=standing.spent_nusd,
        daily=dict(days),
    )
    return burning(
        str(Scope(standing.scope_kind, standing.scope_value)),
        percent,
        (standing.starts_at, standing.ends_at),
        (standing.spent_nusd, standing.cap_nusd),
        burn,
        _drivers(connection, standing, scope, now),
        now,
        zone,
    )


def _drivers(
    connection: psycopg.Connection, standing: Standing, scope: dict[str, object], now: datetime
) -> Sequence[Driver]:
    """Who spent it, against the same stretch of the period before; of a total there is none before."""
    starts_at, before, before_end = standing.starts_at, standing.starts_at, standing.starts_at
    if standing.ends_at != EVER[1]:
        before = max(starts_at - (standing.ends_at - starts_at), EVER[0])
        before_end = before + (now - starts_at)
    stretch = {**scope, "starts_at": starts_at, "before": before, "before_end": before_end}
    spend: dict[str, dict[str, tuple[int, int]]] = {"agent_sub": {}, "model_used": {}, "task_class": {}}
    for dimension, value, nusd, before_nusd in connection.execute(_SQL["drivers"], stretch):
        spend[dimension][value] = (nusd, before_nusd)
    return drivers(spend)
