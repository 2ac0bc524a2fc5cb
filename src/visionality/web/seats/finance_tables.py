"""The finance seat's tables: what the spend of a period is made of. Each adds up to all of it.

Sums come from the daily rollup; cost centers and general-ledger codes are those after splits (ledger.splits).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import psycopg

from visionality.core.period import Period
from visionality.ledger.splits import Moved, Payer, moved
from visionality.ledger.sums import Dim, Sum, sums
from visionality.web.charts.shares import Share, shares
from visionality.web.seats.figures import Amount, amount, counted, percent
from visionality.web.seats.period import days_query, query

CURRENCY = "USD"
NOTHING = "-"
"""What the ledger page's filters say for rows that name nothing there."""
LARGEST = 200
"""Lines of a table; what is behind them is one more."""

Key = tuple[str, str] | None
"""A line's key and its second part; None is the rest."""


@dataclass(slots=True)
class Money:
    """What a line adds up to; `members` is how many keys it stands for."""

    cost_nusd: int = 0
    billed_nusd: int = 0
    calls: int = 0
    members: int = 1

    def add(self, cost_nusd: int, billed_nusd: int, calls: int = 0) -> None:
        self.cost_nusd += cost_nusd
        self.billed_nusd += billed_nusd
        self.calls += calls


@dataclass(frozen=True, slots=True)
class By:
    """One way of dividing the spend. `selector` is what the ledger page calls it."""

    name: str
    title: str
    column: str
    nobody: str
    dim: Dim
    selector: str
    has_calls: bool = True
    has_margin: bool = False


WAYS = {
    by.name: by
    for by in (
        By("project", "By project", "Project", "no project", "project", "project"),
        By("customer", "By customer", "Customer", "no customer", "customer", "customer", has_margin=True),
        By("team", "By team", "Team", "no team", "team", "team"),
        By("agent", "By agent", "Agent", "no agent", "agent", "agent"),
        By("person", "By person", "Person", "nobody", "person", "person"),
        By(
            "cost-center",
            "By cost center",
            "Cost center",
            "no cost center",
            "cost_center",
            "cost_center",
            False,
        ),
        By("gl", "By GL code", "GL code", "no GL code", "gl_code", "gl", False),
        By("family", "By model family", "Family", "no model", "model", "family"),
    )
}
SIGNABLE = frozenset({"project", "customer", "team", "agent", "person"})
"""Ways of which a line can be signed (web.issuing.figures)."""
_SPLIT = {"cost-center": 0, "gl": 1}
"""Ways that splits have a say in, with the place of their key in what they move."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `query` is the ledger page's for its rows, `sign` the one for signing it; empty where there is none."""

    name: str
    about: str
    query: str
    sign: str
    percent: str
    bar: list[Share]
    calls: str
    billed: Amount
    margin: Amount
    margin_percent: str
    cost: Amount


@dataclass(frozen=True, slots=True)
class Table:
    """The lines, and what they add up to."""

    by: By
    lines: list[Line]
    total: Line
    places: int
    """Digits behind the point at most, so that all points stand under each other."""
    is_split: bool
    """Whether splits have a say in it."""
    is_signable: bool


def table(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    by: By,
    period: Period,
    about: dict[str, str],
    projects: list[Sum],
) -> Table:
    """`about` says more of a key: a project's name, a team's cost center. `projects` are the sums that are known already."""
    money, split = money_of(connection, org_id, by, period, projects)
    return _made(by, money, period, about, split)


def money_of(
    connection: psycopg.Connection[Any],
    org_id: UUID,
    by: By,
    period: Period,
    projects: list[Sum] | None = None,
) -> tuple[dict[Key, Money], frozenset[str]]:
    """What each key of a period adds up to, and the keys that splits have a say in."""
    if projects is not None and by.name == "project":
        found = projects
    else:
        found = sums(connection, org_id, by.dim, period.first, period.after)
    money = _by_key(found, of_family=by.name == "family")
    split: frozenset[str] = frozenset()
    if by.name in _SPLIT:
        place = _SPLIT[by.name]
        by_splits = moved(connection, org_id, period.first, period.after)
        _move(money, by_splits, place)
        split = frozenset(payer[place] for payer in by_splits)
    return money, split


def _made(
    by: By, money: dict[Key, Money], period: Period, about: dict[str, str], split: frozenset[str]
) -> Table:
    """The dearest first, the smallest of very many as one line. What is split leads to no rows: parts of rows are not."""
    total = _added(money.values())
    ordered = sorted(money.items(), key=lambda one: (-one[1].cost_nusd, -one[1].calls, one[0] or ("", "")))
    shown, rest = ordered[:LARGEST], ordered[LARGEST:]
    if rest:
        shown.append((None, _added(its for _, its in rest)))
    lines = [_line(by, key, its, total, period, about, split) for key, its in shown]
    amounts = [amount for line in lines for amount in (line.cost, line.billed, line.margin)]
    places = max((len(one.part) - 1 for one in amounts if one.part), default=0)
    whole = _written("Total", "", total, total)
    return Table(by, lines, whole, places, bool(split), by.name in SIGNABLE)


def _by_key(found: Iterable[Sum], *, of_family: bool) -> dict[Key, Money]:
    money: defaultdict[Key, Money] = defaultdict(Money)
    for one in found:
        if one.currency == CURRENCY:
            key = (one.key2 or "", "") if of_family else (one.key or "", one.key2 or "")
            money[key].add(one.cost_nusd, one.billed_nusd, one.calls)
    return dict(money)


def _move(money: dict[Key, Money], by_splits: dict[Payer, Moved], place: int) -> None:
    """What was moved away from altogether is no line."""
    in_dollars = [(payer[place], its) for payer, its in by_splits.items() if payer[2] == CURRENCY]
    for name, its in in_dollars:
        money.setdefault((name, ""), Money()).add(its.cost_nusd, its.billed_nusd)
    for name in {name for name, _ in in_dollars}:
        if (money[name, ""].cost_nusd, money[name, ""].billed_nusd) == (0, 0):
            del money[name, ""]


def _added(of: Iterable[Money]) -> Money:
    total = Money(members=0)
    for one in of:
        total.add(one.cost_nusd, one.billed_nusd, one.calls)
        total.members += one.members
    return total


def _line(
    by: By, key: Key, its: Money, total: Money, period: Period, about: dict[str, str], split: frozenset[str]
) -> Line:
    if key is None:
        return _written(f"{its.members:,} more", "", its, total)
    name, second = key
    if by.name == "person":
        shown, more = second or name, name if second else ""
        leads = days_query(period, person=name or NOTHING, owner=second or NOTHING)
    else:
        shown, more = name, about.get(name, "") if name else ""
        leads = days_query(period, **{by.selector: name or NOTHING})
    line = _written(shown or by.nobody, more, its, total)
    sign = query(period, **{by.name: name}) if name and by.name in SIGNABLE else ""
    return replace(line, query="" if name in split else leads, sign=sign)


def _written(name: str, more: str, its: Money, total: Money) -> Line:
    margin = its.billed_nusd - its.cost_nusd
    return Line(
        name=name,
        about=more,
        query="",
        sign="",
        percent=percent(its.cost_nusd, total.cost_nusd),
        bar=shares([(name, its.cost_nusd)], total.cost_nusd),
        calls=counted(its.calls),
        billed=amount(its.billed_nusd),
        margin=amount(margin),
        margin_percent=percent(margin, its.billed_nusd),
        cost=amount(its.cost_nusd),
    )
