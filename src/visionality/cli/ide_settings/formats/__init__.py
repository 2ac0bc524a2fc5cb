"""The formats that assistants keep their settings in: each reads a text and puts one value into it.

What a reader gives is nested by name. What a putter gives is checked by reading it again (merge.py), so a putter
edits lines as they come and need not know all of its format.
"""

from typing import Any, Protocol

Path = tuple[str, ...]
"""Where a setting stands: ("env", "ANTHROPIC_BASE_URL")."""
Value = str | int
Tree = dict[str, Any]
"""A file as nested names."""


class Unreadable(Exception):
    """A text that is not of its format; the message never repeats the text, which may hold keys."""


class Format(Protocol):
    """A module of this package."""

    def read(self, text: str) -> Tree:
        """The settings of a file. Raises Unreadable."""

    def put(self, text: str, path: Path, value: Value) -> str:
        """The text with one setting in it, for a text that can be read. Raises Unreadable where it finds no place."""
