"""An operator's own rules for the task class (promise A5), out of the mapping file.

A rule names what must hold of a request's shape. Globs have `*` for any text and nothing else; a beginning and a header are
compared as they are. Nothing that a person wrote is looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from visionality.core.narrowing import matches
from visionality.core.task_class import Shape

MOST_RULES = 50
"""Each of them is tried on up to 256 tools of a call."""
MOST_HEADERS = 8


@dataclass(frozen=True, slots=True)
class ClassRule:
    """A task class, and what must hold for it. What is empty holds always."""

    task_class: str
    client: str = ""
    """The name that evidence gives it: "claude-code"."""
    tool: str = ""
    """A glob; one tool on offer has such a name, whatever its case."""
    model: str = ""
    """A glob over the model that was asked for."""
    path: str = ""
    """A glob over the path behind the provider's base address, without its first slash."""
    system_starts: str = ""
    """How the first system block begins."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the caller: names that begin with `x-vis-`, each with its value."""

    def fits(self, shape: Shape) -> bool:
        """Whether all of it holds; the cheap ones first."""
        return (
            (not self.client or self.client == shape.client)
            and all(shape.headers.get(name) == value for name, value in self.headers)
            and (not self.system_starts or shape.first_block.startswith(self.system_starts))
            and (not self.model or matches(self.model, shape.model))
            and (not self.path or matches(self.path, shape.path))
            and (not self.tool or any(matches(self.tool.lower(), tool) for tool in shape.tools))
        )

    def parts(self) -> dict[str, str]:
        """Its conditions for people, by their names in the file; empty ones say nothing."""
        return {
            "client": self.client,
            "tool": self.tool,
            "model": self.model,
            "path": self.path,
            "system starts": self.system_starts and repr(self.system_starts),
            "header": ", ".join(f"{name}: {value}" for name, value in self.headers),
        }


@dataclass(frozen=True, slots=True)
class Numbered:
    """A rule at its place in the map, which is its reason."""

    number: int
    rule: ClassRule
    task_class: str
    reason: str

    def fits(self, shape: Shape) -> bool:
        return self.rule.fits(shape)


def numbered(rules: Iterable[ClassRule]) -> tuple[Numbered, ...]:
    """The rules in the order in which they are tried: "rule 2 of the map: tool create_invoice"."""
    return tuple(
        Numbered(number, rule, rule.task_class, f"rule {number} of the map: {_told(rule)}")
        for number, rule in enumerate(rules, 1)
    )


def _told(rule: ClassRule) -> str:
    return ", ".join(f"{name} {value}" for name, value in rule.parts().items() if value)
