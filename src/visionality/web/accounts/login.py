"""Signing in by a link that works once, printed by `vis login` on the machine where Visionality runs."""

from datetime import datetime

from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from visionality.ledger.administration import append_admin_event
from visionality.web.accounts.links import digest
from visionality.web.accounts.members import Member, member_or_none, open_to_all, sign_in
from visionality.web.accounts.models import LoginLink
from visionality.web.plane import plane
from visionality.web.start import organisation_context


@open_to_all
@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """What to do to sign in."""
    if member_or_none(request) is not None:
        return HttpResponseRedirect(reverse("ledger"))
    return render(request, "login.html")


@open_to_all
@require_safe
def use(request: HttpRequest, token: str) -> HttpResponse:
    """Use a link up and sign its bearer in. Previews and prefetches leave it as it is."""
    if request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""):
        return HttpResponse(status=204)
    member = _redeemed(token, plane().clock())
    if member is None:
        return render(request, "login.html", {"link_failed": True}, status=410)
    SessionStore.clear_expired()
    sign_in(request, member)
    rotate_token(request)
    return HttpResponseRedirect(reverse("ledger"))


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponseRedirect(reverse("login"))


def _redeemed(token: str, now: datetime) -> Member | None:
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
            append_admin_event(cursor, link.org_id, now, "signed_in", link.actor, {"by": "login_link"})
    return Member(link.org_id, link.actor)
