"""Promise B2: who spends too fast is flagged with a forecast and the reason; a quiet weekend or one odd day is no alarm."""

import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.burn import METHOD, Burn, crossed, drivers, forecast
from visionality.core.money import NANO
from visionality.core.window import bounds

CHICAGO = ZoneInfo("America/Chicago")
JUNE = date(2026, 6, 1)  # a Monday, in a month of 30 days
DAY = timedelta(days=1)

local = datetime.fromisoformat
"""A moment as the organisation's clocks show it."""


def burn_at(now, daily, cap_nusd=10**18, spent_nusd=None, zone=CHICAGO, period="month") -> Burn:
    """The burn of the period around a local moment, with what was spent in it so far as it stands in the series."""
    at = now.replace(tzinfo=zone)
    starts_at, ends_at = bounds(period, zone, at)
    if spent_nusd is None:
        first = starts_at.astimezone(zone).date()
        spent_nusd = sum(nusd for day, nusd in daily.items() if day >= first)
    burn = forecast(
        starts_at=starts_at,
        ends_at=ends_at,
        now=at.astimezone(UTC),
        zone=zone,
        cap_nusd=cap_nusd,
        spent_nusd=spent_nusd,
        daily=daily,
    )
    assert burn is not None
    return burn


def days(first, after):
    return [first + DAY * ahead for ahead in range((after - first).days)]


def company(first, after, dollars=100):
    """Workdays alike, weekends quiet."""
    return {day: dollars * NANO for day in days(first, after) if day.weekday() < 5}


def noon(day):
    return datetime.combine(day, time(12))


# ---------------------------------------------------------------- the story


def test_soce_at_60_percent_on_day_12_is_flagged_with_forecast_and_reason():
    before = company(JUNE - 28 * DAY, JUNE, dollars=40)
    since = company(JUNE, JUNE + 12 * DAY, dollars=40)
    for day, derek in ((8, 200), (9, 280), (10, 240), (11, 260), (12, 120)):
        since[date(2026, 6, day)] += derek * NANO
    assert sum(since.values()) == 1500 * NANO
    burn = burn_at(local("2026-06-12 09:30"), before | since, cap_nusd=2500 * NANO)
    assert (burn.used_percent, burn.elapsed_percent, burn.is_hot) == (60, 37, True)
    assert burn.forecast_nusd > burn.low_nusd > 2500 * NANO
    assert burn.reached_on is not None
    assert date(2026, 6, 15) <= burn.reached_on <= date(2026, 6, 24)

    reason = drivers(
        {
            "agent_sub": {
                "alice@arctrade": (210 * NANO, 160 * NANO),
                "derek@arctrade": (1190 * NANO, 60 * NANO),
                "bob@arctrade": (100 * NANO, 90 * NANO),
            },
            "model_used": {
                "claude-haiku-4-5": (190 * NANO, 150 * NANO),
                "claude-sonnet-4-5[1m]": (1240 * NANO, 100 * NANO),
                "claude-sonnet-4-5": (70 * NANO, 60 * NANO),
            },
            "task_class": {
                "code_completion": (270 * NANO, 240 * NANO),
                "refactor": (1200 * NANO, 50 * NANO),
                "chat": (30 * NANO, 20 * NANO),
            },
        }
    )
    assert [(driver.dimension, driver.value, driver.share_percent) for driver in reason] == [
        ("agent_sub", "derek@arctrade", 79),
        ("model_used", "claude-sonnet-4-5[1m]", 82),
        ("task_class", "refactor", 80),
    ]
    assert reason[0].change_nusd == 1130 * NANO


def test_an_alert_explains_its_forecast_in_three_sentences():
    assert METHOD.count(". ") == 2
    assert METHOD.endswith(".")


# ---------------------------------------------------------------- hot, to the nano-dollar


def test_60_percent_gone_with_40_percent_of_the_time_is_the_line():
    on_the_line = local("2026-06-13 00:00")  # twelve days of thirty
    assert burn_at(on_the_line, {}, cap_nusd=2500 * NANO, spent_nusd=1500 * NANO).is_hot
    assert not burn_at(on_the_line, {}, cap_nusd=2500 * NANO, spent_nusd=1500 * NANO - 1).is_hot
    assert not burn_at(
        on_the_line + timedelta(microseconds=1), {}, cap_nusd=2500 * NANO, spent_nusd=1500 * NANO
    ).is_hot


def test_less_than_half_the_cap_is_not_hot_by_speed_alone():
    first_morning = local("2026-06-01 06:00")
    assert burn_at(first_morning, {}, cap_nusd=10, spent_nusd=5).is_hot
    assert not burn_at(first_morning, {}, cap_nusd=10, spent_nusd=4).is_hot


def test_what_is_over_its_cap_is_hot_even_in_the_last_hour():
    last_hour = local("2026-06-30 23:00")
    assert burn_at(last_hour, {}, cap_nusd=10**18, spent_nusd=10**18 + 1).is_hot
    assert not burn_at(last_hour, {}, cap_nusd=10**18, spent_nusd=10**18).is_hot
    used = [
        burn_at(last_hour, {}, cap_nusd=10**18, spent_nusd=10**18 + more).used_percent for more in (-1, 0)
    ]
    assert used == [99, 100]


def test_a_month_that_will_end_at_its_usual_level_is_not_hot_and_one_far_beyond_it_is():
    daily = company(JUNE - 56 * DAY, JUNE + 11 * DAY)  # 2,200 a month
    assert not burn_at(noon(JUNE + 11 * DAY), daily, cap_nusd=2500 * NANO).is_hot
    assert burn_at(noon(JUNE + 11 * DAY), daily, cap_nusd=1800 * NANO).is_hot


def test_four_chances_in_five_to_pass_the_cap_are_the_other_line():
    daily = {day: nusd * (1 + day.day % 3) for day, nusd in company(JUNE - 56 * DAY, JUNE + 4 * DAY).items()}
    seen = burn_at(noon(JUNE + 3 * DAY), daily)
    deviation = (seen.high_nusd - seen.forecast_nusd) / 1.2816
    passed = seen.forecast_nusd - 0.8416 * deviation  # a fifth of a normal distribution lies below
    assert seen.forecast_nusd - seen.low_nusd == pytest.approx(seen.high_nusd - seen.forecast_nusd)
    assert burn_at(noon(JUNE + 3 * DAY), daily, cap_nusd=int(passed * 0.999)).is_hot
    assert not burn_at(noon(JUNE + 3 * DAY), daily, cap_nusd=int(passed * 1.001)).is_hot


def test_a_cap_of_nothing_is_used_up_and_hot_once_anything_was_spent():
    idle = burn_at(noon(JUNE), {}, cap_nusd=0)
    assert (idle.used_percent, idle.is_hot, idle.reached_on) == (100, False, JUNE)
    assert burn_at(noon(JUNE), {JUNE: 1}, cap_nusd=0).is_hot


# ---------------------------------------------------------------- the forecast


def test_quiet_weekends_are_not_spent_like_workdays():
    friday = local("2026-06-05 23:59")
    truth = 2200 * NANO
    seen = burn_at(friday, company(JUNE - 56 * DAY, JUNE + 5 * DAY)).forecast_nusd
    assert abs(seen - truth) < truth // 20
    never_seen = burn_at(friday, company(JUNE, JUNE + 5 * DAY)).forecast_nusd
    assert abs(never_seen - truth) < truth // 8


def test_a_weekend_that_nobody_saw_yet_is_guessed_at_a_quarter_of_a_workday():
    saturday = local("2026-06-06 00:00")
    burn = burn_at(saturday, company(JUNE, JUNE + 5 * DAY))
    assert burn.forecast_nusd == pytest.approx((5 + 17 + 8 / 4) * 100 * NANO)
    that_day = burn_at(saturday, company(JUNE, JUNE + 5 * DAY), period="day")
    assert that_day.forecast_nusd == pytest.approx(25 * NANO)
    assert that_day.high_nusd > 50 * NANO


def test_a_day_of_last_week_counts_half_as_much_as_one_of_this_week():
    daily = company(JUNE - 7 * DAY, JUNE, dollars=100) | company(JUNE, JUNE + 5 * DAY, dollars=40)
    burn = burn_at(local("2026-06-06 00:00"), daily)
    usual = (40 + 100 / 2) / 1.5
    assert burn.forecast_nusd == pytest.approx((5 * 40 + 17 * usual) * NANO)


def test_one_day_alone_says_little():
    burn = burn_at(local("2026-06-02 00:00"), {JUNE: 100 * NANO}, period="day")
    assert (burn.low_nusd, burn.forecast_nusd) == (0, 100 * NANO)
    assert burn.high_nusd == pytest.approx(235 * NANO, rel=0.01)


def test_a_service_that_sells_on_weekends_is_forecast_with_them():
    daily = dict.fromkeys(days(JUNE - 56 * DAY, JUNE + 5 * DAY), 100 * NANO)
    truth = 3000 * NANO
    assert abs(burn_at(local("2026-06-05 23:59"), daily).forecast_nusd - truth) < truth // 20


def test_the_first_minutes_of_a_first_day_are_no_rate():
    burn = burn_at(local("2026-06-01 00:05"), {JUNE: NANO}, cap_nusd=100 * NANO)
    assert burn.forecast_nusd == pytest.approx(49 * NANO, rel=0.001)  # as if half a day had spent it
    assert burn.high_nusd > 2 * burn.forecast_nusd
    assert not burn.is_hot


def test_one_odd_day_is_no_trend_but_what_comes_again_is_one():
    today = JUNE + 11 * DAY
    plain = company(JUNE - 28 * DAY, today, dollars=50)
    odd = plain | {date(2026, 6, 10): 1000 * NANO}
    weekly = plain | {date(2026, 6, 10) - 7 * DAY * weeks: 1000 * NANO for weeks in range(5)}

    def left(daily):
        first = sum(nusd for day, nusd in daily.items() if day >= JUNE)
        return burn_at(noon(today), daily).forecast_nusd - first

    assert left(plain) <= left(odd) < left(plain) * 5 // 4
    truth = (12 * 50 + 25 + 2 * 950) * NANO  # twelve workdays and a half, two of them with the job
    assert truth * 2 // 3 < left(weekly) < truth * 3 // 2
    odd_weekend = plain | {date(2026, 6, 6): 1000 * NANO}
    assert left(odd_weekend) < left(plain) * 5 // 4


def test_from_five_days_on_one_counts_for_no_more_than_twice_the_next():
    def month_with(wednesday, first):
        daily = company(first, JUNE + 5 * DAY, dollars=10)
        daily |= {date(2026, 6, 2): 15 * NANO, date(2026, 6, 3): wednesday * NANO}
        burn = burn_at(local("2026-06-06 00:00"), daily)
        return burn.forecast_nusd - sum(daily.values())

    assert month_with(1000, JUNE) == month_with(30, JUNE) > month_with(29, JUNE)
    assert month_with(1000, JUNE + DAY) > 10 * month_with(30, JUNE + DAY)


def test_a_new_level_is_followed_and_not_averaged_away():
    daily = company(JUNE - 56 * DAY, JUNE, dollars=30) | company(JUNE, JUNE + 11 * DAY, dollars=120)
    truth = 22 * 120 * NANO
    assert truth * 4 // 5 < burn_at(noon(JUNE + 11 * DAY), daily).forecast_nusd < truth


def test_what_spends_nothing_is_forecast_to_spend_nothing():
    still = burn_at(noon(JUNE + 9 * DAY), {JUNE - 20 * DAY: 0}, cap_nusd=1, spent_nusd=0)
    assert still == Burn(0, 0, 0, None, 0, 31, is_hot=False)
    only_opening = burn_at(noon(JUNE + 9 * DAY), {}, cap_nusd=100, spent_nusd=7)
    assert (only_opening.forecast_nusd, only_opening.high_nusd, only_opening.used_percent) == (7, 7, 7)


def test_days_before_the_first_that_is_known_were_not_days_without_spend():
    late = dict.fromkeys(days(date(2026, 6, 15), date(2026, 6, 20)), 100 * NANO)
    burn = burn_at(local("2026-06-19 23:59"), late)
    assert burn.forecast_nusd > (500 + 7 * 95) * NANO


def test_credits_do_not_make_a_forecast_fall_below_what_is_spent():
    burn = burn_at(noon(JUNE + 3 * DAY), {JUNE: 10 * NANO, JUNE + DAY: -50 * NANO, JUNE + 2 * DAY: -1})
    assert burn.low_nusd == burn.forecast_nusd == -40 * NANO - 1
    many = burn_at(noon(JUNE + 10 * DAY), dict.fromkeys(days(JUNE, JUNE + 10 * DAY), -NANO))
    assert many.forecast_nusd == -10 * NANO


def test_the_range_holds_what_comes_four_times_out_of_five():
    chance = random.Random(20260601)
    held = 0
    for _ in range(300):
        every = {
            day: int(chance.lognormvariate(0, 0.8) * (100 if day.weekday() < 5 else 20) * NANO)
            for day in days(JUNE - 56 * DAY, JUNE + 30 * DAY)
        }
        today = JUNE + chance.randrange(30) * DAY
        known = {day: nusd for day, nusd in every.items() if day < today} | {today: every[today] // 2}
        burn = burn_at(noon(today), known)
        truth = sum(nusd for day, nusd in every.items() if day >= JUNE)
        held += burn.low_nusd <= truth <= burn.high_nusd
    assert 0.75 < held / 300 < 0.95


def test_a_window_that_is_over_is_forecast_as_it_ended():
    daily = company(JUNE, JUNE + 30 * DAY)
    starts_at, ends_at = bounds("month", CHICAGO, datetime(2026, 6, 5, tzinfo=UTC))
    for late in (timedelta(0), 3 * DAY):
        burn = forecast(
            starts_at=starts_at, ends_at=ends_at, now=ends_at + late, zone=CHICAGO,
            cap_nusd=10**18, spent_nusd=2200 * NANO, daily=daily,
        )  # fmt: skip
        assert burn == Burn(2200 * NANO, 2200 * NANO, 2200 * NANO, None, 0, 100, is_hot=False)


def test_a_budget_for_the_total_has_no_forecast():
    starts_at, ends_at = bounds("total", CHICAGO, datetime(2026, 6, 5, tzinfo=UTC))
    assert (
        forecast(
            starts_at=starts_at, ends_at=ends_at, now=datetime(2026, 6, 5, tzinfo=UTC), zone=CHICAGO,
            cap_nusd=1, spent_nusd=1, daily={},
        ) is None
    )  # fmt: skip


def test_a_budget_of_a_day_is_forecast_from_the_days_before_and_from_today():
    daily = company(JUNE - 28 * DAY, JUNE)
    assert burn_at(noon(JUNE), daily | {JUNE: 60 * NANO}, period="day").forecast_nusd == pytest.approx(
        110 * NANO, rel=0.1
    )


def test_a_month_in_which_the_clocks_change_ends_when_it_ends():
    berlin = ZoneInfo("Europe/Berlin")
    march = date(2026, 3, 1)
    burn = burn_at(local("2026-03-31 23:59:59"), {march: NANO}, zone=berlin)
    assert burn.elapsed_percent == 99
    assert burn.forecast_nusd - NANO < NANO // 1000


def test_a_day_is_one_of_the_organisations_calendar():
    evening = local("2026-06-05 21:00")  # Saturday already in UTC
    friday = company(JUNE - 28 * DAY, date(2026, 6, 6))
    burn = burn_at(evening, friday)
    assert burn.forecast_nusd - 500 * NANO == pytest.approx((17 + 3 / 24) * 100 * NANO, rel=0.1)


# ---------------------------------------------------------------- the day of the cap


def test_the_day_of_the_cap_is_the_one_on_which_a_usual_spend_reaches_it():
    daily = dict.fromkeys(days(JUNE - 28 * DAY, JUNE + 10 * DAY), 100 * NANO)
    midnight = local("2026-06-11 00:00")
    reached = [burn_at(midnight, daily, cap_nusd=cap * NANO).reached_on for cap in (1050, 1150, 1350, 3500)]
    assert reached == [date(2026, 6, 11), date(2026, 6, 12), date(2026, 6, 14), None]


def test_a_cap_that_is_just_reached_is_reached():
    daily = dict.fromkeys(days(JUNE - 28 * DAY, JUNE + 10 * DAY), 2**37)  # exact in floats, too
    assert burn_at(local("2026-06-11 00:00"), daily, cap_nusd=12 * 2**37).reached_on == date(2026, 6, 12)


def test_a_cap_that_was_reached_says_on_which_day():
    daily = dict.fromkeys(days(JUNE, JUNE + 10 * DAY), 100 * NANO)
    now = noon(JUNE + 10 * DAY)
    reached = [burn_at(now, daily, cap_nusd=cap * NANO).reached_on for cap in (100, 101, 1000)]
    assert reached == [JUNE, JUNE + DAY, JUNE + 9 * DAY]
    opened_over = burn_at(now, daily, cap_nusd=100 * NANO, spent_nusd=1200 * NANO)
    assert opened_over.reached_on == JUNE


# ---------------------------------------------------------------- whatever the numbers

series = st.dictionaries(
    st.integers(-56, 11).map(lambda ahead: JUNE + DAY * ahead), st.integers(0, 10**14), max_size=68
)
moments = st.integers(0, 24 * 60 - 1).map(
    lambda minute: noon(JUNE + 11 * DAY) - timedelta(minutes=720 - minute)
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(series, moments, st.integers(0, 10**16), st.integers(0, 10**15))
def test_a_forecast_is_whole_and_lies_in_its_range_above_what_is_spent(daily, now, cap_nusd, spent_nusd):
    burn = burn_at(now, daily, cap_nusd=cap_nusd, spent_nusd=spent_nusd)
    amounts = (spent_nusd, burn.low_nusd, burn.forecast_nusd, burn.high_nusd)
    assert all(type(nusd) is int for nusd in amounts)
    assert list(amounts) == sorted(amounts)
    if abs(burn.forecast_nusd - cap_nusd) > 1000:  # the day is found in floats
        assert (burn.reached_on is not None) == (burn.forecast_nusd >= cap_nusd or spent_nusd >= cap_nusd)
    assert burn.reached_on is None or JUNE <= burn.reached_on < JUNE + 30 * DAY
    assert burn.is_hot or burn.low_nusd <= cap_nusd
    assert (burn.used_percent >= 100) == (spent_nusd >= cap_nusd)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(series, moments, st.integers(1, 10**15), st.integers(0, 10**14))
def test_the_size_of_the_company_changes_no_verdict(daily, now, cap_nusd, spent_nusd):
    small = burn_at(now, daily, cap_nusd=cap_nusd, spent_nusd=spent_nusd)
    large = burn_at(
        now, {day: nusd * 1024 for day, nusd in daily.items()}, cap_nusd=cap_nusd * 1024, spent_nusd=spent_nusd * 1024
    )  # fmt: skip
    for verdict in ("is_hot", "reached_on", "used_percent", "elapsed_percent"):
        assert getattr(small, verdict) == getattr(large, verdict), verdict
    assert abs(large.forecast_nusd - small.forecast_nusd * 1024) <= 1024


# ---------------------------------------------------------------- thresholds

percents = st.lists(st.integers(1, 300), max_size=6)


@settings(max_examples=300, derandomize=True)
@given(percents, st.integers(1, 2**63), st.lists(st.integers(0, 2**64), min_size=2, max_size=8))
def test_each_threshold_is_crossed_once_on_the_way_and_never_on_the_way_back(thresholds, cap_nusd, spent):
    spent = sorted([0, *spent])
    told = [
        percent
        for before, after in pairwise(spent)
        for percent in crossed(thresholds, cap_nusd, before, after)
    ]
    assert told == [percent for percent in sorted(set(thresholds)) if spent[-1] * 100 >= percent * cap_nusd]
    assert crossed(thresholds, cap_nusd, spent[-1], 0) == ()


def test_a_threshold_is_crossed_by_the_nano_dollar_that_reaches_it():
    cap_nusd = 2500 * NANO
    assert crossed([80, 60, 60, 100], cap_nusd, 1500 * NANO - 1, 1500 * NANO) == (60,)
    assert crossed([80, 60, 60, 100], cap_nusd, 1500 * NANO, 2000 * NANO - 1) == ()
    assert crossed([80, 60, 60, 100], cap_nusd, 0, cap_nusd) == (60, 80, 100)
    assert crossed([33], 10**18 + 1, 33 * 10**16, 33 * 10**16 + 1) == (33,)  # a float sees no difference


# ---------------------------------------------------------------- drivers

spends = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=8
)


@settings(max_examples=300, derandomize=True)
@given(spends, st.randoms(use_true_random=False))
def test_drivers_are_few_and_the_largest_and_do_not_depend_on_the_order_of_rows(values, chance):
    found = drivers({"agent_sub": values})
    shuffled = list(values.items())
    chance.shuffle(shuffled)
    assert drivers({"agent_sub": dict(shuffled)}) == found
    assert len(found) <= 3
    spent = sum(now for now, _ in values.values())
    growth = spent - sum(then for _, then in values.values())
    assert bool(found) == (spent > 0)

    def part(now, then):
        return now - then if growth > 0 else now

    parts = [part(driver.spent_nusd, driver.before_nusd) for driver in found]
    rest = [part(*values[value]) for value in values if value not in {driver.value for driver in found}]
    assert parts == sorted(parts, reverse=True)
    assert all(amount > 0 for amount in parts)
    assert max(rest, default=0) <= min(parts, default=0) or not found
    wanted = growth if growth > 0 else spent
    assert len(found) == 3 or sum(parts) * 5 >= wanted * 4
    assert not found or sum(parts[:-1]) * 5 < wanted * 4


def test_without_growth_the_drivers_are_those_that_spent_most():
    found = drivers({"model_used": {"a": (10, 500), "b": (85, 90), "c": (5, 0)}, "task_class": {}})
    assert [(driver.value, driver.share_percent, driver.change_nusd) for driver in found] == [("b", 85, -5)]


def test_who_explains_four_fifths_explains_enough():
    assert [driver.value for driver in drivers({"agent_sub": {"al": (80, 0), "bo": (20, 0)}})] == ["al"]
    assert [driver.value for driver in drivers({"agent_sub": {"al": (79, 0), "bo": (21, 0)}})] == ["al", "bo"]


def test_equal_drivers_stand_in_the_order_of_their_names():
    found = drivers({"agent_sub": {"zoe": (5, 0), "al": (5, 0), "mia": (5, 0), "bo": (5, 0)}})
    assert [driver.value for driver in found] == ["al", "bo", "mia"]


def test_what_only_gave_money_back_has_no_drivers():
    assert drivers({"agent_sub": {"al": (-5, -10), "bo": (5, 0)}}) == ()
