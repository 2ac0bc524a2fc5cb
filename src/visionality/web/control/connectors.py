"""`/connectors`: trackers and Git hosts that are read. Credentials go in sealed and never come out."""

import secrets
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from visionality.connectors.services import KINDS, Target
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.addresses import absolute
from visionality.web.connecting import acts, words
from visionality.web.connecting.access import access_connector, access_runs
from visionality.web.connecting.models import Connector, ConnectorRun
from visionality.web.control.acting import (
    ControlForm,
    ReasonGiven,
    Said,
    carried_out,
    form_page,
    form_shown,
    looked_up,
    may_change,
    moved,
)
from visionality.web.control.book import Book, Cell, Line, Step, heads
from visionality.web.control.fields import Day, Secret, Words
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.acts import Act


class ConnectorForm(ControlForm):
    """A service and the credential that it is read with."""

    seldom = ("name", "account", "expires", "ca_bundle")
    kind = forms.ChoiceField(label="Service", choices=[*KINDS.items()])
    base_url = LineField(
        "Address", 400, help_text="https://…; empty for the public service. Jira always needs it."
    )
    scopes = Words(
        "Of it",
        2000,
        help_text="Jira: project keys (all when empty). Bitbucket: a workspace. GitHub: an organisation. GitLab: a group.",
    )
    token = Secret(
        "Token", help_text="Sealed at once; no page and no command shows it again. Reading rights are enough."
    )
    name = LineField("Called here", 80, help_text="The kind of service when empty.")
    account = LineField(
        "Account", 255, help_text="The e-mail address that goes with the token; empty for a bearer token."
    )
    expires = Day("Credential ends", help_text="As its service says; you are told before.")
    ca_bundle = forms.CharField(
        label="Certificates",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="In PEM, where its own is signed with others than the public ones.",
    )


class SecretForm(ControlForm):
    """Another credential."""

    token = Secret("Token", help_text="Sealed at once; the one before is used no more.")
    expires = Day("Credential ends")


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        lines = [_line(run, act.now) for run in access_runs(act)]
    book = Book(
        title="In use",
        heads=heads("Connector", "Service", "State", "Holds", "Credential ends"),
        lines=lines,
        empty="Nothing is connected. A connector reads issues, or repositories and pull requests, so that tasks, epics and branches on "
        "rows are checked against what there is. Nothing is ever written to it.",
        command="vis connector add bitbucket --scope arctrade",
        add=[Step("Connect a service", reverse("connector_add"))],
    )
    shown = {"room": "connectors", "title": "Connectors", "books": [book], "can_change": may_change(request)}
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def add(request: HttpRequest) -> HttpResponse:
    def do(act: Act, said: Said) -> str:
        target = Target(said["kind"], said["base_url"], said["scopes"], said["account"], said["ca_bundle"])
        name = said["name"] or said["kind"]
        acts.add_connector(act, plane().keys, name, target, said["token"], said["expires"])
        return f"{KINDS[said['kind']]} is connected as {name}: the jobs read it at once."

    return form_page(
        request,
        ConnectorForm(request.POST or None),
        do,
        done=reverse("connectors"),
        room="connectors",
        title="Connect a service",
        button="Connect it",
        about="It is read from now on by the jobs. Nothing is ever written to it.",
    )


@for_roles(Role.OPERATOR)
@require_POST
def sync(request: HttpRequest, name: str) -> HttpResponse:
    """Have it read now, what changed since the last time."""
    looked_up(request, lambda act: acts.ask_for_sync(act, name, full=False))
    return moved(request, reverse("connectors"), f"{name} is read as soon as the jobs come to it.")


@for_roles(Role.OPERATOR)
@require_POST
def sync_full(request: HttpRequest, name: str) -> HttpResponse:
    """Have all of it read anew."""
    looked_up(request, lambda act: acts.ask_for_sync(act, name, full=True))
    return moved(
        request, reverse("connectors"), f"All of {name} is read anew as soon as the jobs come to it."
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_secret(request: HttpRequest, name: str) -> HttpResponse:
    one = _one(request, name)

    def do(act: Act, said: Said) -> str:
        acts.set_secret(act, plane().keys, name, said["token"], said["expires"])
        return f"{name} is read with the new credential from now on."

    return form_page(
        request,
        SecretForm(request.POST or None),
        do,
        done=reverse("connectors"),
        room="connectors",
        title=f"Another credential for {name}",
        button="Use it",
        about=f"{KINDS[one.kind]} is tried with it at once.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def webhook(request: HttpRequest, name: str) -> HttpResponse:
    """A new secret for its webhooks, shown once."""
    _one(request, name)
    form = ControlForm(request.POST or None)
    if request.method == "POST":
        secret = secrets.token_urlsafe(32)

        def do(act: Act, _said: Said) -> dict[str, Any]:
            found = acts.set_webhook_secret(act, plane().keys, name, secret.encode())
            address = absolute(request, reverse("hook", args=[found.id]))
            return {
                "room": "connectors",
                "title": "The webhook's secret is made",
                "back": reverse("connectors"),
                "told": [
                    f"Enter both at {KINDS[found.kind]}, with the host under which it reaches these pages."
                ],
                "secrets": [("Address", address), ("Secret", secret)],
            }

        made = carried_out(request, form, do)
        if made is not None:
            return render(request, "control/shown_once.html", made)
    shown = {
        "room": "connectors",
        "title": f"Webhooks of {name}",
        "button": "Make a secret",
        "back": reverse("connectors"),
        "told": [
            (
                "A webhook has changes read within seconds, and not only when the next reading is due. A new secret is made and shown "
                "once, with the address to enter. An earlier one ends."
            )
        ],
    }
    return form_shown(request, form, shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, name: str) -> HttpResponse:
    one = _one(request, name)

    def do(act: Act, _said: Said) -> str:
        acts.remove_connector(act, name)
        return f"{name} is not read any more; what was read stays."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("connectors"),
        room="connectors",
        title=f"Remove {name}",
        button="Remove the connector",
        danger=True,
        told=[
            f"{KINDS[one.kind]} is not read any more, and its webhooks are refused. What was read stays, since rows refer to it."
        ],
    )


def _one(request: HttpRequest, name: str) -> Connector:
    return looked_up(request, lambda act: access_connector(act, name))


def _line(run: ConnectorRun, now: datetime) -> Line:
    one = run.connector
    goes_on = words.progress(run) if words.is_running(run) else run.doing if run.is_paused else ""
    ends = one.secret_expires_at
    steps = [
        Step("Read now", reverse("connector_sync", args=[one.name]), one.name, post=True),
        Step("Read all anew", reverse("connector_sync_full", args=[one.name]), one.name, post=True),
        Step("Credential", reverse("connector_secret", args=[one.name]), one.name),
        Step("Webhook", reverse("connector_webhook", args=[one.name]), one.name),
        Step("Remove", reverse("connector_remove", args=[one.name]), one.name),
    ]
    return Line(
        [
            Cell(one.name, small=", ".join([one.base_url, *one.scope]).strip(", ")),
            Cell(KINDS[one.kind]),
            Cell(words.state(run, now), small=" · ".join(part for part in (run.error, goes_on) if part)),
            Cell(words.counted(run.held) or "nothing yet"),
            Cell(f"{ends:%Y-%m-%d}" if ends else "not said"),
        ],
        steps,
    )
