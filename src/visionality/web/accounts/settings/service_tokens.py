"""Service tokens: issued with scopes and an end, shown once, revoked."""

from datetime import timedelta

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from visionality.core.service_token import SCOPES
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.doing import doing
from visionality.web.issuing import service_tokens
from visionality.web.issuing.bindings import BadBinding
from visionality.web.plane import plane
from visionality.web.policy.acts import Unknown


class Issue(forms.Form):
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(one, one) for one in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="Who may write may read.",
    )
    days = forms.IntegerField(
        label="Days that it works",
        initial=90,
        min_value=1,
        max_value=service_tokens.LONGEST_LIFE.days,
    )
    reason = forms.CharField(label="What it is for", max_length=400, help_text="It stands in the audit.")


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def page(request: HttpRequest) -> HttpResponse:
    """The tokens that there are; by POST one more, or the end of one."""
    form, token = Issue(request.POST if request.method == "POST" else None), ""
    with doing(request) as act:
        if "revoke" in request.POST:
            try:
                service_tokens.revoke(act, request.POST["revoke"], act.reason or "revoked on the page")
            except Unknown:
                raise Http404 from None
            return HttpResponseRedirect(reverse("service_tokens"))
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                _, token = service_tokens.issue(
                    act, plane().token_pepper, given["scopes"], timedelta(days=given["days"]), given["reason"]
                )
            except BadBinding as wrong:
                form.add_error("scopes", str(wrong))
        listed = [(one, service_tokens.state(one, act.now)) for one in service_tokens.service_tokens(act)]
    shown = {"room": "service_tokens", "form": Issue() if token else form, "token": token, "tokens": listed}
    return render(request, "settings/service_tokens.html", shown)
