"""Who asks: the service token of a request, within its organisation and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest

from visionality.core.service_token import organisation_of
from visionality.web.api.cursor import written
from visionality.web.api.problem import Problem
from visionality.web.issuing.service_tokens import shown_by, state
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

_ASKS = {"WWW-Authenticate": 'Bearer realm="visionality"'}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request under a token that is live: the act that it does, and what it may do."""

    request: HttpRequest
    act: Act
    token_id: UUID
    scopes: frozenset[str]

    def next(self, *place: object) -> str:
        """The path of the page behind this place of the list that is asked for."""
        query = self.request.GET.dict() | {"after": written(place)}
        return f"{self.request.path}?{urlencode(query)}"


@contextmanager
def admitted(request: HttpRequest) -> Iterator[Ask]:
    """One transaction of the token's organisation; a Problem undoes all of it. Raises Problem for a token that is not live."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    text = text.strip()
    org_id = organisation_of(text) if scheme.lower() == "bearer" else None
    if org_id is None:
        raise Problem(
            401, "expected `Authorization: Bearer visa_…`: `vis service-token issue` makes one", headers=_ASKS
        )
    now = plane().clock()
    with organisation_context(org_id):
        token = shown_by(org_id, plane().token_pepper, text)
        if token is None:
            raise Problem(401, "this service token is not known here", headers=_ASKS)
        if (it_is := state(token, now)) != "live":
            raise Problem(401, f"this service token is {it_is}: issue another one", headers=_ASKS)
        address = request.META.get("REMOTE_ADDR") or None
        act = Act(org_id, f"service-token:{token.id}", now, address=address)
        yield Ask(request, act, token.id, frozenset(token.scopes))


def check_scopes(ask: Ask, needed: frozenset[str]) -> None:
    """Raises Problem when the token has none of these."""
    if needed.isdisjoint(ask.scopes):
        raise Problem(403, f"this service token may not do that: it needs {' or '.join(sorted(needed))}")
