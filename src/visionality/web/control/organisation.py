"""`/organisation-settings`: its name, the time zone of its calendar, and what becomes of projects that a key may not claim."""

from zoneinfo import available_timezones

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import (
    ControlForm,
    ReasonGiven,
    Said,
    form_page,
    looked_up,
    may_change,
)
from visionality.web.control.book import Book, Line, Step, cells, heads
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.issuing.revocation import revoke_all
from visionality.web.policy import organisation
from visionality.web.policy.acts import Act

_DENIED = {"queue": "served, and its row waits in the queue", "refuse": "refused"}
_ZONES = [(name, name.replace("_", " ")) for name in sorted(available_timezones())]


class OrganisationForm(ControlForm):
    name = LineField("Name", 200, required=True, help_text="For people; it stands on pages and receipts.")
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=_ZONES,
        help_text="Budgets' days, weeks, months and quarters begin by it. Under another one budgets begin again with what their rows cost since their periods began there.",
    )
    denied_project = forms.ChoiceField(
        label="A call that names a project which its key may not claim is", choices=[*_DENIED.items()]
    )


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        found = organisation.organisation(act)
    facts = {
        "Name": found.name,
        "Called on the machine": found.slug,
        "Time zone of budgets": found.time_zone,
        "A call for a project that its key may not claim is": _DENIED[found.denied_project],
        "Floor": f"level {found.level_floor}",
    }
    book = Book(
        title="Settings",
        heads=heads("Setting", "Is"),
        lines=[Line(cells(name, value)) for name, value in facts.items()],
        empty="",
        add=[
            Step("Set", reverse("organisation_set")),
            Step("Revoke every key", reverse("organisation_revoke_keys")),
        ],
        about="Pages and files have months in UTC; the time zone is that of budgets.",
    )
    shown = {"room": "organisation_settings", "title": "Organisation", "books": [book]}
    return render(request, "control/books.html", {**shown, "can_change": may_change(request)})


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_it(request: HttpRequest) -> HttpResponse:
    now_is = looked_up(request, organisation.organisation)
    names = ("name", "time_zone", "denied_project")

    def do(act: Act, said: Said) -> list[str]:
        organisation.set_name(act, said["name"])
        begun = organisation.set_time_zone(act, said["time_zone"])
        organisation.set_denied_project(act, said["denied_project"])
        again = f"{begun} {'budget' if begun == 1 else 'budgets'} began again under {said['time_zone']}."
        return [f"{said['name']} is set.", *([again] if begun else [])]

    return form_page(
        request,
        OrganisationForm(request.POST or None, initial={name: getattr(now_is, name) for name in names}),
        do,
        done=reverse("organisation_settings"),
        room="organisation_settings",
        title="Set the organisation",
        button="Save",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def revoke_keys(request: HttpRequest) -> HttpResponse:
    """End every key and every token (promise K7)."""
    now_is = looked_up(request, organisation.organisation)

    def do(act: Act, said: Said) -> str:
        epoch = revoke_all(act, said["reason"])
        return f"Every key that was issued before now is revoked; epoch {epoch} begins."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("organisation_settings"),
        room="organisation_settings",
        title=f"Revoke every key of {now_is.name}",
        button="Revoke every key and token",
        danger=True,
        told=[
            "Every key and every token of the organisation ends within two seconds, on every gateway: nobody reaches a model.",
            "This cannot be undone; keys that are issued afterwards work.",
        ],
    )
