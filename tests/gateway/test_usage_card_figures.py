"""The figures of a usage card (B5): billed sums, a cap as it would be billed, and days of the organisation's calendar."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from visionality.core.window import bounds
from visionality.gateway.usage_card.card import MODELS, Limits, Scope, Spent, card
from visionality.gateway.usage_card.page import page

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DOLLAR = 10**9


def scope(period="month", multiplier="1.25") -> Scope:
    return Scope("customer", "client_glow", period, *bounds(period, BERLIN, NOW), BERLIN, Decimal(multiplier))


def spent(usd: int, model="gpt-4o", day=date(2026, 11, 20), *, inside=True) -> Spent:
    return Spent(day, model, inside, usd * DOLLAR * 5 // 4, usd * DOLLAR, 1)


def test_a_cap_and_what_is_left_of_it_are_shown_as_they_would_be_billed():
    made = card(scope(), Limits(100 * DOLLAR, 40 * DOLLAR, 10 * DOLLAR), [spent(40)], None, NOW)
    assert (made.spent_usd, made.held_usd, made.cap_usd, made.remaining_usd) == ("50", "12.5", "125", "62.5")
    assert (made.used_percent, made.state) == (50, "ok")


def test_what_was_before_the_window_is_no_part_of_its_sums():
    made = card(scope(), None, [spent(7, inside=False, day=date(2026, 10, 3)), spent(1)], None, NOW)
    assert (made.spent_usd, made.cap_usd, made.used_percent) == ("1.25", None, None)
    assert [day.day for day in made.by_day] == [date(2026, 11, 20)]


def test_a_card_is_near_from_80_percent_on_and_blocked_when_nothing_is_left_or_a_call_was_refused():
    def state(spent_nusd: int, refused_at: datetime | None = None) -> str:
        return card(scope(), Limits(100, spent_nusd, 0), [], refused_at, NOW).state

    assert [state(79), state(80), state(100), state(120), state(5, NOW)] == [
        "ok",
        "near",
        "blocked",
        "blocked",
        "blocked",
    ]


def test_models_beyond_the_dearest_are_one_line_and_the_lines_add_up():
    lines = [spent(number + 1, f"m{number}") for number in range(MODELS + 3)]
    made = card(scope(), None, lines, None, NOW)
    assert [len(made.by_model), made.by_model[0].model, made.by_model[-1].model] == [
        MODELS + 1,
        "m10",
        "others",
    ]
    assert sum(Decimal(one.spent_usd) for one in made.by_model) == Decimal(made.spent_usd)


def test_the_page_says_its_period_in_the_organisation_s_calendar():
    text = page(card(scope(), Limits(100 * DOLLAR, 0, 0), [spent(1)], None, NOW)).decode()
    assert "1 November 2026 until 1 December 2026" in text


def test_a_total_has_no_end_and_no_forecast():
    made = card(scope("total"), Limits(100 * DOLLAR, 0, 0), [spent(1)], None, NOW)
    assert (made.starts_at, made.resets_at, made.forecast) == (None, None, None)
    assert b"In total" in page(made)
