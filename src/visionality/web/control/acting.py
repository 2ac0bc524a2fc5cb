"""A form and the act that it asks for: shown, done in one transaction, answered by a notice; or refused, with what was typed kept."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from visionality.core.identity_table import BadTable
from visionality.core.mapping_file import BadMap
from visionality.web.accounts.members import member_of
from visionality.web.accounts.roles import Role
from visionality.web.control.fields import Reason
from visionality.web.doing import doing
from visionality.web.issuing.bindings import BadBinding
from visionality.web.policy.acts import Act, AlreadyThere, BadName, Unknown

TOLD = (Unknown, AlreadyThere, BadName, BadBinding, BadMap, BadTable)
"""Faults whose sentence is for whoever filled the form in."""

Said = dict[str, Any]
Notices = str | Sequence[str]
"""What happened, and then what to mind."""
_Found = TypeVar("_Found")
_OPTION = re.compile(r"--([a-z][a-z0-9-]*)")


class ControlForm(forms.Form):
    """A form of an act. What is seldom said is folded away."""

    seldom: tuple[str, ...] = ()
    reason = Reason()

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.fields["reason"] = self.fields.pop("reason")

    def often_said(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in self.seldom]

    def seldom_said(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name in self.seldom]

    def is_unfolded(self) -> bool:
        return any(field.errors or field.value() for field in self.seldom_said())


class ReasonGiven(ControlForm):
    """An act that needs nothing but why."""

    reason = Reason(required=True)


def form_page(
    request: HttpRequest,
    form: ControlForm,
    do: Callable[[Act, Said], Notices],
    *,
    done: str,
    **shown: Any,
) -> HttpResponse:
    """GET shows the form. POST does the act and goes to the address `done` with a notice, or shows what is wrong.

    `shown` are the words of templates/control/form.html: `room`, `title`, `button`, and perhaps `about`, `told`, `danger`.
    """
    if request.method == "POST":
        told = carried_out(request, form, do)
        if told is not None:
            return moved(request, done, told)
    return form_shown(request, form, {"back": done, **shown})


def form_shown(request: HttpRequest, form: ControlForm, shown: Mapping[str, Any]) -> HttpResponse:
    """The form as it stands; 422 when something in it is wrong."""
    template = shown.get("template", "control/form.html")
    return render(request, template, {"form": form, **shown}, status=422 if form.errors else 200)


def carried_out(
    request: HttpRequest, form: forms.Form, do: Callable[[Act, Said], _Found], about: str | None = None
) -> _Found | None:
    """What the act gives; None when the form says by now what is wrong, and nothing was done.

    `about` is the field that a fault is of when it names none.
    """
    if not form.is_valid():
        return None
    try:
        with doing(request) as act:
            return do(act, form.cleaned_data)
    except TOLD as fault:
        _blame(form, fault, about)
        return None


def moved(request: HttpRequest, address: str, told: Notices) -> HttpResponse:
    """On to another page, which says what happened."""
    first, *others = [told] if isinstance(told, str) else told
    messages.success(request, first)
    for other in others:
        messages.warning(request, other)
    return HttpResponseRedirect(address)


def looked_up(request: HttpRequest, look: Callable[[Act], _Found]) -> _Found:
    """What an address names. Raises Http404 for what the organisation does not have."""
    try:
        with doing(request) as act:
            return look(act)
    except Unknown as fault:
        raise Http404(str(fault)) from None


def may_change(request: HttpRequest) -> bool:
    """Whether to offer what only an operator may do."""
    return Role.OPERATOR in member_of(request).roles


def _blame(form: forms.Form, fault: Exception, about: str | None) -> None:
    """Put a sentence of the control plane beside the field that it is about; it names fields as options of `vis`."""
    named = [name.replace("-", "_") for name in _OPTION.findall(str(fault))]
    fields = [field for name in named for field in (name, f"{name}s") if field in form.fields]
    form.add_error(fields[0] if fields else about, _OPTION.sub(_label_in(form), str(fault)).splitlines())


def _label_in(form: forms.Form) -> Callable[[re.Match[str]], str]:
    def label(option: re.Match[str]) -> str:
        name = option[1].replace("-", "_")
        field = form.fields.get(name) or form.fields.get(f"{name}s")
        return (
            f"\N{LEFT DOUBLE QUOTATION MARK}{field.label}\N{RIGHT DOUBLE QUOTATION MARK}"
            if field
            else option[0]
        )

    return label
