"""Rows that are written like one before them, read by one regular expression instead of value by value.

The pattern is made from a row that was read with all care. Text that it matches is in its one form and has the same names:
strings without an escape that could be spelled otherwise, whole numbers below 2^53, no space between. Objects within a row are
cut out, to be read by themselves. Text that it does not match need not be wrong: reading it value by value says what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Optional

from vis_verify.canonical import NotCanonical, NotStrict, canonical, exactly
from vis_verify.spelling import MOMENT, WHOLE

Look = Callable[[str, int], Optional["re.Match[str]"]]
"""The row that begins at a place of a text, when it is written like one before it."""

KIND = ("currency", "org_id", "price_state", "price_version", "project_id", "rates", "usage_source", "v")
"""What rows have in common with many others."""
_OWN = {
    "billed_nusd": f'"({WHOLE})"',
    "cost_nusd": f'"({WHOLE})"',
    "created_at": f'"({MOMENT})"',
    "writer_no": "(0|[1-9][0-9]{0,14})",
    "wseq": "(0|[1-9][0-9]{0,14})",
}
"""What each row has of its own, and how it is written."""

_PLAIN = (
    r'"[^"\\\x00-\x1f]*(?:"|(?:\\["\\bfnrt][^"\\\x00-\x1f]*){1,4096}")'
    "|null|0|[1-9][0-9]{0,14}|-[1-9][0-9]{0,14}|true|false"
)
"""Of a string with more escapes a match would take much memory."""
_OBJECT = r"\{[^{}\\\x00-\x1f]*\}"
MOST_KNOWN = 2_000
LONGEST_KNOWN = 2_000
"""What is kept of rows, in texts and in characters of one, so that memory does not grow with a pack."""

_counts = re.compile(r'\{(?:"[^"\\\x00-\x1f]*":(?:0|[1-9][0-9]{0,14})(?:,(?=")|(?=\})))+\}').fullmatch
"""An object of numbers only, but for the order of its names."""


def nothing(text: str, at: int) -> None:
    """Looks for rows where none is known yet."""


class Shape:
    """How rows with these names are written, of which some may hold objects."""

    def __init__(self, names: tuple[str, ...], objects: frozenset[str]) -> None:
        self.names, self.objects = names, objects
        cut = [name for name in names if name in _OWN or name in KIND or name in objects]
        written = [f"{re.escape(canonical(name))}:{_pattern(name, objects)}" for name in names]
        self.look: Look = re.compile(r"\{" + ",".join(written) + r"\}", re.ASCII).match
        self.kind: Callable[[Any], Any] = itemgetter(*map(cut.index, KIND))
        self.own: Callable[[Any], Any] = itemgetter(*map(cut.index, _OWN))
        self.nested = [cut.index(name) for name in names if name in objects and name not in KIND]


def shape_of(row: dict[str, Any], known: Shape | None) -> Shape | None:
    """The shape of this row and of those that were known and have its names; None without the columns that are counted."""
    names = tuple(row)
    objects = frozenset(name for name, value in row.items() if isinstance(value, dict))
    if known is not None and known.names == names:
        return known if objects <= known.objects else Shape(names, objects | known.objects)
    return Shape(names, objects) if row.keys() >= {*KIND, *_OWN} else None


class Objects:
    """The objects within rows: few texts again and again, or counts under the same few names."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._names: set[tuple[str, ...]] = set()

    def are_exact(self, text: str) -> bool:
        """Whether what a shape cut out is in its one form, as deep as within a row: what is no object always is."""
        if text[0] != "{" or text in self._texts:
            return True
        names = tuple(text.split('"')[1::2]) if _counts(text) else None
        if names in self._names:
            return True
        try:
            exactly(f"[{text}]")
        except (NotStrict, NotCanonical, ValueError):
            return False
        kept: set[Any] = self._texts if names is None else self._names
        if len(kept) < MOST_KNOWN and len(text) <= LONGEST_KNOWN:
            kept.add(text if names is None else names)
        return True


def _pattern(name: str, objects: frozenset[str]) -> str:
    if name in _OWN:
        return _OWN[name]
    if name in objects:
        return f"({_PLAIN}|{_OBJECT})"
    return f"({_PLAIN})" if name in KIND else f"(?:{_PLAIN})"
