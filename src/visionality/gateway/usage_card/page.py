"""A usage card as a piece of HTML: no script, readable without its colours, in the width that it is given."""

from datetime import date, datetime
from decimal import Decimal
from html import escape
from zoneinfo import ZoneInfo

from visionality.gateway.usage_card.card import Card, Day

_STYLE = """
.vis-card{font:15px/1.45 system-ui,sans-serif;color:#1b1f24;background:#fff;border:1px solid #d0d7de;border-radius:10px;
padding:18px 20px;max-width:480px;box-sizing:border-box}
.vis-card h2{font-size:17px;margin:0 0 2px}.vis-card h3{font-size:14px;margin:16px 0 6px}
.vis-card p{margin:0 0 10px;color:#57606a}.vis-card p.vis-note{margin:10px 0 0}
.vis-card .vis-banner{color:#82071e;background:#ffebe9;border:1px solid #ff8182;border-radius:6px;padding:8px 10px}
.vis-card .vis-near{color:#693e00;background:#fff8c5;border-color:#d4a72c}
.vis-card dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:8px 16px;margin:10px 0 0}
.vis-card dt{color:#57606a;font-size:13px}.vis-card dd{margin:0;font-size:18px;font-weight:600;font-variant-numeric:tabular-nums}
.vis-card progress{width:100%;height:10px;margin-top:10px;accent-color:#0969da}
.vis-card svg{display:block;width:100%;height:56px}.vis-card rect{fill:#0969da}
.vis-card table{width:100%;border-collapse:collapse;font-size:14px}.vis-card th{text-align:left;font-weight:400;color:#57606a}
.vis-card td{text-align:right;font-variant-numeric:tabular-nums}.vis-card th,.vis-card td{padding:3px 0;border-top:1px solid #eaeef2}
@media (prefers-color-scheme:dark){.vis-card{color:#e6edf3;background:#0d1117;border-color:#30363d}
.vis-card p,.vis-card dt,.vis-card th{color:#9198a1}.vis-card th,.vis-card td{border-color:#21262d}.vis-card rect{fill:#4493f8}
.vis-card .vis-banner{color:#ffdcd7;background:#490202;border-color:#8e1519}
.vis-card .vis-near{color:#f8e3a1;background:#341a00;border-color:#845306}}
"""

_BANNERS = {
    "blocked": (
        "vis-banner",
        "alert",
        "The limit is reached: new requests are refused until it is raised or the period ends.",
    ),
    "near": ("vis-banner vis-near", "status", "The limit is near."),
}
_CENT = Decimal("0.01")
_BAR = 10
_HEIGHT = 56


def page(card: Card) -> bytes:
    """A section with its own style, to be put into a page as it is."""
    named = f'aria-labelledby="vis-card-title" data-state="{card.state}"'
    parts = [
        f'<section class="vis-card" {named}><style>{_STYLE}</style>',
        f'<h2 id="vis-card-title">AI usage of {escape(card.name)}</h2><p>{_period(card)}</p>',
    ]
    if banner := _BANNERS.get(card.state):
        kind, role, text = banner
        parts.append(f'<p class="{kind}" role="{role}">{text}</p>')
    parts += [_figures(card), _forecast(card), _days(card.by_day), _models(card), "</section>"]
    return "".join(parts).encode()


def _period(card: Card) -> str:
    if card.starts_at is None or card.resets_at is None:
        return "In total"
    zone = ZoneInfo(card.time_zone)
    return f"{_day(card.starts_at.astimezone(zone))} until {_day(card.resets_at.astimezone(zone))}"


def _figures(card: Card) -> str:
    figures = [("Spent", card.spent_usd)]
    if card.cap_usd is not None and card.remaining_usd is not None:
        figures += [("Remaining", card.remaining_usd), ("Limit", card.cap_usd)]
    listed = "".join(f"<div><dt>{name}</dt><dd>{_money(amount)}</dd></div>" for name, amount in figures)
    if card.used_percent is None:
        return f"<dl>{listed}</dl>"
    used = min(card.used_percent, 100)
    said = f"{card.used_percent}% of the limit is used or held"
    return f'<dl>{listed}</dl><progress max="100" value="{used}" aria-label="{said}">{said}</progress>'


def _forecast(card: Card) -> str:
    if card.forecast is None or card.resets_at is None or card.state == "blocked":
        return ""
    at = _day(card.resets_at.astimezone(ZoneInfo(card.time_zone)))
    expected = _money(card.forecast.expected_usd)
    text = f"About {expected} by {at} ({_money(card.forecast.low_usd)} to {_money(card.forecast.high_usd)})."
    if card.forecast.cap_reached_on is not None:
        text += f" The limit would be reached on {_day(card.forecast.cap_reached_on)}."
    return f'<p class="vis-note">{text}</p>'


def _days(days: list[Day]) -> str:
    if not days:
        return ""
    largest = max(Decimal(one.spent_usd) for one in days) or Decimal(1)
    bars, rows = [], []
    for place, one in enumerate(days):
        height = max(1, round(Decimal(one.spent_usd) / largest * (_HEIGHT - 2)))
        bars.append(f'<rect x="{place * _BAR}" y="{_HEIGHT - height}" width="{_BAR - 2}" height="{height}"/>')
        rows.append(f"<li>{_day(one.day)}: {_money(one.spent_usd)}</li>")
    hidden = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
    box = f'viewBox="0 0 {max(len(days), 7) * _BAR} {_HEIGHT}" preserveAspectRatio="none" aria-hidden="true"'
    return f'<h3>By day</h3><svg {box}>{"".join(bars)}</svg><ul style="{hidden}">{"".join(rows)}</ul>'


def _models(card: Card) -> str:
    if not card.by_model:
        return '<p class="vis-note">Nothing was spent yet.</p>'
    rows = "".join(
        f'<tr><th scope="row">{escape(one.model)}</th><td>{_money(one.spent_usd)}</td></tr>'
        for one in card.by_model
    )
    return f"<h3>By model</h3><table><tbody>{rows}</tbody></table>"


def _money(amount: str) -> str:
    """To the cent, or exact where there is less than one."""
    exact = Decimal(amount)
    if 0 < exact < _CENT:
        return f"${exact:f}"
    return f"${exact.quantize(_CENT):,f}"


def _day(moment: datetime | date) -> str:
    return f"{moment.day} {moment:%B %Y}"
