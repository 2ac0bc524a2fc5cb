"""A whole and its parts, side by side in one bar."""

from collections.abc import Sequence
from dataclasses import dataclass

FULL = 1000
"""How long a whole bar is."""


@dataclass(frozen=True, slots=True)
class Share:
    """One part: where it begins and how long it is, of FULL."""

    series: int
    start: int
    length: int
    title: str


def shares(parts: Sequence[tuple[str, int]], whole: int | None = None) -> list[Share]:
    """Parts in the order of their colours; what is not above zero has no length. They are of `whole`, or of their sum."""
    total = max(whole or 0, sum(max(0, size) for _, size in parts))
    found: list[Share] = []
    passed = 0
    for series, (title, size) in enumerate(parts):
        if size > 0:
            start, end = passed * FULL // total, (passed + size) * FULL // total
            found.append(Share(series, start, max(1, end - start), title))
            passed += size
    return found
