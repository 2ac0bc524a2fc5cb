"""Paths of a provider that have no meter: closed unless a project opens them. Part of `/providers`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up
from visionality.web.control.book import Book, Line, Step, cells, heads
from visionality.web.control.fields import Dollars
from visionality.web.control.fields import Line as LineField
from visionality.web.policy import acts, lists
from visionality.web.policy.acts import Act, found
from visionality.web.policy.models import Project


class PassthroughForm(ControlForm):
    project = LineField("Project", 80, required=True, help_text="By its key.")
    provider = LineField("Provider", 40, required=True, help_text="Such as openai, or a name of your own.")
    usd_per_request = Dollars(
        "USD a request", help_text="What each such call is charged; its price is unknown when empty."
    )


def book(act: Act) -> Book:
    """What is open."""
    return Book(
        title="Paths without a meter",
        heads=heads("Project", "Provider", "USD a request", numbers=("USD a request",)),
        lines=[_line(*one) for one in _open(act)],
        empty="None is open: a call to a path that is not metered is refused. Once a project opens them, each such call is a row "
        "without usage, at the price that was declared or at an unknown one.",
        command="vis project passthrough HPC openai on --usd-per-request 0.01",
        add=[Step("Open them to a project", reverse("passthrough_open"))],
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def open_one(request: HttpRequest) -> HttpResponse:
    def do(act: Act, said: Said) -> str:
        nusd = said["usd_per_request"]
        declared = None if nusd is None else Decimal(nusd).scaleb(-9).normalize()
        acts.open_passthrough(act, said["project"], acts.checked_provider(said["provider"]), declared)
        price = "at an unknown price" if declared is None else f"at {declared:f} USD a request"
        return f"Paths of {said['provider']} without a meter are open to {said['project']}, {price}."

    return form_page(
        request,
        PassthroughForm(request.POST or None),
        do,
        done=reverse("providers"),
        room="providers",
        title="Open paths without a meter",
        button="Open them",
        about="Each such call is a row without usage. Whatever its price, it stands in the ledger.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def close(request: HttpRequest) -> HttpResponse:
    key, provider = request.GET.get("project", ""), request.GET.get("provider", "")
    one = looked_up(request, lambda act: found(act, Project, "project", key=key))
    if provider not in one.passthrough:
        raise Http404

    def do(act: Act, _said: Said) -> str:
        acts.close_passthrough(act, key, provider)
        return f"Paths of {provider} without a meter are closed to {key}."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("providers"),
        room="providers",
        title=f"Close {provider}'s paths without a meter to {key}",
        button="Close them",
        danger=True,
        told=["Such calls are refused within two seconds."],
    )


def _open(act: Act) -> Iterator[tuple[str, str, str | None]]:
    for one in lists.records(act, "project"):
        declared: Any = one["passthrough"]
        for provider, usd in sorted(declared.items()):
            yield str(one["key"]), provider, usd


def _line(project: str, provider: str, usd: str | None) -> Line:
    path = f"{reverse('passthrough_close')}?{urlencode({'project': project, 'provider': provider})}"
    return Line(cells(project, provider, usd or "unknown"), [Step("Close", path, f"{provider} to {project}")])
