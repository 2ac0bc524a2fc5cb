"""`/floors`: the least that every key must show. Raising one is one person's act, lowering one takes two (promise K4)."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.level import LEVELS
from visionality.core.scope import BadScope, Scope, scope_of
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, cells, heads, moment
from visionality.web.control.fields import LEVEL_WORDS, ScopeKind, ScopeName, scope_in
from visionality.web.doing import doing
from visionality.web.policy import floors
from visionality.web.policy.acts import Act
from visionality.web.policy.models import FloorRequest

_NOBODY_ALONE = "A lower floor is asked for by one person and approved by another."


class FloorForm(ControlForm):
    scope_kind = ScopeKind(floors.FLOORED)
    scope_name = ScopeName(with_each=False)
    level = forms.TypedChoiceField(
        label="Every key must show", coerce=int, choices=[(level, LEVEL_WORDS[level]) for level in LEVELS]
    )

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if "scope_kind" in said:
            said["scope"] = scope_in(said, floors.FLOORED)
        return said


@for_roles(Role.OPERATOR, Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The floors in force, and what waits for a second person."""
    with doing(request) as act:
        in_force, waiting = floors.floors(act), floors.waiting(act)
    books = [
        Book(
            title="Waiting for a second person",
            heads=heads("For", "Now", "Asked for", "By", "At, UTC"),
            lines=[_asked(one) for one in waiting],
            empty=f"Nothing waits. {_NOBODY_ALONE}",
        ),
        Book(
            title="In force",
            heads=heads("For", "Every key must show"),
            lines=[_line(scope, level) for scope, level in in_force],
            empty="",
            add=[Step("Set a floor", reverse("floor_set"))],
            about="The highest of the organisation's floor, the project's and the key's own level is what a request must show.",
        ),
    ]
    shown = {"room": "floors", "title": "Floors", "books": books if waiting else books[::-1]}
    return render(request, "control/books.html", {**shown, "can_change": may_change(request)})


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_one(request: HttpRequest) -> HttpResponse:
    """Raise a floor, or ask for a lower one; `?scope=` fills in which."""

    def do(act: Act, said: Said) -> str:
        asked = floors.set_floor(act, said["scope"], said["level"])
        if asked is None:
            return f"Every key of {said['scope']} must show level {said['level']} now."
        return f"The floor of {said['scope']} stays {asked.from_level} until another person approves the lower one."

    return form_page(
        request,
        FloorForm(request.POST or None, initial=_given(request)),
        do,
        done=reverse("floors"),
        room="floors",
        title="Set a floor",
        button="Set the floor",
        about=f"A higher floor holds within two seconds: keys that show less are refused from then on. {_NOBODY_ALONE}",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def approve(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Lower a floor that somebody else asked to lower."""
    asked = looked_up(request, lambda act: floors.access_floor_request(act, request_id))
    scope = floors.scope_of(asked)

    def do(act: Act, _said: Said) -> str:
        floors.approve(act, request_id)
        return f"The floor of {scope} is {asked.to_level} now."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("floors"),
        room="floors",
        title=f"Lower the floor of {scope}",
        button="Approve",
        danger=True,
        told=[
            f"{asked.requested_by} asked for this at {moment(asked.requested_at)} UTC.",
            f"Now: {LEVEL_WORDS[asked.from_level]}.",
            f"Then: {LEVEL_WORDS[asked.to_level]}.",
        ],
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def decline(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Leave a floor as it is; one's own request is taken back so."""
    asked = looked_up(request, lambda act: floors.access_floor_request(act, request_id))
    scope = floors.scope_of(asked)

    def do(act: Act, _said: Said) -> str:
        floors.decline(act, request_id)
        return f"The floor of {scope} stays {asked.from_level}."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("floors"),
        room="floors",
        title=f"Leave the floor of {scope} as it is",
        button="Decline",
        told=[f"{asked.requested_by} asked for {asked.to_level} instead of {asked.from_level}."],
    )


def _line(scope: Scope, level: int) -> Line:
    asked = urlencode({"scope": scope})
    return Line(
        cells(scope, LEVEL_WORDS[level]), [Step("Set", f"{reverse('floor_set')}?{asked}", str(scope))]
    )


def _asked(one: FloorRequest) -> Line:
    scope, args = floors.scope_of(one), [one.id]
    return Line(
        [
            Cell(str(scope)),
            Cell(str(one.from_level)),
            Cell(str(one.to_level), tag="mind"),
            Cell(one.requested_by),
            Cell(moment(one.requested_at)),
        ],
        [
            Step("Approve", reverse("floor_approve", args=args), str(scope)),
            Step("Decline", reverse("floor_decline", args=args), str(scope)),
        ],
    )


def _given(request: HttpRequest) -> dict[str, Any]:
    """The form of a floor that is there."""
    try:
        scope = scope_of(request.GET.get("scope", ""), floors.FLOORED)
    except BadScope:
        return {}
    with doing(request) as act:
        level = dict(floors.floors(act)).get(scope, 0)
    return {"scope_kind": scope.kind, "scope_name": scope.value, "level": level}
