"""The ratios to the smallest size as lines, a panel for each subject: an SVG that is readable on light and on dark pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.peers.plot import STYLE

WIDTH, LEFT, RIGHT, TOP, HEIGHT, GAP, COLUMNS = 760, 52, 24, 62, 150, 62, 2
MORE = (
    "polyline[class]{fill:none;stroke-width:2}polyline.whole{stroke:#2a6fbb}polyline.paced{stroke:#c77700}polyline.third{stroke:#2b8a57}"
    "polyline.fourth{stroke:#8a5fb5;stroke-dasharray:4 3}.third{fill:#2b8a57}.fourth{fill:#8a5fb5}rect.band{fill:#59636e;opacity:.14}"
    "@media(prefers-color-scheme:dark){polyline.whole{stroke:#6cb0f5}polyline.paced{stroke:#f0b35a}polyline.third{stroke:#63c294}"
    "polyline.fourth{stroke:#c3a1e8}.third{fill:#63c294}.fourth{fill:#c3a1e8}rect.band{fill:#9198a1}}"
)
KINDS = ("whole", "paced", "third", "fourth")
NAMES = ("gateway CPU a call", "PostgreSQL CPU a call", "p50", "p99")


@dataclass(frozen=True, slots=True)
class Panel:
    """`ratios` are lines in the order of NAMES, each with a value for every label; the first is 1."""

    title: str
    labels: Sequence[str]
    ratios: Sequence[Sequence[float]]


def lines(panels: Sequence[Panel]) -> str:
    rows = -(-len(panels) // COLUMNS)
    height = TOP + rows * (HEIGHT + GAP) - 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>What a call costs as things grow, as a multiple of the smallest size</title><style>{STYLE}{MORE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        '<text x="16" y="24">What a call costs, as a multiple of the smallest size; the band is 5 % to either side</text>',
    ]
    for at, (kind, name) in enumerate(zip(KINDS, NAMES, strict=True)):
        x = 16 + 170 * at
        parts.append(f'<rect class="{kind}" x="{x}" y="36" width="12" height="12"/>')
        parts.append(f'<text class="small" x="{x + 17}" y="46">{name}</text>')
    across = WIDTH / COLUMNS
    for at, panel in enumerate(panels):
        parts += _panel(panel, at % COLUMNS * across, TOP + at // COLUMNS * (HEIGHT + GAP) + 20)
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, left: float, top: float) -> list[str]:
    values = [ratio for line in panel.ratios for ratio in line]
    least, most = min(0.8, *values) * 0.98, max(1.2, *values) * 1.02
    x0, x1 = left + LEFT, left + WIDTH / COLUMNS - RIGHT

    def x(place: int) -> float:
        return x0 + (x1 - x0) * place / max(1, len(panel.labels) - 1)

    def y(ratio: float) -> float:
        return top + HEIGHT * (most - ratio) / (most - least)

    parts = [
        f'<text x="{x0:.0f}" y="{top - 8:.0f}">{escape(panel.title)}</text>',
        f'<rect class="band" x="{x0:.1f}" y="{y(1.05):.1f}" width="{x1 - x0:.1f}" height="{y(0.95) - y(1.05):.1f}"/>',
    ]
    for ratio in _ticks(least, most):
        kind = ' class="one"' if ratio == 1 else ""
        parts.append(f'<line{kind} x1="{x0:.1f}" x2="{x1:.1f}" y1="{y(ratio):.1f}" y2="{y(ratio):.1f}"/>')
        parts.append(f'<text class="small end" x="{x0 - 6:.1f}" y="{y(ratio) + 4:.1f}">{ratio:g}×</text>')
    for place, label in enumerate(panel.labels):
        end = " end" if place == len(panel.labels) - 1 else " mid" if place else ""
        parts.append(
            f'<text class="small{end}" x="{x(place):.1f}" y="{top + HEIGHT + 16:.1f}">{label}</text>'
        )
    for kind, line in zip(KINDS, panel.ratios, strict=True):
        points = " ".join(f"{x(place):.1f},{y(ratio):.1f}" for place, ratio in enumerate(line))
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
    return parts


def _ticks(least: float, most: float) -> list[float]:
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 100) if (most - least) / step <= 6)
    return [round(n * step, 3) for n in range(int(least / step) + 1, int(most / step) + 1)]
