"""What the first run asks for: as little as there can be, with the rest at the control pages."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from visionality.core.vendors import ADDRESSES, TITLES
from visionality.web.control.fields import Dollars, Line, Secret
from visionality.web.first_run.initials import initials
from visionality.web.policy.acts import BadName, checked_name, checked_sub

OFFERED = ("anthropic", "openai", "google", "openrouter")
"""Providers at one public address, whose key is one line."""
FOREIGN = {"visk_": "", "sk-ant-": "anthropic", "sk-or-": "openrouter", "AIza": "google"}
"""How a key begins that can only be of this provider; ours are of none. The providers' own pages, November 2026."""

assert all(ADDRESSES[name] for name in OFFERED)


class ProviderForm(forms.Form):
    provider = forms.ChoiceField(label="Provider", choices=[(name, TITLES[name]) for name in OFFERED])
    key = Secret(
        "Key", help_text="Sealed at once; no page and no command shows it again. Clients never get it."
    )

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        key, provider = said.get("key", b"").decode(), said.get("provider")
        owner = next((owner for begin, owner in FOREIGN.items() if key.startswith(begin)), provider)
        if key and owner != provider:
            whose = f"a key of {TITLES[owner]}" if owner else "a virtual key of this gateway"
            wanted = TITLES.get(provider or "", "the provider")
            raise ValidationError({"key": f"This is {whose}: expected one that {wanted} gave out."})
        return said


class ProjectForm(forms.Form):
    name = Line(
        "Name", 200, required=True, help_text="Such as Houston Power Contract: what spend is charged to."
    )
    key = Line(
        "Key",
        80,
        help_text="Stands on every row, and cannot be changed; the name's initials when empty, such as HPC.",
    )

    def clean(self) -> dict[str, Any]:
        said: dict[str, Any] = super().clean() or {}
        if "name" not in said or "key" not in said:
            return said
        key = said["key"] or initials(said["name"])
        if not key:
            raise ValidationError({"key": "Say one: the name has no letters that a key can be made of."})
        try:
            return said | {"key": checked_name(key)}
        except BadName as fault:
            raise ValidationError({"key": str(fault)}) from None


class PersonForm(forms.Form):
    email = Line(
        "E-mail",
        255,
        required=True,
        help_text="Or their subject at your single sign-on; it stands on every row of theirs.",
    )
    name = Line("Name", 200, help_text="For people; the e-mail when empty.")

    def clean_email(self) -> str:
        try:
            return checked_sub(self.cleaned_data["email"])
        except BadName as fault:
            raise ValidationError(str(fault)) from None


class KeyForm(forms.Form):
    agent = forms.ChoiceField(label="For", help_text="Who spends.")
    project = forms.ChoiceField(label="On", help_text="What it is charged to.")
    cap = Dollars("Cap, USD a month", help_text="What it may spend at most; without end when empty.")

    def __init__(self, *given: Any, agents: Sequence[str], projects: Sequence[str], **options: Any) -> None:
        super().__init__(*given, **options)
        for name, values in (("agent", agents), ("project", projects)):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [(value, value) for value in values]

    def clean_cap(self) -> int | None:
        cap: int | None = self.cleaned_data["cap"]
        if cap == 0:
            raise ValidationError("Expected an amount above zero, or nothing.")
        return cap
