"""`vis report`: what a task cost, to the last digit (P1), and how much of the spend is attributed (A6)."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import anthropic
import psycopg
import pytest
from psycopg.types.json import Jsonb

from ledger.rows import insert, smallest
from product import Product
from visionality.core.money import usd
from visionality.postgres import read_endpoint

BRANCH = {
    "repo": "bitbucket.org/arctrade/hpc-billing",
    "branch": "HPC-71-add-rebill-rules",
    "task_id": "HPC-71",
}
ALICE = {"agent_owner": "Alice K.", "agent_sub": "alice@arctrade", "model_used": "claude-sonnet-4-6"}
DEREK = {"agent_owner": "Derek M.", "agent_sub": "derek@arctrade", "model_used": "gpt-5"}
BY_ENVIRONMENT = {
    "project_id": "HPC",
    "attribution_level": 4,
    "tags": Jsonb({"client": "claude-code 2.1.197"}),
}
ROWS = [
    ALICE | BRANCH | BY_ENVIRONMENT | {"epic_id": "HPC-70", "input_tokens": 1200, "cost_nusd": 3_405_001},
    DEREK | BRANCH | BY_ENVIRONMENT | {"epic_id": "HPC-70", "output_tokens": 40, "cost_nusd": 20_000_000},
    DEREK | {"task_id": "HPC-72", "epic_id": "HPC-70", "project_id": "HPC", "attribution_level": 1, "cost_nusd": 1},
    ALICE | {"attribution_level": 8, "tags": Jsonb({"project_denied": "SOCE"}), "cost_nusd": 5_000_000},
    ALICE | BRANCH | {"decision": "refused", "status_code": 402, "cost_nusd": 0},
    ALICE | {"task_id": "HPC-73", "provider": "sandbox", "cost_nusd": 9},
]  # fmt: skip
FEBRUARY = ("--month", "2026-02")


@pytest.fixture(scope="module")
def filled(product) -> Product:
    """February, which no other test has rows of."""
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'default'")
    org_id = UUID(str(org["org_id"]))
    product.open_the_past()
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        for minute, row in enumerate(ROWS):
            at = datetime(2026, 2, 3, 10, minute, tzinfo=UTC)
            insert(
                connection,
                "request_logs",
                smallest("request_logs", org_id, at) | {"provider": "openai"} | row,
            )
    return product


def records(product: Product, *words: str) -> dict[str, list[dict[str, Any]]]:
    """What a report prints as JSON, by the part that each line is of."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in product.run("report", *words, "--json").splitlines():
        record = json.loads(line)
        found.setdefault(record.pop("part"), []).append(record)
    return found


def test_a_task_is_reported_for_a_person_to_read(filled):
    told = filled.run("report", "task", "HPC-71")
    assert told.splitlines()[:3] == [
        "task HPC-71: 0.023405001 USD, 2 calls, 1200 tokens in, 40 out",
        "first call 2026-02-03 10:00:00 UTC, last 2026-02-03 10:01:00 UTC",
        "apart from these, at no cost: 1 refused, 0 failed",
    ]
    assert "0.003405001 USD  Alice K.  alice@arctrade  claude-sonnet-4-6" in told
    assert "HPC-71  bitbucket.org/arctrade/hpc-billing  HPC-71-add-rebill-rules  –  –" in told


def test_a_task_is_reported_for_a_machine_to_read(filled):
    found = records(filled, "task", "HPC-71", *FEBRUARY)
    (total,) = found["total"]
    assert (total["task"], total["calls"], total["cost_usd"]) == ("HPC-71", 2, "0.023405001")
    assert [(line["agent_sub"], line["cost_usd"]) for line in found["person"]] == [
        ("derek@arctrade", "0.02"),
        ("alice@arctrade", "0.003405001"),
    ]
    assert [(line["branch"], line["calls"]) for line in found["place"]] == [("HPC-71-add-rebill-rules", 2)]
    assert found["unserved"] == [{"refused": 1, "failed": 0}]


def test_an_epic_is_reported_with_each_of_its_issues(filled):
    found = records(filled, "task", "HPC-70", "--epic")
    assert [(line["epic"], line["cost_usd"]) for line in found["total"]] == [("HPC-70", "0.023405002")]
    assert [line["task"] for line in found["place"]] == ["HPC-71", "HPC-72"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["HPC-9999"], "no row of this period is of task HPC-9999"),
        (["HPC-71", "--month", "2026-01"], "no row of this period is of task HPC-71"),
        (["HPC-71", "--epic"], "no row of this period is of epic HPC-71"),
        (["HPC-73"], "all calls of task HPC-73 went to the simulated provider: count them with --include-sandbox"),
    ],
)  # fmt: skip
def test_a_task_that_is_not_there_is_told_in_one_sentence(filled, words, sentence):
    done = filled.try_run("report", "task", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_what_an_engineers_branch_cost_is_the_ledgers_sum(product):
    key = product.run("key", "issue", "--agent", "alice@arctrade", "--claims", "HPC").strip()
    product.until(lambda: product.status(key) != 401)
    said = {"x-vis-branch": "HPC-8412-add-pjm-rules"}
    with anthropic.Anthropic(base_url=product.gateway, api_key=key, max_retries=0) as client:
        for _ in range(2):
            client.messages.create(
                model="claude-sonnet-4-6",
                max_tokens=20,
                messages=[{"role": "user", "content": f"hello {uuid4()}"}],
                extra_headers=said,
            )
    ledger = "select sum(cost_nusd)::bigint as cost_nusd from vis.request_logs where task_id = 'HPC-8412'"
    ((cost_nusd,),) = (row.values() for row in product.query(ledger))
    found = records(product, "task", "HPC-8412", "--include-sandbox")
    (total,), (person,), (place,) = found["total"], found["person"], found["place"]
    assert cost_nusd > 0
    assert {line["cost_usd"] for line in (total, person, place)} == {usd(cost_nusd)}
    assert (person["agent_owner"], person["model"], total["calls"]) == ("Alice K.", "claude-sonnet-4-6", 2)
    assert place["branch"] == "HPC-8412-add-pjm-rules"


def test_coverage_is_told_by_level_and_by_client(filled):
    *table, flagged = filled.run("report", "coverage", *FEBRUARY).splitlines()
    assert [line.split() for line in table] == [
        ["calls", "%", "cost", "%"],
        ["all", "4", "100.0", "0.028405002", "USD", "100.0"],
        ["without", "a", "project", "1", "25.0", "0.005", "USD", "17.6"],
        ["1", "bound", "into", "the", "key", "1", "25.0", "0.000000001", "USD", "0.0"],
        ["4", "environment", "2", "50.0", "0.023405001", "USD", "82.4"],
        ["8", "nobody,", "or", "an", "operator", "1", "25.0", "0.005", "USD", "17.6"],
        ["claude-code", "2", "50.0", "0.023405001", "USD", "82.4"],
        ["4", "environment", "2", "100.0", "0.023405001", "USD", "100.0"],
        ["no", "client", "named", "2", "50.0", "0.005000001", "USD", "17.6"],
        ["1", "bound", "into", "the", "key", "1", "50.0", "0.000000001", "USD", "0.0"],
        ["8", "nobody,", "or", "an", "operator", "1", "50.0", "0.005", "USD", "100.0"],
    ]
    assert flagged == "evidence that disagrees: 0 calls; a project that the key may not claim: 1 calls"


def test_coverage_is_told_to_a_machine(filled):
    found = records(filled, "coverage", *FEBRUARY)
    share = {
        "currency": "USD",
        "calls": 1,
        "calls_percent": "25.0",
        "cost_usd": "0.005",
        "cost_percent": "17.6",
    }
    assert found["unattributed"] == [share]
    assert found["level"][-1] == {"level": 8, "found_by": "nobody, or an operator", **share}
    assert [line["client"] for line in found["client"]] == ["claude-code", None]
    assert found["flagged"] == [{"conflicts": 0, "denied": 1}]


def test_coverage_of_an_empty_period_says_so(filled):
    assert filled.run("report", "coverage", "--month", "2020-02").startswith("no calls in this period\n")


def test_coverage_is_told_over_time(filled):
    *table, last = filled.run("report", "coverage", *FEBRUARY, "--by", "week").splitlines()
    assert table[0].split() == [
        "begins",
        "calls",
        "cost",
        "1",
        "bound",
        "into",
        "the",
        "key",
        "4",
        "environment",
        "8",
        "nobody,",
        "or",
        "an",
        "operator",
        "%",
        "of",
        "cost",
    ]
    assert last.split() == ["2026-02-02", "4", "0.028405002", "USD", "0.0", "82.4", "17.6"]
    days = records(filled, "coverage", *FEBRUARY, "--by", "day")["period"]
    assert {day["begins"] for day in days} == {"2026-02-03"}
    assert [(day["level"], day["cost_usd"], day["cost_percent"]) for day in days] == [
        (1, "0.000000001", "0.0"),
        (4, "0.023405001", "82.4"),
        (8, "0.005", "17.6"),
    ]
    months = records(filled, "coverage", *FEBRUARY, "--by", "month")["period"]
    assert {month["begins"] for month in months} == {"2026-02-01"}
    assert (
        filled.run("report", "coverage", "--month", "2020-02", "--by", "day") == "no calls in this period\n"
    )
