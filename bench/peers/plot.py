"""The ratios to nginx as bars on a logarithmic scale: an SVG that is readable on light and on dark pages."""

import math
from collections.abc import Sequence
from html import escape

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 760, 120, 70, 62, 46, 14
STYLE = (
    "rect.page{fill:#ffffff}text{fill:#1f2328;font:13px system-ui,sans-serif}text.small{fill:#59636e;font-size:11px}"
    "text.end{text-anchor:end}text.mid{text-anchor:middle}line{stroke:#d1d9e0}line.one{stroke:#59636e}.whole{fill:#2a6fbb}.paced{fill:#c77700}"
    "@media(prefers-color-scheme:dark){rect.page{fill:#0d1117}text{fill:#e6edf3}text.small{fill:#9198a1}"
    "line{stroke:#30363d}line.one{stroke:#9198a1}.whole{fill:#6cb0f5}.paced{fill:#f0b35a}}"
)


def bars(rows: Sequence[tuple[str, float, float | None]]) -> str:
    """Of each row a name, and how often nginx's CPU a JSON call and a stream take; None where streams fail."""
    ratios = [ratio for row in rows for ratio in row[1:] if ratio is not None]
    most = 10 ** math.ceil(math.log10(max(10.0, *ratios)))
    least = 10 ** math.floor(math.log10(min(1.0, *ratios)))
    height = TOP + ROW * len(rows) + 34

    def x(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(ratio / least) / math.log(most / least)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        f"<title>CPU per call as a multiple of nginx, on a logarithmic scale</title><style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
        '<text x="16" y="24">CPU per call, as a multiple of nginx in the same run</text>',
        '<rect class="whole" x="16" y="36" width="12" height="12"/><text class="small" x="33" y="46">JSON, 16 callers</text>',
        '<rect class="paced" x="136" y="36" width="12" height="12"/><text class="small" x="153" y="46">stream, an event each 10 ms</text>',
    ]
    ratio = least
    while ratio <= most:
        kind = ' class="one"' if ratio == 1 else ""
        parts.append(f'<line{kind} x1="{x(ratio):.1f}" x2="{x(ratio):.1f}" y1="{TOP}" y2="{height - 28}"/>')
        parts.append(f'<text class="small mid" x="{x(ratio):.1f}" y="{height - 12}">{ratio:g}×</text>')
        ratio *= 10
    for at, (name, whole, paced) in enumerate(rows):
        y = TOP + at * ROW + 8
        parts.append(f'<text class="end" x="{LEFT - 10}" y="{y + BAR + 4}">{escape(name)}</text>')
        parts += _bar("whole", x(1), x(whole), y, whole)
        if paced is None:
            parts.append(
                f'<text class="small" x="{x(1) + 6:.1f}" y="{y + BAR + 2 + BAR - 3}">streams fail</text>'
            )
        else:
            parts += _bar("paced", x(1), x(paced), y + BAR + 2, paced)
    return "\n".join([*parts, "</svg>\n"])


def _bar(kind: str, one: float, end: float, y: float, ratio: float) -> list[str]:
    """From 1 to the ratio, to the left where it is less."""
    left, right = min(one, end), max(one, end)
    return [
        f'<rect class="{kind}" x="{left:.1f}" y="{y}" width="{max(1.0, right - left):.1f}" height="{BAR}"/>',
        f'<text class="small" x="{right + 6:.1f}" y="{y + BAR - 3}">{ratio:.{0 if ratio >= 10 else 1}f}</text>',
    ]
