"""Each call's task class has a declared reason, and unknown is an answer (promise A5)."""

import pytest

from visionality.core.task_class import RULES, Answer, Rule, Shape, classify


def test_what_a_request_declares_comes_before_every_rule():
    shape = Shape(declared=" Refactor ", traits=frozenset({"title"}))
    assert classify(shape) == Answer("refactor", "declared in x-vis-task-class")


@pytest.mark.parametrize("declared", ["", "9lives", "drop table", "a" * 41, "Übung", None])
def test_a_name_that_is_no_class_declares_nothing(declared):
    answer = classify(Shape(declared=declared, traits=frozenset({"title"})))
    assert answer is not None
    assert answer.task_class == "title"


def test_a_shape_that_fits_no_rule_has_no_class():
    assert (
        classify(Shape(client="some-program", path="v1/chat/completions", tools=frozenset({"weather"})))
        is None
    )


def test_an_operators_rules_come_first():
    rule = Rule("test", "our test writer", tools=frozenset({"write_test"}))
    shape = Shape(tools=frozenset({"write_test", "edit"}))
    assert classify(shape, (rule, *RULES)) == Answer("test", "our test writer")


@pytest.mark.parametrize(
    ("shape", "task_class"),
    [
        (Shape(path="v1/fim/completions"), "code_completion"),
        (Shape(path="v1/embeddings"), "embedding"),
        (Shape(path="v1/completions", traits=frozenset({"fill_in_middle"})), "code_completion"),
        (Shape(command="review", tools=frozenset({"edit"})), "review"),
        (Shape(command="security-review"), "review"),
        (Shape(command="compact"), "summary"),
        (Shape(openings=("hello", "# Review guidelines:\n")), "review"),
        (Shape(openings=("Please read # Review guidelines:",)), None),
        (Shape(path="v1/notembeddings"), None),
        (Shape(client="aider"), "edit"),
        (Shape(client="copilot-chat", traits=frozenset({"without_tools"})), "chat"),
        (Shape(traits=frozenset({"subagent"})), "agent"),
        (Shape(tools=frozenset({"apply_patch"})), "agent"),
    ],
)
def test_the_shape_of_a_request_tells_its_class(shape, task_class):
    answer = classify(shape)
    assert (answer and answer.task_class) == task_class


def test_every_rule_says_why_and_needs_something():
    for rule in RULES:
        assert rule.reason
        assert not rule.fits(Shape()), rule
