"""A column a day, stacked by series: how a figure came together over time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from visionality.web.charts.scale import HEIGHT, scale_for
from visionality.web.seats.figures import short

PITCH = 10
"""Units from one column to the next, of which the column fills nine."""


@dataclass(frozen=True, slots=True)
class Part:
    """`series` names its colour (0 is the first); `nusd` nano-dollars; `title` what a pointer is told."""

    series: int
    nusd: int
    title: str


@dataclass(frozen=True, slots=True)
class Column:
    """`label` stands on the axis where it is not empty."""

    label: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Rect:
    x: int
    y: int
    height: int
    series: int
    title: str


@dataclass(frozen=True, slots=True)
class Columns:
    """What templates/charts/columns.html draws. `said` is the drawing in a sentence."""

    said: str
    width: int
    rects: list[Rect]
    ticks: list[str]
    labels: list[str]


def columns(said: str, given: Sequence[Column], written: Callable[[int], str] = short) -> Columns:
    """Parts below zero (corrections) are not drawn; the table beside it has them.

    Of counts instead of nano-dollars, say how one is `written` on the axis.
    """
    scale = scale_for(max((sum(max(0, part.nusd) for part in one.parts) for one in given), default=0))
    rects = []
    for place, one in enumerate(given):
        passed = 0
        for part in one.parts:
            if part.nusd > 0:
                bottom, top = scale.height(passed), scale.height(passed + part.nusd)
                rects.append(Rect(place * PITCH, HEIGHT - top, max(1, top - bottom), part.series, part.title))
                passed += part.nusd
    return Columns(
        said,
        max(1, len(given)) * PITCH,
        rects,
        [written(tick) for tick in scale.ticks],
        [one.label for one in given],
    )
