"""Who pays for a row: the markup of an end customer, and the split between cost centers.

Markups and splits are dated and only ever added to: the newest that is in force at a row's moment counts, so what was
billed stays as it was billed. A markup multiplies the cost before that is rounded, so a billed amount is rounded once,
as a cost is. A split loses nothing: its parts are whole nano-USD and add up to the cost.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from visionality.core.money import EXACT, rounded_quotient
from visionality.core.row import Row

SHARE_PLACES = 9
"""Decimals of a share, at most."""
MULTIPLIER = "multiplier"
"""The tag of a row that says by what its cost was multiplied, where that is not 1."""
_WHOLE = 10**SHARE_PLACES
_FINEST = Decimal(1).scaleb(-SHARE_PLACES)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,7})?)%|([01](?:\.[0-9]{1,9})?)")
_CODE = re.compile(r"[^\x00-\x1f=:]{1,80}")
_NO_MARKUP = Decimal(1)


class BadShares(Exception):
    """These shares split nothing: they are not all positive, not short, or not one in all."""


class Rule(Protocol):
    """What holds for a scope from a moment on."""

    @property
    def scope_kind(self) -> str: ...
    @property
    def scope_value(self) -> str: ...
    @property
    def effective_from(self) -> datetime: ...


class Markup(Rule, Protocol):
    """What the cost of an end customer's or a project's rows is multiplied by."""

    @property
    def multiplier(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class Part:
    """A cost center with its share of a split."""

    cost_center: str
    gl_code: str
    share: Decimal


def part_of(text: str) -> Part:
    """A part as it is written: CC-410=60%, or CC-410:6100=0.6 with a GL code. Raises BadShares."""
    codes, _, share = text.rpartition("=")
    cost_center, colon, gl_code = codes.partition(":")
    found = _SHARE.fullmatch(share)
    if found is None or not _CODE.fullmatch(cost_center) or (colon and not _CODE.fullmatch(gl_code)):
        raise BadShares(
            f"{text!r} is no part of a split: expected a cost center and its share, such as CC-410=60% or CC-410:6100=0.6"
        )
    return Part(cost_center, gl_code, Decimal(found[1]).scaleb(-2) if found[1] else Decimal(found[2]))


@dataclass(frozen=True, slots=True)
class CostSplit:
    """Who shares the cost of a project's, a team's or an end customer's rows. No parts: it is not divided any more."""

    scope_kind: str
    scope_value: str
    parts: tuple[Part, ...]
    effective_from: datetime


_R = TypeVar("_R", bound=Rule)
_M = TypeVar("_M", bound=Markup)


class Dated(Generic[_R]):
    """Dated rules, found by what they are for. Of two from the same moment the one that came later counts."""

    def __init__(self, rules: Iterable[_R] = ()) -> None:
        self._rules: defaultdict[tuple[str, str], list[_R]] = defaultdict(list)
        for rule in sorted(rules, key=_effective_from):
            self._rules[rule.scope_kind, rule.scope_value].append(rule)

    def of(self, kind: str, value: str | None, at: datetime) -> _R | None:
        """The newest rule of a scope that is in force at a moment."""
        rules = self._rules.get((kind, value or ""))
        if rules is None:
            return None
        begun = bisect_right(rules, at, key=_effective_from)
        return rules[begun - 1] if begun else None


def _effective_from(rule: Rule) -> datetime:
    return rule.effective_from


def multiplier_at(
    markups: Dated[_M], *, customer_id: str | None, project_id: str | None, at: datetime
) -> Decimal:
    """The multiplier of a row: its project's, else its end customer's, else 1."""
    markup = markups.of("project", project_id, at) or markups.of("customer", customer_id, at)
    return markup.multiplier if markup else _NO_MARKUP


def billed_nusd(cost: Fraction | Decimal | int, multiplier: Decimal) -> int:
    """What is billed for a cost in nano-USD, not rounded where it is known so: the product, rounded half even once."""
    dividend, divisor = cost.as_integer_ratio()
    times, over = multiplier.as_integer_ratio()
    return rounded_quotient(dividend * times, divisor * over)


def bill(row: Row, exact: tuple[int, int] | None = None) -> None:
    """Write into a row what is billed for its cost, by the multiplier that it was admitted with.

    `exact` is the cost before it was rounded, as a fraction of nano-USD.
    """
    multiplier = (row.tags or {}).get(MULTIPLIER)
    if multiplier is None:
        row.billed_nusd = row.cost_nusd
    else:
        row.billed_nusd = billed_nusd(Fraction(*exact) if exact else row.cost_nusd, Decimal(multiplier))


def split_at(
    splits: Dated[CostSplit],
    *,
    project_id: str | None,
    team_id: str | None,
    customer_id: str | None,
    at: datetime,
) -> CostSplit | None:
    """The split of a row: its project's, else its team's, else its end customer's, else None."""
    for kind, value in (("project", project_id), ("team", team_id), ("customer", customer_id)):
        found = splits.of(kind, value, at)
        if found and found.parts:
            return found
    return None


def split(cost_nusd: int, shares: Sequence[Decimal]) -> tuple[int, ...]:
    """The parts of a cost, in the order of the shares, by largest remainder; they add up to the cost.

    Each part is its exact share rounded down or up; of equal remainders the earlier share gets the nano-dollar. A
    negative cost is split as its positive one is, so that a correction takes back what was split.
    Raises BadShares, see `billionths`.
    """
    return split_by_billionths(cost_nusd, billionths(shares))


def split_by_billionths(cost_nusd: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """The same, for shares that `billionths` has checked, where many costs are split by one rule."""
    if cost_nusd < 0:
        return tuple(-part for part in _by_largest_remainder(-cost_nusd, weights))
    return _by_largest_remainder(cost_nusd, weights)


def _by_largest_remainder(cost_nusd: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    exact = [divmod(cost_nusd * weight, _WHOLE) for weight in weights]
    missing = cost_nusd - sum(part for part, _ in exact)
    by_remainder = sorted(range(len(exact)), key=lambda place: (-exact[place][1], place))
    raised = frozenset(by_remainder[:missing])
    return tuple(part + (place in raised) for place, (part, _) in enumerate(exact))


def billionths(shares: Sequence[Decimal]) -> tuple[int, ...]:
    """The shares as whole billionths, which add up to a billion.

    Raises BadShares unless each is above 0 with at most nine decimals, and all together are exactly 1.
    """
    for share in shares:
        if not (share.is_finite() and 0 < share <= 1):
            raise BadShares(f"a share is more than 0 and at most 1; {share} is not")
        if share != share.quantize(_FINEST, context=EXACT):
            raise BadShares(f"a share has at most {SHARE_PLACES} decimals; {share} has more")
    weights = tuple(int(share.scaleb(SHARE_PLACES, context=EXACT)) for share in shares)
    if sum(weights) != _WHOLE:
        total = Decimal(sum(weights)).scaleb(-SHARE_PLACES)
        raise BadShares(f"the shares of a split add up to exactly 1; these add up to {total:f}")
    return weights
