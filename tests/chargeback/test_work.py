"""Promise P1: the work of a project, read from its daily sums, is that of its rows, wherever the roller is."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from chargeback.test_pull_requests import AGAIN, DECLINED, FIRST, OTHER
from jobs.connecting import BILLING, Desk, page
from ledger.books import DAYS, TODAY, UNTIL, Books
from visionality.chargeback.task_report import TaskReport
from visionality.chargeback.work import work_of
from visionality.ledger.reader import reading
from visionality.ledger.sums import midnight

NOON = midnight(TODAY) + timedelta(hours=12)
WEEK = timedelta(days=7)
MICRO = timedelta(microseconds=1)
OVER = NOON - WEEK
"""When the first pull request was merged: calls from noon of the first day on are of the next one."""
MERGED = replace(FIRST, created_at=OVER - WEEK, updated_at=OVER, merged_at=OVER)
NEXT = replace(AGAIN, created_at=NOON)
TRIED = replace(DECLINED, updated_at=OVER + timedelta(days=1))
COUNTED = (
    "calls", "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "cost_nusd", "first_call", "last_call",
)  # fmt: skip

names = st.none() | st.sampled_from(["a", "b%(x)s", ""])
moments = st.sampled_from(
    [
        midnight(TODAY),
        NOON - MICRO,
        NOON,
        NOON + MICRO,
        midnight(DAYS[1]),
        midnight(DAYS[1]) + timedelta(hours=13),
    ]
)
rows = st.fixed_dictionaries(
    {
        "created_at": moments, "of": moments, "project_id": st.sampled_from(["HPC", "HPC", "HPC", "SOCE", None]),
        "task_id": st.sampled_from([None, "HPC-1", "HPC-2%"]), "epic_id": st.sampled_from([None, "HPC-9"]),
        "repo": st.sampled_from([BILLING.remote, BILLING.remote, OTHER.remote, None]),
        "branch": st.sampled_from([FIRST.source_branch, FIRST.source_branch, DECLINED.source_branch, "main", None]),
        "commit_sha": st.sampled_from([None, None, "a" * 40, "d" * 40, "f" * 40]),
        "pr_url": st.sampled_from([None, None, "https://x/77"]),
        "agent_owner": names, "agent_sub": names, "model_used": names, "model_requested": names,
        "entry": st.sampled_from(["call", "call", "call", "attempt", "true_up", "reversal", "rebooking"]),
        "cost_nusd": st.integers(0, 10**15) | st.just(0), "input_tokens": st.integers(0, 9),
        "output_tokens": st.integers(0, 9), "currency": st.sampled_from(["USD", "USD", "EUR"]),
        "provider": st.sampled_from(["anthropic", "anthropic", "sandbox"]),
        "decision": st.sampled_from(["allowed", "allowed", "refused", "failed"]),
        "task_class": st.sampled_from([None, "catalogue"]),
    }
)  # fmt: skip
steps = st.lists(st.tuples(st.sampled_from([101, 102]), rows) | st.integers(1, 4), max_size=16)


def wear(row: dict) -> dict:
    kind, of = row["entry"], row.pop("of")
    if kind in ("reversal", "rebooking"):
        sign = -1 if kind == "reversal" else 1
        tags = {"correction": kind, "entry": "call", "of": of.isoformat()}
        return row | {"entry": "correction", "cost_nusd": sign * row["cost_nusd"], "tags": Jsonb(tags)}
    return row


@pytest.fixture
def books(database, org):
    Desk(database, org, "bitbucket", "bb").run(page(BILLING, OTHER, MERGED, NEXT, TRIED))
    return Books(database, org)


def of_rows(report: TaskReport) -> dict:
    """What the page shows, from the report that reads the rows."""
    people = defaultdict(lambda: [0] * 6)
    for one in report.people():
        if one["currency"] == "USD":
            its = people[one["agent_owner"], one["model"]]
            people[one["agent_owner"], one["model"]] = [
                had + one[name] for had, name in zip(its, COUNTED[:6], strict=True)
            ]
    totals = report.totals()
    unserved = report.unserved()
    return {
        "total": next((counts(one) for one in totals if one["currency"] == "USD"), None),
        "others": [one["currency"] for one in totals if one["currency"] != "USD"],
        "people": {key: tuple(its) for key, its in people.items() if any(its)},
        "places": {
            (one["task"], one["repo"], one["branch"], one["commit_sha"], one["pr_url"]): counts(one)
            for one in report.places()
            if one["currency"] == "USD"
        },
        "pulls": [
            (one["pr_url"], one["title"], one["state"], counts(one))
            for one in report.pulls()
            if one["currency"] == "USD"
        ],
        "unserved": (unserved.refused, unserved.failed),
    }


def counts(one: dict) -> tuple:
    return tuple(one[name] for name in COUNTED)


def of_sums(work) -> dict:
    return {
        "total": work.total and counts(work.total),
        "others": work.others,
        "people": {
            (one["agent_owner"], one["model"]): tuple(one[name] for name in COUNTED[:6])
            for one in work.people
        },
        "places": {
            (one["task"], one["repo"], one["branch"], one["commit_sha"], one["pr_url"]): counts(one)
            for one in work.places
        },
        "pulls": [(one["pr_url"], one["title"], one["state"], counts(one)) for one in work.pulls],
        "unserved": (work.unserved.refused, work.unserved.failed),
    }


def check(books: Books) -> dict:
    """That both ways of reading say the same, of the project and of each piece of work; what the project's said."""
    start, end = midnight(TODAY), midnight(UNTIL)
    with reading(books.database.dsn("vis_reader"), books.org, snapshot=True) as connection:
        for wanted in ({"task": "HPC-1"}, {"task": "HPC-2%"}, {"epic": "HPC-9"}, {}):
            report = TaskReport(connection, books.org, start, end, {"project": "HPC"} | wanted)
            found = of_sums(work_of(connection, books.org, "HPC", TODAY, UNTIL, wanted))
            assert found == of_rows(report), wanted
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_work_of_a_project_is_that_of_its_rows_wherever_the_roller_is(books, steps):
    for step in steps:
        if isinstance(step, int):
            books.roll(step)
        else:
            writer_no, row = step
            books.write(writer_no, **wear(dict(row)))
    check(books)
    assert books.differences() == []


@pytest.mark.parametrize("is_rolled", [False, True, None])
def test_a_day_on_which_a_branch_came_to_its_next_pull_request_is_told_for_both(books, is_rolled):
    here = {"project_id": "HPC", "repo": BILLING.remote, "branch": FIRST.source_branch}
    for n, moment in enumerate([NOON - MICRO, NOON, NOON + MICRO]):
        books.write(created_at=moment, cost_nusd=10**n, **here)
        if is_rolled or (is_rolled is None and n == 1):
            books.roll()
    found = check(books)
    assert [(url.rpartition("/")[2], its[5]) for url, _, _, its in found["pulls"]] == [("9", 110), ("7", 1)]


def test_work_that_differs_from_its_rows_is_found(books):
    books.write(project_id="HPC", cost_nusd=5)
    books.roll()
    with books.as_("vis_sealer") as connection:
        connection.execute("update vis.work_day set output_tokens = 1")
    (found,) = books.differences()
    assert (found.dim, found.key, found.summed_nusd, found.ledger_nusd) == ("work", "HPC", 5, 5)
