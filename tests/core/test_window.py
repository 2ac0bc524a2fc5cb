"""Budget windows are calendar periods in the organisation's time zone (B1, B2)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.window import EVER, PERIODS, bounds, window_id

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Pacific/Apia",
    "America/Havana",
)
instants = st.datetimes(datetime(2005, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(ZONES).map(ZoneInfo)
calendar = st.sampled_from([period for period in PERIODS if period != "total"])


@settings(max_examples=400, deadline=None)
@given(calendar, zones, instants)
def test_an_instant_lies_in_its_period_and_the_next_begins_where_it_ends(period, zone, at):
    starts, ends = bounds(period, zone, at)
    assert starts <= at < ends
    assert (
        bounds(period, zone, starts)
        == bounds(period, zone, ends - timedelta(microseconds=1))
        == (starts, ends)
    )
    assert bounds(period, zone, ends)[0] == ends


@pytest.mark.parametrize(
    ("period", "zone", "at", "starts", "ends"),
    [
        ("month", "Europe/Berlin", "2026-10-31T23:30", "2026-10-31T23:00", "2026-11-30T23:00"),
        ("month", "Europe/Berlin", "2026-10-31T22:30", "2026-09-30T22:00", "2026-10-31T23:00"),
        ("quarter", "UTC", "2026-12-31T23:59", "2026-10-01T00:00", "2027-01-01T00:00"),
        ("week", "UTC", "2026-11-22T12:00", "2026-11-16T00:00", "2026-11-23T00:00"),
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "America/Sao_Paulo", "2018-11-04T12:00", "2018-11-04T03:00", "2018-11-05T02:00"),
    ],
)  # fmt: skip
def test_periods_begin_at_midnight_of_the_zone_also_when_the_clocks_change(period, zone, at, starts, ends):
    def utc(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)

    assert bounds(period, ZoneInfo(zone), utc(at)) == (utc(starts), utc(ends))


@given(zones, instants)
def test_a_total_is_one_period_for_ever(zone, at):
    assert bounds("total", zone, at) == EVER


def test_a_window_is_named_by_budget_period_and_value():
    budget, other = UUID(int=1), UUID(int=2)
    october, november = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    names = {
        window_id(*named)
        for named in [
            (budget, october, "a"),
            (budget, october, "b"),
            (budget, november, "a"),
            (other, october, "a"),
        ]
    }
    assert len(names) == 4
    assert window_id(budget, october, "a") == window_id(budget, october, "a")
