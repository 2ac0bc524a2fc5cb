"""Who is signed in, and what they may see. Every view says for whom it is: `open_to_all`, or `for_roles`.

There are two ways to be somebody. The local operator came by a link of `vis login`: the session holds the organisation and
their name, and no account is needed. Everybody else has an account, and what they are is read from their membership in each
request, so that a role that was taken away is gone at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode

from visionality.web.accounts.access import access_memberships
from visionality.web.accounts.models import Membership, User
from visionality.web.accounts.roles import EVERYBODY, Role, may
from visionality.web.plane import plane

_View = TypeVar("_View", bound=Callable[..., HttpResponseBase])
_ORG, _ACTOR = "org_id", "actor"
_SINCE = "since"
"""When this session began, in seconds since 1970; for the local operator, when they last used a link."""
_SIGN_ON = "sign_on"
"""The organisation whose sign-on vouched for this session: it counts there and nowhere else."""
_KEPT = "_vis_member"


Kept = SessionBase | Mapping[str, Any]
"""What a session holds."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody signed in, the one organisation that they see, and what they are in it.

    `actor` names them in the audit log; `sso_sub` is their subject at the company's sign-on, empty for the local operator.
    """

    org_id: UUID
    actor: str
    roles: frozenset[Role] = frozenset({Role.OPERATOR})
    sso_sub: str = ""


def open_to_all(view: _View) -> _View:
    """Mark a view that answers without sign-in."""
    view.open_to_all = True  # type: ignore[attr-defined]
    return view


def for_roles(*roles: Role) -> Callable[[_View], _View]:
    """Mark a view with whom it is for; none means every member. Operators may do all of it, auditors may look."""

    def marked(view: _View) -> _View:
        view.roles = frozenset(roles) or EVERYBODY  # type: ignore[attr-defined]
        return view

    return marked


def sign_in(request: HttpRequest, member: Member) -> None:
    """Begin the local operator's session under a new key; nothing of an earlier one is carried over.

    Of their own earlier one the key changes and the rest stays, so that a form in another tab can still be sent.
    """
    if is_local(request) and member_or_none(request) == member:
        request.session.cycle_key()
    else:
        request.session.flush()
    request.session[_ORG] = str(member.org_id)
    request.session[_ACTOR] = member.actor
    request.session[_SINCE] = plane().clock().timestamp()
    _forget(request)


def is_local(request: HttpRequest) -> bool:
    """Whether this is the local operator, who needs no account."""
    return _ACTOR in request.session


def since(request: HttpRequest) -> datetime:
    """When this session began."""
    return _began_at(request.session)


def began(request: HttpRequest, sign_on: UUID | None) -> None:
    """Note of an account's new session when it began, and which organisation's sign-on vouched for it."""
    for name in (_ORG, _ACTOR, _SIGN_ON):
        request.session.pop(name, None)
    request.session[_SINCE] = plane().clock().timestamp()
    if sign_on is not None:
        request.session[_SIGN_ON] = request.session[_ORG] = str(sign_on)
    _forget(request)


def sign_on_of(request: HttpRequest) -> UUID | None:
    """The organisation whose sign-on vouched for this session, where one did."""
    return _vouching(request.session)


def places(request: HttpRequest) -> list[Membership]:
    """The memberships that count in this session, by their organisations' names."""
    account = account_of(request)
    if is_local(request) or account is None:
        return []
    return [one for one in access_memberships(account.pk) if _counts(one, request.session)]


def go_to(request: HttpRequest, org_id: UUID) -> bool:
    """See this organisation from now on. False where they are no member of it."""
    if all(one.org_id != org_id for one in places(request)):
        return False
    request.session[_ORG] = str(org_id)
    _forget(request)
    return True


def account_of(request: HttpRequest) -> User | None:
    """The account that is signed in, whatever it may see; none for strangers and for the local operator."""
    user = getattr(request, "user", None)
    return user if isinstance(user, User) else None


def member_or_none(request: HttpRequest) -> Member | None:
    """Who is signed in. It is asked of the database once a request."""
    if not hasattr(request, _KEPT):
        setattr(request, _KEPT, _found(request))
    found: Member | None = getattr(request, _KEPT)
    return found


def member_of(request: HttpRequest) -> Member:
    """The member a view acts for; the middleware has seen to it that there is one."""
    member = member_or_none(request)
    assert member is not None
    return member


def _found(request: HttpRequest) -> Member | None:
    kept = request.session
    if is_local(request):
        return Member(UUID(kept[_ORG]), kept[_ACTOR])
    theirs = places(request)
    if theirs and _ORG not in kept:
        kept[_ORG] = str(theirs[0].org_id)
    for one in theirs:
        if str(one.org_id) == kept[_ORG]:
            return Member(one.org_id, one.user.email, frozenset(map(Role, one.roles)), one.sso_sub)
    return None  # what they were looking at is closed to them; they say themselves where they go from there


def began_here(kept: Kept, one: Membership) -> datetime | None:
    """When a session with this content began, if it is one in which the member sees the organisation; else None."""
    is_here = kept.get(_ORG) == str(one.org_id) and one.state == "active"
    return _began_at(kept) if is_here and _counts(one, kept) else None


def _counts(one: Membership, kept: Kept) -> bool:
    vouching = _vouching(kept)
    return (one.sessions_from is None or one.sessions_from <= _began_at(kept)) and (
        one.org_id == vouching if vouching else not one.org.sign_on_only
    )


def _began_at(kept: Kept) -> datetime:
    return datetime.fromtimestamp(kept.get(_SINCE, 0), UTC)


def _vouching(kept: Kept) -> UUID | None:
    found = kept.get(_SIGN_ON)
    return UUID(found) if found else None


def _forget(request: HttpRequest) -> None:
    if hasattr(request, _KEPT):
        delattr(request, _KEPT)


class SignInRequired:
    """Sends everybody else to the sign-in page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        if getattr(view, "open_to_all", False):
            return None
        member = member_or_none(request)
        if member is not None:
            wanted: frozenset[Role] = getattr(view, "roles", frozenset())
            if may(member.roles, wanted, request.method or ""):
                return None
            return render(request, "403.html", {"wanted": sorted(wanted | {Role.OPERATOR})}, status=403)
        if request.headers.get(
            "HX-Request"
        ):  # a fragment would land inside the page: send the whole page there
            return HttpResponse(status=401, headers={"HX-Redirect": reverse("login")})
        return HttpResponseRedirect(reverse("login") + _back_to(request))


def _back_to(request: HttpRequest) -> str:
    path = request.get_full_path()
    return "" if request.method != "GET" or path == "/" else "?" + urlencode({"next": path})
