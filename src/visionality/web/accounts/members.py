"""Who is signed in. Every view asks for that unless it says `open_to_all`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

_View = TypeVar("_View", bound=Callable[..., HttpResponse])
_ORG, _ACTOR = "org_id", "actor"


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody signed in, and the one organisation that they see."""

    org_id: UUID
    actor: str


def open_to_all(view: _View) -> _View:
    """Mark a view that answers without sign-in."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def sign_in(request: HttpRequest, member: Member) -> None:
    """Begin a session under a new key; nothing of an earlier one is carried over."""
    request.session.flush()
    request.session[_ORG] = str(member.org_id)
    request.session[_ACTOR] = member.actor


def member_or_none(request: HttpRequest) -> Member | None:
    kept = request.session
    return Member(UUID(kept[_ORG]), kept[_ACTOR]) if _ORG in kept else None


def member_of(request: HttpRequest) -> Member:
    """The member a view acts for; the middleware has seen to it that there is one."""
    member = member_or_none(request)
    assert member is not None
    return member


class SignInRequired:
    """Sends everybody else to the sign-in page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        if getattr(view, "open_to_all", False) or member_or_none(request) is not None:
            return None
        if request.headers.get(
            "HX-Request"
        ):  # a fragment would land inside the page: send the whole page there
            return HttpResponse(status=401, headers={"HX-Redirect": reverse("login")})
        return HttpResponseRedirect(reverse("login"))
