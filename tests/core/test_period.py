"""Periods are whole UTC days: what follows one is where it ends, and nothing lies between (F1)."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.period import (
    BadPeriod,
    Period,
    between,
    day,
    following,
    month,
    month_of,
    previous,
    quarter,
    quarter_of,
    same_days_before,
)

days = st.dates(date(2, 1, 1), date(9997, 12, 31))
periods = st.one_of(
    days.map(month_of),
    days.map(quarter_of),
    st.tuples(days, days).map(lambda two: between(min(two), max(two))).filter(lambda one: one.days < 4000),
)


def test_a_month_has_all_its_days_and_ends_where_the_next_begins() -> None:
    november = month("2026-11")
    assert (november.first, november.last, november.days) == (date(2026, 11, 1), date(2026, 11, 30), 30)
    assert november.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert november.end == datetime(2026, 12, 1, tzinfo=UTC)
    assert month("2028-02").days == 29


def test_a_quarter_is_three_months() -> None:
    for text in ("2026-Q4", "2026Q4"):
        assert (quarter(text).first, quarter(text).last) == (date(2026, 10, 1), date(2026, 12, 31))
    assert following(quarter("2026-Q4")) == quarter("2027-Q1")


@given(periods)
def test_what_asks_for_a_period_is_read_back_as_it(period: Period) -> None:
    said = period.said
    if "month" in said:
        assert month(said["month"]) == period
    elif "quarter" in said:
        assert quarter(said["quarter"]) == period
    else:
        assert between(day(said["from"]), day(said["to"])) == period


@given(periods)
def test_the_period_before_ends_where_this_one_begins(period: Period) -> None:
    before = previous(period)
    if before is not None:
        assert before.end == period.start
        assert following(before) == period


@given(periods, days)
def test_what_is_compared_never_has_more_days_than_have_begun(period: Period, today: date) -> None:
    compared = same_days_before(period, today)
    if compared is not None and period.has(today):
        assert compared.days <= (today - period.first).days + 1
        assert compared.first == previous(period).first


def test_twenty_two_days_of_november_are_compared_with_as_many_of_october() -> None:
    compared = same_days_before(month("2026-11"), date(2026, 11, 22))
    assert compared == between(date(2026, 10, 1), date(2026, 10, 22))
    assert same_days_before(month("2026-03"), date(2026, 3, 30)) == month("2026-02")


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-1", "", "0000-01", "9999-12", "2026-11-01", "\uff12026-11", "2026-11\n"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        month(text)


@pytest.mark.parametrize("text", ["2026-Q5", "2026-Q0", "Q4 2026", "9999-Q4", "2026_Q4"])
def test_what_is_no_quarter_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        quarter(text)


@pytest.mark.parametrize("text", ["2026-02-30", "20261122", "2026-W47-1", "now", ""])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadPeriod):
        day(text)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(BadPeriod, match="before"):
        between(date(2026, 11, 2), date(2026, 11, 1))
    with pytest.raises(BadPeriod, match="out of range"):
        between(date(2026, 11, 2), date(9999, 12, 31))


@pytest.mark.parametrize(
    ("period", "title"),
    [
        (month("2026-11"), "November 2026"),
        (quarter("2026-Q4"), "Q4 2026"),
        (between(date(2026, 11, 3), date(2026, 11, 3)), "3 November 2026"),
        (between(date(2026, 11, 3), date(2026, 11, 9)), "3 to 9 November 2026"),
        (between(date(2026, 10, 28), date(2026, 11, 3)), "28 October to 3 November 2026"),
        (between(date(2025, 12, 28), date(2026, 1, 3)), "28 December 2025 to 3 January 2026"),
    ],
)
def test_a_period_is_named_as_a_person_names_it(period: Period, title: str) -> None:
    assert period.title == title
