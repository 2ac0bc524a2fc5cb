"""`/hints`: another model than the one asked for; a warning leads here with what it is about filled in (Story 1)."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, cells, heads
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.policy import lists
from visionality.web.policy.acts import Act
from visionality.web.policy.hints import Selectors, access_hint, add_hint, calls_of, remove_hint

_SELECTORS = ("agent", "project", "task_class", "instead_of")


class HintForm(ControlForm):
    """Which calls, and the model that they get."""

    agent = LineField("Calls of the agent", 255, help_text="By its subject; any when empty.")
    project = LineField("Calls for the project", 80, help_text="By its key; any when empty.")
    task_class = LineField(
        "Calls for this kind of work", 40, help_text="refactor, review, chat, …; any when empty."
    )
    instead_of = LineField(
        "Calls that ask for", 200, help_text="A model, or a family of models; any when empty."
    )
    prefer = LineField(
        "Get this model", 200, required=True, help_text="As its provider names it, such as claude-haiku-4-5."
    )


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        records = lists.records(act, "hint")
    book = Book(
        title="In force",
        heads=heads("Agent", "Project", "Kind of work", "Asks for", "Gets"),
        lines=[
            Line(
                cells(
                    one["agent"],
                    one["project"],
                    one["task_class"],
                    one["instead_of"],
                    Cell(str(one["prefer"]), is_code=True),
                ),
                [
                    Step(
                        "Remove",
                        reverse("hint_remove", args=[str(one["id"])]),
                        f"the hint for {one['prefer']}",
                    )
                ],
            )
            for one in records
        ],
        empty="No hint is set: every call gets the model that it asks for. A hint gives calls of an agent, a project or a kind "
        "of work another model; the row shows both, and what it saved can be read off the ledger.",
        command="vis hint add --agent derek@arctrade --task-class refactor --prefer claude-haiku-4-5",
        add=[Step("Add a hint", reverse("hint_add"))],
        about="The most specific hint decides.",
    )
    shown = {"room": "hints", "title": "Hints", "books": [book], "can_change": may_change(request)}
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def add(request: HttpRequest) -> HttpResponse:
    """A hint; the address may fill fields in (`?agent=…&project=…&task_class=…&instead_of=…`)."""
    given = {name: request.GET[name] for name in (*_SELECTORS, "prefer") if name in request.GET}

    def do(act: Act, said: Said) -> list[str]:
        calls = Selectors(**{name: said[name] for name in _SELECTORS})
        hint, warnings = add_hint(act, calls, said["prefer"])
        about = calls_of(calls)
        return [f"{about[0].upper()}{about[1:]} now get {hint.prefer}.", *warnings]

    return form_page(
        request,
        HintForm(request.POST or None, initial=given),
        do,
        done=reverse("hints"),
        room="hints",
        title="Add a hint",
        button="Add the hint",
        about="Calls get another model than they ask for, from the next one on. An earlier hint for the same calls is retired.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, hint_id: UUID) -> HttpResponse:
    hint = looked_up(request, lambda act: access_hint(act, hint_id))
    about = calls_of(Selectors(hint.agent_sub, hint.project, hint.task_class, hint.model_from))

    def do(act: Act, _said: Said) -> str:
        remove_hint(act, str(hint_id))
        return f"{hint.prefer} is preferred no more for {about}."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("hints"),
        room="hints",
        title="Remove a hint",
        button="Remove the hint",
        danger=True,
        told=[f"Now: {about} get {hint.prefer}.", "Once it is removed they get what they ask for."],
    )
