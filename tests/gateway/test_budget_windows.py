"""Promise B1: which windows a call draws on, and when one ends and the next begins. By clocks that a test sets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.budgets import (
    SMALL,
    STREAMED_WORST,
    WORST,
    Spender,
    Watch,
    at_worst,
    by_period,
    cap,
    gateways,
    in_force,
    next_month,
    price_house,
    row_of,
    somebody,
    streaming,
)
from gateway.calls import Reply, new_id
from product import Product
from visionality.core.row import Row
from visionality.core.scope import KINDS
from visionality.core.window import PERIODS, bounds, window_id
from visionality.gateway.budgets import _VALUES, Budgets
from visionality.registry.snapshot import BudgetRecord

MOMENT = timedelta(seconds=1)


# ---------------------------------------------------------------- at the edge a caller meets


@pytest.fixture
def one(product: Product) -> Spender:
    price_house(product)
    return somebody(product)


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "clock")


def test_a_month_ends_at_midnight_and_the_next_one_begins_with_its_whole_cap(product, one, watch):
    """Lessons, row 15: nothing is reset; a period that begins is a new window."""
    edge = next_month()
    this_month, _ = bounds("month", ZoneInfo("UTC"), edge - MOMENT)
    watch.show(edge - MOMENT)
    budget = cap(one, WORST, period="month")
    with gateways(product, 1, watch) as (other,):
        in_force(one, other.address)

        def call() -> Reply:
            return at_worst(one, address=other.address)

        assert call().status == 200
        reply = call()
        assert reply.status == 402
        assert reply.header("x-vis-budget-resets") == f"{edge:%Y-%m-%dT%H:%M:%SZ}"
        watch.show(edge)
        assert [call().status for _ in range(2)] == [200, 402]
        assert by_period(product, budget) == {this_month: (WORST, 0), edge: (WORST, 0)}
        watch.show(edge - MOMENT)  # a clock that jumps back meets the books that it left
        assert call().status == 402
        watch.show(edge + MOMENT)
        assert call().status == 402
    assert by_period(product, budget) == {this_month: (WORST, 0), edge: (WORST, 0)}


def test_a_call_that_was_held_before_midnight_belongs_to_the_month_before(product, one, watch):
    edge = next_month()
    this_month, _ = bounds("month", ZoneInfo("UTC"), edge - MOMENT)
    watch.show(edge - MOMENT)
    budget = cap(one, STREAMED_WORST, period="month")
    with gateways(product, 1, watch) as (other,):
        in_force(one, other.address)
        plan = {"chunks": 30, "chunk_delay_ms": 100, "usage": SMALL}
        with streaming(one, call_id := new_id(), address=other.address, **plan) as answer:
            answer.read1()
            watch.show(edge + MOMENT)
            assert at_worst(one, address=other.address).status == 200
            assert by_period(product, budget) == {this_month: (0, STREAMED_WORST), edge: (WORST, 0)}
            answer.read()
        row = row_of(one, call_id)
        assert row["created_at"] >= edge
    assert by_period(product, budget) == {this_month: (row["cost_nusd"], 0), edge: (WORST, 0)}


# ---------------------------------------------------------------- which budgets a call draws on

ORG, CALL = UUID(int=1), UUID(int=2)
MEMBERS = {
    "spend_token": "spend_token_id",
    "agent": "agent_sub",
    "person": "sso_sub",
    "task_class": "task_class",
    "model_family": "model_family",
    "team": "team_id",
    "customer": "customer_id",
    "project": "project_id",
}
"""What a row has of a scope, where that is a text of its own."""
NAMES = st.sampled_from(["a", "b", "*"])
TOKENS = {name: str(UUID(int=1000 + number)) for number, name in enumerate("ab*")}
"""A spend token is named by its id; a call cannot name one as it likes."""
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])


def a_row(values: dict[str, str]) -> Row:
    members = {MEMBERS[kind]: value for kind, value in values.items() if kind in MEMBERS}
    tags = {"business_unit": values["business_unit"]} if "business_unit" in values else None
    return Row(
        org_id=ORG,
        request_id=CALL,
        provider="openai",
        dialect="messages",
        price_state="known",
        tags=tags,
        **members,
    )


def a_budget(number: int, kind: str, value: str, period: str) -> BudgetRecord:
    return BudgetRecord(
        UUID(int=number), kind, value, period, 1, hard=True, soft=(), near_cap="refuse", ceiling_nusd=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def budgets_of(budgets: Sequence[BudgetRecord], zone: str) -> Budgets:
    return Budgets(ORG, zone, budgets)


@st.composite
def some_budgets(draw: Any) -> list[BudgetRecord]:
    scopes = st.tuples(st.sampled_from(KINDS), NAMES, st.sampled_from(PERIODS))

    def value_of(kind: str, name: str) -> str:
        if kind == "spend_token" and name != "*":
            return TOKENS[name]
        return "" if kind == "organisation" else name

    return [
        a_budget(number, kind, value_of(kind, value), period)
        for number, (kind, value, period) in enumerate(draw(st.lists(scopes, max_size=12)))
    ]


def test_there_is_no_kind_of_scope_that_a_gateway_does_not_know():
    """A budget of such a kind would guard nothing."""
    assert set(_VALUES) == set(KINDS)


@settings(deadline=None)
@given(
    budgets=some_budgets(),
    values=st.dictionaries(st.sampled_from([*MEMBERS, "business_unit"]), NAMES),
    zone=ZONES,
    moments=st.lists(
        st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis wants bounds without
        min_size=1,
        max_size=4,
    ),
)
def test_a_call_draws_once_on_every_budget_of_what_it_is_for_whatever_the_clock_did(
    budgets, values, zone, moments
):
    """Lessons, row 2: one list of scopes, and nobody is outside of it."""
    token = {"spend_token": TOKENS[values["spend_token"]]} if "spend_token" in values else {}
    values |= token
    known, of_row = budgets_of(budgets, zone), values | {"organisation": ""}
    wanted = {
        budget.budget_id: of_row[budget.scope_kind]
        for budget in budgets
        if budget.scope_kind in of_row and budget.scope_value in {of_row[budget.scope_kind], "*"}
    }
    wanted |= {UUID(own): own for own in token.values()}  # and its own hard limit
    for now in moments:
        draws = known.draws(a_row(values), now)
        assert len(draws) == len(wanted)
        assert {budget.budget_id: window.scope_value for budget, window in draws} == wanted
        kinds = [list(_VALUES).index(budget.scope_kind) for budget, _ in draws]
        assert kinds == sorted(kinds)
        for budget, window in draws:
            assert window.starts_at <= now < window.ends_at
            assert (window.starts_at, window.ends_at) == bounds(budget.period, ZoneInfo(zone), now)
            assert window.window_id == window_id(budget.budget_id, window.starts_at, window.scope_value)


def test_a_window_that_the_clock_passed_and_came_back_to_is_the_same_one():
    known = budgets_of([a_budget(1, "agent", "*", "day")], "Europe/Berlin")
    midnight = datetime(2026, 10, 24, 22, tzinfo=UTC)  # the day has 25 hours, because the clocks go back

    def drawn(moment: datetime) -> Any:
        ((_, window),) = known.draws(a_row({"agent": "a"}), moment)
        return window

    before, after, again = (drawn(moment) for moment in (midnight - MOMENT, midnight, midnight - MOMENT))
    assert before == again
    assert before.ends_at == after.starts_at == midnight
    assert after.ends_at - after.starts_at == timedelta(hours=25)
