"""The proof of promise B1: any lawful history proves, and whatever is tampered with is named."""

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from core.budget_history import BUDGETS, START, WINDOWS, Maker, changed, histories, line_of, placed
from visionality.core.budget_event import Event
from visionality.core.budget_proof import Held
from visionality.ledger import batch

RUNS = settings(max_examples=60, derandomize=True, deadline=None)
picks = st.integers(0, 10_000)
ENDS = {"settle", "release", "expire"}


@RUNS
@given(histories)
def test_every_lawful_history_proves(history):
    assert history.findings() == []
    for account in history.proof().accounts.values():
        row = history.windows[account.window.window_id]
        assert (account.spent_nusd, account.held_nusd) == (row.spent_nusd, row.reserved_nusd)
        if not account.overages and not account.is_cut:
            assert account.most_past_nusd == 0


def chosen(history, pick, kinds):
    """The place of one of the events of these kinds."""
    places = [place for place, one in enumerate(history.events) if one.event.kind in kinds]
    assume(places)
    return places[pick % len(places)]


@RUNS
@given(histories, picks)
def test_an_event_that_is_removed_is_missed(history, pick):
    removed = history.events.pop(chosen(history, pick, {*ENDS, "reserve", "overage"}))
    history.lines = [line for line in history.lines if line.is_row or line != line_of(removed)]
    assert history.findings()


@RUNS
@given(histories, picks, st.sampled_from([-1, 1, 1_000]))
def test_an_amount_that_is_changed_is_seen_whether_its_leaf_is_made_anew_or_not(history, pick, by):
    place = chosen(history, pick, {*ENDS, "reserve", "overage"})
    amount_nusd = history.events[place].event.amount_nusd
    changed(history, place, amount_nusd=amount_nusd + by)
    assert history.findings()
    changed(history, place, amount_nusd=amount_nusd)
    assert history.findings() == []
    changed(history, place, amount_nusd=amount_nusd + by, rehash=False)
    assert any("leaf hash" in words for words in history.findings())


@RUNS
@given(histories, picks, st.sampled_from([-1, 1, 1_000]))
def test_a_charge_that_is_changed_is_seen_though_the_counters_are_changed_with_it(history, pick, by):
    place = chosen(history, pick, {"settle"})
    event = history.events[place].event
    changed(history, place, actual_nusd=event.actual_nusd + by)
    for window_id in event.windows:
        row = history.windows[window_id]
        history.windows[window_id] = row._replace(spent_nusd=row.spent_nusd + by)
    assert any("were charged" in words for words in history.findings())


@RUNS
@given(histories, picks, st.booleans())
def test_a_hold_that_ends_twice_is_named(history, pick, counted):
    event = history.events[chosen(history, pick, ENDS)].event
    last = max(one.position for one in history.events)
    wseq = max(one.event.wseq for one in history.events if one.event.writer_no == event.writer_no)
    again = batch.replace(event, id=UUID(int=1), wseq=wseq + 1)
    history.events.append(placed(again, last + 1))
    for window_id in event.windows if counted else ():
        row = history.windows[window_id]
        spent, held = row.spent_nusd + (event.actual_nusd or 0), row.reserved_nusd - event.amount_nusd
        history.windows[window_id] = row._replace(spent_nusd=spent, reserved_nusd=held, position=last + 1)
    assert any("is not open" in words for words in history.findings())


@RUNS
@given(histories, picks)
def test_a_hold_beyond_the_cap_is_named_with_its_place_though_all_else_agrees(history, pick):
    hard = [window_id for window_id, budget_id in WINDOWS.items() if history.caps[budget_id][-1].hard]
    assume(hard)
    window_id = hard[pick % len(hard)]
    row = history.windows[window_id]
    amount_nusd = max(row.cap_nusd - row.spent_nusd - row.reserved_nusd, 0) + 1
    last = max(
        [one.position for one in history.events] + [cap.position for cap in history.caps[WINDOWS[window_id]]]
    )
    whose = (UUID(int=7), START + timedelta(hours=5), UUID(int=1), 77, 1, "reserve", UUID(int=2), UUID(int=3))
    planted = Event(*whose, [window_id], amount_nusd, None, None)
    history.events.append(placed(planted, last + 1))
    history.lines.append(line_of(history.events[-1]))
    history.standing.append(Held(UUID(int=2), UUID(int=3), (window_id,), amount_nusd))
    history.windows[window_id] = row._replace(
        reserved_nusd=row.reserved_nusd + amount_nusd, position=last + 1
    )
    (finding,) = history.proof().accounts[window_id].findings
    assert finding.words.startswith("the cap was passed: ")
    assert finding[1:] == (START + timedelta(hours=5), last + 1, UUID(int=2), UUID(int=3))


@RUNS
@given(histories, st.sampled_from(BUDGETS), picks)
def test_a_record_of_a_cap_that_is_changed_or_removed_is_seen(history, budget_id, pick):
    caps = history.caps[budget_id]
    place = pick % len(caps)
    cap = caps[place]
    caps[place] = cap._replace(cap_nusd=cap.cap_nusd + 1, is_intact=False)
    assert any("leaf hash" in words for words in history.findings())
    caps[place] = cap
    caps[-1] = caps[-1]._replace(cap_nusd=caps[-1].cap_nusd + 1)
    assert any("its cap is" in words for words in history.findings())
    caps.clear()
    assert any("does not say the cap" in words for words in history.findings())


COUNTERS = ("cap_nusd", "opening_nusd", "spent_nusd", "reserved_nusd", "position")


@RUNS
@given(histories, st.sampled_from(list(WINDOWS)), st.sampled_from(COUNTERS), st.sampled_from([-1, 1]))
def test_a_window_s_row_that_is_changed_is_seen(history, window_id, column, by):
    row = history.windows[window_id]
    history.windows[window_id] = row._replace(**{column: getattr(row, column) + by})
    assert history.findings()


@RUNS
@given(histories, picks, st.sampled_from(["gone", "more", "elsewhere"]))
def test_a_standing_hold_that_is_changed_is_seen(history, pick, how):
    assume(history.standing)
    place = pick % len(history.standing)
    hold = history.standing[place]
    match how:
        case "gone":
            del history.standing[place]
        case "more":
            history.standing[place] = hold._replace(amount_nusd=hold.amount_nusd + 1)
        case "elsewhere":
            history.standing[place] = hold._replace(hold_id=UUID(int=1))
    assert history.findings()


@RUNS
@given(histories, picks, st.sampled_from([-1, 1]))
def test_a_row_whose_cost_is_changed_or_that_is_removed_is_seen(history, pick, by):
    places = [place for place, line in enumerate(history.lines) if line.is_row and line.what == "known"]
    assume(places)
    place = places[pick % len(places)]
    row = history.lines[place]
    history.lines[place] = row._replace(amount_nusd=row.amount_nusd + by)
    assert any("were charged" in words or "was charged" in words for words in history.findings())
    del history.lines[place]
    assert any("were charged" in words for words in history.findings())


@RUNS
@given(histories, picks)
def test_an_event_that_is_said_to_be_another_is_seen(history, pick):
    place = chosen(history, pick, {"reserve"})
    changed(history, place, kind="deny")
    assert history.findings()


@RUNS
@given(histories, picks)
def test_an_event_that_is_taken_out_of_a_window_is_seen(history, pick):
    place = chosen(history, pick, {*ENDS, "reserve"})
    changed(history, place, windows=history.events[place].event.windows[1:])
    assume(history.events[place].event.amount_nusd or history.events[place].event.actual_nusd)
    assert history.findings()


@RUNS
@given(histories, picks)
def test_two_steps_of_a_writer_that_change_places_are_seen(history, pick):
    place = chosen(history, pick, {*ENDS, "reserve", "deny"})
    one = history.events[place]
    others = [
        other
        for other in history.events
        if other.position > one.position
        and other.event.writer_no == one.event.writer_no
        and set(other.event.windows) & set(one.event.windows)
    ]
    assume(others)
    history.events[place] = one._replace(position=others[-1].position + 1)
    assert any(
        "placed behind a later one" in words or "were both at" in words for words in history.findings()
    )


def test_a_cost_beyond_its_hold_explains_how_far_a_window_is_past_its_cap():
    maker = Maker([(1_000, True), (5_000, True)])
    window = UUID(int=102)
    maker.transaction(1, [((window,), 1_000)], [], None)
    maker.transaction(1, [], [(0, "settle", 130, False)], None)
    history = maker.done()
    assert history.findings() == []
    account = history.proof().accounts[window]
    assert (account.most_nusd, account.most_past_nusd) == (1_300, 300)
    assert (account.overages, account.overage_nusd, account.is_cut) == (1, 300, False)


def test_a_cap_that_is_cut_below_what_is_held_is_no_wrong_and_is_told():
    maker = Maker([(1_000, True), (5_000, True)])
    window = UUID(int=102)
    maker.transaction(1, [((window,), 1_000)], [], None)
    maker.cap(0, 400, True)
    maker.transaction(1, [((window,), 1)], [(0, "settle", 40, True)], None)
    history = maker.done()
    assert history.findings() == []
    account = history.proof().accounts[window]
    assert (account.denials, account.is_cut, account.most_past_nusd) == (1, True, 600)


@pytest.mark.parametrize("hard", [True, False])
def test_only_a_hard_cap_can_be_passed(hard):
    maker = Maker([(1_000, False), (5_000, True)])
    maker.transaction(1, [((UUID(int=102),), 2_000)], [], None)
    history = maker.done()
    history.caps[BUDGETS[0]] = [cap._replace(hard=hard) for cap in history.caps[BUDGETS[0]]]
    for window_id in (UUID(int=101), UUID(int=102)):
        history.windows[window_id] = history.windows[window_id]._replace(hard=hard)
    assert any("the cap was passed" in words for words in history.findings()) == hard


def test_the_columns_of_an_event_are_those_that_the_writer_hashes():
    assert batch.Event is Event
