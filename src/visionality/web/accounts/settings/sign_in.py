"""The organisation's own sign-on: by which OpenID Connect issuer its members come in."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from visionality.web.accounts.access import access_sign_on
from visionality.web.accounts.issuer_trial import tried
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.models import SignOn
from visionality.web.accounts.roles import Role
from visionality.web.accounts.sign_on import Wanted, callback_path, remove_sign_on, set_sign_on
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.addresses import absolute
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.acts import BadName, Unknown


class SignOnForm(forms.Form):
    title = forms.CharField(
        label="Name on the button", max_length=80, help_text="Such as Okta or Acme sign-on."
    )
    issuer = forms.CharField(
        label="Issuer",
        max_length=400,
        help_text="Exactly as the issuer calls itself in its discovery document, such as https://login.example.com/tenant",
    )
    client_id = forms.CharField(label="Client id", max_length=191)
    secret = forms.CharField(
        label="Client secret",
        required=False,
        max_length=400,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text="Sealed, and never shown again. Empty leaves the one that is there.",
    )
    domains = forms.CharField(
        label="E-mail domains",
        required=False,
        max_length=1000,
        help_text="Whoever types an address of these is led to this sign-on: example.com example.org",
    )
    joins_as = forms.MultipleChoiceField(
        label="Somebody of these domains joins without an invitation as",
        required=False,
        choices=[(role, str(role)) for role in Role],
        widget=forms.CheckboxSelectMultiple,
        help_text="None: only who was invited, or is a member with the same verified address, comes in.",
    )
    only = forms.BooleanField(
        label="Members come in by this sign-on only",
        required=False,
        help_text="Passwords and passkeys no longer open this organisation. The link of vis login always does.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def page(request: HttpRequest) -> HttpResponse:
    """What is set up, and by POST what shall be."""
    org_id = member_of(request).org_id
    try:
        with doing(request) as act:
            there = access_sign_on(org_id)
            form = (
                SignOnForm(request.POST) if request.method == "POST" else SignOnForm(initial=_initial(there))
            )
            if "test" in request.POST:
                return _tried(request, org_id, there)
            if "remove" in request.POST:
                remove_sign_on(act)
                return HttpResponseRedirect(reverse("sign_in_settings"))
            if request.method == "POST" and form.is_valid():
                set_sign_on(act, plane().keys, _wanted(form.cleaned_data))
                return HttpResponseRedirect(reverse("sign_in_settings"))
    except (BadName, Unknown) as wrong:
        form.add_error(_beside(str(wrong)), str(wrong))
    shown = {"room": "sign_in_settings", "form": form, "there": there, "callback": _callback(request)}
    return render(request, "settings/sign_in.html", shown)


def _tried(request: HttpRequest, org_id: UUID, there: SignOn | None) -> HttpResponse:
    if there is not None:
        works, told = tried(request, org_id)
        (messages.success if works else messages.error)(request, told)
    return HttpResponseRedirect(reverse("sign_in_settings"))


def _initial(there: SignOn | None) -> dict[str, Any]:
    if there is None:
        return {}
    return {
        "title": there.title,
        "issuer": there.issuer,
        "client_id": there.client_id,
        "domains": " ".join(there.domains),
        "joins_as": there.joins_as,
        "only": there.org.sign_on_only,
    }


def _wanted(given: dict[str, Any]) -> Wanted:
    domains = tuple(given["domains"].replace(",", " ").split())
    return Wanted(
        given["title"],
        given["issuer"],
        given["client_id"],
        given["secret"],
        domains,
        tuple(given["joins_as"]),
        given["only"],
    )


def _beside(words: str) -> str:
    """The field that a mistake stands beside."""
    for part, field in (
        ("secret", "secret"),
        ("issuer", "issuer"),
        ("domain", "domains"),
        ("client id", "client_id"),
    ):
        if part in words:
            return field
    return "title"


def _callback(request: HttpRequest) -> str:
    return absolute(request, callback_path(member_of(request).org_id))
