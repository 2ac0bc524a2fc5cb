"""What people type into the forms: exact amounts, lists, durations, scopes and secrets. Each error says what was expected."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from visionality.core.money import LARGEST_NUSD, NANO
from visionality.core.scope import EACH, ORGANISATION, BadScope, Scope, scope_of, spelled, words

LONGEST_REASON = 400
LEVEL_WORDS = {
    0: "0, the key alone",
    1: "1, the key, from named networks",
    2: "2, the key; a proof is checked where there is one",
    3: "3, the key and a proof",
    4: "4, as 3, by a named caller, and nothing may be away",
}
"""What a request must show at each level (core/level.py, docs/guide/keys.md)."""

_AMOUNT = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?")
_PERCENT = re.compile(r"([1-9][0-9]?|100)%?")
_DURATION = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Line(forms.CharField):
    """One line of printable characters."""

    def __init__(self, label: str, longest: int, *, required: bool = False, **options: Any) -> None:
        super().__init__(label=label, max_length=longest, required=required, **options)

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        if not text.isprintable():
            raise ValidationError("Expected printable characters.")
        return text


class Reason(Line):
    """Why: it stands in the audit log."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__("Reason", LONGEST_REASON, required=required, help_text="Why, for the audit log.")


class Dollars(Line):
    """Plain US dollars, exact to nine decimals, as nano-dollars; None where nothing was said."""

    def __init__(self, label: str, *, required: bool = False, **options: Any) -> None:
        super().__init__(label, 24, required=required, **options)
        self.widget.attrs["inputmode"] = "decimal"

    def clean(self, value: Any) -> Any:
        text = super().clean(value).removeprefix("$").replace(",", "")
        if not text:
            return None
        found = _AMOUNT.fullmatch(text)
        nusd = int(found[1]) * NANO + int((found[2] or "").ljust(9, "0")) if found else None
        if nusd is None or nusd > LARGEST_NUSD:
            raise ValidationError(
                f"{value} is no amount: expected US dollars such as 2500 or 0.50, at most nine decimals."
            )
        return nusd


class Percents(Line):
    """60%, 80%: whole percents of 1 to 100, each once and in order."""

    def clean(self, value: Any) -> Any:
        found = [(part, _PERCENT.fullmatch(part)) for part in _parts(super().clean(value))]
        if wrong := [part for part, percent in found if percent is None]:
            raise ValidationError(f"{wrong[0]} is no part of a cap: expected 1% to 100%, such as 60%, 80%.")
        return sorted({int(percent[1]) for _, percent in found if percent})


class Words(Line):
    """Several, divided by commas or spaces."""

    def clean(self, value: Any) -> Any:
        return tuple(_parts(super().clean(value)))


class Listed(Line):
    """Several, divided by commas: each may have spaces in it."""

    def clean(self, value: Any) -> Any:
        return tuple(part.strip() for part in super().clean(value).split(",") if part.strip())


class Duration(Line):
    """90d, 12h or 30m; None where nothing was said."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        found = _DURATION.fullmatch(text)
        if found is None:
            raise ValidationError(
                f"{text} is no duration: expected a number with m, h or d, such as 90d or 12h."
            )
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


class Number(Line):
    """An exact decimal from 0 to a million with at most twelve decimals; None where nothing was said."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ValidationError(f"{text} is no decimal number.") from None
        exponent = number.as_tuple().exponent
        if (
            not number.is_finite()
            or not 0 <= number <= 1_000_000
            or not isinstance(exponent, int)
            or exponent < -12
        ):
            raise ValidationError(f"{text} is out of range: expected 0 to 1000000 with at most 12 decimals.")
        return number


class Day(forms.DateField):
    """The first moment of a UTC day; None where nothing was said."""

    def __init__(self, label: str, **options: Any) -> None:
        super().__init__(
            label=label,
            required=False,
            widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
            input_formats=["%Y-%m-%d"],
            error_messages={"invalid": "Expected a day such as 2026-12-01."},
            **options,
        )

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        return day and datetime.combine(day, time(), UTC)


class Secret(forms.CharField):
    """One line that no header breaks at. It is never sent back to the browser."""

    def __init__(self, label: str, **options: Any) -> None:
        widget = forms.PasswordInput(render_value=False, attrs={"autocomplete": "off", "spellcheck": "false"})
        super().__init__(label=label, max_length=20_000, widget=widget, **options)

    def clean(self, value: Any) -> Any:
        text: str = super().clean(value)
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValidationError("Expected one line of printable characters without spaces.")
        return text.encode()


class ScopeKind(forms.ChoiceField):
    """The kind half of a scope."""

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__(label="For", choices=[(kind, _kind(kind)) for kind in kinds])


class ScopeName(Line):
    """The name half of a scope."""

    def __init__(self, *, with_each: bool = True) -> None:
        each = " * is each of the kind for itself, also those to come." if with_each else ""
        super().__init__("Named", 255, help_text=f"Its key, subject or id.{each}")


def scope_in(said: dict[str, Any], kinds: Sequence[str]) -> Scope:
    """The scope of `scope_kind` and `scope_name`. Raises ValidationError for the field `scope_name`."""
    kind, name = said["scope_kind"], said.get("scope_name", "")
    if kind == ORGANISATION:
        return Scope(ORGANISATION, "")
    if not name:
        raise ValidationError({"scope_name": f"Say which {words(kind)}, or {EACH} for each."})
    try:
        return scope_of(f"{spelled(kind)}:{name}", tuple(kinds))
    except BadScope as error:
        raise ValidationError({"scope_name": str(error)}) from None


def _kind(kind: str) -> str:
    return "the whole organisation" if kind == ORGANISATION else words(kind)


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", text) if part]
