"""Operators name kinds of work of their own by the shape of a request, with a reason (promise A5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.task_class import RULES, Answer, Shape, classify
from visionality.core.task_class_rules import MOST_RULES, ClassRule, numbered

SHAPE = Shape(
    client="claude-code",
    path="v1/messages",
    openings=("You review bills. Today", "You write tests."),
    tools=frozenset({"create_invoice", "edit"}),
    model="claude-sonnet-4-6",
    headers={"x-vis-team": "billing", "user-agent": "x"},
)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (ClassRule("x", client="claude-code"), True),
        (ClassRule("x", client="claude"), False),
        (ClassRule("x", tool="create_invoice"), True),
        (ClassRule("x", tool="Create_*"), True),
        (ClassRule("x", tool="*"), True),
        (ClassRule("x", tool="invoice"), False),
        (ClassRule("x", tool="create_invoic?"), False),
        (ClassRule("x", tool="[c]reate_invoice"), False),
        (ClassRule("x", model="claude-*"), True),
        (ClassRule("x", model="gpt-*"), False),
        (ClassRule("x", path="v1/messages"), True),
        (ClassRule("x", path="*/chat/completions"), False),
        (ClassRule("x", system_starts="You review bills."), True),
        (ClassRule("x", system_starts="You write tests."), False),
        (ClassRule("x", system_starts="review"), False),
        (ClassRule("x", headers=(("x-vis-team", "billing"),)), True),
        (ClassRule("x", headers=(("x-vis-team", "Billing"),)), False),
        (ClassRule("x", headers=(("x-vis-team", "billing"), ("x-vis-other", "1"))), False),
        (ClassRule("x", client="claude-code", tool="create_*", model="claude-*"), True),
        (ClassRule("x", client="claude-code", tool="delete_*"), False),
    ],
)
def test_a_rule_holds_when_all_that_it_names_holds(rule, holds):
    assert rule.fits(SHAPE) is holds
    assert not rule.fits(Shape())


def test_the_first_rule_that_holds_decides_and_says_which_it_was():
    rules = numbered([ClassRule("a", client="codex"), ClassRule("billing-review", tool="create_invoice")])
    assert classify(SHAPE, (*rules, *RULES)) == Answer(
        "billing-review", "rule 2 of the map: tool create_invoice"
    )
    both = numbered([ClassRule("a", client="claude-code", headers=(("x-vis-team", "billing"),))])
    assert classify(SHAPE, both) == Answer(
        "a", "rule 1 of the map: client claude-code, header x-vis-team: billing"
    )


def test_what_a_request_declares_comes_before_an_operators_rule():
    declared = Shape(client="claude-code", declared="billing-review")
    answer = classify(declared, numbered([ClassRule("a", client="claude-code")]))
    assert answer == Answer("billing-review", "declared in x-vis-task-class")


@given(st.lists(st.sampled_from("a*?[]"), max_size=80).map("".join), st.text("ab", max_size=80))
def test_a_glob_is_decided_by_stars_alone(glob, name):
    """By the plain algorithm, which is linear in each piece: no glob is slow, and none is an error."""
    first, *rest = glob.split("*")
    expected = glob == name
    if rest:
        at, *middle, last = len(first), *rest
        expected = name.startswith(first)
        for piece in middle:
            found = name.find(piece, at)
            expected &= found >= 0
            at = found + len(piece)
        expected &= len(name) - len(last) >= at and name.endswith(last)
    assert ClassRule("x", tool=glob).fits(Shape(tools=frozenset({name}))) is (expected or not glob)


def test_as_many_rules_as_there_may_be_are_tried():
    rules = numbered(ClassRule(f"c{number}", tool=f"*{number}*x*y*z") for number in range(MOST_RULES))
    tools = frozenset(f"{'xyz' * 25}{number}" for number in range(256))
    assert classify(Shape(tools=tools), rules) is None
