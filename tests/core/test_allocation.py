"""Promise B3: a markup bills what the contract says, and a split between cost centers loses no nano-dollar."""

from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.allocation import (
    MULTIPLIER,
    BadShares,
    CostSplit,
    Dated,
    Part,
    bill,
    billed_nusd,
    billionths,
    multiplier_at,
    split,
    split_at,
)
from visionality.core.row import Row
from visionality.registry.snapshot import MarkupRecord

MAY = datetime(2026, 5, 1, tzinfo=UTC)
JUNE = datetime(2026, 6, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def markup(kind, value, multiplier, effective_from):
    return MarkupRecord(UUID(int=0), kind, value, Decimal(multiplier), effective_from)


def divided(kind, value, *cost_centers, since=MAY):
    share = Decimal(1) / len(cost_centers) if cost_centers else None
    return CostSplit(kind, value, tuple(Part(center, "6100", share) for center in cost_centers), since)


# ---------------------------------------------------------------- billed

multipliers = st.decimals(0, 9999, places=6)
costs = st.integers(-(2**63), 2**63)


@settings(max_examples=300, derandomize=True)
@given(costs, st.integers(1, 10**12), multipliers)
def test_a_billed_amount_is_the_exact_product_rounded_half_even_once(numerator, denominator, multiplier):
    cost = Fraction(numerator, denominator)
    assert billed_nusd(cost, multiplier) == round(cost * Fraction(multiplier))  # Fraction rounds half to even


@settings(max_examples=200, derandomize=True)
@given(st.decimals(-(10**12), 10**12, places=15), multipliers)
def test_a_cost_in_decimal_is_billed_as_decimal_arithmetic_says(cost, multiplier):
    with localcontext(prec=60, rounding=ROUND_HALF_EVEN):
        assert billed_nusd(cost, multiplier) == int((cost * multiplier).quantize(Decimal(1)))


@settings(max_examples=100, derandomize=True)
@given(costs)
def test_without_a_markup_the_cost_itself_is_billed(cost_nusd):
    assert (
        billed_nusd(cost_nusd, multiplier_at(Dated(), customer_id="acme", project_id="P", at=JUNE))
        == cost_nusd
    )


def test_half_a_billed_nano_dollar_goes_to_the_even_one():
    billed = [billed_nusd(cost, Decimal("1.5")) for cost in (1, 3, 5, -1, -3, -5)]
    assert billed == [2, 4, 8, -2, -4, -8]


def test_a_cost_is_not_rounded_before_it_is_multiplied():
    assert billed_nusd(Fraction(5, 3), Decimal("1.5")) == 2
    assert billed_nusd(round(Fraction(5, 3)), Decimal("1.5")) == 3


def test_a_row_is_billed_by_the_multiplier_that_it_was_admitted_with():
    def billed(tags, exact=None):
        row = Row(
            org_id=UUID(int=1), request_id=UUID(int=2), provider="p", dialect="d", cost_nusd=2, tags=tags
        )
        bill(row, exact)
        return row.billed_nusd

    assert billed(None) == billed({"other": "9"}) == billed(None, exact=(5, 3)) == 2
    assert billed({MULTIPLIER: "1.5"}) == 3
    assert billed({MULTIPLIER: "1.5"}, exact=(5, 3)) == 2
    assert billed({MULTIPLIER: "0.000000"}, exact=(5, 3)) == 0


# ---------------------------------------------------------------- which markup


def test_a_markup_counts_from_its_first_moment_and_until_the_next_one():
    markups = Dated([markup("customer", "acme", "1.4", JUNE), markup("customer", "acme", "1.2", MAY)])

    def at(moment):
        return multiplier_at(markups, customer_id="acme", project_id=None, at=moment)

    assert [at(moment) for moment in (MAY - INSTANT, MAY, JUNE - INSTANT, JUNE)] == [
        Decimal(1), Decimal("1.2"), Decimal("1.2"), Decimal("1.4"),
    ]  # fmt: skip


def test_a_projects_markup_goes_before_its_customers_even_when_that_is_newer():
    markups = Dated([markup("customer", "acme", "1.4", JUNE), markup("project", "SOCE", "2", MAY)])
    at = JUNE + timedelta(days=9)
    assert multiplier_at(markups, customer_id="acme", project_id="SOCE", at=at) == 2
    assert multiplier_at(markups, customer_id="acme", project_id="HPC", at=at) == Decimal("1.4")
    assert multiplier_at(markups, customer_id="SOCE", project_id="acme", at=at) == 1
    assert multiplier_at(markups, customer_id=None, project_id=None, at=at) == 1
    assert multiplier_at(markups, customer_id="acme", project_id="SOCE", at=MAY - INSTANT) == 1


def test_a_projects_markup_of_tomorrow_leaves_today_to_its_customers():
    markups = Dated([markup("customer", "acme", "1.4", MAY), markup("project", "SOCE", "2", JUNE)])
    assert multiplier_at(markups, customer_id="acme", project_id="SOCE", at=JUNE - INSTANT) == Decimal("1.4")


def test_a_markup_of_zero_bills_nothing():
    markups = Dated([markup("project", "P", "0", MAY), markup("customer", "acme", "3", MAY)])
    assert multiplier_at(markups, customer_id="acme", project_id="P", at=JUNE) == 0


def test_of_two_markups_from_the_same_moment_the_one_that_was_added_later_counts():
    markups = [markup("customer", "acme", multiplier, MAY) for multiplier in ("3", "1.1", "2")]
    assert multiplier_at(Dated(markups), customer_id="acme", project_id=None, at=JUNE) == 2


@settings(max_examples=200, derandomize=True)
@given(
    st.lists(st.tuples(st.sampled_from(["project", "customer"]), st.sampled_from("ab"), st.integers(0, 9)), max_size=12),
    st.integers(-1, 10),
)  # fmt: skip
def test_the_newest_markup_in_force_counts_wherever_it_stands_in_the_list(rules, hour):
    moment = MAY + timedelta(hours=hour)
    markups = [
        markup(kind, value, str(place + 2), MAY + timedelta(hours=since))
        for place, (kind, value, since) in enumerate(rules)
    ]
    wanted = Decimal(1)
    for kind in ("customer", "project"):
        begun = [
            m for m in markups if (m.scope_kind, m.scope_value) == (kind, "a") and m.effective_from <= moment
        ]
        if begun:
            wanted = max(begun, key=lambda m: (m.effective_from, markups.index(m))).multiplier
    assert multiplier_at(Dated(markups), customer_id="a", project_id="a", at=moment) == wanted


# ---------------------------------------------------------------- split


@st.composite
def shares(draw):
    cuts = sorted(draw(st.sets(st.integers(1, 10**9 - 1), max_size=8)))
    edges = [0, *cuts, 10**9]
    return [Decimal(high - low).scaleb(-9) for low, high in pairwise(edges)]


@settings(max_examples=300, derandomize=True)
@given(costs | st.integers(-20, 20), shares())
def test_the_parts_of_a_split_add_up_to_the_cost_and_each_is_its_share_rounded(cost_nusd, parts):
    found = split(cost_nusd, parts)
    assert sum(found) == cost_nusd
    for part, share in zip(found, parts, strict=True):
        assert abs(part - cost_nusd * Fraction(share)) < 1
    assert split(cost_nusd, parts) == found


@settings(max_examples=200, derandomize=True)
@given(costs, shares())
def test_no_part_is_further_from_its_share_than_it_needs_to_be(cost_nusd, parts):
    """Largest remainder: who was rounded up had no smaller a remainder than who was rounded down."""
    exact = [abs(cost_nusd) * Fraction(share) for share in parts]
    found = [abs(part) for part in split(cost_nusd, parts)]
    up = [at % 1 for at, part in zip(exact, found, strict=True) if part > at]
    down = [at % 1 for at, part in zip(exact, found, strict=True) if part <= at]
    assert not up or min(up) >= max(remainder for remainder in [*down, 0])


@settings(max_examples=200, derandomize=True)
@given(costs, shares())
def test_a_correction_takes_back_exactly_what_was_split(cost_nusd, parts):
    assert split(-cost_nusd, parts) == tuple(-part for part in split(cost_nusd, parts))


@pytest.mark.parametrize(
    ("cost_nusd", "parts", "found"),
    [
        (0, ["0.5", "0.5"], (0, 0)),
        (1, ["0.5", "0.5"], (1, 0)),
        (-1, ["0.5", "0.5"], (-1, 0)),
        (2, ["0.25", "0.25", "0.25", "0.25"], (1, 1, 0, 0)),
        (10, ["0.333333333", "0.333333333", "0.333333334"], (3, 3, 4)),
        (100, ["0.15", "0.25", "0.6"], (15, 25, 60)),
        (1, ["0.3", "0.7"], (0, 1)),
        (7, ["1"], (7,)),
        (7, ["1.000000000000"], (7,)),
        (3, ["0.100", "0.90"], (0, 3)),
    ],
)
def test_a_split_as_one_works_it_out_by_hand(cost_nusd, parts, found):
    assert split(cost_nusd, [Decimal(part) for part in parts]) == found


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], "add up to exactly 1; these add up to 0"),
        (["0.5", "0.4"], "these add up to 0.9"),
        (["0.5", "0.500000001"], "these add up to 1.000000001"),
        (["0.5", "0.5", "0"], "0 is not"),
        (["1.5", "-0.5"], "1.5 is not"),
        (["-0.5", "1"], "-0.5 is not"),
        (["NaN"], "NaN is not"),
        (["sNaN"], "sNaN is not"),
        (["Infinity"], "Infinity is not"),
        (["1e999999"], "is not"),
        (["1e-999999", "1"], "at most 9 decimals"),
        (["0.3333333333", "0.6666666667"], "at most 9 decimals; 0.3333333333 has more"),
    ],
)
def test_shares_that_are_no_whole_are_refused_and_told_why(parts, told):
    bad = [Decimal(part) for part in parts]
    for wanted in (billionths, lambda parts: split(0, parts)):
        with pytest.raises(BadShares, match=told.replace(".", r"\.")):
            wanted(bad)


# ---------------------------------------------------------------- which split


def test_a_projects_split_goes_before_its_teams_and_that_before_its_customers():
    rules = {
        "project": divided("project", "P", "cc-1", "cc-2"),
        "team": divided("team", "T", "cc-3"),
        "customer": divided("customer", "C", "cc-4"),
    }
    while rules:
        splits = Dated(rules.values())
        assert split_at(splits, project_id="P", team_id="T", customer_id="C", at=MAY) == next(
            iter(rules.values())
        )
        assert split_at(splits, project_id="T", team_id="C", customer_id="P", at=MAY) is None
        assert split_at(splits, project_id="P", team_id="T", customer_id="C", at=MAY - INSTANT) is None
        del rules[next(iter(rules))]
    assert split_at(Dated(), project_id="P", team_id="T", customer_id="C", at=MAY) is None
    assert split_at(splits, project_id=None, team_id=None, customer_id=None, at=MAY) is None


def test_a_split_without_parts_ends_the_one_before_it():
    splits = Dated(
        [divided("project", "P", since=JUNE), divided("project", "P", "cc-1"), divided("team", "T", "cc-3")]
    )

    def centers(team_id, at):
        found = split_at(splits, project_id="P", team_id=team_id, customer_id=None, at=at)
        return found and [part.cost_center for part in found.parts]

    assert centers("T", JUNE - INSTANT) == ["cc-1"]
    assert centers(None, JUNE) is None
    assert centers("T", JUNE) == ["cc-3"]
