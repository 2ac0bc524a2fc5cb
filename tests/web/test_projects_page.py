"""The projects seat: what a project, a task and a pull request cost, exactly as the ledger has it (P1)."""

import re
from datetime import timedelta

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web import test_people_page
from web.holding import project
from web.rows import call, refused
from web.test_ledger_page import words
from web.test_people_page import facts

DOLLAR = 1_000_000_000
HOSTILE = '<script>alert("x")</script>'
REPO = "bitbucket.org/arctrade/hpc-billing"


def spend(nusd, **given):
    return call(cost_nusd=nusd, billed_nusd=nusd, **given)


def page(office, path):
    answer = office.browser.get(path)
    assert answer.status == 200, path
    return answer.text.replace("\N{NO-BREAK SPACE}", " ")


def lead(text):
    return test_people_page.lead(text).replace(" .", ".").replace(" ,", ",")


def table(text, heading):
    """The rows of the table under a heading, each as its words."""
    section = re.search(rf'aria-label(?:ledby)?="{heading}".*?</section>', text, re.DOTALL)[0]
    section = section.replace('<span class="part">', "")
    return [words(row) for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", section, re.DOTALL)]


def pull_request(office, number, branch, state="merged", url=None, title="Redesign", commit=None):
    """A pull request of REPO that a connected Git host told of."""
    ids = {"connector": uuid7(), "repository": uuid7(), "pull": uuid7()}
    url = url or f"https://bitbucket.org/arctrade/hpc-billing/pull-requests/{number}"
    then = utc_now() - timedelta(days=1)
    org = office.org_id
    database = office.plane.database
    with database.as_role("vis_web", org) as connection:
        connection.execute(
            """insert into vis_control.connector (id, org_id, name, kind, base_url, scope, account, ca_bundle, enabled, made_at)
               values (%s, %s, %s, 'bitbucket_cloud', '', '{}', '', '', true, now())""",
            [ids["connector"], org, ids["connector"].hex],
        )
    with database.as_role("vis_jobs", org) as connection:
        connection.execute(
            """insert into vis_control.tracked_repository (id, org_id, connector_id, external_id, remote, former_remotes, name, seen_run)
               values (%s, %s, %s, 'r', %s, '{}', 'hpc-billing', 1)""",
            [ids["repository"], org, ids["connector"], REPO],
        )
        connection.execute(
            """insert into vis_control.pull_request (id, org_id, connector_id, repository_id, number, title, state, author,
                 source_branch, target_branch, merge_commit, url, created_at, updated_at, merged_at, seen_run)
               values (%s, %s, %s, 'r', %s, %s, %s, 'alice', %s, 'main', %s, %s, %s, %s, %s, 1)""",
            [ids["pull"], org, ids["connector"], number, title, state, branch, commit, url, then, then, then],
        )


def test_without_projects_the_page_says_how_to_begin(office):
    told = page(office, "/projects")
    assert "No projects yet" in told
    assert "/names/project/add" in told


def test_projects_add_up_to_the_ledger(office):
    project(office, "HPC", "High performance computing")
    project(office, "SOCE")
    office.write(
        spend(3 * DOLLAR + 1),
        spend(2 * DOLLAR, task_id="HPC-2", sso_sub="bob@arctrade.example", model_used="gpt-5"),
        spend(DOLLAR, project_id="SOCE"),
        spend(4 * DOLLAR, project_id=None),
        refused(),
    )
    told = page(office, "/projects")
    assert lead(told).endswith("6 USD 3 calls on 2 projects") or "6.00 USD 3 calls on 2 projects" in lead(
        told
    )
    assert facts(told)["On no project"] == "4 USD"
    hpc, soce, total = table(told, "projects")
    assert hpc == "HPC High performance computing 83.3 % 2 2 2 – 2 5.000000001"
    assert soce == "SOCE 16.7 % 1 1 1 – 1 1"
    assert total == "Total 3 6.000000001"


def test_a_projects_page_has_its_tasks_people_models_and_kinds_of_work(office):
    project(office, "HPC")
    office.write(
        spend(3 * DOLLAR, epic_id="HPC-1000"),
        spend(DOLLAR + 5, task_id="HPC-2", task_class="review", sso_sub="bob@arctrade.example"),
        spend(7 * DOLLAR, project_id="SOCE"),
    )
    told = page(office, "/projects/HPC")
    assert "4.00 USD 2 calls, exactly 4.000000005 USD" in lead(told)
    assert table(told, "Tasks") == ["HPC-1234 75 % 1 3", "HPC-2 25 % 1 1.000000005", "Total 2 4.000000005"]
    assert table(told, "Epics")[0] == "HPC-1000 75 % 1 3"
    assert table(told, "People")[1] == "bob@arctrade.example 25 % 1 1.000000005"
    assert table(told, "Models")[0] == "claude-sonnet-4-6 100 % 2 4.000000005"
    assert table(told, "Kinds of work")[1] == "review 25 % 1 1.000000005"


def test_a_projects_tables_add_up_to_its_figure_at_every_look(office):
    for place in range(1, 3):
        office.write(spend(DOLLAR, task_id=f"HPC-{place}"))
        text = page(office, "/projects/HPC")
        *lines, total = table(text, "Tasks")
        assert total == f"Total {place} {place}"
        assert len(lines) == place


def test_a_budget_shows_how_much_of_it_is_used(office):
    project(office, "HPC")
    budget = uuid7()
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            """insert into vis_control.budget (id, org_id, scope_kind, scope_value, period, cap_nusd, hard, soft, near_cap, created_at)
               values (%s, %s, 'project', 'HPC', 'month', %s, true, '[]', 'refuse', now())""",
            [budget, office.org_id, 10 * DOLLAR],
        )
        connection.execute(
            """insert into vis.budget_windows (org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard, spent_nusd)
               values (%s, %s, %s, 'HPC', now() - interval '1 day', now() + interval '1 day', %s, true, %s)""",
            [office.org_id, uuid7(), budget, 10 * DOLLAR, 6 * DOLLAR],
        )
    office.write(spend(6 * DOLLAR))
    assert "60 % 6.00 of 10.00 USD, month, hard" in table(page(office, "/projects"), "projects")[0]
    told = page(office, "/projects/HPC")
    assert facts(told)["Budget now"] == "60 % 6.00 of 10.00 USD, month, hard"
    assert "under the budget's cap" in told
    assert 'class="cap"' in told


def test_a_task_answers_what_it_cost_per_merged_pull_request(office):
    project(office, "HPC")
    pull_request(office, 7, "HPC-1234-redesign")
    pull_request(office, 8, "HPC-1234-more", state="open", title="More of it")
    here = {"repo": REPO, "branch": "HPC-1234-redesign"}
    office.write(
        spend(3 * DOLLAR, **here, commit_sha="a" * 40),
        spend(DOLLAR, **here, commit_sha="b" * 40, agent_owner="Bob"),
        spend(2 * DOLLAR, repo=REPO, branch="HPC-1234-more"),
        spend(DOLLAR),
        spend(50 * DOLLAR, task_id="HPC-9"),
        refused(),
    )
    told = page(office, "/projects/HPC/work?task=HPC-1234")
    assert "7.00 USD 4 calls over 2 commits, exactly 7 USD" in lead(told)
    assert facts(told) | {
        "Per merged pull request": "7.00 USD",
        "Pull requests": "2 1 merged",
        "Refused": "1",
    } == facts(told)
    assert table(told, "pulls") == [
        "Redesign merged 57.1 % 2 2 4",
        "More of it open 28.6 % 0 1 2",
        "Linked to a pull request 85.7 % 6",
        "Not linked 1",
    ]
    assert (
        'href="https://bitbucket.org/arctrade/hpc-billing/pull-requests/7" rel="noopener noreferrer nofollow"'
        in told
    )
    assert table(told, "places")[0] == f"{REPO} HPC-1234-redesign 57.1 % 2 2 4"
    assert table(told, "commits")[0].startswith("aaaaaaaaaaaa")
    assert "chargeback.csv?" in told
    assert "task=HPC-1234" in told


def test_an_epic_has_its_own_report(office):
    project(office, "HPC")
    office.write(
        spend(DOLLAR, epic_id="HPC-1000"), spend(DOLLAR, epic_id="HPC-1000", task_id="HPC-3"), spend(DOLLAR)
    )
    assert "2.00 USD 2 calls" in lead(page(office, "/projects/HPC/work?epic=HPC-1000"))


def test_what_strangers_wrote_stays_text_and_only_https_is_a_link(office):
    project(office, "HPC", HOSTILE)
    pull_request(office, 7, "b", url="javascript:alert(1)", title=HOSTILE)
    office.write(spend(DOLLAR, task_id=HOSTILE, repo=REPO, branch="b", commit_sha=HOSTILE))
    for path in ("/projects", "/projects/HPC", "/projects/HPC/work", "/projects/HPC/work?task=%3Cscript%3E"):
        told = page(office, path)
        assert "<script>alert" not in told
        assert 'href="javascript' not in told


def test_what_is_not_there_is_not_found_as_another_organisations(new_office):
    ours, theirs = new_office(), new_office()
    project(theirs, "THEIRS")
    theirs.write(spend(DOLLAR, project_id="THEIRS"))
    for path in ("/projects/THEIRS", "/projects/THEIRS/work", "/projects/nothing", "/projects/nothing/work"):
        assert ours.browser.get(path).status == 404
    assert "THEIRS" not in page(ours, "/projects")
    assert theirs.browser.get("/projects/THEIRS").status == 200


def test_a_period_is_whole_days_and_nonsense_is_refused(office):
    project(office, "HPC")
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    office.write(
        spend(DOLLAR, created_at=today - timedelta(days=3)),
        spend(2 * DOLLAR, created_at=today - timedelta(days=3, microseconds=1)),
        spend(4 * DOLLAR, created_at=today - timedelta(days=2)),
    )
    day = f"{today - timedelta(days=3):%Y-%m-%d}"
    assert "1.00 USD" in lead(page(office, f"/projects?from={day}&to={day}"))
    assert office.browser.get("/projects?month=now").status == 400
    assert office.browser.get("/projects/HPC/work?task=a&epic=b").status == 400


def test_pages_of_projects_take_few_statements(office):
    project(office, "HPC")
    office.write(spend(DOLLAR))
    for path in ("/projects", "/projects/HPC", "/projects/HPC/work?task=HPC-1234"):
        page(office, path)
        office.plane.statements(office.browser, path)
        assert len(office.plane.statements(office.browser, path)) < 12, path


def test_a_page_of_branches_offers_no_other_organisations(office):
    project(office, "HPC")
    office.write(
        spend(DOLLAR, repo=REPO, branch="HPC-1234-redesign"), spend(DOLLAR, repo=REPO, branch="HPC-9")
    )
    assert 'action="/organisation"' not in page(office, "/projects/HPC/work")
