"""The queue at the pages: waiting calls by cause, booked by a correction whose money is said before it moves (A6)."""

import re
from html import unescape

import pytest

from web.forms import audited, done, hidden, said, stored, submit
from web.rows import call

ORDERS = "select reason, task_id, rows from vis_control.correction_order where org_id = %s"
REPO = "bitbucket.org/arctrade/hpc-billing"


@pytest.fixture
def waiting(office):
    """Two calls of a repository that is not in the map, of 0.00681 USD together."""
    done(office.browser, "/names/project/add", key="HPC")
    lost = {"project_id": None, "repo": REPO, "task_id": None}
    office.write(call(**lost), call(**lost), call(project_id="HPC"))
    return office


def link(office):
    return unescape(re.search(r'href="(/queue/assign\?[^"]+)"', office.browser.get("/queue").text)[1])


def test_what_waits_is_listed_by_cause_with_its_money(waiting):
    text = said(waiting.browser.get("/queue").text)
    assert f"The repository {REPO} is not in the map" in text
    assert "2 0.00681 USD" in text


def test_the_money_that_moves_is_said_before_and_ordered_with_its_reason(waiting):
    path = link(waiting)
    assert "2 rows, 0.00681 USD, from" in said(waiting.browser.get(path).text)
    assert stored(waiting, ORDERS) == []
    told = done(waiting.browser, path, project="HPC", task="HPC-7", reason="not mapped in time")
    assert "2 rows, 0.00681 USD will be booked on HPC by the jobs" in told
    assert "waits for the jobs" in told
    ((reason, task, rows),) = stored(waiting, ORDERS)
    assert (reason, task, len(rows)) == ("not mapped in time", "HPC-7", 2)
    (event,) = audited(waiting, "correction_ordered")
    assert (event["project"], event["rows"]) == ("HPC", "2")


def test_other_money_than_was_shown_does_not_move(waiting):
    path = link(waiting)
    seen = hidden(waiting.browser.get(path))
    waiting.write(call(project_id=None, repo=REPO))
    answer = waiting.browser.post(path, **seen, project="HPC", reason="not mapped in time")
    assert answer.status == 422
    assert "other rows wait by now (3 rows, 0.010215 USD)" in said(answer.text)
    assert 'value="not mapped in time"' in answer.text
    assert stored(waiting, ORDERS) == []
    again = hidden(answer)
    assert waiting.browser.post(path, **again, project="HPC", reason="seen").status == 302
    assert len(stored(waiting, ORDERS)[0][2]) == 3


def test_a_project_that_is_not_there_is_explained(waiting):
    answer = submit(waiting.browser, link(waiting), project="HPCC", reason="not mapped in time")
    assert answer.status == 422
    assert "there is no project HPCC" in said(answer.text)
    assert 'value="HPCC"' in answer.text


def test_a_reason_is_needed(waiting):
    assert submit(waiting.browser, link(waiting), project="HPC").status == 422
    assert stored(waiting, ORDERS) == []


def test_rows_of_another_organisation_are_not_there(waiting, new_office):
    assert new_office().browser.get(link(waiting)).status == 404


def test_an_empty_queue_says_so(office):
    assert "Nothing waits in these days" in said(office.browser.get("/queue").text)
    assert office.browser.get("/queue?month=never").status == 400
