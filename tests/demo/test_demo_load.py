"""`vis demo load arctrade`: a month of a company in an organisation of its own, and nothing else is touched (D2, L1, L2, B1)."""

import csv
import os
import signal
import subprocess

import pytest

from product import PATIENCE, VIS, running, set_up
from visionality.core.canonical import leaf_hash
from visionality.core.pricing import recomputed_nusd
from visionality.core.row import COLUMNS
from visionality.runtime.clock import utc_now

ROWS = 12_000
ORG = "demo-arctrade"


@pytest.fixture(scope="module")
def product():
    """With the demo, whose first load was killed in the middle."""
    with running(burn_every="1") as product:
        set_up(product)
        command = [*VIS, "demo", "load", "arctrade", "--rows", str(ROWS), "--data-dir", str(product.data_dir)]
        first = subprocess.Popen(command, env=product.environment, stderr=subprocess.DEVNULL)
        product.until(lambda: product.query("select from vis.request_logs where source = 'demo' limit 1"))
        first.kill()
        first.wait(PATIENCE)
        assert 0 < len(rows_of(product)) < ROWS
        said = product.try_run("demo", "load", "arctrade", "--rows", "1500")
        assert said.returncode == 0, said.stderr
        assert "taken up again" in said.stderr
        yield product


def rows_of(product, columns="id"):
    asked = f"select {columns} from vis.request_logs r join vis.orgs_v1 o using (org_id) where o.slug = %s"
    return product.query(f"{asked} order by writer_no, wseq", ORG)


def month_of(product):
    return f"{rows_of(product, 'r.created_at')[0]['created_at']:%Y-%m}"


def test_a_load_that_was_cut_off_becomes_whole_and_numbers_have_no_gap(product):
    rows = rows_of(product, "id, writer_no, wseq, source")
    assert len(rows) == ROWS
    assert {row["source"] for row in rows} == {"demo"}
    by_writer = {}
    for row in rows:
        by_writer.setdefault(row["writer_no"], []).append(row["wseq"])
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in by_writer.values())


def test_every_leaf_is_that_of_its_row_and_every_cost_that_of_its_usage(product):
    for row in rows_of(product, ", ".join([*(f"r.{name}" for name in COLUMNS), "r.leaf_hash"])):
        stored = row.pop("leaf_hash")
        assert leaf_hash(row) == bytes(stored)
        if row["rates"]:
            assert recomputed_nusd(row["usage"], row["rates"]) == row["cost_nusd"]


def test_the_controllers_download_has_the_total_of_the_story(product, tmp_path):
    file = tmp_path / "hpc.csv"
    product.run("chargeback", "--project", "HPC", "--month", month_of(product), "-o", str(file), "--org", ORG)
    with file.open() as opened:
        *_, total = csv.reader(opened)
    assert (total[0], total[-1]) == ("TOTAL", "4237.18")


def test_budgets_begin_with_what_the_rows_cost_and_the_proof_holds(product):
    assert product.try_run("budget", "prove", "--month", month_of(product), "--org", ORG).returncode == 0
    windows = product.query(
        "select b.scope_value, w.opening_nusd, (select sum(cost_nusd) from vis.request_logs r where r.org_id = w.org_id"
        " and r.project_id = b.scope_value and r.entry <> 'correction') as cost_nusd"
        " from vis.budget_windows w join vis.budgets_v1 b using (budget_id) where b.scope_kind = 'project'"
        " and w.window_id <> w.budget_id"
    )
    assert {window["scope_value"] for window in windows} == {"HPC", "SOCE"}
    assert all(window["opening_nusd"] == window["cost_nusd"] for window in windows)


def test_the_operator_is_told_that_soce_passed_sixty_per_cent_and_who_drives_it(product):
    """While its month is the current one: a month that is over burns no more."""
    if f"{utc_now():%Y-%m}" != month_of(product):
        pytest.skip("before the 14th the month of the demo is the last one")
    asked = "select mark, body from vis.alerts where scope = 'project:SOCE'"
    product.until(lambda: product.query(asked))
    (told,) = product.query(asked)
    assert told["mark"] >= 60
    assert "derek@arctrade" in told["body"]


def test_each_commit_of_the_redesign_leads_to_its_pull_request(product):
    said = product.run("report", "task", "--epic", "CAISO-900", "--org", ORG)
    assert "4812" in said
    linked = product.query(
        "select count(distinct sha) as commits from vis_control.pull_request_commit c join vis.request_logs r"
        " on r.org_id = c.org_id and r.commit_sha = c.sha and r.epic_id = 'CAISO-900'"
    )
    assert linked == [{"commits": 184}]


def test_a_second_load_is_refused_and_changes_nothing(product):
    said = product.try_run("demo", "load", "arctrade")
    assert said.returncode == 1
    assert "there already" in said.stderr
    assert "Traceback" not in said.stderr
    assert len(rows_of(product)) == ROWS


def test_other_organisations_are_untouched_and_cannot_be_named(product):
    elsewhere = product.query(
        "select count(*) as rows from vis.request_logs r join vis.orgs_v1 o using (org_id) where o.slug <> %s",
        ORG,
    )
    assert elsewhere == [{"rows": 0}]
    assert "HPC" in product.run("project", "list")
    assert "SOCE" not in product.run("project", "list")
    said = product.try_run("demo", "load", "arctrade", "--org", "acme")
    assert said.returncode == 2
    assert ORG in said.stderr


def test_no_role_can_change_the_ledger_with_its_new_months(product):
    assert product.try_run("check").returncode == 0


def test_who_resigned_has_no_live_key_and_the_leaked_one_is_revoked(product):
    kinds = {
        event["kind"]: event["subject"]
        for event in product.query(
            "select kind, subject from vis.key_events e join vis.orgs_v1 o using (org_id) where o.slug = %s",
            ORG,
        )
    }
    assert kinds["person_revoked"] == "00u-sofia"
    assert kinds["revoked"] == "nightly-review@arctrade"


def stopped_at_rest(product, jobs):
    """Whether it stands still outside of any transaction, whose locks others would wait for; goes on otherwise."""
    os.kill(jobs, signal.SIGSTOP)
    within = product.query(
        "select from pg_stat_activity where usename in ('vis_jobs', 'vis_sealer') and state is distinct from 'idle'"
    )
    if within:
        os.kill(jobs, signal.SIGCONT)
    return not within


def test_the_daily_sums_are_there_at_once_though_no_jobs_run():
    with running() as product:
        jobs = product.pid("jobs")
        product.until(lambda: stopped_at_rest(product, jobs))
        try:
            product.run("demo", "load", "arctrade", "--rows", "1500")
            waiting = product.query(
                """select from vis.request_logs r left join vis.rollup_cursor c using (writer_no)
                    where r.wseq > coalesce(c.wseq, 0)"""
            )
        finally:
            os.kill(jobs, signal.SIGCONT)
        assert waiting == []
        assert "every sum is that of its rows" in product.run("rollup", "check", "--month", month_of(product))
