"""Members and invitations: who is in the organisation, and as what."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from visionality.web.accounts import membership
from visionality.web.accounts.access import access_invitations, access_member, access_members
from visionality.web.accounts.invitation_mail import link_of, mailed
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.accounts.sessions import access_sessions, end_session
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.doing import doing
from visionality.web.policy.acts import Act, AlreadyThere, BadName, Unknown

ROLES = {
    Role.OPERATOR: "may do everything",
    Role.FINANCE: "spend, forecasts, chargeback",
    Role.PEOPLE: "who has access, leavers",
    Role.PROJECTS: "tasks, epics, pull requests",
    Role.SECURITY: "refusals, floors, the audit",
    Role.AUDITOR: "sees everything, changes nothing",
}


class Invite(forms.Form):
    email = forms.EmailField(label="E-mail address", max_length=254)
    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=[(role, f"{role}: {words}") for role, words in ROLES.items()],
        widget=forms.CheckboxSelectMultiple,
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def page(request: HttpRequest) -> HttpResponse:
    """Everybody in the organisation; and by POST an invitation, whose link is shown once."""
    form, made = Invite(request.POST if request.method == "POST" else None), None
    with doing(request) as act:
        if request.method == "POST" and form.is_valid():
            try:
                made = membership.invite(act, form.cleaned_data["email"], form.cleaned_data["roles"])
            except (AlreadyThere, BadName) as wrong:
                form.add_error("email", str(wrong))
        members = access_members(act)
        sessions = access_sessions(act, members)
        shown = {
            "members": [(one, sessions.get(one.pk, [])) for one in members],
            "invitations": access_invitations(act),
            "roles": ROLES,
            "me": member_of(request).actor,
        }
    link = link_of(request, made[1]) if made else ""
    is_mailed = mailed(made[0], link) if made else False
    form = Invite() if made else form
    return render(
        request,
        "settings/members.html",
        {
            **shown,
            "room": "members",
            "form": form,
            "link": link,
            "made": made and made[0],
            "mailed": is_mailed,
        },
    )


@for_roles(Role.OPERATOR)
@require_POST
@needs_step_up
def change(request: HttpRequest) -> HttpResponse:
    """One change of one member or invitation."""
    act_of = _CHANGES.get(request.POST.get("change", ""))
    if act_of is None:
        raise Http404
    try:
        with doing(request) as act:
            act_of(act, request.POST)
    except Unknown:
        raise Http404 from None
    except BadName as wrong:
        return render(
            request, "settings/member_wrong.html", {"words": str(wrong), "room": "members"}, status=422
        )
    return HttpResponseRedirect(reverse("members"))


def _withdraw(act: Act, given: Any) -> None:
    try:
        membership.withdraw(act, UUID(given.get("invitation", "")))
    except ValueError:
        raise Unknown("there is no such open invitation") from None


def _end_session(act: Act, given: Any) -> None:
    member = access_member(act, given.get("member", ""))
    session_id = given.get("session", "")
    if member is None or not (session_id.isascii() and session_id.isdigit()):
        raise Unknown("there is no such session")
    end_session(act, member, int(session_id))


_CHANGES: dict[str, Callable[[Act, Any], object]] = {
    "roles": lambda act, given: membership.set_roles(act, given.get("member", ""), given.getlist("roles")),
    "remove": lambda act, given: membership.remove(act, given.get("member", "")),
    "sessions": lambda act, given: membership.end_sessions(act, given.get("member", "")),
    "session": _end_session,
    "withdraw": _withdraw,
}
