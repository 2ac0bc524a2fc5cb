"""Signing in by a link that works once, printed by `vis login` on the machine where Visionality runs."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.csrf import rotate_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from visionality.ledger.administration import append_admin_event
from visionality.web.accounts.members import Member, member_or_none, open_to_all, sign_in
from visionality.web.accounts.models import LoginLink
from visionality.web.plane import plane
from visionality.web.start import organisation_context

VALID_FOR = timedelta(minutes=15)
KEPT_FOR = timedelta(days=1)
"""A link that no longer works is remembered this long, then swept up when the next one is made."""


def make_link(org_id: UUID, actor: str, now: datetime, base_url: str) -> str:
    """A sign-in link for the local operator: good once, within 15 minutes. Only its token's SHA-256 is kept."""
    token = secrets.token_urlsafe(32)
    LoginLink.objects.filter(expires_at__lt=now - KEPT_FOR).delete()
    LoginLink.objects.create(
        token_sha256=_digest(token), org_id=org_id, actor=actor, expires_at=now + VALID_FOR
    )
    return f"{base_url.rstrip('/')}/login/{token}"


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
    digest = _digest(token)
    link = LoginLink.objects.filter(token_sha256=digest).first()
    if link is None:
        return None
    with organisation_context(link.org_id):
        first = LoginLink.objects.filter(token_sha256=digest, used_at=None, expires_at__gt=now).update(
            used_at=now
        )
        if not first:
            return None
        with connection.cursor() as cursor:
            append_admin_event(cursor, link.org_id, now, "signed_in", link.actor, {"by": "login_link"})
    return Member(link.org_id, link.actor)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
