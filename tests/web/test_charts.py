"""Drawings: an axis is round, nothing is drawn outside of it, and what is something is never drawn as nothing."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from visionality.web.charts.burn import Outlook, burn
from visionality.web.charts.columns import Column, Part, columns
from visionality.web.charts.scale import HEIGHT, STEPS, scale_for
from visionality.web.charts.shares import FULL, shares
from visionality.web.seats.figures import cents, percent, short

NUSD = st.integers(-(10**15), 10**18)


@given(NUSD)
def test_an_axis_holds_its_highest_value_and_wastes_less_than_half(highest):
    top = scale_for(highest).top
    assert top >= highest
    assert top % STEPS == 0
    assert highest <= STEPS or top < 2 * highest


def test_an_axis_of_dollars_is_written_in_round_figures():
    dollar = 10**9
    assert [short(tick) for tick in scale_for(1_234 * dollar).ticks] == ["1,600", "1,200", "800", "400", "0"]
    assert [short(tick) for tick in scale_for(3_400_000 * dollar).ticks] == ["4M", "3M", "2M", "1M", "0"]
    assert [short(tick) for tick in scale_for(110_000 * dollar).ticks] == ["120k", "90k", "60k", "30k", "0"]
    assert [short(tick) for tick in scale_for(3_400_000).ticks] == ["0.004", "0.003", "0.002", "0.001", "0"]
    assert [short(tick) for tick in scale_for(0).ticks] == ["4", "3", "2", "1", "0"]


@given(st.lists(st.lists(NUSD, max_size=4), max_size=31))
def test_stacked_parts_lie_on_one_another_inside_the_drawing(days):
    given_columns = [Column("", [Part(series, nusd, "") for series, nusd in enumerate(day)]) for day in days]
    drawn = columns("", given_columns)
    assert len(drawn.rects) == sum(nusd > 0 for day in days for nusd in day)
    for one in drawn.rects:
        assert one.height >= 1
        assert 0 <= one.y <= HEIGHT
        assert one.x + 9 <= drawn.width


@given(st.lists(st.integers(0, 10**15), max_size=31), NUSD)
def test_a_burn_stays_inside_its_drawing(sums, cap):
    drawn = burn("", sums, [""] * 31, max(0, cap), Outlook(10**14, 0, 10**16))
    for points in (drawn.spent, drawn.ground, drawn.likely, drawn.band):
        for point in points.split():
            x, y = map(int, point.split(","))
            assert 0 <= x <= drawn.width
            assert 0 <= y <= HEIGHT


@given(st.lists(NUSD, max_size=8))
def test_shares_fill_their_bar_and_do_not_overlap(sizes):
    drawn = shares([(str(size), size) for size in sizes])
    assert [one.title for one in drawn] == [str(size) for size in sizes if size > 0]
    for one, after in pairwise(drawn):
        assert after.start >= one.start
    if drawn:
        assert drawn[-1].start + drawn[-1].length >= FULL


def test_a_figure_that_is_something_is_never_shown_as_nothing():
    assert str(cents(4_237_180_000_000)) == "4,237.18"
    assert str(cents(5_000_000)) == "0.005"
    assert str(cents(15_000_000)) == "0.02"
    assert str(cents(-5_125_000_000)) == "-5.12"
    assert str(cents(0)) == "0.00"
    assert percent(1, 8) == "12.5\N{NO-BREAK SPACE}%"
    assert percent(0, 0) == "–"
