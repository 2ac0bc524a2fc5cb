"""Dangerous acts want to know once more who is there (attack 16): a stolen session does not issue keys.

Dangerous is what hands out power (keys, tokens, roles, the sign-on), what moves money (caps, prices, markups, splits, booking
rows again), and what takes a guard away (floors, limits, hints that send calls elsewhere, paths without a meter, where alerts go).

Signing in counts for ten minutes, and so does confirming by password, second factor, passkey, or the company's sign-on. The
local operator confirms by a fresh link.
"""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from visionality.web.accounts.members import account_of, for_roles, is_local, sign_on_of, since
from visionality.web.accounts.paths import safe_path
from visionality.web.accounts.roles import SAFE
from visionality.web.plane import plane

COUNTS_FOR = timedelta(minutes=10)
NOT_KEPT = frozenset({"csrfmiddlewaretoken", "key", "token", "secret"})
"""Fields that are never sent back: secrets of providers, of connectors and of the sign-on, which are typed again."""

_View = TypeVar("_View", bound=Callable[..., HttpResponse])


def needs_step_up(view: _View) -> _View:
    """Have whoever sends something confirm who they are first, unless they just did. Anybody may look.

    What was typed is not lost: it comes back in the page that asks, to be sent again from there.
    """

    @functools.wraps(view)
    def asked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method in SAFE or is_fresh(request):
            return view(request, *args, **kwargs)
        typed = [(name, value) for name, values in request.POST.lists() for value in values]
        kept = [(name, value) for name, value in typed if name not in NOT_KEPT]
        return render(
            request, "step_up_kept.html", {"kept": kept, "path": request.get_full_path()}, status=403
        )

    return cast("_View", asked)


def shown_after_step_up(view: _View) -> _View:
    """The same for a page that shows a secret or begins a ceremony: one confirms before one sees it."""

    @needs_step_up
    @functools.wraps(view)
    def asked(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if is_fresh(request):
            return view(request, *args, **kwargs)
        return HttpResponseRedirect(f"{reverse('confirm')}?{urlencode({'next': request.get_full_path()})}")

    return cast("_View", asked)


def is_fresh(request: HttpRequest) -> bool:
    """Whether somebody said within the last ten minutes who they are."""
    edge = plane().clock() - COUNTS_FOR
    if is_local(request):
        return since(request) > edge
    records = get_authentication_records(request, account_of(request))
    return any(one["at"] > edge.timestamp() for one in records)


@for_roles()
@require_safe
def confirm(request: HttpRequest) -> HttpResponse:
    """Lead somebody to the way in which they can confirm who they are."""
    back = safe_path(request.GET.get("next"), reverse("confirmed"))
    if is_local(request) or sign_on_of(request):
        return render(request, "step_up.html", {"next": back, "local": is_local(request)})
    ways = get_adapter().get_reauthentication_methods(request.user)
    return HttpResponseRedirect(f"{ways[0]['url']}?{urlencode({'next': back})}")


@for_roles()
@require_safe
def confirmed(request: HttpRequest) -> HttpResponse:
    """Where a confirmation in a tab of its own ends."""
    return render(request, "step_up_done.html")
