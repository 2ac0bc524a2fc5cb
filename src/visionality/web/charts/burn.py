"""A sum that grows towards a cap: what is spent, where it is going, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass

from visionality.web.charts.scale import HEIGHT, scale_for
from visionality.web.seats.figures import short


@dataclass(frozen=True, slots=True)
class Outlook:
    """The sum at the end of the window, nano-dollars: likely, and between what it lies in four of five cases."""

    likely_nusd: int
    low_nusd: int
    high_nusd: int


@dataclass(frozen=True, slots=True)
class Burn:
    """What templates/charts/burn.html draws: SVG points, and `cap_y` from the top. Empty points are not drawn."""

    said: str
    width: int
    spent: str
    ground: str
    likely: str
    band: str
    cap_y: int | None
    ticks: list[str]
    labels: list[str]


def burn(
    said: str,
    sums_nusd: Sequence[int],
    labels: Sequence[str],
    cap_nusd: int | None = None,
    outlook: Outlook | None = None,
) -> Burn:
    """`sums_nusd` is the running sum at the end of each day that has begun; `labels` has one for each day of the window."""
    highest = max([0, *sums_nusd, cap_nusd or 0, outlook.high_nusd if outlook else 0])
    scale, days = scale_for(highest), max(1, len(labels))
    points = [(0, HEIGHT)] + [
        (day * 10, HEIGHT - scale.height(nusd)) for day, nusd in enumerate(sums_nusd, 1)
    ]
    last_x, end = points[-1][0], days * 10
    likely = band = ""
    if outlook and last_x < end:
        low, high = HEIGHT - scale.height(outlook.low_nusd), HEIGHT - scale.height(outlook.high_nusd)
        likely = _points([points[-1], (end, HEIGHT - scale.height(outlook.likely_nusd))])
        band = _points([points[-1], (end, high), (end, low)])
    return Burn(
        said=said,
        width=end,
        spent=_points(points),
        ground=_points([*points, (last_x, HEIGHT)]),
        likely=likely,
        band=band,
        cap_y=None if cap_nusd is None else HEIGHT - scale.height(cap_nusd),
        ticks=[short(tick) for tick in scale.ticks],
        labels=list(labels),
    )


def _points(points: Sequence[tuple[int, int]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
