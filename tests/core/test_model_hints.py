"""Promise B4: 'for derek@arctrade, prefer a Haiku model for refactoring' changes his refactoring, and nothing else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from visionality.core.family import model_family
from visionality.core.model_hints import preferred
from visionality.registry.snapshot import HintRecord

HAIKU = "claude-haiku-4-5"
SONNET = "claude-sonnet-4-5-20250929"
OPUS = "claude-opus-4-1"
NOON = datetime(2026, 6, 12, 12, tzinfo=UTC)


def hint(prefer=HAIKU, *, agent="", project="", task="", model="", age=0):
    return HintRecord(UUID(int=0), agent, project, task, model, prefer, NOON - timedelta(minutes=age))


def model_for(hints, agent="derek@arctrade", project="SOCE", task="refactor", model=SONNET):
    found = preferred(hints, agent, project, task, model)
    return found and found.prefer


def test_derek_refactors_with_haiku_and_does_all_else_with_what_he_asked_for():
    hints = [hint(agent="derek@arctrade", task="refactor")]
    assert model_for(hints) == HAIKU
    assert model_for(hints, task="review") is None
    assert model_for(hints, task=None) is None
    assert model_for(hints, agent="alice@arctrade") is None
    assert model_for(hints, agent=None) is None
    assert model_for([]) is None


def test_a_hint_for_the_agent_goes_before_one_for_the_project_and_that_before_one_for_the_task():
    hints = [
        hint("by-agent", agent="derek@arctrade", age=9),
        hint("by-project-and-task", project="SOCE", task="refactor", age=8),
        hint("by-project", project="SOCE", age=7),
        hint("by-task", task="refactor", model=SONNET, age=6),
        hint("by-model", model=SONNET, age=5),
        hint("by-family", model="claude-sonnet", age=4),
        hint("for-all", age=3),
    ]
    for place, expected in enumerate(hints):
        assert model_for(hints[place:]) == expected.prefer
        assert model_for(reversed(hints[place:])) == expected.prefer


def test_a_model_is_replaced_by_its_name_or_by_its_family():
    assert model_for([hint(model=SONNET)]) == HAIKU
    assert model_for([hint(model="claude-sonnet")]) == HAIKU
    assert model_for([hint(model="claude-opus")]) is None
    assert model_for([hint(model="claude")]) is None
    assert model_for([hint()], model="gpt-4o") == HAIKU


def test_who_asks_for_what_is_preferred_keeps_it_whatever_broader_hints_say():
    hints = [hint(SONNET, agent="derek@arctrade"), hint(HAIKU, task="refactor")]
    assert model_for(hints, model=SONNET) is None
    assert model_for(hints, model=OPUS) == SONNET


def test_a_hint_leads_to_no_other_hint():
    hints = [hint(SONNET, model=OPUS), hint(HAIKU, model=SONNET)]
    assert model_for(hints, model=OPUS) == SONNET


def test_of_equal_hints_the_newest_counts():
    hints = [
        hint("old", task="refactor", age=2),
        hint("new", task="refactor", age=1),
        hint("older", task="refactor", age=3),
    ]
    assert model_for(hints) == "new"


def test_a_call_without_a_model_gets_none():
    assert model_for([hint()], model=None) is None
    assert model_for([hint()], model="") is None


names = st.sampled_from(["", "a", "b"])
models = st.sampled_from(["", SONNET, "claude-sonnet", OPUS, "claude-opus", "gpt-4o"])
rules = st.builds(
    lambda agent, project, task, model, prefer, age: hint(
        prefer, agent=agent, project=project, task=task, model=model, age=age
    ),
    names, names, names, models, st.sampled_from([HAIKU, SONNET, OPUS]), st.integers(0, 3),
)  # fmt: skip
facts = st.none() | st.sampled_from(["a", "b", "c"])


@settings(max_examples=500, derandomize=True)
@given(st.lists(rules, max_size=8), facts, facts, facts, st.sampled_from([SONNET, OPUS, "gpt-4o"]))
def test_one_hint_decides_and_none_that_fits_is_closer_or_newer(hints, agent, project, task, model):
    def fits(rule):
        return (
            rule.agent_sub in {"", agent}
            and rule.project in {"", project}
            and rule.task_class in {"", task}
            and rule.model_from in {"", model, model_family(model)}
        )

    def closeness(rule):
        by_model = 2 if rule.model_from == model else 1 if rule.model_from else 0
        return bool(rule.agent_sub), bool(rule.project), bool(rule.task_class), by_model, rule.created_at

    found = preferred(hints, agent, project, task, model)
    closest = max((closeness(rule) for rule in hints if fits(rule)), default=None)
    if found is None:
        deciding = [rule.prefer for rule in hints if fits(rule) and closeness(rule) == closest]
        assert not deciding or model in deciding
    else:
        assert found in hints
        assert fits(found)
        assert closeness(found) == closest
        assert found.prefer != model
