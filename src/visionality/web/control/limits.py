"""`/limits`: requests and tokens a minute."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.scope import LIMITED, BadScope, Scope, scope_of, words
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Line, Step, cells, heads
from visionality.web.control.fields import ScopeKind, ScopeName, scope_in
from visionality.web.doing import doing
from visionality.web.policy import lists
from visionality.web.policy.acts import Act, Unknown
from visionality.web.policy.limits import Rates, remove_limit, set_limit
from visionality.web.seats.figures import counted

MOST = 1_000_000_000


class LimitForm(ControlForm):
    scope_kind = ScopeKind(LIMITED)
    scope_name = ScopeName()
    requests_per_minute = forms.IntegerField(
        label="Requests a minute",
        min_value=0,
        max_value=MOST,
        required=False,
        help_text="Not limited when empty.",
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens a minute",
        min_value=0,
        max_value=MOST,
        required=False,
        help_text="Input and output together; not limited when empty.",
    )

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if "scope_kind" in said:
            said["scope"] = scope_in(said, LIMITED)
        return said


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        records = lists.records(act, "limit")
    book = Book(
        title="In force",
        heads=heads(
            "For", "Requests a minute", "Tokens a minute", numbers=("Requests a minute", "Tokens a minute")
        ),
        lines=[_line(one) for one in records],
        empty="Nothing is limited. A limit answers 429 when a key, an agent or a project asks too often; it keeps a loop from "
        "burning a budget in minutes.",
        command="vis limit set 'key:*' --requests-per-minute 60 --tokens-per-minute 200000",
        add=[Step("Set a limit", reverse("limit_set"))],
    )
    shown = {"room": "limits", "title": "Limits", "books": [book], "can_change": may_change(request)}
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_one(request: HttpRequest) -> HttpResponse:
    """Make a limit, or edit the one of this scope."""

    def do(act: Act, said: Said) -> list[str]:
        rates: Rates = {
            "requests_per_minute": said["requests_per_minute"],
            "tokens_per_minute": said["tokens_per_minute"],
        }
        limit, warnings = set_limit(act, said["scope"], rates)
        told = {"requests": limit.requests_per_minute, "tokens": limit.tokens_per_minute}
        allowed = " and ".join(f"{counted(rate)} {unit}" for unit, rate in told.items() if rate is not None)
        scope = said["scope"]
        subject = f"Each {words(scope.kind)}" if scope.is_each else str(scope)
        return [f"{subject} may have {allowed} a minute.", *warnings]

    return form_page(
        request,
        LimitForm(request.POST or None, initial=_given(request)),
        do,
        done=reverse("limits"),
        room="limits",
        title="Set a limit",
        button="Set the limit",
        about="In force within two seconds. A limit that is there for the same scope is edited.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def remove(request: HttpRequest) -> HttpResponse:
    scope = looked_up(request, lambda act: _there(act, request.GET.get("scope", "")))

    def do(act: Act, _said: Said) -> str:
        remove_limit(act, scope)
        return f"The limit of {scope} is retired."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("limits"),
        room="limits",
        title=f"Remove the limit of {scope}",
        button="Remove the limit",
        danger=True,
        told=["Calls are not limited by it any more, within two seconds."],
    )


def _line(one: dict[str, Any]) -> Line:
    scope = str(one["scope"])
    asked = urlencode({"scope": scope})
    return Line(
        cells(scope, counted(one["requests_per_minute"]), counted(one["tokens_per_minute"])),
        [
            Step("Edit", f"{reverse('limit_set')}?{asked}", scope),
            Step("Remove", f"{reverse('limit_remove')}?{asked}", scope),
        ],
    )


def _given(request: HttpRequest) -> dict[str, Any]:
    """The form of a limit that is there."""
    try:
        scope = scope_of(request.GET.get("scope", ""), LIMITED)
    except BadScope:
        return {}
    with doing(request) as act:
        there = next((one for one in lists.records(act, "limit") if one["scope"] == str(scope)), {})
    return {"scope_kind": scope.kind, "scope_name": scope.value, **there}


def _there(act: Act, text: str) -> Scope:
    if all(one["scope"] != text for one in lists.records(act, "limit")):
        raise Unknown(f"there is no limit of {text}")
    return scope_of(text, LIMITED)
