"""A table of what there is, for templates/control/book.html."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from visionality.web.charts.shares import Share


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a line. `link` leads on from it; `tag` marks it by a class of the style sheet, empty for a plain mark."""

    text: str
    small: str = ""
    link: str = ""
    tag: str | None = None
    is_code: bool = False
    bar: Sequence[Share] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Something that can be done with a line: on a page of its own, or at once with `post`. `about` names the line."""

    title: str
    link: str
    about: str = ""
    post: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The first cell names the line."""

    cells: Sequence[Cell]
    steps: Sequence[Step] = ()


@dataclass(frozen=True, slots=True)
class Head:
    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Book:
    """`empty` teaches what would be here, and `command` how it begins on the machine. `more` tells what is left out."""

    title: str
    heads: Sequence[Head]
    lines: Sequence[Line]
    empty: str
    command: str = ""
    about: str = ""
    add: Sequence[Step] = ()
    more: str = ""

    @property
    def has_steps(self) -> bool:
        return any(line.steps for line in self.lines)

    @property
    def rows(self) -> list[tuple[Line, list[tuple[Head, Cell]]]]:
        return [(line, list(zip(self.heads, line.cells, strict=True))) for line in self.lines]


def heads(*titles: str, numbers: Sequence[str] = ()) -> list[Head]:
    """Columns by their titles; those among `numbers` hold figures."""
    return [Head(title, title in numbers) for title in titles]


def cells(*texts: object) -> list[Cell]:
    """Plain cells."""
    return [text if isinstance(text, Cell) else Cell(str(text)) for text in texts]


def moment(at: datetime | None) -> str:
    """A UTC moment to the minute, `22 Nov 2026, 14:08`; nothing for none."""
    return f"{at.day} {at:%b %Y, %H:%M}" if at else ""
