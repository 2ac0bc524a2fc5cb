"""A diff for people: what a file would add, change and remove, before it does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "changed", "removed"]
Parts = Mapping[str, str]
"""What is said of one thing: a name and a text each; empty texts say nothing."""
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a diff."""

    kind: Kind
    words: str

    def __str__(self) -> str:
        return f"{_SIGNS[self.kind]} {self.words}"


def changes(what: str, before: Mapping[str, Parts], after: Mapping[str, Parts]) -> Iterator[Change]:
    """The difference between two tables of the same kind of thing, by name."""
    for name in sorted({**before, **after}):
        if name not in before:
            yield Change("added", _line(what, name, after[name]))
        elif name not in after:
            yield Change("removed", _line(what, name, before[name]))
        elif before[name] != after[name]:
            moved = (
                f"{part} {before[name][part] or 'none'} → {value or 'none'}"
                for part, value in after[name].items()
                if before[name][part] != value
            )
            yield Change("changed", f"{what} {name}: {', '.join(moved)}")


def _line(what: str, name: str, parts: Parts) -> str:
    told = ", ".join(f"{part} {value}" for part, value in parts.items() if value)
    return f"{what} {name}: {told}" if told else f"{what} {name}"
