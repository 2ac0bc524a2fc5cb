"""What is wrong in a file that somebody wrote, told by line and all at once."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """What is wrong, and in which line; the first is 1."""

    line: int
    words: str
    field: str = field(default="", compare=False)
    """The part of the line that it is about, where it is about one."""


def told(file: str, mistakes: Iterable[Mistake]) -> str:
    """The sentence that refuses a file, with every mistake on a line of its own."""
    lines = [f"\n  line {mistake.line}: {mistake.words}" for mistake in sorted(mistakes)]
    count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return f"{file} has {count}, and nothing of it was applied:{''.join(lines)}"
