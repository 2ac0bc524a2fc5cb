"""Files that are looked at before they are applied: the identity table and the mapping file.

First the form, then what the file would change, then the act. Between the two the file travels in the page, and what was
agreed to as a digest of the changes that were shown: when they are others by then, nothing is applied.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.change import Change
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.control.acting import (
    ControlForm,
    Notices,
    Said,
    carried_out,
    form_shown,
    may_change,
    moved,
)
from visionality.web.control.book import Book, Cell, Line, heads, moment
from visionality.web.control.fields import Day
from visionality.web.doing import doing
from visionality.web.policy import identities, mapping
from visionality.web.policy.acts import Act, Unknown

LARGEST = 512 * 1024
"""Characters that a page takes; the command line takes larger files."""
_Decide = Callable[[Act, Said], Sequence[Change]]


class FileForm(ControlForm):
    """A file, chosen or pasted. `agreed` marks the changes that were shown."""

    file = forms.FileField(label="File", required=False, help_text="Or paste its text below.")
    text = forms.CharField(
        label="Text",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
    )
    agreed = forms.CharField(widget=forms.HiddenInput, required=False)

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        chosen = said.get("file")
        text = chosen.read().decode("utf-8-sig", errors="replace") if chosen else said.get("text", "")
        if not text.strip():
            raise ValidationError({"text": "Choose a file, or paste its text."})
        if len(text) > LARGEST:
            raise ValidationError(
                {
                    "text": f"This has {len(text)} characters, and the page takes {LARGEST}: apply it on the machine."
                }
            )
        return said | {"text": text, "content": text.replace("\r\n", "\n").encode()}


class TableForm(FileForm):
    first_day = Day("From", help_text="First day, UTC; now when empty. Rows that exist stay as they are.")
    field_order = ("file", "text", "first_day")


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def import_identities(request: HttpRequest) -> HttpResponse:
    """Take whose agents are from a CSV."""

    def decide(act: Act, said: Said) -> Sequence[Change]:
        return identities.plan_of_file(act, said["content"], said["first_day"]).changes

    def apply(act: Act, said: Said, agreed: Sequence[Change]) -> Notices:
        done = identities.apply_file(act, said["content"], said["first_day"], agreed)
        return f"{len(done.moved)} agents changed from {done.valid_from:%Y-%m-%d %H:%M} UTC on."

    shown = {
        "room": "names",
        "title": "Import the identity table",
        "back": reverse("names"),
        "about": "A CSV whose header names agent_sub, owner, sso_sub, team, cost_center and gl_code. An empty cell is none. Agents "
        "that it does not name stay as they are. Teams and people that are not there are made.",
    }
    return _file_page(request, TableForm, decide, apply, reverse("names"), shown)


@for_roles(Role.OPERATOR)
@require_safe
def map_page(request: HttpRequest) -> HttpResponse:
    """The mapping file in force, and those before it."""
    with doing(request) as act:
        found = mapping.history(act)
    book = Book(
        title="Applied",
        heads=heads("Version", "When, UTC", "By", "SHA-256"),
        lines=[
            Line(
                [
                    Cell(str(one.version)),
                    Cell(moment(one.applied_at)),
                    Cell(one.applied_by),
                    Cell(bytes(one.sha256).hex(), is_code=True),
                ]
            )
            for one in found
        ],
        empty="No mapping file was applied yet. It says which repository is whose project and end customer, so that a call "
        "that names a repository or a branch finds its project.",
        command="vis map apply map.yaml",
    )
    shown = {
        "room": "map",
        "title": "Map",
        "text": bytes(found[0].content).decode(errors="replace") if found else "",
        "version": found[0].version if found else 0,
        "books": [book],
        "can_change": may_change(request),
    }
    return render(request, "control/map.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def apply_map(request: HttpRequest) -> HttpResponse:
    """Make the map say what a file says."""

    def decide(act: Act, said: Said) -> Sequence[Change]:
        plan = mapping.plan(act, said["content"])
        if plan.changes or plan.is_in_force:
            return plan.changes
        return [Change("changed", "only the text of the file, and no project, alias, repo or task class")]

    def apply(act: Act, said: Said, _shown: Sequence[Change]) -> Notices:
        made = mapping.apply(act, said["content"], mapping.plan(act, said["content"]).changes)
        return f"Version {made.version} of the map is in force."

    shown = {
        "room": "map",
        "title": "Apply a mapping file",
        "back": reverse("map"),
        "about": "YAML. Repos, aliases and task classes that the file does not name are taken out of the map. Projects are never taken "
        "away, and those that are not there are made.",
    }
    given = {}
    if request.method != "POST":
        with doing(request) as act:
            given = {"text": _in_force(act)}
    return _file_page(request, FileForm, decide, apply, reverse("map"), shown, given)


def _file_page(
    request: HttpRequest,
    form_of: type[FileForm],
    decide: _Decide,
    apply: Callable[[Act, Said, Sequence[Change]], Notices],
    done: str,
    shown: dict[str, Any],
    given: dict[str, Any] | None = None,
) -> HttpResponse:
    """The file's form; what it would change; and once that was agreed to, the act."""
    form = form_of(request.POST.dict() or None, request.FILES or None, initial=given)
    if request.method != "POST":
        return form_shown(request, form, {"button": "Show what it changes", **shown})
    if request.POST.get("edit"):
        return form_shown(
            request, form_of(initial=request.POST.dict()), {"button": "Show what it changes", **shown}
        )
    agreed = request.POST.get("agreed", "")

    def carry(act: Act, said: Said) -> tuple[Sequence[Change], Notices | None]:
        changes = decide(act, said)
        is_agreed = bool(changes) and agreed == _digest(said["text"], changes)
        return changes, apply(act, said, changes) if is_agreed else None

    carried = carried_out(request, form, carry)
    if carried is None:
        return form_shown(request, form, {"button": "Show what it changes", **shown})
    changes, told = carried
    if told is not None:
        return moved(request, done, told)
    if not changes:
        return moved(request, done, "It says this already: nothing changes.")
    text = form.cleaned_data["text"]
    data = {**form.data, "text": text, "agreed": _digest(text, changes)}
    again = {"changes": [(one.kind, str(one)) for one in changes], "button": "Apply these changes"}
    if agreed:
        again["told"] = ["The changes are others than those that were shown: look at them again."]
    preview = form_of(data)
    preview.is_valid()
    return render(request, "control/changes.html", {**shown, "form": preview, **again})


def _digest(text: str, changes: Sequence[Change]) -> str:
    told = "\n".join([text, *map(str, changes)])
    return hashlib.sha256(told.encode()).hexdigest()


def _in_force(act: Act) -> str:
    try:
        return bytes(mapping.applied(act, None).content).decode(errors="replace")
    except Unknown:
        return ""
