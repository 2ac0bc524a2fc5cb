"""What the seats show and let one take away, for programs: the same figures, and the same rows in the audit (F1, F6, H3, P1, L2)."""

import csv
import io
import json
from base64 import b64decode
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest

import evidence_keys
from visionality.runtime.clock import utc_now
from web.holding import agent, key, person
from web.programs import Program, full_program, is_problem, program_of, told_of_itself
from web.rows import call, refused
from web.test_people_page import engineer, used
from web.test_signed_figures import KEYS, without_keys

DOLLAR = 1_000_000_000
EVER = {"first": "2020-01-01", "last": "2099-12-31"}
DAYS = urlencode(EVER)


@pytest.fixture
def program(office) -> Program:
    return full_program(office)


def spend(nusd, **given):
    return call(cost_nusd=nusd, **({"billed_nusd": nusd} | given))


def got(program: Program, path: str):
    reply = program.send("GET", path)
    assert reply.status == 200, (path, reply)
    return reply.content


def lines(program: Program, path: str) -> list[dict[str, str]]:
    reply = program.send("GET", path)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8"), reply
    return list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"))))


def exports(program: Program) -> list[str]:
    events = got(program, "admin-events")["items"]
    assert {one["actor"] for one in events if one["kind"].endswith("_exported")} <= {
        f"service-token:{program.token_id}"
    }
    return [one["kind"] for one in events if one["kind"].endswith("_exported")][::-1]


def this_month() -> dict[str, str]:
    today = utc_now().date()
    return {"first": today.replace(day=1).isoformat(), "last": today.isoformat()}


def test_a_figure_is_signed_and_its_link_opens_for_a_stranger(office, program):
    assert program.send("POST", "figures", {**this_month(), "reason": "too early"}).status in {409, 422}
    evidence_keys.make(without_keys(office).plane.database, KEYS)
    office.write(spend(3 * DOLLAR + 1), spend(2 * DOLLAR, project_id="SOCE"))
    body = {**this_month(), "project": "HPC", "reason": "for the customer"}
    made = program.send("POST", "figures", body)
    assert made.status == 201, made
    assert (made.content["cost_usd"], made.content["scope"]) == ("3.000000001", {"project": "HPC"})
    page = office.plane.browser().get(urlsplit(made.content["link"]).path)
    assert (page.status, "The ledger gives the same figure today" in page.text) == (200, True)
    file = json.loads(office.plane.browser().get(urlsplit(made.content["file"]).path).text)
    assert made.content["id"] in b64decode(file["payload"]).decode()
    (listed,) = got(program, "figures")["items"]
    assert listed == made.content
    assert office.browser.get("/finance/figures").text.count(urlsplit(made.content["link"]).path) > 0


def test_a_figure_of_nothing_or_of_what_none_can_be_about_is_not_signed(office, program):
    office.write(spend(DOLLAR))
    is_problem(program.send("POST", "figures", {**this_month(), "project": "NOBODY"}), 422)
    is_problem(program.send("POST", "figures", {**this_month(), "team": "a", "agent": "b"}), 422)
    is_problem(program.send("POST", "figures", {"first": "2026-11-02", "last": "2026-11-01"}), 422)
    assert got(program, "figures")["items"] == []
    told_of_itself(office.plane)
    is_problem(program_of(office, "read:ledger").send("POST", "figures", this_month()), 403)


def test_who_has_access_is_read_page_by_page(office, program):
    for number in range(5):
        engineer(office, f"p{number}@x.example", f"P{number}")
    person(office, "z@x.example", "Z")
    seen, path = [], "access?limit=2"
    while path:
        content = got(program, path)
        seen += [one["sso_sub"] for one in content["items"]]
        path = (content["next"] or "").removeprefix("/api/v1/")
    assert seen == [*(f"p{number}@x.example" for number in range(5)), "z@x.example"]
    assert content["whole"]["with_access"] == 5
    assert [one["sso_sub"] for one in got(program, "access?only=without")["items"]] == ["z@x.example"]
    assert [one["name"] for one in got(program, "access?search=p3")["items"]] == ["P3"]
    assert [one["sso_sub"] for one in lines(program, "access.csv?only=with")] == seen[:5]
    assert exports(program) == ["people_exported"]
    is_problem(program.send("GET", "access?only=all"), 422)
    is_problem(program.send("GET", "access?after=WyJhIiwiYiJd"), 422)


def test_a_leaver_is_revoked_by_a_program_and_the_evidence_shows_it(office, program):
    _, key_id = engineer(office)
    used(office, key_id)
    sub = "alice@arctrade.example"
    assert got(program, f"access/{sub}")["keys"][0]["ended_how"] == ""
    assert program.send("POST", f"people/{sub}/revoke", {"reason": "resigned"}).status == 200
    found = got(program, f"offboarding/{sub}")
    assert (found["live_keys"], found["is_shown"], found["reason"]) == (0, True, "resigned")
    assert found["generated_by"] == f"service-token:{program.token_id}"
    (line,) = lines(program, f"offboarding.csv/{sub}")
    assert line["key_id"] == str(key_id)
    (left,) = got(program, f"leavers?{DAYS}")["items"]
    assert (left["sso_sub"], left["served_after"]) == (sub, 0)
    assert [one["sso_sub"] for one in lines(program, f"leavers.csv?{DAYS}")] == [sub]
    person_of = got(program, f"access/{sub}")
    assert person_of["keys"][0]["ended_how"] != ""
    assert person_of["steps"][0]["reason"] == "resigned"
    assert exports(program) == ["offboarding_exported", "offboarding_exported", "leavers_exported"]
    kinds = [one["kind"] for one in got(program, "admin-events")["items"]]
    assert "access_revoked" in kinds


def test_no_cell_of_a_file_is_a_formula(office, program):
    engineer(office, "=cmd@x.example", "=1+1")
    (line,) = lines(program, "access.csv")
    assert line["name"] == "'=1+1"


def test_refusals_and_keys_to_look_at_are_those_of_the_security_seat(office, program):
    office.write(refused(), refused(), call())
    found = got(program, f"refusals?{DAYS}")
    assert sum(one["calls"] for one in found["items"]) == 2
    assert {one["cost_usd"] for one in found["items"]} == {"0"}
    assert len(found["newest"]) == 2
    key(office, agent(office, "build-bot"), issued=timedelta(days=40))
    (risk,) = got(program, "key-risks")["items"]
    assert (risk["agent"], "no call for 30 days" in risk["why"]) == ("build-bot", True)
    assert [one["agent_sub"] for one in lines(program, "key-risks.csv")] == ["build-bot"]
    assert exports(program) == ["keys_exported"]
    assert set(got(program, "append-only")) == {"holds", "checked_at", "since", "findings"}


def test_the_audit_is_taken_as_a_file_and_each_event_hashes_to_its_leaf(program):
    program.send("POST", "teams", {"key": "desk"})
    (event,) = got(program, "admin-events?kind=team_added")["items"]
    one = got(program, f"audit-events/{event['id']}")
    assert (one["log"], one["kind"], one["leaf_hash_agrees"]) == ("admin", "team_added", True)
    assert one["leaf_hash"] == event["leaf_hash"]
    (line,) = lines(program, "audit.csv?kind=team_added&log=admin")
    assert (line["id"], line["actor"]) == (event["id"], f"service-token:{program.token_id}")
    assert lines(program, "audit.csv?last=2020-01-01") == []
    assert exports(program) == ["audit_exported", "audit_exported"]
    is_problem(program.send("GET", "audit.csv?log=other"), 422)


def test_rows_are_taken_as_a_file_with_their_total(office, program):
    office.write(spend(DOLLAR), spend(2 * DOLLAR, project_id="SOCE"), refused())
    found = lines(program, f"rows.csv?{DAYS}&project=SOCE")
    assert [one["cost_usd"] for one in found] == ["2", "2"]
    assert found[-1]["created_at"] == "TOTAL"
    assert exports(program) == ["ledger_exported"]
    is_problem(program.send("GET", "rows.csv"), 422)
    is_problem(program.send("GET", f"rows.csv?{DAYS}&status=many"), 422)


def test_spend_is_the_finance_seats_and_its_parts_add_up_to_it(office, program):
    office.write(
        spend(3 * DOLLAR + 1, billed_nusd=4 * DOLLAR, cost_center="CC-1"),
        spend(2 * DOLLAR, project_id=None, task_id=None, cost_center="CC-1"),
        spend(9 * DOLLAR, provider="sandbox"),
        refused(),
    )
    found = got(program, f"spend?{urlencode(this_month())}")
    assert (found["cost_usd"], found["billed_usd"], found["unattributed_usd"]) == (
        "5.000000001",
        "6",
        "2",
    )
    assert (found["simulated_usd"], found["refused"], found["calls"]) == ("9", 1, 2)
    for way in ("project", "customer", "team", "agent", "person", "cost-center", "gl", "family"):
        parts = got(program, f"spend/parts?{DAYS}&by={way}")
        assert (parts["cost_usd"], parts["billed_usd"]) == ("5.000000001", "6"), way
    program.send("POST", "projects", {"key": "HPC"})
    halves = [{"cost_center": name, "share": "0.5"} for name in ("CC-8", "CC-9")]
    start = "2020-01-01T00:00:00Z"
    split = {"scope": "project:HPC", "parts": halves, "effective_from": start}
    made = program.send("POST", "allocations/splits", split)
    if made.status == 201:
        after = got(program, f"spend/parts?{DAYS}&by=cost-center")
        assert after["cost_usd"] == "5.000000001"


def test_a_month_has_a_forecast_and_other_days_have_none(office, program):
    office.write(spend(DOLLAR))
    today = utc_now().date()
    month = today.replace(day=1)
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    asked = urlencode({"first": month.isoformat(), "last": last.isoformat()})
    assert got(program, f"spend?{asked}")["forecast"] is not None
    assert (
        got(program, f"spend?{urlencode({'first': '2020-01-01', 'last': '2020-01-31'})}")["forecast"] is None
    )


def test_a_budget_burns_and_says_where_it_ends_and_who_drives_it(office, program):
    program.send("POST", "projects", {"key": "HPC"})
    program.send("PUT", "budgets/project:HPC/month", {"cap_usd": "10"})
    program.send("PUT", "budgets/org/total", {"cap_usd": "100"})
    office.write(spend(4 * DOLLAR))
    found = {one["period"]: one for one in got(program, "burn")["items"]}
    assert (found["month"]["cap_usd"], found["total"]["forecast"]) == ("10", None)
    assert found["month"]["forecast"] is not None
    one = got(program, "burn/project:HPC/month")
    assert one["scope"] == "project:HPC"
    assert isinstance(one["drivers"], list)
    first = got(program, "burn?limit=1")
    assert [one["scope"] for one in got(program, first["next"].removeprefix("/api/v1/"))["items"]] == [
        "project:HPC"
    ]
    is_problem(program.send("GET", "burn/project:HPC/week"), 404)


def test_the_work_of_a_task_adds_up_to_its_rows(office, program):
    office.write(
        spend(3 * DOLLAR, task_id="HPC-1", repo="r/a", branch="x"),
        spend(DOLLAR, task_id="HPC-2"),
        refused(task_id="HPC-1"),
    )
    whole = got(program, f"projects/HPC/work?{DAYS}")
    assert [one["cost_usd"] for one in whole["totals"]] == ["4"]
    task = got(program, f"projects/HPC/work?{DAYS}&task=HPC-1")
    assert [one["cost_usd"] for one in task["totals"]] == ["3"]
    assert [(one["repo"], one["branch"]) for one in task["places"]] == [("r/a", "x")]
    assert (task["refused"], len(task["people"])) == (1, 1)
    is_problem(program.send("GET", f"projects/NOBODY/work?{DAYS}"), 404)
    is_problem(program.send("GET", f"projects/HPC/work?{DAYS}&task=a&epic=b"), 422)


def test_the_secret_of_a_webhook_is_in_the_answer_that_made_it_and_nowhere_after(program):
    hook = {"kind": "webhook", "target": "https://alerts.example/in"}
    made = program.send("POST", "alert-channels", hook, idempotency_key="hook")
    assert made.content["secret"].startswith("whsec_")
    again = program.send("POST", "alert-channels", hook, idempotency_key="hook")
    assert again.content == made.content
    mail = program.send("POST", "alert-channels", {"kind": "email", "target": "ops@x.example"})
    assert mail.content["secret"] is None
    said = [got(program, path) for path in ("alert-channels", "admin-events")]
    assert made.content["secret"] not in json.dumps(said)


def test_prices_in_force_are_found_and_ones_own_come_first(program):
    own = {"provider": "anthropic", "model": "claude-sonnet-4-6", "rates_usd": {"in_text": "1.5"}}
    assert program.send("POST", "prices", own).status == 201
    found = got(program, "prices/in-force?model=claude-sonnet-4-6")["items"]
    assert (found[0]["model"], found[0]["rates_usd"]["in_text"]) == ("claude-sonnet-4-6", "1.5")
    is_problem(program.send("GET", "prices/in-force"), 422)


def test_orders_of_corrections_are_listed(office, program):
    program.send("POST", "projects", {"key": "SOCE"})
    (row,) = office.write(call())
    body = {"rows": [str(row.id)], "project": "SOCE", "reason": "wrong branch"}
    (order,) = program.send("POST", "corrections", body).content["orders"]
    (listed,) = got(program, "corrections")["items"]
    assert (listed["id"], listed["reason"], listed["project"], listed["done"]) == (
        order,
        "wrong branch",
        "SOCE",
        False,
    )


def test_each_group_is_for_its_own_scope(office):
    told_of_itself(office.plane)
    reader = program_of(office, "read:policy")
    for path in (
        "access",
        "access.csv",
        f"leavers?{DAYS}",
        f"refusals?{DAYS}",
        "key-risks",
        "audit.csv",
        f"rows.csv?{DAYS}",
        f"spend?{DAYS}",
        "burn",
        "figures",
        "members",
        "sign-on",
    ):
        is_problem(reader.send("GET", path), 403)
