"""The operator's seat: what burns, what warns, what waits; one click from a warning to the hint that answers it (Story 1)."""

import json
import re
from html import unescape

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.forms import audited, done, hidden, said, stored
from web.rows import call

DRIVERS = [
    {"dimension": "agent_sub", "value": "derek@arctrade"},
    {"dimension": "model_used", "value": "claude-opus-4-6"},
    {"dimension": "task_class", "value": "refactor"},
]


def warn(office, scope="project:SOCE", drivers=DRIVERS):
    body = (
        f"{scope} has spent $1,500.00 of $2,500.00.\n40% of the time has passed.\nDriven by:\n- agent derek"
    )
    alert = uuid7()
    with office.plane.database.as_role("vis_jobs", office.org_id) as connection:
        connection.execute(
            "insert into vis.alerts (org_id, alert_id, created_at, kind, subject_id, mark, scope, title, body, detail)"
            " values (%s, %s, %s, 'budget_threshold', %s, 60, %s, %s, %s, %s)",
            [
                office.org_id,
                alert,
                utc_now(),
                uuid7(),
                scope,
                f"{scope} reached 60% of its budget on 12 November 2026",
                body,
                json.dumps({"drivers": drivers}),
            ],
        )
    return alert


def soce(office):
    done(office.browser, "/names/project/add", key="SOCE")
    terms = {"cap": "0.01", "period": "month", "near_cap": "refuse", "soft": "60%"}
    done(office.browser, "/budgets/set", scope_kind="project", scope_name="SOCE", **terms)


def test_a_warning_leads_in_one_click_to_a_hint_with_everything_filled_in(office):
    soce(office)
    warn(office)
    page = office.browser.get("/operations").text
    assert "project:SOCE reached 60% of its budget on 12 November 2026" in page
    assert "Driven by derek@arctrade, claude-opus-4-6, refactor" in page
    link = unescape(re.search(r'href="(/hints/add\?[^"]+)"', page)[1])
    form = office.browser.get(link).text
    for value in ("derek@arctrade", "SOCE", "refactor", "claude-opus-4-6"):
        assert f'value="{value}"' in form
    chosen = {
        "agent": "derek@arctrade",
        "project": "SOCE",
        "task_class": "refactor",
        "instead_of": "claude-opus-4-6",
    }
    text = done(office.browser, link, **chosen, prefer="claude-haiku-4-5")
    assert (
        "Calls for claude-opus-4-6 of derek@arctrade on SOCE for refactor work now get claude-haiku-4-5."
        in text
    )
    (event,) = audited(office, "hint_added")
    assert (event["agent_sub"], event["prefer"]) == ("derek@arctrade", "claude-haiku-4-5")


def test_a_warning_that_was_seen_goes_and_stays_on_record(office):
    alert = warn(office)
    page = office.browser.get("/operations")
    answer = office.browser.post(f"/alerts/{alert}/seen", **hidden(page))
    assert answer.headers["location"] == "/operations"
    assert "Nothing warns" in said(office.browser.get("/operations").text)
    assert "seen by operator" in said(office.browser.get("/alerts?all=1").text)
    assert audited(office, "alert_acknowledged") == [{"alert_id": str(alert)}]


def test_a_warning_of_another_organisation_cannot_be_seen_away(office, new_office):
    alert = warn(office)
    stranger = new_office().browser
    assert (
        stranger.post(f"/alerts/{alert}/seen", **hidden(stranger.get("/alerts/channels/add"))).status == 404
    )
    assert "reached 60%" in said(office.browser.get("/operations").text)


def test_a_warning_without_a_driver_leads_to_no_hint(office):
    warn(office, drivers=[{"dimension": "agent_sub", "value": "none"}])
    warn(office, scope="bitbucket")
    assert "/hints/add" not in office.browser.get("/operations").text


def test_the_figures_are_the_ledgers(office):
    soce(office)
    office.write(call(project_id="SOCE"), call(project_id="SOCE"), call(project_id=None))
    text = said(office.browser.get("/operations").text)
    ((whole, nobody),) = stored(
        office,
        "select sum(cost_nusd), sum(cost_nusd) filter (where project_id is null) from vis.request_logs where org_id = %s",
    )
    assert (whole, nobody) == (10_215_000, 3_405_000)
    assert "Spent in" in text
    assert "0 .01 USD" in text
    assert "Attributed 66.7 %" in text
    assert "On no project 0.003405 USD" in text
    assert "1 calls, 0.003405 USD on no project this month" in text
    assert "project:SOCE a month, counts only" in text


def test_each_matter_links_to_the_page_where_it_is_settled(office):
    text = office.browser.get("/operations").text
    settle = text.partition('id="book-settle"')[2]
    for path in ("/queue", "/connectors", "/keys", "/providers"):
        assert f'href="{path}"' in settle
        assert office.browser.get(path).status == 200


def test_the_page_takes_few_statements(office):
    soce(office)
    warn(office)
    office.write(call(project_id="SOCE"))
    found = office.plane.statements(office.browser, "/operations")
    assert len(found) < 12, found


def test_an_empty_seat_teaches(office):
    text = said(office.browser.get("/operations").text)
    assert "Nothing warns. A budget warns here" in text
    assert "vis budget set org --cap 20000/month" in text


def test_what_the_ledgers_check_found_stands_here_and_with_security_until_a_check_finds_it_no_longer(office):
    keep = """insert into vis.verifications (org_id, extent, day, started_at, ended_at, rows, waiting, findings)
              values (%s, 'full', current_date, now(), now(), 1204, 0, %s::jsonb)
              on conflict (org_id, extent, day) do update set findings = excluded.findings"""
    finding = '[{"kind": "edited", "log": "request_logs", "sentence": "writer 7, number 12: <b>edited</b>"}]'
    for findings, words in ((finding, "1 found"), ("[]", "whole")):
        with office.plane.database.as_role("vis_jobs") as connection:
            connection.execute(keep, [office.org_id, findings])
        for path in ("/operations", "/security"):
            page = office.browser.get(path).text
            assert f">{words} <small>1,204 rows," in page
            assert ("writer 7, number 12: &lt;b&gt;edited" in page) == (words == "1 found")
