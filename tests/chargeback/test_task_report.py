"""Promise P1: what a task cost, by whom, with what and over which commits, to the last digit of the ledger."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from conftest import Database, clone_of, default_org
from ledger.rows import insert, smallest
from visionality.chargeback.task_report import TaskReport, Unserved
from visionality.ledger.reader import reading
from visionality.runtime.ids import uuid7

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
ALICE = {"agent_owner": "Alice K.", "agent_sub": "alice@arctrade", "model_used": "claude-sonnet-4-6"}
DEREK = {"agent_owner": "Derek M.", "agent_sub": "derek@arctrade", "model_used": "gpt-5"}
WHERE = {"repo": "bitbucket.org/arctrade/hpc-billing", "branch": "HPC-1234-add-pjm-rebill-rules"}

Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Database]:
    with clone_of(cluster, template) as database:
        database.run("set role vis_owner; select vis.add_months('2026-11-01', 2)")
        yield database


@pytest.fixture(scope="module")
def org_id(ledger) -> UUID:
    return default_org(ledger)


@pytest.fixture(scope="module")
def add(ledger, org_id) -> Callable[..., str]:
    """Append rows of a task that no other test has, a second apart; gives its key."""

    def append(*rows: dict[str, Any]) -> str:
        task = f"HPC-{uuid7()}"
        with ledger.as_role("vis_writer") as connection:
            for second, row in enumerate(rows):
                at = row.get("created_at", NOVEMBER + timedelta(seconds=second))
                insert(
                    connection, "request_logs", smallest("request_logs", org_id, at) | {"task_id": task} | row
                )
        return task

    return append


@pytest.fixture(scope="module")
def report(ledger, org_id) -> Callable[..., tuple[Lines, Lines, Lines, Unserved]]:
    """Totals, people, places, and what was not served."""

    def reported(
        *, include_sandbox: bool = False, org: UUID = org_id, **wanted: str
    ) -> tuple[Lines, Lines, Lines, Unserved]:
        with reading(ledger.dsn("vis_reader"), org, snapshot=True) as connection:
            it = TaskReport(connection, org, NOVEMBER, DECEMBER, wanted, include_sandbox)
            return it.totals(), list(it.people()), list(it.places()), it.unserved()

    return reported


nusd = st.integers(0, 10**15) | st.sampled_from([1, 999_999_999, 10**17])
entries = st.fixed_dictionaries(
    {
        "cost_nusd": nusd,
        "entry": st.sampled_from(["call", "attempt", "correction"]),
        "currency": st.sampled_from(["USD", "USD", "EUR"]),
        "decision": st.sampled_from(["allowed", "refused", "failed"]),
        "agent_sub": st.sampled_from([None, "alice@arctrade", "derek@arctrade"]),
        "model_used": st.sampled_from([None, "claude-sonnet-4-6", "gpt-5"]),
        "branch": st.sampled_from([None, "HPC-1", "HPC-2"]),
        "commit_sha": st.sampled_from([None, "a" * 40, "b" * 40]),
        "input_tokens": st.integers(0, 10**9),
        "output_tokens": st.integers(0, 10**9),
    }
)


@settings(max_examples=15, deadline=None)
@given(st.lists(entries, max_size=10), st.data())
def test_the_total_and_each_part_add_up_to_the_ledgers_sum_of_the_task(ledger, add, report, rows, data):
    for row in rows:
        if row["entry"] == "correction":
            row["cost_nusd"] *= data.draw(st.sampled_from([1, -1]))
    task = add(*rows)
    with ledger.as_role("vis_super") as connection:
        kept = dict(
            connection.execute(
                "select currency, sum(cost_nusd)::bigint from vis.request_logs where task_id = %s group by 1",
                [task],
            ).fetchall()
        )
    totals, people, places, _ = report(task=task)
    for lines in (totals, people, places):
        sums: Counter[str] = Counter()
        for line in lines:
            sums[line["currency"]] += line["cost_nusd"]
        assert {of: cost for of, cost in kept.items() if cost} == {
            of: cost for of, cost in sums.items() if cost
        }
    for name in ("calls", "input_tokens", "output_tokens"):
        assert sum(line[name] for line in people) == sum(line[name] for line in places)
        assert sum(line[name] for line in people) == sum(line[name] for line in totals)


def test_it_is_told_by_whom_with_which_model_and_where(add, report):
    tokens = {"input_tokens": 3, "cache_read_tokens": 20, "cache_write_tokens": 100, "output_tokens": 7}
    task = add(
        ALICE | WHERE | tokens | {"cost_nusd": 5, "commit_sha": "a" * 40},
        ALICE | WHERE | tokens | {"cost_nusd": 6, "commit_sha": "b" * 40, "pr_url": "https://x/pr/7"},
        DEREK | WHERE | {"cost_nusd": 12, "commit_sha": "b" * 40, "pr_url": "https://x/pr/7"},
        DEREK | {"cost_nusd": 1, "model_used": None, "model_requested": "gpt-5-mini"},
    )
    (total,), people, places, _ = report(task=task)
    assert total == {
        "currency": "USD",
        "calls": 4,
        "input_tokens": 6,
        "cache_read_tokens": 40,
        "cache_write_tokens": 200,
        "output_tokens": 14,
        "cost_nusd": 24,
        "first_call": NOVEMBER,
        "last_call": NOVEMBER + timedelta(seconds=3),
    }
    assert [(line["agent_owner"], line["model"], line["calls"], line["cost_nusd"]) for line in people] == [
        ("Derek M.", "gpt-5", 1, 12),
        ("Alice K.", "claude-sonnet-4-6", 2, 11),
        ("Derek M.", "gpt-5-mini", 1, 1),
    ]
    assert [(line["branch"], line["commit_sha"], line["pr_url"], line["cost_nusd"]) for line in places] == [
        (WHERE["branch"], "a" * 40, None, 5),
        (WHERE["branch"], "b" * 40, "https://x/pr/7", 18),
        (None, None, None, 1),
    ]


def test_an_epic_is_all_of_its_issues(add, report):
    epic = f"HPC-{uuid7()}"
    one, other = (add({"epic_id": epic, "cost_nusd": cost}) for cost in (3, 4))
    add({"epic_id": "HPC-100", "cost_nusd": 50})
    (total,), _, places, _ = report(epic=epic)
    assert (total["calls"], total["cost_nusd"]) == (2, 7)
    assert {line["task"]: line["cost_nusd"] for line in places} == {one: 3, other: 4}


def test_what_was_refused_or_failed_stands_apart_with_its_repeats(add, report):
    refused = {"decision": "refused", "status_code": 402, "cost_nusd": 0}
    failed = {"decision": "failed", "status_code": 502, "cost_nusd": 0}
    task = add(
        {"cost_nusd": 2},
        refused,
        refused | {"tags": Jsonb({"repeats": "40"})},
        failed,
        failed | {"cost_nusd": 9},
        {"task_class": "catalogue", "cost_nusd": 0},
    )
    (total,), _, _, unserved = report(task=task)
    assert (total["calls"], total["cost_nusd"]) == (2, 11)
    assert unserved == Unserved(refused=41, failed=1)


def test_money_of_a_retry_or_a_correction_counts_and_makes_no_call(add, report):
    task = add(
        {"cost_nusd": 500},
        {"entry": "attempt", "cost_nusd": 30},
        {"entry": "correction", "cost_nusd": -200, "corrects": uuid7()},
    )
    (total,), *_ = report(task=task)
    assert (total["calls"], total["cost_nusd"]) == (1, 330)
    assert total["last_call"] == NOVEMBER


def test_the_simulated_provider_counts_only_when_asked(add, report):
    task = add(
        {"provider": "sandbox", "cost_nusd": 5},
        {"provider": "sandbox", "decision": "refused", "cost_nusd": 0},
        {"provider": "openai", "cost_nusd": 7},
    )
    (total,), _, _, unserved = report(task=task)
    assert (total["cost_nusd"], unserved) == (7, Unserved(0, 0))
    (total,), _, _, unserved = report(task=task, include_sandbox=True)
    assert (total["cost_nusd"], unserved) == (12, Unserved(1, 0))


def test_other_periods_and_other_organisations_are_not_in_it(add, report):
    task = add(
        {"cost_nusd": 1}, {"created_at": DECEMBER, "cost_nusd": 10}, {"org_id": uuid7(), "cost_nusd": 100}
    )
    (total,), *_ = report(task=task)
    assert total["cost_nusd"] == 1
    assert report(task=task, org=uuid7()) == ([], [], [], Unserved(0, 0))
