"""Accepting an invitation: with a new account, with the one that is there, or by the organisation's sign-on.

An account that is there is never given a password here: whoever made the link would own it, in other organisations too.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from visionality.web.accounts.access import access_sign_on
from visionality.web.accounts.members import account_of, go_to, open_to_all, sign_on_of
from visionality.web.accounts.membership import accept, invitation_of, organisation_of
from visionality.web.accounts.models import Invitation, User
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

_CARRIED = "invitation"


class NewAccount(forms.Form):
    """Who somebody is, and the password that they will sign in with."""

    name = forms.CharField(label="Your name", max_length=200)
    password = forms.CharField(
        label="Password",
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters.",
    )

    def __init__(self, *args: Any, email: str) -> None:
        super().__init__(*args)
        self._email = email

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if "password" in given:
            try:
                validate_password(given["password"], User(email=self._email, name=given.get("name", "")))
            except ValidationError as weak:
                self.add_error("password", weak)
        return given


@open_to_all
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    """What somebody is invited to, and the way in. Looking at it uses nothing up."""
    try:
        return _page(request, token)
    except IntegrityError:  # their account was made meanwhile, by an invitation to another organisation
        return HttpResponseRedirect(reverse("join", args=[token]))


def _page(request: HttpRequest, token: str) -> HttpResponse:
    org_id = organisation_of(token)
    if org_id is None:
        return _ended(request)
    with organisation_context(org_id):
        invitation = invitation_of(org_id, token, plane().clock())
        if invitation is None:
            return _ended(request)
        way = _way(request, invitation)
        form = NewAccount(*_typed(request), email=invitation.email)
        account = account_of(request)
        if request.method == "POST" and way == "join" and account is not None:
            accept(_act(request, invitation), invitation, account)
            go_to(request, org_id)
            return HttpResponseRedirect(reverse("home"))
        if request.method == "POST" and way == "new" and form.is_valid():
            user = User(email=invitation.email, name=form.cleaned_data["name"])
            user.set_password(form.cleaned_data["password"])
            user.save()
            accept(_act(request, invitation), invitation, user)
            signed_in: HttpResponse = perform_password_login(
                request, {"email": user.email}, Login(user=user, redirect_url=reverse("home"))
            )
            return signed_in
        shown = {"invitation": invitation, "way": way, "form": form, "token": token}
        return render(request, "join.html", {**shown, "sign_on": access_sign_on(org_id)})


def carry(request: HttpRequest, token: str) -> UUID | None:
    """Keep an invitation while its bearer is away at their organisation's sign-on; whose it says that it is."""
    org_id = organisation_of(token)
    if org_id is not None:
        request.session[_CARRIED] = token
    return org_id


def carried_invitation(request: HttpRequest, org_id: UUID, now: datetime) -> Invitation | None:
    """The open invitation with which somebody left for the sign-on. Within `organisation_context`."""
    token = request.session.pop(_CARRIED, "")
    return invitation_of(org_id, token, now) if organisation_of(token) == org_id else None


def _way(request: HttpRequest, invitation: Invitation) -> str:
    """How they come in: `join` as they are, `other` account signed in, `sign_in` first, `new` account, or `sign_on` alone."""
    account = account_of(request)
    if account is not None:
        same = account.email == invitation.email and sign_on_of(request) in {None, invitation.org_id}
        return "join" if same else "other"
    if invitation.org.sign_on_only:
        return "sign_on"
    return "sign_in" if User.objects.filter(email=invitation.email).exists() else "new"


def _typed(request: HttpRequest) -> tuple[Any, ...]:
    return (request.POST,) if request.method == "POST" else ()


def _act(request: HttpRequest, invitation: Invitation) -> Act:
    address = request.META.get("REMOTE_ADDR") or None
    return Act(invitation.org_id, invitation.email, plane().clock(), address=address)


def _ended(request: HttpRequest) -> HttpResponse:
    return render(request, "join_ended.html", status=410)
