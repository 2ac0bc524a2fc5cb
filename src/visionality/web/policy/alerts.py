"""Alerts and where they go."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from django.db import connection

from visionality.runtime.destination import is_refused
from visionality.runtime.sql import statements
from visionality.web.policy.acts import Act, AlreadyThere, BadName, Unknown
from visionality.web.policy.models import AlertChannel

_MAILBOX = re.compile(r"[^\s@<>,;\"]{1,64}@[^\s@<>,;\"]{1,255}")
_ADDRESS = re.compile(r"https?://[^\s/?#]+(?:[/?][^\s#]*)?")

_SQL = statements("visionality.web.policy", "alerts.sql")


def add_channel(act: Act, kind: str, target: str) -> AlertChannel:
    """Send alerts to a mailbox (`email`) or a server (`webhook`) from now on."""
    if kind == "email" and not _MAILBOX.fullmatch(target):
        raise BadName(f"{target!r} is no mailbox: expected name@example.com")
    if kind == "webhook" and not _ADDRESS.fullmatch(target):
        raise BadName(f"{target!r} is no address: expected https://example.com/path")
    if kind == "webhook" and is_refused(urlsplit(target).hostname or ""):
        raise BadName(f"no alert may go to {target}, a machine's metadata service")
    if AlertChannel.objects.filter(org_id=act.org_id, kind=kind, target=target, retired_at=None).exists():
        raise AlreadyThere(f"alerts go to {target} already")
    made = AlertChannel.objects.create(org_id=act.org_id, kind=kind, target=target)
    act.record("alert_channel_added", {"channel_id": str(made.id), "kind": kind, "target": target})
    return made


def remove_channel(act: Act, target: str) -> None:
    """Send no more alerts there."""
    live = AlertChannel.objects.filter(org_id=act.org_id, target=target, retired_at=None)
    ended = list(live)
    if not live.update(retired_at=act.now):
        raise Unknown(f"no alerts go to {target}: `vis alert channel list` shows where they go")
    for one in ended:
        detail = {"channel_id": str(one.id), "kind": one.kind, "target": target}
        act.record("alert_channel_removed", detail)


def channels(act: Act) -> Iterable[dict[str, object]]:
    for one in AlertChannel.objects.filter(org_id=act.org_id, retired_at=None).order_by("created_at"):
        yield {"kind": one.kind, "target": one.target, "since": f"{one.created_at:%Y-%m-%d}"}


def alerts(act: Act, *, everything: bool) -> list[dict[str, object]]:
    """The alerts that nobody has acknowledged, or all of them; the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL["alerts"], {"org_id": act.org_id, "everything": everything})
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def warnings(act: Act, most: int) -> list[dict[str, Any]]:
    """The newest alerts that wait for somebody, with `detail` as an object for programs."""
    with connection.cursor() as cursor:
        cursor.execute(_SQL["warnings"], {"org_id": act.org_id, "most": most})
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [one | {"detail": msgspec.json.decode(one["detail"])} for one in found]


def acknowledge(act: Act, alert_id: UUID) -> None:
    """Somebody has seen to it."""
    with connection.cursor() as cursor:
        seen = {"org_id": str(act.org_id), "alert_id": str(alert_id), "now": act.now, "actor": act.actor}
        cursor.execute(_SQL["acknowledge"], dict[str, Any](seen))
        if not cursor.rowcount:
            raise Unknown(f"there is no alert {alert_id} that waits: `vis alert list` shows them")
    act.record("alert_acknowledged", {"alert_id": str(alert_id)})
