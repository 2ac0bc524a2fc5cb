"""Budgets at the pages: the same acts as `vis budget`, with the same audit rows (B1, B2, S5)."""

from datetime import UTC, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.forms import audited, done, said, stored, submit
from web.rows import call

SOCE = {
    "scope_kind": "project",
    "scope_name": "SOCE",
    "cap": "2,500.000000001",
    "period": "month",
    "hard": "on",
    "soft": "80, 60%",
    "near_cap": "refuse",
}
LIVE = "select id, cap_nusd, hard, soft, near_cap, ceiling_nusd from vis_control.budget where org_id = %s and retired_at is null"


@pytest.fixture
def soce(office):
    done(office.browser, "/names/project/add", key="SOCE")
    return office


def only(office) -> UUID:
    ((budget_id, *_),) = stored(office, LIVE)
    return budget_id


def test_a_budget_is_set_to_the_nano_dollar_and_told_in_a_sentence(soce):
    text = done(soce.browser, "/budgets/set", **SOCE, reason="the month of SOCE")
    assert (
        "Project:SOCE may spend 2500.000000001 USD a month (what does not fit is refused; told at 60%, 80%)"
        in text
    )
    ((_, *terms),) = stored(soce, LIVE)
    assert terms == [2_500_000_000_001, True, [60, 80], "refuse", None]
    (event,) = audited(soce, "budget_set")
    assert event["scope"] == "project:SOCE"
    assert event["cap_nusd"] == "2500000000001"
    assert event["reason"] == "the month of SOCE"


def test_what_was_spent_before_the_budget_counts(soce):
    soce.write(call(project_id="SOCE"), call(project_id="SOCE"))
    text = done(soce.browser, "/budgets/set", **SOCE)
    assert "0.00681 spent" in text
    page = said(soce.browser.get(f"/budgets/{only(soce)}").text)
    assert "vis budget prove --month" in page
    assert "claude-sonnet-4-6" in page
    assert "alice@arctrade" in page


def test_a_window_of_another_zone_leads_to_all_its_rows_in_utc_days(soce):
    zone = ZoneInfo("Pacific/Kiritimati")
    with soce.plane.database.as_role("vis_super") as connection:
        connection.execute(
            "update vis_control.organisation set time_zone = %s where id = %s", [zone.key, soce.org_id]
        )
    soce.write(call(project_id="SOCE"))
    done(soce.browser, "/budgets/set", **SOCE | {"hard": ""})
    began = utc_now().astimezone(zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    text = soce.browser.get(f"/budgets/{only(soce)}").text
    assert f"from={began.astimezone(UTC):%Y-%m-%d}" in text
    assert "UTC days" in said(text)


def test_a_persons_budget_leads_to_the_rows_of_that_person(soce):
    soce.write(call())
    person = {"scope_kind": "person", "scope_name": "alice@arctrade.example", "hard": ""}
    done(soce.browser, "/budgets/set", **SOCE | person)
    text = soce.browser.get(f"/budgets/{only(soce)}").text
    assert "/?person=alice%40arctrade.example&amp;from=" in text


def test_an_edit_keeps_the_budget_and_says_when_the_cap_is_below_what_is_spent(soce):
    soce.write(call(project_id="SOCE"))
    done(soce.browser, "/budgets/set", **SOCE)
    before = only(soce)
    page = soce.browser.get(f"/budgets/{before}/edit").text
    assert 'value="2500.000000001"' in page
    assert 'value="60%, 80%"' in page
    text = done(
        soce.browser,
        f"/budgets/{before}/edit",
        cap="0.001",
        hard="on",
        soft="",
        near_cap="clamp",
        ceiling="0.50",
    )
    assert "the cap is 0.002405 USD below what is spent and held already".lower() in text.lower()
    assert stored(soce, LIVE) == [(before, 1_000_000, True, [], "clamp", 500_000_000)]


def test_a_budget_is_removed_after_a_page_that_says_what_happens(soce):
    done(soce.browser, "/budgets/set", **SOCE)
    path = f"/budgets/{only(soce)}/remove"
    assert "nothing is counted or refused for it any more" in said(soce.browser.get(path).text)
    assert len(stored(soce, LIVE)) == 1
    assert submit(soce.browser, path, reason="").status == 422
    assert "project:SOCE has no budget a month any more" in done(
        soce.browser, path, reason="the project ended"
    )
    assert stored(soce, LIVE) == []
    assert audited(soce, "budget_removed")[0]["reason"] == "the project ended"


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("cap", "2.5k", "2.5k is no amount: expected US dollars such as 2500 or 0.50"),
        ("cap", "0.0000000001", "at most nine decimals"),
        ("soft", "60%, 101%", "101% is no part of a cap: expected 1% to 100%"),
        ("ceiling", "0", "Expected an amount above zero"),
        ("scope_name", "", "Say which project, or * for each."),
        ("scope_name", "NOBODY", "there is no project NOBODY: add it with `vis project add NOBODY`"),
        ("period", "fortnight", "Select a valid choice"),
    ],
)
def test_wrong_input_is_kept_and_explained_and_nothing_is_done(soce, field, typed, told):
    answer = submit(soce.browser, "/budgets/set", **SOCE | {field: typed, "memo": ""})
    assert answer.status == 422
    assert told in said(answer.text)
    assert 'value="2,500.000000001"' in answer.text or field == "cap"
    assert not typed or f'value="{typed}"' in answer.text or field == "period"
    assert stored(soce, LIVE) == []
    assert audited(soce, "budget_set") == []


def test_a_budget_for_each_shows_its_values_and_each_has_a_page(soce):
    soce.write(call(project_id="SOCE"), call(agent_sub="derek@arctrade", project_id="SOCE"))
    each = {"scope_kind": "agent", "scope_name": "*", "cap": "50", "period": "month", "near_cap": "refuse"}
    done(soce.browser, "/budgets/set", **each)
    listed = soce.browser.get("/budgets").text
    assert "agent:*" in listed
    assert f"/budgets/{only(soce)}?value=derek%40arctrade" in listed
    assert "agent:* a month, derek@arctrade" in said(
        soce.browser.get(f"/budgets/{only(soce)}?value=derek%40arctrade").text
    )


def test_a_budgets_curve_ends_on_its_own_sum_and_its_forecast_is_said(soce):
    now = utc_now()
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    soce.write(
        *(
            call(
                project_id="SOCE", created_at=max(month, now - timedelta(days=days)) + timedelta(seconds=days)
            )
            for days in (2, 1, 0)
        )
    )
    done(soce.browser, "/budgets/set", **SOCE)
    page = soce.browser.get(f"/budgets/{only(soce)}").text
    assert "of 2,500.00 USD spent, likely" in page
    assert "The range holds four times out of five" in page


def test_a_hostile_name_stays_text(office):
    done(office.browser, "/names/agent/add", sub="x<script>alert(1)</script>", owner="<b>Eve</b>")
    scope = {"scope_kind": "agent", "scope_name": "x<script>alert(1)</script>", "cap": "1", "period": "day"}
    done(office.browser, "/budgets/set", **scope, near_cap="refuse")
    for path in ("/budgets", f"/budgets/{only(office)}", "/names", "/operations"):
        page = office.browser.get(path).text
        assert "<script>alert" not in page
        assert "<b>Eve" not in page


def test_a_form_without_its_token_is_refused(soce):
    assert soce.browser.post("/budgets/set", **SOCE).status == 403
    assert stored(soce, LIVE) == []


def test_another_organisations_budget_is_not_there(soce, new_office):
    done(soce.browser, "/budgets/set", **SOCE)
    stranger = new_office().browser
    for path in ("", "/edit", "/remove"):
        for budget_id in (only(soce), uuid7()):
            assert stranger.get(f"/budgets/{budget_id}{path}").status == 404


def test_the_list_takes_few_statements(soce):
    done(soce.browser, "/budgets/set", **SOCE)
    assert len(soce.plane.statements(soce.browser, "/budgets")) < 12


def test_an_empty_list_teaches(office):
    assert "vis budget set org --cap 20000/month" in said(office.browser.get("/budgets").text)
