"""Somebody's own account: their password, second factors, passkeys and sessions."""

import functools
from typing import Any

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import URLPattern, path, re_path, reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.web.accounts.login import reset_page
from visionality.web.accounts.members import (
    account_of,
    for_roles,
    is_local,
    member_of,
    open_to_all,
    sign_on_of,
)
from visionality.web.accounts.step_up import shown_after_step_up


def own(view: Any) -> Any:
    """Mark a view that is for whoever owns the account.

    Not for the local operator, who has none, and not for a session that one organisation's sign-on alone vouches for: the
    account may be of other organisations too.
    """

    @for_roles()
    @functools.wraps(view)
    def kept(request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        if is_local(request) or sign_on_of(request):
            return render(request, "account/elsewhere.html", {"local": is_local(request)}, status=403)
        response: HttpResponse = view(request, *args, **named)
        return response

    return kept


def careful(view: Any) -> Any:
    """The same for a page that asks first who is there."""
    return own(shown_after_step_up(view))


@for_roles()
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """What somebody signs in with."""
    if is_local(request):
        return render(request, "account/elsewhere.html", {"local": True})
    mine = Authenticator.objects.filter(user_id=request.user.pk).order_by("created_at")
    shown = {
        "room": "account",
        "roles": sorted(member_of(request).roles),
        "by_sign_on": sign_on_of(request),
        "apps": [one for one in mine if one.type == Authenticator.Type.TOTP],
        "passkeys": [one.wrap() for one in mine if one.type == Authenticator.Type.WEBAUTHN],
        "codes": [one.wrap() for one in mine if one.type == Authenticator.Type.RECOVERY_CODES],
        "sessions": len(_sessions(request)),
    }
    return render(request, "account/own.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """Where somebody is signed in; each can be ended, and it is at once."""
    mine = _sessions(request)
    if request.method != "POST":
        newest = sorted(mine, key=lambda one: one.created_at, reverse=True)
        return render(request, "account/sessions.html", {"room": "account", "sessions": newest})
    wanted = request.POST.get("session", "")
    for one in mine:
        if str(one.pk) == wanted or (wanted == "others" and not one.is_current()):
            one.end()
    return HttpResponseRedirect(reverse("sessions"))


def _sessions(request: HttpRequest) -> list[UserSession]:
    owner = account_of(request)
    return UserSession.objects.purge_and_list(owner) if owner else []


_password = account.PasswordChangeView.as_view(template_name="account/password_change.html")

urlpatterns: list[URLPattern] = [
    path("account", page, name="account"),
    path("account/sessions", own(sessions), name="sessions"),
    path("account/password", careful(_password), name="account_change_password"),
    path("account/password/set", careful(account.password_set), name="account_set_password"),
    path("account/second-factor", page, name="mfa_index"),
    path("account/app", careful(totp.activate_totp), name="mfa_activate_totp"),
    path("account/app/remove", careful(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("account/passkeys", page, name="mfa_list_webauthn"),
    path("account/passkeys/add", careful(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path(
        "account/passkeys/<int:pk>/remove",
        careful(webauthn.remove_webauthn),
        name="mfa_remove_webauthn",
    ),
    path(
        "account/passkeys/<int:pk>/name",
        careful(webauthn.edit_webauthn),
        name="mfa_edit_webauthn",
    ),
    path(
        "account/recovery-codes",
        careful(recovery_codes.view_recovery_codes),
        name="mfa_view_recovery_codes",
    ),
    path(
        "account/recovery-codes/new",
        careful(recovery_codes.generate_recovery_codes),
        name="mfa_generate_recovery_codes",
    ),
    path("confirm/password", own(account.reauthenticate), name="account_reauthenticate"),
    path("confirm/code", own(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("confirm/passkey", own(webauthn.reauthenticate_webauthn), name="mfa_reauthenticate_webauthn"),
    path("login/second-factor", open_to_all(functools.partial(mfa.authenticate)), name="mfa_authenticate"),
    path("login/inactive", open_to_all(functools.partial(account.account_inactive)), name="account_inactive"),
    path("password/forgotten", reset_page(account.password_reset), name="account_reset_password"),
    path(
        "password/forgotten/sent", reset_page(account.password_reset_done), name="account_reset_password_done"
    ),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[0-9A-Za-z-]+)$",
        reset_page(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/new/done",
        reset_page(account.password_reset_from_key_done),
        name="account_reset_password_from_key_done",
    ),
]
