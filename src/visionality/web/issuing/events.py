"""The audit of keys (promise K7): each step in the life of a key is a row of `key_events`, in the transaction of the change."""

from collections.abc import Mapping
from uuid import UUID

import msgspec
from django.db import connection

from visionality.ledger.administration import append_key_event
from visionality.runtime.sql import statements
from visionality.web.policy.acts import Act, Unknown

SQL = statements("visionality.web.issuing", "issuing.sql")

_PROGRAM = "service-token:"
"""How the actor of the API is called."""


def record(
    act: Act, kind: str, key_id: UUID, subject: str, reason: str, detail: Mapping[str, str] | None = None
) -> None:
    """Append one step: of which key, token, service, person or organisation, for whom, and why."""
    source = "api" if act.actor.startswith(_PROGRAM) else "web" if act.address else "cli"
    beside = {"reason": reason or act.reason, "source": source}
    said = {"sso_sub": act.sso_sub, "address": act.address or ""}
    told = {**(detail or {}), **beside, **{name: value for name, value in said.items() if value}}
    with connection.cursor() as cursor:
        append_key_event(cursor, act.org_id, act.now, kind, key_id, subject, act.actor, told)


def events(act: Act, key_id: UUID | None) -> list[dict[str, object]]:
    """The last thousand steps, or those of one key; the newest first."""
    with connection.cursor() as cursor:
        cursor.execute(SQL["events"], {"org_id": act.org_id, "key_id": key_id})
        names = [column.name for column in cursor.description or ()]
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [{**event, "detail": _detail(event["detail"])} for event in found]


def uuid_of(text: str, what: str, command: str) -> UUID:
    """An id as it was typed. Raises Unknown, naming the command that shows ids of that kind."""
    try:
        return UUID(text)
    except ValueError:
        raise Unknown(f"{text!r} is no {what} id: `{command}` shows them") from None


def _detail(stored: object) -> object:
    return msgspec.json.decode(stored) if isinstance(stored, str) else stored
