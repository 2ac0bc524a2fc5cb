"""Tables of pages as files: the same figures, no cell a formula, and each taking recorded (S5, F1)."""

import csv
import io
from datetime import timedelta
from decimal import Decimal

from visionality.runtime.clock import utc_now
from web.accounts.people import joined
from web.forms import audited, said
from web.rows import call, refused
from web.test_people_page import engineer, revoke, used


def lines_of(office, path):
    answer = office.browser.get(path)
    assert answer.status == 200, (path, answer.status)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_the_people_table_is_a_file_with_everybody_whom_the_filter_finds(office):
    _, held = engineer(office, name='=HYPERLINK("x")')
    engineer(office, sub="bob@arctrade.example", name="Bob")
    row = used(office, held, created_at=utc_now() - timedelta(minutes=1))[0]
    both = lines_of(office, "/people.csv")
    assert [line["name"] for line in both] == ['\'=HYPERLINK("x")', "Bob"]
    assert Decimal(both[0]["cost_usd_this_month"]) == Decimal(row.cost_nusd) / 10**9
    assert [line["live_keys"] for line in both] == ["1", "1"]
    assert [line["name"] for line in lines_of(office, "/people.csv?search=bob")] == ["Bob"]
    assert [event["asked"] for event in audited(office, "people_exported")] == ["everybody", "bob"]


def test_leavers_are_a_file(office):
    who, held = engineer(office)
    revoke(office, who, reason="=1+1")
    sub = "alice@arctrade.example"
    office.write(
        refused(key_id=held, agent_sub=sub, sso_sub=sub, created_at=utc_now() + timedelta(minutes=2))
    )
    (line,) = lines_of(office, "/people/leavers.csv")
    assert (line["sso_sub"], line["reason"], line["keys_ended"]) == (sub, "'=1+1", "1")
    assert (line["served_after"], line["refused_after"]) == ("0", "1")
    assert len(audited(office, "leavers_exported")) == 1


def test_keys_to_look_at_are_a_file(office):
    engineer(office, level=0)
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            "update vis_control.organisation set level_floor = 2 where id = %s", [office.org_id]
        )
    (line,) = lines_of(office, "/security/keys.csv")
    assert (line["agent_sub"], line["why"]) == (
        "alice@arctrade.example",
        "made at level 0, the floor is 2",
    )
    assert len(audited(office, "keys_exported")) == 1


def test_the_rows_of_a_filter_are_a_file_whose_total_is_that_of_the_page(office):
    rows = office.write(
        call(task_id='=cmd|"x"'),
        call(agent_sub="bob@arctrade"),
        call(provider="sandbox"),
        refused(),
    )
    found = lines_of(office, "/rows.csv")
    assert [line["created_at"] for line in found[-2:]] == ["TOTAL", "SIMULATED"]
    assert len(found) == len(rows) + 2
    assert {line["task_id"] for line in found} >= {'\'=cmd|"x"'}
    assert Decimal(found[-2]["cost_usd"]) == sum(Decimal(one.cost_nusd) for one in rows[:2]) / 10**9
    assert found[-2]["cost_usd"].rstrip("0") in said(office.browser.get("/").text)
    narrowed = lines_of(office, "/rows.csv?agent=bob%40arctrade")
    assert [line["agent_sub"] for line in narrowed[:-1]] == ["bob@arctrade"]
    assert narrowed[-1]["cost_usd"] == found[0]["cost_usd"]
    assert [event["asked"] for event in audited(office, "ledger_exported")] == [
        "everything",
        "agent=bob%40arctrade",
    ]


def test_rows_are_a_file_for_finance_and_nobody_else_is_led_to_it(office):
    assert 'href="/rows.csv?' in office.browser.get("/").text
    others = joined(office, "dana40@houston.example", "people")
    assert "/rows.csv" not in others.get("/").text
    assert others.get("/rows.csv").status == 403
    assert joined(office, "fay40@houston.example", "finance").get("/rows.csv").status == 200


def test_a_file_of_another_organisation_is_empty(office, new_office):
    office.write(call())
    engineer(office)
    stranger = new_office()
    assert lines_of(stranger, "/people.csv") == []
    assert [line["created_at"] for line in lines_of(stranger, "/rows.csv")] == ["TOTAL"]


def test_an_address_that_makes_no_sense_is_refused(office):
    for path in ("/rows.csv?from=x", "/people.csv?only=x", "/people/leavers.csv?month=x"):
        assert office.browser.get(path).status == 400, path
