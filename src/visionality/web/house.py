"""What every page says of the organisation that it is of, asked for at once."""

from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.http import HttpRequest

from visionality.core import trial
from visionality.runtime.sql import statements
from visionality.web.start import organisation_context

_SQL = statements("visionality.web", "house.sql")
_KEPT = "house"


class House(NamedTuple):
    """`providers` are those with a live key; `has_begun` says that nobody needs to be led to the first run any more."""

    name: str
    slug: str
    providers: list[str]
    has_begun: bool


def access_house(org_id: UUID) -> House:
    with organisation_context(org_id):
        return _asked(org_id)


def house_of(request: HttpRequest, org_id: UUID) -> House:
    """The same, once a request."""
    known: House | None = getattr(request, _KEPT, None)
    if known is None:
        known = access_house(org_id)
        setattr(request, _KEPT, known)
    return known


def learn(request: HttpRequest, org_id: UUID) -> None:
    """Ask in the transaction that a view has open, which names the organisation, so that its page needs no other."""
    setattr(request, _KEPT, _asked(org_id))


def _asked(org_id: UUID) -> House:
    with connection.cursor() as cursor:
        cursor.execute(_SQL["house"], {"org_id": org_id, "trial": trial.PROJECT})
        return House(*cursor.fetchone())
