"""What an operator is told of a budget that burns, in words and for programs."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from visionality.core.burn import METHOD, Burn, Driver
from visionality.core.money import usd

_DIMENSIONS = {"agent_sub": "agent", "model_used": "model", "task_class": "task class"}


class Told(msgspec.Struct, frozen=True):
    """An alert. `detail` is the same for a program, its sums exact decimal strings."""

    title: str
    body: str
    detail: dict[str, object]


def burning(
    scope: str,
    percent: int,
    window: tuple[datetime, datetime],
    money: tuple[int, int],
    burn: Burn | None,
    driven_by: Sequence[Driver],
    now: datetime,
    zone: ZoneInfo,
) -> Told:
    """A budget reached a threshold. `money` is (spent, cap) in nano-USD; without a burn the budget has no end."""
    spent_nusd, cap_nusd = money
    day = now.astimezone(zone)
    title = f"{scope} reached {percent}% of its budget on {day:%d %B %Y}"
    lines = [f"{scope} has spent {_dollars(spent_nusd)} of {_dollars(cap_nusd)}."]
    detail: dict[str, object] = {
        "scope": scope,
        "threshold_percent": percent,
        "spent_usd": usd(spent_nusd),
        "cap_usd": usd(cap_nusd),
        "starts_at": window[0].isoformat(),
        "ends_at": window[1].isoformat(),
    }
    if burn is not None:
        ends = window[1].astimezone(zone)
        lines.append(
            f"{burn.elapsed_percent}% of the time has passed. At this pace it will be {_dollars(burn.forecast_nusd)} by "
            f"{ends:%d %B %Y} ({_dollars(burn.low_nusd)} to {_dollars(burn.high_nusd)})."
        )
        if burn.reached_on is not None:
            lines.append(f"The budget is used up on {burn.reached_on:%d %B %Y}.")
        detail |= {
            "elapsed_percent": burn.elapsed_percent,
            "forecast_usd": usd(burn.forecast_nusd),
            "forecast_low_usd": usd(burn.low_nusd),
            "forecast_high_usd": usd(burn.high_nusd),
            "cap_reached_on": burn.reached_on.isoformat() if burn.reached_on else None,
            "is_hot": burn.is_hot,
        }
    if driven_by:
        lines.append("Driven by:")
        lines += [f"- {_driver(one)}" for one in driven_by]
        detail["drivers"] = [
            {
                "dimension": one.dimension,
                "value": one.value,
                "spent_usd": usd(one.spent_nusd),
                "before_usd": usd(one.before_nusd),
                "share_percent": one.share_percent,
            }
            for one in driven_by
        ]
    if burn is not None:
        lines.append(f"How this is worked out: {METHOD}")
    return Told(title, "\n".join(lines), detail)


def _driver(one: Driver) -> str:
    kind = _DIMENSIONS.get(one.dimension, one.dimension)
    change = f"{'+' if one.change_nusd >= 0 else '-'}{_dollars(abs(one.change_nusd))} against the time before"
    return f"{kind} {one.value}: {_dollars(one.spent_nusd)} ({one.share_percent}%), {change}"


def _dollars(nusd: int) -> str:
    """To the cent, for reading."""
    sign = "-" if nusd < 0 else ""
    cents = (abs(nusd) + 5_000_000) // 10_000_000
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"
