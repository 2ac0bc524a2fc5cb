"""What a budget stands at, in words, in columns and as a record."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from visionality.core.money import usd
from visionality.core.scope import ORGANISATION, words

if TYPE_CHECKING:
    from visionality.web.policy.budgets import Balance, Standing

_SHOWN_OF_EACH = 10
"""Values of a budget that is for each, in a list for people; `--json` has all."""

HEAD = f"{'scope':<28} {'period':<8} {'kind':<5} {'cap USD':>14} {'spent':>14} {'held':>14} {'left':>14} {'used':>7}  resets"


def sentence(standing: "Standing") -> str:
    """What holds now, with what is spent and left."""
    effect = "what does not fit is refused" if standing.hard else "nothing is refused"
    extras = [f"told at {', '.join(f'{percent}%' for percent in standing.soft)}"] if standing.soft else []
    if standing.hard and standing.near_cap == "clamp":
        extras.append("shortened near the cap")
    if standing.hard and standing.ceiling_nusd is not None:
        extras.append(f"{usd(standing.ceiling_nusd)} USD held for an unknown price")
    may = "may spend" if standing.hard else "is counted against"
    rule = f"{_subject(standing)} {may} {usd(standing.cap_nusd)} USD {per(standing)}"
    return f"{rule} ({'; '.join([effect, *extras])}): {_state(standing)}"


def _state(standing: "Standing") -> str:
    until = "" if standing.period == "total" else f" until {_moment(standing)}"
    if not standing.balances:
        return f"nothing spent yet{until}"
    first, *_ = standing.balances
    told = f"{usd(first.spent_nusd)} spent, {usd(first.held_nusd)} held, {usd(standing.left_nusd(first))} left{until}"
    return f"{first.value} used the most, {told}" if standing.scope.is_each else told


def warnings(standing: "Standing") -> Iterator[str]:
    if not standing.hard and (standing.near_cap == "clamp" or standing.ceiling_nusd is not None):
        yield "what is said for near the cap and for unknown prices has no effect without --hard"
    below = [balance for balance in standing.balances if standing.left_nusd(balance) < 0]
    if not below:
        return
    values = ", ".join(balance.value for balance in below[:_SHOWN_OF_EACH])
    who = values if standing.scope.is_each else str(standing.scope)
    missing = usd(-min(standing.left_nusd(balance) for balance in below))
    effect = "calls are refused until the cap is raised" if standing.hard else "nothing is refused"
    if standing.hard and standing.period != "total":
        effect += f" or the next {standing.period} begins, {_moment(standing)}"
    yield f"the cap is {missing} USD below what is spent and held already ({who}): {effect}"


def lines(standing: "Standing") -> Iterator[str]:
    kind = "hard" if standing.hard else "soft"
    begin = f"{standing.scope!s:<28} {standing.period:<8} {kind:<5} {usd(standing.cap_nusd):>14}"
    end = "never" if standing.period == "total" else _moment(standing)
    if not standing.scope.is_each:
        yield f"{begin} {_figures(standing, standing.balances[0], end)}"
        return
    yield f"{begin} {'each':>14} {'':>14} {'':>14} {'':>7}  {end}"
    for balance in standing.balances[:_SHOWN_OF_EACH]:
        yield f"  {balance.value:<26} {'':<8} {'':<5} {'':>14} {_figures(standing, balance, '')}".rstrip()
    if (more := len(standing.balances) - _SHOWN_OF_EACH) > 0:
        yield f"  and {more} more that spent less: --json has all"


def _figures(standing: "Standing", balance: "Balance", end: str) -> str:
    past = [percent for percent in standing.soft if _is_past(standing, balance, percent)]
    note = f"  past {past[-1]}%" if past else ""
    return (
        f"{usd(balance.spent_nusd):>14} {usd(balance.held_nusd):>14} {usd(standing.left_nusd(balance)):>14} "
        f"{_percent(standing, balance) + '%':>7}  {end}{note}"
    )


def record(standing: "Standing") -> dict[str, object]:
    """One budget for a program; amounts are exact decimal dollars."""
    is_total = standing.period == "total"
    return {
        "budget_id": standing.budget_id,
        "scope": str(standing.scope),
        "period": standing.period,
        "cap_usd": usd(standing.cap_nusd),
        "hard": standing.hard,
        "soft_percent": standing.soft,
        "near_cap": standing.near_cap,
        "unknown_price_ceiling_usd": None if standing.ceiling_nusd is None else usd(standing.ceiling_nusd),
        "starts_at": None if is_total else standing.starts_at,
        "resets_at": None if is_total else standing.ends_at,
        "windows": [
            {
                "value": balance.value,
                "spent_usd": usd(balance.spent_nusd),
                "held_usd": usd(balance.held_nusd),
                "left_usd": usd(standing.left_nusd(balance)),
                "spent_percent": _percent(standing, balance),
            }
            for balance in standing.balances
        ],
    }


def _percent(standing: "Standing", balance: "Balance") -> str:
    """What is spent of the cap, with one decimal, rounded down; of a cap of zero all is spent at once."""
    spent_nusd = max(balance.spent_nusd, 0)
    tenths = spent_nusd * 1000 // standing.cap_nusd if standing.cap_nusd else 1000
    return f"{tenths // 10}.{tenths % 10}"


def _is_past(standing: "Standing", balance: "Balance", percent: int) -> bool:
    return balance.spent_nusd * 100 >= standing.cap_nusd * percent


def _subject(standing: "Standing") -> str:
    kind = standing.scope.kind
    if kind == ORGANISATION:
        return "the organisation"
    return f"each {words(kind)}" if standing.scope.is_each else str(standing.scope)


def per(standing: "Standing") -> str:
    return "in total" if standing.period == "total" else f"a {standing.period}"


def _moment(standing: "Standing") -> str:
    return f"{standing.ends_at:%Y-%m-%d %H:%M %Z}"
