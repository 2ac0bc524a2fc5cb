"""Sums that calls meet to the last nano-dollar, although each costs what its own tokens cost.

Every call takes about its share of what is left, as much more or less as chance wants. The last two close the sum: one leaves
a little of it, and a small model's call, whose cheapest token costs 5 nano-dollars, is made to cost exactly that. So it can be
met by every sum of five nano-dollars, which all rates of the catalogue's models here are multiples of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from visionality.core.pricing import RateCard

CLOSING = 2
"""Calls that close a sum."""
LEFT_FOR_THE_LAST_NUSD = 400_000
"""What the last call costs, at least: 0.0004 USD."""
LARGEST_SHARE = 6.0
"""The most that one call takes, in even shares of what is left."""
LARGEST_PART = 0.3
"""The most that it takes of all that is left: twice that, as a long context can cost, leaves enough for those to come."""
CLOSING_MODEL = "gpt-5-nano"
_FEWEST_CACHED, _OF_THE_LAST = 1024, 300
_SHORT = 100_000
"""Tokens of input up to which no model has another price."""


class Chance(Protocol):
    """What is asked of `random.Random`."""

    def lognormvariate(self, mu: float, sigma: float) -> float: ...


@dataclass(slots=True)
class Sum:
    """What some calls are still to cost together."""

    calls: int
    nusd: int

    def share(self, chance: Chance, factor: float) -> int:
        """What the next call may cost, about, if calls of its model cost so many times the average. Not for the last two."""
        fair = (self.nusd - 2 * LEFT_FOR_THE_LAST_NUSD) / (self.calls - CLOSING)
        wanted = fair * factor * min(chance.lognormvariate(-0.32, 0.8), LARGEST_SHARE)
        return max(int(min(wanted, self.nusd * LARGEST_PART)), 1)

    def take(self, cost_nusd: int) -> None:
        self.calls -= 1
        self.nusd -= cost_nusd
        if self.nusd < 0 or (self.calls == 0 and self.nusd):
            raise ArithmeticError(f"{self.calls} calls are to cost {self.nusd} nano-USD")


def closing_but_one(left_nusd: int, card: RateCard) -> dict[str, int]:
    """Usage that leaves a little more than LEFT_FOR_THE_LAST_NUSD of it, and that is not dearer for being long."""
    nusd = per_token(card)
    wanted = left_nusd - LEFT_FOR_THE_LAST_NUSD
    read = max(min(wanted // 2 // nusd["in_text"], _SHORT), 1)
    return {"in_text": read, "out_text": (wanted - read * nusd["in_text"]) // nusd["out_text"]}


def closing(left_nusd: int, card: RateCard) -> dict[str, int]:
    """Usage of CLOSING_MODEL that costs exactly this. Raises ArithmeticError for what no usage of it costs."""
    nusd = per_token(card)
    spare = left_nusd - _OF_THE_LAST * nusd["out_text"] - _FEWEST_CACHED * nusd["cache_read"]
    fresh, rest = divmod(spare, nusd["in_text"])
    cached, odd = divmod(rest, nusd["cache_read"])
    if fresh < 1 or odd:
        raise ArithmeticError(f"no usage costs {left_nusd} nano-USD")
    return {"in_text": fresh, "cache_read": _FEWEST_CACHED + cached, "out_text": _OF_THE_LAST}


def per_token(card: RateCard) -> Mapping[str, int]:
    """Nano-USD for a token of each bucket: whole numbers, for every model here."""
    assert card.scale == 1, card.source
    return card.nusd
