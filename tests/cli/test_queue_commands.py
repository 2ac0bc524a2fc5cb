"""`vis queue`: what waits is told by its cause, and the operator's answer is an append-only correction (A6)."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from ledger.rows import insert, smallest
from product import Product
from visionality.postgres import read_endpoint

MARCH = ("--month", "2026-03")
ROOT = Path(__file__).parents[2]
REPO = "bitbucket.org/arctrade/queued-ingest"
CAROL = {
    "agent_owner": "Carol Q.",
    "agent_sub": "carol@queued",
    "model_used": "gpt-5",
    "cost_nusd": 1_000_000,
}
WAITING = [
    CAROL | {"repo": REPO, "branch": "fix", "attribution_level": 8, "cost_nusd": 5_000_000_001},
    CAROL | {"repo": REPO, "branch": "fix", "attribution_level": 8, "cost_nusd": 2_000_000_000},
    CAROL | {"branch": "NOPROJ-12-tariffs", "attribution_level": 8},
    CAROL | {"tags": Jsonb({"client": "aider 0.86"}), "attribution_level": 8},
    CAROL | {"tags": Jsonb({"project_denied": "HPC"}), "attribution_level": 8},
    CAROL | {"tags": Jsonb({"attribution_conflict": "repo: cline environment says ingest, and 2 repositories have that name"})},
    CAROL | {"project_id": "QUEUED", "tags": Jsonb({"attribution_conflict": "project: the key says QUEUED, header x-vis-project says HPC"})},
]  # fmt: skip


@pytest.fixture(scope="module")
def rows(product) -> list[dict[str, Any]]:
    """March, which no other test has rows of, and a project of its own."""
    product.run("project", "add", "QUEUED", "--gl-code", "7300")
    product.open_the_past()
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'default'")
    written = []
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        for minute, row in enumerate(WAITING):
            at = datetime(2026, 3, 3, 10, minute, tzinfo=UTC)
            written.append(
                smallest("request_logs", UUID(str(org["org_id"])), at) | {"provider": "openai"} | row
            )
            written[-1]["id"] = at_moment(written[-1]["id"], at)
            insert(connection, "request_logs", written[-1])
    return written


def at_moment(row_id: UUID, at: datetime) -> UUID:
    """An id as one that was made then."""
    return UUID(int=(int(at.timestamp() * 1000) << 80) | (row_id.int & ((1 << 80) - 1)))


def waiting(product: Product) -> dict[str, dict[str, Any]]:
    lines = product.run("queue", "list", "--json", *MARCH).splitlines()
    return {record["kind"]: record for record in map(json.loads, lines)}


def assign(product: Product, *words: str) -> str:
    return product.run("queue", "assign", *words, "--reason", "told by Carol", "--yes")


def chargeback(product: Product, path: Path, *words: str) -> dict[str, str]:
    """What each project costs in 2026, to the last digit, by the lines of the CSV, and the total that the file states."""
    product.run(
        "chargeback",
        "--from",
        "2026-03-01",
        "--to",
        "2026-12-31",
        "--agent",
        "carol@queued",
        *words,
        "-o",
        str(path),
    )
    with path.open() as file:
        *lines, total = csv.DictReader(file)
    sums: dict[str, int] = {}
    for line in lines:
        whole, _, part = line["cost_usd"].lstrip("-").partition(".")
        sign = -1 if line["cost_usd"].startswith("-") else 1
        sums[line["project_id"]] = sums.get(line["project_id"], 0) + sign * int(whole + part.ljust(9, "0"))
    return {project: nusd for project, nusd in sums.items() if nusd} | {"TOTAL": total["cost_usd"]}


def test_what_waits_is_told_by_cause_with_the_command_that_settles_it(rows, product):
    found = waiting(product)
    assert set(found) == {"repo", "branch", "no_evidence", "denied", "shared_name", "disagree"}
    repo = found["repo"]
    assert (repo["calls"], repo["cost_usd"], repo["first"][:16]) == (2, "7.000000001", "2026-03-03T10:00")
    assert f"the repository {REPO} is not in the map" in repo["words"]
    assert repo["command"] == f"vis queue assign --repo {REPO} --project PROJECT --reason TEXT"
    assert found["branch"]["words"] == "branches name issues of NOPROJ, which is no known project"
    assert found["no_evidence"]["words"] == "no evidence at all, from aider"
    assert found["denied"]["words"] == "the key may not claim the project HPC"
    assert "--project HPC" in found["denied"]["command"]
    assert "name of the directory ingest" in found["shared_name"]["words"]
    assert "the key says QUEUED" in found["disagree"]["words"]
    told = product.run("queue", "list", *MARCH)
    assert (
        told.splitlines()[1].strip() == "2 calls, 7.000000001 USD, 2026-03-03 10:00 to 2026-03-03 10:01 UTC"
    )


def test_an_assigned_cause_leaves_the_queue_and_both_views_add_up_to_the_same_total(rows, product, tmp_path):
    before = chargeback(product, tmp_path / "before.csv")
    told = assign(product, "--repo", REPO, "--project", "QUEUED", "--task", "QUEUED-7", *MARCH)
    assert told == "2 rows: reversed -7.000000001 USD, booked again on QUEUED 7.000000001 USD\n"
    assert "repo" not in waiting(product)
    corrected = chargeback(product, tmp_path / "corrected.csv")
    original = chargeback(product, tmp_path / "original.csv", "--original")
    assert original == before
    assert corrected["TOTAL"] == original["TOTAL"]
    assert corrected["QUEUED"] - original["QUEUED"] == 7_000_000_001 == original[""] - corrected[""]
    report = product.run("report", "task", "QUEUED-7").splitlines()
    assert report[0] == "task QUEUED-7: 7.000000001 USD, 2 calls, 0 tokens in, 0 out"
    assert report[1].startswith("first call 2026-03-03 10:00:00 UTC")
    done = product.try_run("report", "task", "QUEUED-7", "--original")
    assert "no row of this period" in done.stderr


def test_a_cause_is_assigned_by_its_code(rows, product):
    cause = waiting(product)["no_evidence"]["cause"]
    assert "1 rows: reversed -0.001 USD" in assign(product, "--cause", cause, "--project", "QUEUED", *MARCH)
    assert "no_evidence" not in waiting(product)


def test_a_row_shows_its_corrections_with_author_reason_and_both_bookings(rows, product):
    row_id = str(rows[2]["id"])
    assign(product, "--row", row_id, "--project", "QUEUED", "--task", "QUEUED-9")
    told = [
        line for line in product.run("ledger", "show", row_id).splitlines() if line.startswith("corrected")
    ]
    assert "taken off – – –: -0.001 USD, by cli:" in told[0]
    assert "booked on QUEUED – QUEUED-9: 0.001 USD, by cli:" in told[1]
    assert all(line.endswith("told by Carol") for line in told)
    record = json.loads(product.run("ledger", "show", row_id, "--json"))
    assert [one["project_id"] for one in record["corrections"]] == [None, "QUEUED"]
    assert record["project_id"] is None
    assert "corrected" not in product.run("ledger", "show", row_id, "--original")
    kinds = {
        json.loads(line)["entry"]
        for line in product.run("ledger", "tail", "-n", "500", "--json", "--original").splitlines()
    }
    assert "correction" not in kinds
    assert product.query(
        "select detail ->> 'reason' as reason from vis.admin_events where kind = 'correction_ordered' order by seq desc limit 1"
    ) == [{"reason": "told by Carol"}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--row", "01890000-0000-7000-8000-000000000000", "--project", "QUEUED"], "there is no row 01890000-"),
        (["--repo", "nobody/has-it", "--project", "QUEUED"], "no row of the queue is meant"),
        (["--repo", REPO, "--branch", "fix", "--project", "QUEUED"], "say the rows once"),
        (["--agent", "carol@queued", "--project", "QUEUED"], "nothing was applied: say --yes"),
    ],
)  # fmt: skip
def test_what_cannot_be_assigned_is_told_in_one_sentence(rows, product, words, sentence):
    done = product.try_run("queue", "assign", *words, "--reason", "none")
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_project_is_refused_before_anything_is_ordered(rows, product):
    done = product.try_run(
        "queue", "assign", "--row", str(rows[0]["id"]), "--project", "NOWHERE", "--reason", "x", "--yes"
    )
    assert (done.returncode, "there is no project NOWHERE" in done.stderr) == (1, True)
