"""Promise P1: what a task cost is told for the pull request that came of it, though no row knew of one when it was written."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from conftest import Database, clone_of, default_org
from jobs.connecting import BILLING, MERGED, Desk, page
from ledger.rows import insert, smallest
from visionality.chargeback.pull_requests import PullRequest, pull_requests_of
from visionality.chargeback.task_report import TaskReport
from visionality.ledger.reader import reading
from visionality.runtime.ids import uuid7

NOVEMBER, DECEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
OPENED, OVER = datetime(2026, 11, 9, tzinfo=UTC), datetime(2026, 11, 10, 12, tzinfo=UTC)
FIRST = replace(MERGED, created_at=OPENED, updated_at=OVER, merged_at=OVER)
AGAIN = replace(
    FIRST,
    number=9,
    title="PJM rebill again",
    state="open",
    merge_commit=None,
    merged_at=None,
    created_at=datetime(2026, 11, 20, tzinfo=UTC),
    url="https://bitbucket.org/arctrade/hpc-billing/pull-requests/9",
    commits=("d" * 40,),
)
DECLINED = replace(
    AGAIN,
    number=11,
    state="declined",
    source_branch="HPC-9-try",
    updated_at=OVER,
    url="https://x/11",
    commits=(),
)
OTHER = replace(BILLING, id="{r2}", remote="bitbucket.org/arctrade/other", name="other")
HERE = {"repo": BILLING.remote, "branch": MERGED.source_branch}


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Database]:
    with clone_of(cluster, template) as database:
        database.run("set role vis_owner; select vis.add_months('2026-11-01', 2)")
        org = default_org(database)
        Desk(database, org, "bitbucket", "bb").run(page(BILLING, OTHER, FIRST, AGAIN, DECLINED))
        yield database


def book(ledger: Database, org: UUID, task: str, rows: Iterable[dict[str, Any]]) -> None:
    with ledger.as_role("vis_writer") as connection:
        for second, row in enumerate(rows):
            at = row.get("created_at", OPENED) + timedelta(seconds=second)
            columns = {"task_id": task, "cost_nusd": 10**second} | row | {"created_at": at}
            insert(connection, "request_logs", smallest("request_logs", org, at) | columns)


@pytest.fixture
def pulls(ledger, request):
    """The last part of each pull request's address, and what it cost, of rows of a task of the test's own."""

    def told(*rows: dict[str, Any], org: UUID | None = None) -> dict[str, int]:
        org = org or default_org(ledger)
        book(ledger, org, request.node.name, rows)
        with reading(ledger.dsn("vis_reader"), org, snapshot=True) as connection:
            report = TaskReport(connection, org, NOVEMBER, DECEMBER, {"task": request.node.name})
            lines, places = list(report.pulls()), list(report.places())
        costs = {line["pr_url"].rpartition("/")[2]: line["cost_nusd"] for line in lines}
        of_places = [line["cost_nusd"] for line in places if line["pr_url"]]
        assert sum(of_places) == sum(costs.values())
        return costs

    return told


def test_work_on_a_branch_leads_to_the_pull_request_that_was_opened_later(pulls):
    assert pulls(HERE | {"created_at": NOVEMBER}, HERE | {"created_at": OVER}) == {"7": 11}


def test_a_branch_that_is_used_again_leads_to_its_next_pull_request(pulls):
    weeks = {"created_at": OVER + timedelta(days=8)}
    assert pulls(HERE | {"created_at": OVER + timedelta(days=6)}, HERE | weeks) == {"7": 1, "9": 10}


def test_a_commit_says_more_than_a_branch(pulls):
    late = {"created_at": OVER + timedelta(days=12)}
    rows = [late | HERE | {"commit_sha": sha * 40} for sha in "acd"] + [
        late | HERE | {"branch": "main", "commit_sha": "b" * 40}
    ]
    assert pulls(*rows) == {"7": 1 + 10 + 1000, "9": 100}


@pytest.mark.parametrize(
    "row",
    [
        {"branch": "main"},
        {"repo": OTHER.remote},
        {"repo": None},
        {"branch": None},
        {"branch": "HPC-9-try", "created_at": OVER + timedelta(days=8)},
    ],
)
def test_what_led_to_no_pull_request_is_given_to_none(pulls, row):
    assert pulls(HERE | row) == {}


def test_a_declined_one_is_told_too(pulls):
    assert pulls(HERE | {"branch": "HPC-9-try"}) == {"11": 1}


def test_what_is_booked_again_is_of_the_moment_when_the_call_was_made(pulls):
    late = {
        "created_at": OVER + timedelta(days=15),
        "entry": "correction",
        "tags": Jsonb({"of": OPENED.isoformat()}),
    }
    assert pulls(HERE | late) == {"7": 1}


def test_one_that_the_row_itself_names_is_the_one(pulls):
    assert pulls(HERE | {"pr_url": "https://elsewhere/3"}) == {"3": 1}


def test_another_organisations_pull_requests_are_not_seen(pulls):
    assert pulls(HERE, org=uuid7()) == {}


def test_a_row_that_is_looked_at_tells_its_pull_request_and_stays_as_it_was_written(ledger, request):
    org = default_org(ledger)
    book(ledger, org, request.node.name, [HERE, HERE | {"branch": "main"}])
    with reading(ledger.dsn("vis_reader"), org, snapshot=True) as connection:
        rows = connection.execute(
            "select id, created_at, branch, pr_url from vis.request_logs where task_id = %s order by created_at",
            [request.node.name],
        ).fetchall()
        found = pull_requests_of(connection, org, rows)
    assert found == {rows[0]["id"]: PullRequest(FIRST.url, "PJM rebill", "merged")}
    assert rows[0]["pr_url"] is None
