"""What a budget or a rule is for: a kind, and the value that a row has of it.

Written `project:SOCE`; `agent:*` is each agent for itself, and `org` the whole organisation.
"""

from typing import NamedTuple

EACH = "*"
ORGANISATION = "organisation"
KINDS = (
    ORGANISATION,
    "business_unit",
    "project",
    "customer",
    "team",
    "person",
    "agent",
    "task_class",
    "model_family",
    "key",
    "spend_token",
)
LIMITED = ("key", "agent", "project")
"""Kinds that can have a rate limit."""
MARKED_UP = ("customer", "project")
SPLIT = ("project", "team", "customer")

_LONGEST_VALUE = 255


class BadScope(Exception):
    """A text that names no scope."""


class Scope(NamedTuple):
    """A kind, and a value that is empty for the organisation alone."""

    kind: str
    value: str

    @property
    def is_each(self) -> bool:
        return self.value == EACH

    def __str__(self) -> str:
        return "org" if self.kind == ORGANISATION else f"{spelled(self.kind)}:{self.value}"


def scope_of(text: str, kinds: tuple[str, ...] = KINDS) -> Scope:
    """The scope that is written so. Raises BadScope, saying what can be written."""
    word, colon, value = text.partition(":")
    kind = ORGANISATION if word == "org" else word.replace("-", "_")
    if kind not in kinds or (kind == ORGANISATION) == bool(colon):
        raise BadScope(f"{text!r} is no scope: expected {_ways(kinds)}")
    if kind != ORGANISATION and not (0 < len(value) <= _LONGEST_VALUE and value.isprintable()):
        raise BadScope(
            f"{text!r} names no {words(kind)}: expected {spelled(kind)}:NAME, or {spelled(kind)}:* for each"
        )
    return Scope(kind, value)


def spelled(kind: str) -> str:
    """A kind as it is written."""
    return kind.replace("_", "-")


def words(kind: str) -> str:
    """A kind as it is said."""
    return kind.replace("_", " ")


def _ways(kinds: tuple[str, ...]) -> str:
    named = [f"{spelled(kind)}:NAME" for kind in kinds if kind != ORGANISATION]
    return ", ".join(["org"] * (ORGANISATION in kinds) + named)
