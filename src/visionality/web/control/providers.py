"""`/providers`: where calls go, and the keys that pay for them. A key goes in sealed and never comes out."""

from typing import Any
from urllib.parse import urlencode, urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.vendors import ADDRESSES, TITLES
from visionality.runtime.destination import is_address, is_refused
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control import passthrough
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads
from visionality.web.control.fields import Line as LineField
from visionality.web.control.fields import Listed, Secret
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy import lists
from visionality.web.policy.acts import Act, Unknown, add_provider, checked_provider, remove_provider

NAME_LIMIT = 200
_ON_ABORT = {
    "drain": "read on to its usage report",
    "cancel": "end the stream and estimate",
}


class ProviderForm(ControlForm):
    """A provider's address and key."""

    seldom = ("deployments", "on_abort", "retries")
    provider = LineField(
        "Provider",
        40,
        required=True,
        help_text=f"{', '.join(ADDRESSES)}, azure, litellm, or a name of your own for a server that speaks OpenAI's format.",
    )
    base_url = LineField(
        "Address",
        400,
        help_text="https://…; empty for the public one of anthropic, openai, google and openrouter.",
    )
    key = Secret("Key", help_text="Sealed at once; no page and no command shows it again.")
    deployments = Listed(
        "Deployments",
        4000,
        help_text="Azure: NAME=MODEL, divided by commas; the model prices the deployment.",
    )
    on_abort = forms.ChoiceField(label="When a client leaves a stream", choices=[*_ON_ABORT.items()])
    retries = forms.TypedChoiceField(
        label="Try again after 429, 5xx or no connection",
        coerce=int,
        choices=[(0, "not at all"), (1, "once"), (2, "twice")],
        help_text="Each time with a row of its own; SDKs try again by themselves.",
    )

    def is_unfolded(self) -> bool:
        return any(field.errors for field in self.seldom_said())

    def clean_deployments(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for said in self.cleaned_data["deployments"]:
            name, _, model = said.partition("=")
            if not all(0 < len(one) <= NAME_LIMIT for one in (name, model)):
                raise ValidationError(f"{said} is no deployment: expected NAME=MODEL.")
            found[name] = model
        return found

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        name, address = said.get("provider", ""), said.get("base_url", "").rstrip("/")
        if name and not address:
            address = ADDRESSES.get(name, "")
            if not address:
                raise ValidationError({"base_url": f"{name} stands at no fixed address: say it."})
        if address and not is_address(address):
            raise ValidationError(
                {"base_url": "Expected an address that starts with https://, without key, query or space."}
            )
        if address and is_refused(urlsplit(address).hostname or ""):
            raise ValidationError({"base_url": "No call may go to a machine's metadata service."})
        return said | {"base_url": address}


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        records, unmetered = lists.records(act, "provider"), passthrough.book(act)
    live = {str(one["provider"]) for one in records if one["state"] == "live"}
    without = [title for name, title in TITLES.items() if name not in live]
    book = Book(
        title="Keys of providers",
        heads=heads("Provider", "State", "Address", "When a client leaves", "Options"),
        lines=[_line(one) for one in sorted(records, key=lambda one: one["state"] != "live")],
        empty="No provider's key is set: calls are refused, or answered by the simulated provider where that is on.",
        command="vis provider add anthropic --key-env ANTHROPIC_API_KEY",
        add=[Step("Add a key", reverse("provider_add"))],
        about=f"No key is set for {', '.join(without)}." if without else "",
    )
    shown = {
        "room": "providers",
        "title": "Providers",
        "books": [book, unmetered],
        "can_change": may_change(request),
    }
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def add(request: HttpRequest) -> HttpResponse:
    """A provider's key; an earlier one of it is retired."""

    def do(act: Act, said: Said) -> str:
        options: dict[str, Any] = {"models": said["deployments"]} if said["deployments"] else {}
        if said["retries"]:
            options["retries"] = said["retries"]
        name = checked_provider(said["provider"])
        add_provider(act, plane().keys, name, said["base_url"], said["on_abort"], said["key"], options)
        return f"Calls of {name} now go to {said['base_url']}."

    return form_page(
        request,
        ProviderForm(request.POST or None, initial={"provider": request.GET.get("provider", "")}),
        do,
        done=reverse("providers"),
        room="providers",
        title="Add a provider's key",
        button="Add the key",
        about="Calls go by it within two seconds. An earlier key of the same provider is retired.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def remove(request: HttpRequest) -> HttpResponse:
    name = request.GET.get("provider", "")
    looked_up(request, lambda act: _live(act, name))
    then = (
        "its calls are answered by the simulated provider"
        if plane().sandbox and name in TITLES
        else "its calls are refused"
    )

    def do(act: Act, _said: Said) -> str:
        remove_provider(act, name)
        return f"The key of {name} is retired."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("providers"),
        room="providers",
        title=f"Retire the key of {name}",
        button="Retire the key",
        danger=True,
        told=[f"Within two seconds no gateway uses this key any more, and {then}."],
    )


def _line(one: dict[str, object]) -> Line:
    name, is_live = str(one["provider"]), one["state"] == "live"
    removal = f"{reverse('provider_remove')}?{urlencode({'provider': name})}"
    return Line(
        [
            Cell(TITLES.get(name, name), small=name if name in TITLES else ""),
            Cell(str(one["state"]), tag="" if is_live else "mind"),
            Cell(str(one["base_url"])),
            Cell(_ON_ABORT.get(str(one["on_abort"]), str(one["on_abort"]))),
            Cell(_options(one["options"])),
        ],
        [
            Step("Replace", f"{reverse('provider_add')}?{urlencode({'provider': name})}", name),
            Step("Retire", removal, name),
        ]
        if is_live
        else [],
    )


def _options(options: object) -> str:
    if not isinstance(options, dict):
        return ""
    models = [f"{name} is {model}" for name, model in (options.get("models") or {}).items()]
    retries = [f"retries {options['retries']}"] if options.get("retries") else []
    return ", ".join([*models, *retries])


def _live(act: Act, name: str) -> None:
    if not lists.is_set_up(act, name):
        raise Unknown(f"there is no live key of {name}")
