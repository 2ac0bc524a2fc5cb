"""Projects, and how far each has used its budgets. Run inside `web.start.organisation_context`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from django.db import connection

from visionality.runtime.sql import statements
from visionality.web.policy.acts import Act

_SQL = statements("visionality.web.policy", "projects.sql")


class Cap(msgspec.Struct, frozen=True):
    """A budget of a project in the period of the moment, nano-USD; no bounds where nothing was asked for in it yet."""

    period: str
    hard: bool
    cap_nusd: int
    spent_nusd: int
    held_nusd: int
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Known:
    """A project; `customer` and `gl_code` are empty where it has none."""

    key: str
    name: str
    customer: str
    gl_code: str
    caps: list[Cap]

    @property
    def tightest(self) -> Cap | None:
        """The budget of which the most is used."""
        return max(
            self.caps, key=lambda cap: (cap.spent_nusd + cap.held_nusd) / max(1, cap.cap_nusd), default=None
        )


def access_projects(act: Act) -> dict[str, Known]:
    return {one.key: one for one in _read(act, None)}


def access_project(act: Act, key: str) -> Known | None:
    return next(iter(_read(act, key)), None)


def _read(act: Act, key: str | None) -> list[Known]:
    with connection.cursor() as cursor:
        cursor.execute(_SQL["projects"], {"org_id": act.org_id, "now": act.now, "key": key})
        return [
            Known(key, name, customer, gl_code, _caps(caps))
            for key, name, customer, gl_code, caps in cursor.fetchall()
        ]


def _caps(stored: Any) -> list[Cap]:
    return msgspec.json.decode(stored, type=list[Cap])
