"""`/alerts`: the inbox, and where alerts go beside it."""

from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from visionality.vault.webhooks import WEBHOOKS, spelled, webhook_key
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
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
from visionality.web.control.book import Book, Cell, Line, Step, cells, heads, moment
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.acts import Act, Unknown
from visionality.web.policy.alerts import acknowledge, add_channel, alerts, channels, remove_channel
from visionality.web.policy.models import AlertChannel

SHOWN = 200
_BACK = ("alerts", "operations")


class ChannelForm(ControlForm):
    """Where alerts go."""

    kind = forms.ChoiceField(label="By", choices=[("email", "e-mail"), ("webhook", "webhook")])
    target = LineField(
        "To", 400, required=True, help_text="A mailbox such as finance@example.com, or an https:// address."
    )


@for_roles(Role.OPERATOR, Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    everything = request.GET.get("all") == "1"
    with doing(request) as act:
        found, targets = alerts(act, everything=everything), list(channels(act))
    inbox = Book(
        title="Inbox" if not everything else "Every alert",
        heads=heads("When, UTC", "Alert", "Of", "Sent", numbers=("Sent",)),
        lines=[
            Line(
                [
                    Cell(moment(one["created_at"])),  # type: ignore[arg-type]
                    Cell(str(one["title"]), small=str(one["body"])),
                    Cell(str(one["scope"])),
                    Cell(str(one["delivered"]), small=_seen(one)),
                ],
                []
                if one["acknowledged_by"]
                else [
                    Step(
                        "Seen",
                        reverse("alert_seen", args=[str(one["alert_id"])]),
                        str(one["title"]),
                        post=True,
                    )
                ],
            )
            for one in found[:SHOWN]
        ],
        empty="Nothing waits. A budget warns here when it reaches a part of its cap that it names, and a connector when it "
        "cannot be read.",
        about="The newest first. “Seen” says that somebody has seen to it; the alert stays on record.",
        more=f"The newest {SHOWN} of {len(found)}." if len(found) > SHOWN else "",
    )
    where = Book(
        title="Also sent to",
        heads=heads("To", "By", "Since"),
        lines=[
            Line(
                cells(one["target"], one["kind"], one["since"]),
                [
                    Step(
                        "Remove",
                        f"{reverse('channel_remove')}?{urlencode({'target': str(one['target'])})}",
                        str(one["target"]),
                    )
                ],
            )
            for one in targets
        ],
        empty="Alerts go to this inbox alone. Add a mailbox or a server to have them sent as well.",
        command="vis alert channel add email finance@example.com",
        add=[Step("Add a channel", reverse("channel_add"))],
    )
    shown = {
        "room": "alerts",
        "title": "Alerts",
        "books": [inbox, where],
        "other": ("Only those that wait", "?") if everything else ("Those that were seen too", "?all=1"),
        "can_change": may_change(request),
    }
    return render(request, "control/alerts.html", shown)


@for_roles(Role.OPERATOR)
@require_POST
def seen(request: HttpRequest, alert_id: UUID) -> HttpResponse:
    """Somebody has seen to it."""
    looked_up(request, lambda act: acknowledge(act, alert_id))
    back = request.POST.get("back", "alerts")
    return moved(request, reverse(back if back in _BACK else "alerts"), "The alert is marked as seen.")


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def add(request: HttpRequest) -> HttpResponse:
    """A new channel. The secret of a webhook is shown once, on the answer."""
    form = ChannelForm(request.POST or None)
    if request.method == "POST":
        made = carried_out(request, form, lambda act, said: add_channel(act, said["kind"], said["target"]))
        if made is not None and made.kind == "webhook":
            secret = spelled(webhook_key(plane().keys.secret(WEBHOOKS), made.id))
            return _shown_once(request, made, secret)
        if made is not None:
            return moved(request, reverse("alerts"), f"Alerts go to {made.target}.")
    shown = {
        "room": "alerts",
        "title": "Add a channel",
        "button": "Add the channel",
        "back": reverse("alerts"),
        "about": "Each alert is sent there as well. What goes to a webhook is signed (Standard Webhooks); mail needs a mail "
        "server that the jobs know (VIS_SMTP_URL).",
    }
    return form_shown(request, form, shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def remove(request: HttpRequest) -> HttpResponse:
    target = request.GET.get("target", "")
    looked_up(request, lambda act: _channel(act, target))

    def do(act: Act, _said: Said) -> str:
        remove_channel(act, target)
        return f"No more alerts go to {target}."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("alerts"),
        room="alerts",
        title="Remove a channel",
        button="Remove the channel",
        danger=True,
        told=[f"Alerts go to {target}. Once it is removed they do not; the inbox keeps them."],
    )


def _shown_once(request: HttpRequest, made: AlertChannel, secret: str) -> HttpResponse:
    shown = {
        "room": "alerts",
        "title": "The channel is added",
        "back": reverse("alerts"),
        "told": [
            f"Alerts go to {made.target}, signed with this secret; the receiver needs it to tell that an alert is ours."
        ],
        "secrets": [("Signing secret", secret)],
    }
    return render(request, "control/shown_once.html", shown)


def _channel(act: Act, target: str) -> None:
    if all(one["target"] != target for one in channels(act)):
        raise Unknown(f"no alerts go to {target}")


def _seen(one: dict[str, object]) -> str:
    return f"seen by {one['acknowledged_by']}" if one["acknowledged_by"] else ""
