"""Who asks: the service token of a request, within its organisation and nowhere else."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from visionality.core.service_token import organisation_of
from visionality.web.accounts.members import open_to_all
from visionality.web.api.problem import Problem
from visionality.web.issuing.service_tokens import shown_by, state
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

View = Callable[..., HttpResponse]
_ASKS = {"WWW-Authenticate": 'Bearer realm="visionality"'}


def under_a_token(scopes: dict[str, frozenset[str]]) -> Callable[[View], View]:
    """A view for programs: `scopes` has the methods that it knows, each with the scopes of which one is needed.

    The view gets the act that it does, in one transaction of the token's organisation; a Problem undoes all of it. There is
    no session and no cookie, so there is nothing that another site could make a browser send.
    """

    def around(view: View) -> View:
        @open_to_all
        @csrf_exempt
        @wraps(view)
        def wrapped(request: HttpRequest, **places: Any) -> HttpResponse:
            try:
                return _answered(request, view, scopes, places)
            except Problem as problem:
                return problem.response()

        return wrapped

    return around


def _answered(
    request: HttpRequest, view: View, scopes: dict[str, frozenset[str]], places: dict[str, Any]
) -> HttpResponse:
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
        needed = scopes.get(request.method or "")
        if needed is None:
            allowed = ", ".join(scopes)
            raise Problem(405, f"expected {allowed}, and {request.method} came", headers={"Allow": allowed})
        if needed.isdisjoint(token.scopes):
            raise Problem(403, f"this service token may not do that: it needs {' or '.join(sorted(needed))}")
        return view(request, Act(org_id, f"service-token:{token.id}", now), **places)
