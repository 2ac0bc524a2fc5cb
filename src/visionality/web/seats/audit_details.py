"""What an audit event says beside its columns, as a list to read: what it was before, and what it is after.

An event's detail is a flat map of texts. `was_NAME` is what NAME was before the act; docs/reference/audit.md has the rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visionality.web.seats.figures import amount

WAS = "was_"
BESIDE = frozenset({"reason", "sso_sub", "source", "address"})
"""What is said of the act and not of what it changed; it has a place of its own."""

_NAMES = (
    *("scope", "project", "agent_sub", "agent", "customer", "team", "person", "member", "provider", "model"),
    *("connector", "target", "service", "asked"),
)
"""What an event is about, and so what is read first."""
_LEFT_OUT = ("_id", "openings", "position", "sha256")


@dataclass(frozen=True, slots=True)
class Line:
    """One name of a detail. `before` is None where the event does not say what was."""

    name: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before is not None and self.before != self.after


def lines(detail: Mapping[str, Any]) -> list[Line]:
    """Names in their order, what changed first."""
    names = dict.fromkeys(name.removeprefix(WAS) for name in detail if name not in BESIDE)
    found = [_line(name, detail) for name in names]
    return sorted(found, key=lambda line: not line.changed)


def told(detail: Mapping[str, Any]) -> str:
    """The same in a line, for a table: of what, and what changed, or what the event says at all; ids and lists are left out."""
    said = {name: value for name, value in detail.items() if not name.endswith(_LEFT_OUT)}
    named = {name: said[name] for name in _NAMES if name in said}
    of_it = [line for line in lines(named | said) if line.after or line.changed]
    names = {_spelled(name) for name in named}
    changed = [line for line in of_it if line.changed]
    shown = (
        [line for line in of_it if line.name in names and not line.changed] + changed if changed else of_it
    )
    return ", ".join(
        f"{one.name} {one.before or 'nothing'} → {one.after or 'nothing'}"
        if one.changed
        else f"{one.name} {one.after}"
        for one in shown
    )


def beside(detail: Mapping[str, Any], name: str) -> str:
    return _text(name, detail.get(name))


def _line(name: str, detail: Mapping[str, Any]) -> Line:
    was = WAS + name
    before = _text(name, detail[was]) if was in detail else None
    return Line(_spelled(name), before, _text(name, detail.get(name)))


def _spelled(name: str) -> str:
    return (f"{name.removesuffix('_nusd')} USD" if name.endswith("_nusd") else name).replace("_", " ")


def _text(name: str, value: Any) -> str:
    """Details are texts; an older or stranger one is shown as it is."""
    text = "" if value is None else str(value)
    return str(amount(int(text))) if name.endswith("_nusd") and text.isascii() and text.isdigit() else text
