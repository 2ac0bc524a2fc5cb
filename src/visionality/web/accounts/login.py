"""Signing in: by password or passkey, or by a link that works once, printed by `vis login` where Visionality runs."""

from datetime import datetime
from typing import Any

from allauth.account.views import LoginView
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from visionality.ledger.administration import append_admin_event
from visionality.web.accounts.access import access_sign_on
from visionality.web.accounts.adapters import takes_mail
from visionality.web.accounts.links import digest
from visionality.web.accounts.members import (
    Member,
    go_to,
    is_local,
    member_or_none,
    open_to_all,
    places,
    sign_in,
)
from visionality.web.accounts.models import LoginLink, Organisation
from visionality.web.accounts.paths import safe_path
from visionality.web.plane import plane
from visionality.web.start import organisation_context


class _ByPassword(LoginView):
    """allauth's, which counts wrong passwords, with the sign-on of the organisation that the address names."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        slug = self.request.GET.get("org", "")
        return {**super().get_context_data(**kwargs), "sign_on": _sign_on_of(slug), "slug": slug}


_by_password: Any = _ByPassword.as_view()
_by_passkey: Any = LoginWebAuthnView.as_view()


@open_to_all
def ask(request: HttpRequest) -> HttpResponse:
    """The sign-in page, and what is sent from it."""
    if member_or_none(request) is not None:
        return HttpResponseRedirect(safe_path(request.GET.get("next"), reverse("home")))
    if request.user.is_authenticated:
        return render(request, "no_organisation.html", {"theirs": places(request)}, status=403)
    response: HttpResponse = _by_password(request)
    return response


@open_to_all
def passkey(request: HttpRequest) -> HttpResponse:
    """What a browser asks its authenticator, and its answer."""
    if request.method == "POST" and request.user.is_authenticated:
        return HttpResponseRedirect(reverse("login"))
    response: HttpResponse = _by_passkey(request)
    return response


@open_to_all
@require_safe
def use(request: HttpRequest, token: str) -> HttpResponse:
    """Use a link up and sign its bearer in. Previews and prefetches leave it as it is."""
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return HttpResponse(status=204)
    member = _redeemed(token, plane().clock(), request.META.get("REMOTE_ADDR") or None)
    if member is None:
        return render(request, "login.html", status=410)
    SessionStore.clear_expired()
    again = is_local(request) and member_or_none(request) == member
    sign_in(request, member)
    if not again:
        rotate_token(request)
    return HttpResponseRedirect(reverse("home"))


@open_to_all
@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponseRedirect(reverse("login"))


@open_to_all
@require_POST
def switch(request: HttpRequest) -> HttpResponse:
    """See another of one's organisations."""
    chosen = Organisation.objects.filter(slug=request.POST.get("organisation", "")).first()
    if chosen is None or not go_to(request, chosen.id):
        return render(request, "404.html", status=404)
    return HttpResponseRedirect(reverse("home"))


def reset_page(view: Any) -> Any:
    """A page of the password's way back by mail, where there is a server that takes it."""

    @open_to_all
    def page(request: HttpRequest, **named: str) -> HttpResponse:
        if request.method == "POST" and not takes_mail() and not named:
            return render(request, "account/password_reset.html", status=404)
        response: HttpResponse = view(request, **named)
        return response

    return page


def _sign_on_of(slug: str) -> Any:
    organisation = Organisation.objects.filter(slug=slug).first() if slug else None
    if organisation is None:
        return None
    with organisation_context(organisation.id):
        return access_sign_on(organisation.id)


def _redeemed(token: str, now: datetime, address: str | None) -> Member | None:
    """Whom the link was for, if this is its first use in time; the sign-in is in the audit log by then."""
    kept = digest(token)
    link = LoginLink.objects.filter(token_sha256=kept).first()
    if link is None:
        return None
    with organisation_context(link.org_id):
        first = LoginLink.objects.filter(token_sha256=kept, used_at=None, expires_at__gt=now).update(
            used_at=now
        )
        if not first:
            return None
        with connection.cursor() as cursor:
            detail = {"by": "login_link"}
            append_admin_event(cursor, link.org_id, now, "signed_in", link.actor, detail, address)
    return Member(link.org_id, link.actor)
