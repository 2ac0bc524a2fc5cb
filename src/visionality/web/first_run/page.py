"""`/start`: provider, project, person, key and first call, one after the other, until the first row is on the page."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.vendors import ADDRESSES
from visionality.core.window import Period
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import Said, carried_out, may_change
from visionality.web.doing import doing
from visionality.web.first_run import forms as asked
from visionality.web.first_run.clients import first_call
from visionality.web.first_run.progress import (
    FIRST_CALL,
    KEY,
    ORDER,
    PERSON,
    PROJECT,
    PROVIDER,
    Progress,
    first_row,
    live_keys,
    progress,
    titles,
)
from visionality.web.issuing import keys as issuing
from visionality.web.issuing.bindings import Bindings
from visionality.web.issuing.caps import is_capped
from visionality.web.issuing.models import VirtualKey
from visionality.web.page import simulated
from visionality.web.plane import plane
from visionality.web.policy.acts import Act, AlreadyThere, add_agent, add_person, add_project, add_provider
from visionality.web.sandboxed import unkeyed
from visionality.web.seats.home import path_of

SIMULATED = "simulated"
"""What `with` says in the address of somebody who goes on without a provider's key."""
LEAD_ON = (
    ("finance", "The finance seat", "What was spent, by whom and on what, and what is still open."),
    ("budget_set", "Set a budget", "A cap that no call passes, for a project, a team or a person."),
    ("members", "Invite members", "Finance, people, projects, security and auditors, each with a seat."),
    ("connectors", "Add a connector", "Jira and Git say what a call was for, so that nobody types it."),
    ("key_issue", "Issue the next key", "With a task, other limits, or a higher level."),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One of the five. `state` is `done`, `next` or `later`; `made` tells what there is, `link` leads to it."""

    name: str
    title: str
    about: str
    state: str
    made: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Issued:
    """A key that was made just now: the only time that its handle is shown."""

    key: VirtualKey
    handle: str
    is_capped: bool


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The five steps. A provider's key and the first key are for whoever just said who they are."""
    return (_carefully if request.POST.get("step") in {PROVIDER, KEY} else _step_by_step)(request)


def _step_by_step(request: HttpRequest) -> HttpResponse:
    """A POST does the step that is next, whoever did the ones before it."""
    with doing(request) as act:
        now = progress(act)
    at = now.next(simulated=request.GET.get("with") == SIMULATED)
    form = _form(request, now, at)
    if request.method != "POST":
        return _shown(request, now, at, form)
    if form is None or request.POST.get("step") != at:
        messages.warning(request, "That step is done by now, and nothing was changed: here is what is next.")
        return HttpResponseRedirect(reverse("start"))
    made = carried_out(request, form, _DO[at], _ABOUT[at])
    if made is None:
        return _shown(request, now, at, form)
    if isinstance(made, Issued):
        with doing(request) as act:
            now = progress(act)
        return _shown(request, now, FIRST_CALL, None, made)
    return HttpResponseRedirect(reverse("start"))


_carefully = needs_step_up(_step_by_step)


@for_roles(Role.OPERATOR)
@require_safe
def call(request: HttpRequest) -> HttpResponse:
    """The last step once its row is there; 204 until then."""
    with doing(request) as act:
        keys = live_keys(act)
    row = first_row(member_of(request).org_id, keys)
    if row is None:
        return HttpResponse(status=204)
    title, about = _TITLES[FIRST_CALL]
    step = Step(FIRST_CALL, title, about, "done")
    return render(request, "start_step.html", {"step": step, "line": row, "lead_on": _lead_on()})


def _shown(
    request: HttpRequest, now: Progress, at: str, form: forms.Form | None, issued: Issued | None = None
) -> HttpResponse:
    shown = {
        "room": "start",
        "steps": [_step(name, now, at) for name in ORDER],
        "at": at,
        "form": form,
        "can_change": may_change(request),
        "has_sandbox": now.has_sandbox,
        "simulated": simulated(unkeyed(now.providers)),
        "simulated_query": f"with={SIMULATED}",
        "issued": issued,
        "call": first_call(plane().gateway_url, now.providers),
        "line": now.row,
        "lead_on": _lead_on(),
    }
    return render(request, "start.html", shown, status=422 if form and form.errors else 200)


def _form(request: HttpRequest, now: Progress, at: str) -> forms.Form | None:
    given = request.POST if request.method == "POST" and request.POST.get("step") == at else None
    actor = member_of(request).actor
    person, *_ = *now.people, actor if "@" in actor else ""
    forms_of: dict[str, Callable[[], forms.Form]] = {
        PROVIDER: lambda: asked.ProviderForm(given),
        PROJECT: lambda: asked.ProjectForm(given),
        PERSON: lambda: asked.PersonForm(given, initial={"email": person}),
        KEY: lambda: asked.KeyForm(given, agents=now.agents, projects=now.projects),
    }
    return forms_of[at]() if at in forms_of else None


def _step(name: str, now: Progress, at: str) -> Step:
    place = ORDER.index(at) if at else len(ORDER)
    state = "next" if name == at else "done" if ORDER.index(name) < place else "later"
    title, about = _TITLES[name]
    made, link = _made(name, now) if state == "done" else ("", "")
    return Step(name, title, about, state, made, link)


def _made(name: str, now: Progress) -> tuple[str, str]:
    """What there is of a step that is done, and the address of its page."""
    match name:
        case "provider" if now.is_simulated:
            return "The simulated provider answers, and says so.", reverse("providers")
        case "provider":
            return f"Calls of {titles(now.providers)} are paid by your key.", reverse("providers")
        case "project":
            return _some(now.projects), reverse("names")
        case "person":
            return _some(now.agents), reverse("names")
        case "key":
            newest = now.keys[0]
            on = f", on {newest.project.key}" if newest.project else ""
            return f"{newest.shown}… of {newest.agent.sub}{on}", reverse("key", args=[newest.id])
    return "", ""


def _some(names: tuple[str, ...]) -> str:
    first, *others = names
    return f"{first} and {len(others)} more" if others else first


def _lead_on() -> list[tuple[str, str, str]]:
    """Where to go after the first run: address, title and what is there, of the pages that there are."""
    return [(path, title, about) for name, title, about in LEAD_ON if (path := path_of(name))]


def _add_provider(act: Act, said: Said) -> bool:
    name = said["provider"]
    add_provider(act, plane().keys, name, ADDRESSES[name], "drain", said["key"])
    return True


def _add_project(act: Act, said: Said) -> bool:
    add_project(act, said["key"], said["name"], None, "")
    return True


def _add_person(act: Act, said: Said) -> bool:
    """A person who is there already gets the agent that they lack."""
    with suppress(AlreadyThere):
        add_person(act, said["email"], said["name"])
    add_agent(act, said["email"], said["name"] or said["email"], None, said["email"])
    return True


def _issue(act: Act, said: Said) -> Issued:
    cap: tuple[int, Period] | None = None if said["cap"] is None else (said["cap"], "month")
    bound = Bindings(agent=said["agent"], project=said["project"], cap=cap)
    key, handle = issuing.issue(act, plane().keys, bound)
    return Issued(key, handle, is_capped(act, key))


_TITLES = {
    PROVIDER: ("A provider's key", "Calls are paid by it; clients never see it."),
    PROJECT: ("The first project", "What spend is charged to."),
    PERSON: ("The first person", "Who spends: each row names them, and their agent."),
    KEY: (
        "Their first key",
        "A client holds it in place of the provider's key; it says who spends and on what.",
    ),
    FIRST_CALL: ("The first call", "It becomes a row before its answer ends."),
}
_DO: dict[str, Callable[[Act, Said], Any]] = {
    PROVIDER: _add_provider,
    PROJECT: _add_project,
    PERSON: _add_person,
    KEY: _issue,
}
_ABOUT = {PROVIDER: "key", PROJECT: "key", PERSON: "email", KEY: "agent"}
"""The field that a refusal of each step is about."""
