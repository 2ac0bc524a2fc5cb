"""What was done by whom: administrative acts (S5) and the life of keys (K7), the newest first."""

from typing import Any
from uuid import UUID

from ninja import Query
from pydantic import Field

from visionality.runtime.sql import statements
from visionality.web.api.bearer import Ask
from visionality.web.api.cursor import place_in_numbers
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_AUDIT
from visionality.web.api.shapes import Id, Listed, Moment, Page, Text255, Told
from visionality.web.reading import reading

_SQL = statements("visionality.web.api", "events.sql")


class Event(Told):
    """`seq` counts without gap in an organisation; `leaf_hash` is what the row was hashed to when it was written."""

    seq: int
    id: UUID
    created_at: Moment
    kind: str
    actor: str
    detail: dict[str, Any] | None
    leaf_hash: str


class AdminEvent(Event):
    source_ip: str | None


class KeyEvent(Event):
    key_id: UUID | None
    subject: str | None


class AdminPage(Page):
    kind: Text255 | None = None
    actor: Text255 | None = None
    since: Moment | None = None
    until: Moment | None = Field(None, description="Events from then on are left out.")


class KeyEventPage(AdminPage):
    key: Id | None = Field(None, description="A key, token, service or person, by its id.")
    subject: Text255 | None = None


@API.on("GET", "admin-events", *READ_AUDIT, answer=Listed[AdminEvent])
def admin_events(ask: Ask, page: Query[AdminPage]) -> dict[str, Any]:
    return _events(ask, "admin", page)


@API.on("GET", "key-events", *READ_AUDIT, answer=Listed[KeyEvent])
def key_events(ask: Ask, page: Query[KeyEventPage]) -> dict[str, Any]:
    return _events(ask, "keys", page)


def _events(ask: Ask, query: str, page: AdminPage) -> dict[str, Any]:
    place = {"before": place_in_numbers(page.after), "limit": page.limit + 1}
    given = page.model_dump(exclude={"after", "limit"}) | place | {"org_id": ask.act.org_id}
    with reading(ask.act.org_id) as connection:
        found = connection.execute(_SQL[query], given).fetchall()
    for one in found:
        one["leaf_hash"] = one["leaf_hash"].hex()
    following = ask.next(found[page.limit - 1]["seq"]) if len(found) > page.limit else None
    return {"items": found[: page.limit], "next": following}
