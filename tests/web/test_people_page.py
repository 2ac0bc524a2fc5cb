"""The people seat: who has access now, what came of those who left, and the evidence of it (H3, K7)."""

import csv
import io
import json
import re
from datetime import timedelta

from conftest import SUPERUSER
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from web.holding import agent, key, person, project, team
from web.rows import call, refused
from web.test_ledger_page import words
from web.test_signing_in import token_of

DOLLAR = 1_000_000_000
HOSTILE = '<script>alert("x")</script>'


def engineer(office, sub="alice@arctrade.example", name="Alice K.", **given):
    """Somebody with one agent and one key of project HPC; returns the ids of person and key."""
    known = project(office, f"HPC-{sub}") if given.pop("bound", True) else None
    who = person(office, sub, name)
    of_team = team(office, f"desk-{sub}")
    return who, key(office, agent(office, sub, who, of_team), known, **given)


def used(office, key_id, sub="alice@arctrade.example", **given):
    return office.write(call(key_id=key_id, agent_sub=sub, sso_sub=sub, **given))


def lead(page):
    return words(re.search(r'<dl class="lead-figure">.*?</dl>', page, re.DOTALL)[0])


def facts(page):
    found = re.search(r'<dl class="facts">.*?</dl>', page, re.DOTALL)[0]
    pairs = re.findall(r"<dt[^>]*>(.*?)</dt><dd[^>]*>(.*?)</dd>", found)
    return {words(name): words(value) for name, value in pairs}


def rows_of(page, heading):
    section = page.partition(f'aria-label="{heading}"')[2].partition("</section>")[0]
    return [words(row) for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", section, re.DOTALL)]


def people(office, query=""):
    answer = office.browser.get(f"/people{query}")
    assert answer.status == 200
    return answer.text


def revoke(office, who, reason="left the company"):
    token = token_of(office.browser.get(f"/people/{who}").text)
    return office.browser.post(f"/people/{who}/revoke", csrfmiddlewaretoken=token, reason=reason)


def test_an_organisation_without_people_is_told_how_to_begin(office):
    page = people(office)
    assert "No people yet" in page
    assert "/names/person/add" in page
    assert lead(page).startswith("People with access now 0 of 0")


def test_who_has_access_is_who_holds_a_live_key(office):
    engineer(office)
    engineer(office, "bob@arctrade.example", "Bob", expires=timedelta(days=3))
    engineer(office, "expired@arctrade.example", "Ed", expires=-timedelta(days=1))
    engineer(office, "revoked@arctrade.example", "Rita", revoked_at=utc_now())
    engineer(office, "earlier@arctrade.example", "Ellen", person_epoch=0)
    engineer(office, "older@arctrade.example", "Olga", org_epoch=0)
    person(office, "nothing@arctrade.example", "Nora")
    key(office, agent(office, "build-bot"), issued=timedelta(days=40))
    page = people(office)
    assert lead(page).startswith("People with access now 2 of 7")
    assert facts(page) == {
        "Live keys": "3",
        "Of no person": "1",
        "Expiring in 14 days": "1",
        "Unused for 30 days": "1",
        "Leavers in 30 days": "0",
    }
    assert [row.split()[0] for row in rows_of(page, "People")] == [
        *("Alice", "Bob", "Ellen", "Ed", "Nora", "Olga", "Rita")
    ]
    assert [row.split()[0] for row in rows_of(people(office, "?only=with"), "People")] == ["Alice", "Bob"]
    assert len(rows_of(people(office, "?only=without"), "People")) == 5
    assert [row.split()[0] for row in rows_of(people(office, "?search=BOB"), "People")] == ["Bob"]
    assert "Nobody" in people(office, "?search=nobody-of-this-name")


def test_what_a_person_may_use_and_spent_stands_on_their_line(office):
    who = person(office, "alice@arctrade.example", "Alice K.")
    mine = agent(office, "alice@arctrade.example", who, team(office, "desk-tools"))
    held = key(office, mine, project(office, "HPC"), model_globs='["claude-*"]')
    key(office, mine, projects='["SOCE"]', model_globs='["gpt-5"]')
    used(office, held, cost_nusd=2 * DOLLAR + 1, billed_nusd=2 * DOLLAR + 1)
    (row,) = rows_of(people(office), "People")
    assert "desk-tools 2" in row
    assert "HPC, SOCE claude-*, gpt-5" in row
    assert f"{utc_now():%b %Y}" in row
    assert row.endswith("2.000000001")


def test_a_key_that_nobody_used_for_a_month_is_told_of(office):
    engineer(office, issued=timedelta(days=40))
    _, busy = engineer(office, "bob@arctrade.example", "Bob", issued=timedelta(days=40))
    used(office, busy, "bob@arctrade.example")
    page = people(office, "?only=unused")
    assert facts(page)["Unused for 30 days"] == "1"
    assert [row.split()[0] for row in rows_of(page, "People")] == ["Alice"]


def test_ten_thousand_people_are_read_page_by_page_without_gap_or_repeat(office):
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            """insert into vis_control.person (id, org_id, sso_sub, name, epoch, created_at)
               select gen_random_uuid(), %s, 'p' || lpad(n::text, 5, '0'), 'Person ' || n, 1, now() from generate_series(1, 120) n""",
            [office.org_id],
        )
    seen, query = [], ""
    while True:
        page = people(office, query)
        seen += re.findall(r"<small>(p\d{5})</small>", page)
        following = re.search(r'rel="next" href="(.*?)"', page)
        if not following:
            break
        query = following[1].replace("&amp;", "&")
    assert seen == [f"p{number:05}" for number in range(1, 121)]


def test_revoking_all_access_ends_it_and_leads_to_the_receipt(office):
    who, held = engineer(office)
    used(office, held)
    answer = revoke(office, who)
    assert (answer.status, answer.headers["location"]) == (302, f"/people/{who}/offboarding")
    page = people(office, "?only=leavers")
    assert lead(page).startswith("People with access now 0 of 1")
    assert facts(page)["Leavers in 30 days"] == "1"
    receipt = office.browser.get(f"/people/{who}/offboarding").text
    assert lead(receipt).startswith("Calls served after access had ended 0")
    assert facts(receipt)["By"] == "operator"
    assert facts(receipt)["Why"] == "left the company"
    assert "No key of theirs works, and nothing was served for one after its end." in receipt
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        events = connection.execute(
            "select kind, actor, detail from vis.admin_events where org_id = %s and kind <> 'signed_in'",
            [office.org_id],
        ).fetchall()
    assert events == [
        ("access_revoked", "operator", {"person": "alice@arctrade.example", "reason": "left the company"})
    ]


def test_without_a_reason_nothing_is_revoked(office):
    who, _ = engineer(office)
    answer = revoke(office, who, reason=" ")
    assert answer.status == 400
    assert "Say why" in answer.text
    assert lead(people(office)).startswith("People with access now 1 of 1")


def test_the_evidence_counts_what_the_ledger_has_after_the_end(office):
    sub = "alice@arctrade.example"
    who, held = engineer(office, issued=timedelta(days=2))
    hour = timedelta(hours=1)
    ended = utc_now() - 2 * hour
    own = {"key_id": held, "agent_sub": sub, "sso_sub": sub}
    office.write(
        call(**own, created_at=ended - hour),
        call(**own, created_at=ended + timedelta(seconds=30), latency_ms=60_000),
        call(**own, created_at=ended + timedelta(seconds=3), latency_ms=10),
        refused(**own, created_at=ended + hour, reason="spend_token_revoked", tags={"repeats": 7}),
        call(key_id=uuid7(), agent_sub=sub, sso_sub=sub, created_at=ended + hour),
    )
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute("update vis_control.virtual_key set revoked_at = %s where id = %s", [ended, held])
    evidence = json.loads(office.browser.get(f"/people/{who}/offboarding.json").text)
    assert evidence["is_shown"]
    assert evidence["calls_served_after"] == 0
    assert evidence["calls_under_way"] == 1
    assert evidence["calls_served_within_grace"] == 1
    assert evidence["attempts_refused_after"] == 7
    (line,) = evidence["keys"]
    assert line["ended_at"] == f"{ended:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert line["last_served_before"] == f"{ended - hour:%Y-%m-%dT%H:%M:%S.%fZ}"
    office.write(call(**own, created_at=ended + hour))
    evidence = json.loads(office.browser.get(f"/people/{who}/offboarding.json").text)
    assert (evidence["is_shown"], evidence["calls_served_after"]) == (False, 1)
    assert (
        "Calls were served after the end of their key"
        in office.browser.get(f"/people/{who}/offboarding").text
    )


def test_evidence_of_somebody_with_a_live_key_says_that_access_has_not_ended(office):
    who, _ = engineer(office)
    evidence = json.loads(office.browser.get(f"/people/{who}/offboarding.json").text)
    assert (evidence["is_shown"], evidence["live_keys"], evidence["access_ended_at"]) == (False, 1, "")
    assert "Access has not ended: 1 key still works" in office.browser.get(f"/people/{who}/offboarding").text


def test_downloads_of_evidence_are_recorded_and_hostile_names_stay_text(office):
    who, _ = engineer(office, name='=HYPERLINK("x")', memo=HOSTILE, url="https://x.example/" + '"><script>')
    revoke(office, who, reason="=1+1")
    answer = office.browser.get(f"/people/{who}/offboarding.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert (line["name"], line["reason"]) == ('\'=HYPERLINK("x")', "'=1+1")
    office.browser.get(f"/people/{who}/offboarding.json")
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        forms = connection.execute(
            "select detail ->> 'form' from vis.admin_events where org_id = %s and kind = 'offboarding_exported' order by seq",
            [office.org_id],
        ).fetchall()
    assert forms == [("csv",), ("json",)]
    page = office.browser.get(f"/people/{who}").text
    assert "<script>alert" not in page
    assert '"><script>' not in page


def test_leavers_come_with_what_was_refused_and_served_after(office):
    who, held = engineer(office)
    revoke(office, who)
    sub = "alice@arctrade.example"
    office.write(
        refused(key_id=held, agent_sub=sub, sso_sub=sub, created_at=utc_now() + timedelta(minutes=5))
    )
    page = office.browser.get("/people/leavers").text
    assert facts(page) == {"Leavers": "1", "Attempts refused since": "1", "With access again": "0"}
    (row,) = rows_of(page, "Leavers")
    assert "left the company 1 never 0 1 last 5 min after" in row or "last 4 min after" in row
    assert "Nobody in these days" in office.browser.get("/people/leavers?month=2026-01").text


def test_a_persons_page_has_their_keys_history_and_months(office):
    who, held = engineer(
        office, task_id="HPC-1234", memo="for the redesign", url="https://jira.example/HPC-1234"
    )
    used(office, held, cost_nusd=3 * DOLLAR, billed_nusd=3 * DOLLAR)
    revoke(office, who)
    page = words(office.browser.get(f"/people/{who}").text)
    for told in (
        "Live keys 0 of 1",
        "HPC-1234",
        "for the redesign",
        "revoked with all access of its person",
        f"{utc_now():%B %Y} 1 3",
        "all access revoked – operator left the company",
        "claude-sonnet-4-6 1 3",
    ):
        assert told in page
    assert (
        'href="https://jira.example/HPC-1234" rel="noopener noreferrer nofollow"'
        in office.browser.get(f"/people/{who}").text
    )


def test_another_organisations_people_are_not_there(new_office):
    ours, theirs = new_office(), new_office()
    who, _ = engineer(theirs)
    for end in ("", "/offboarding", "/offboarding.json", "/offboarding.csv"):
        assert ours.browser.get(f"/people/{who}{end}").status == 404
    assert revoke_by(ours, who) == 404
    assert lead(people(ours)).startswith("People with access now 0 of 0")
    assert lead(people(theirs)).startswith("People with access now 1 of 1")


def revoke_by(office, who):
    token = token_of(office.browser.get("/people").text)
    return office.browser.post(f"/people/{who}/revoke", csrfmiddlewaretoken=token, reason="x").status


def test_pages_of_people_take_few_statements(office):
    who, held = engineer(office)
    used(office, held)
    for path in ("/people", f"/people/{who}", f"/people/{who}/offboarding", "/people/leavers"):
        office.browser.get(path)
        assert len(office.plane.statements(office.browser, path)) < 12, path


def test_an_address_that_makes_no_sense_is_refused(office):
    assert office.browser.get("/people?only=everything").status == 400
    assert office.browser.get("/people/leavers?month=2026-13").status == 400


def test_what_was_done_with_a_key_is_found_by_the_key_among_many_events(office):
    steps = statements("visionality.web.issuing", "holders.sql")["steps"]
    asked = {"org_id": office.org_id, "ids": [uuid7()], "since": utc_now() - timedelta(days=20), "limit": 10}
    with office.plane.database.as_role(SUPERUSER, office.org_id) as connection:
        connection.execute(
            """insert into vis.key_events (org_id, created_at, id, seq, kind, key_id, actor, leaf_hash)
               select %s, now() - n * interval '1 ms', gen_random_uuid(), n, 'minted', gen_random_uuid(), 'key', decode(repeat('00', 32), 'hex')
                 from generate_series(1, 20000) n""",
            [office.org_id],
        )
        connection.execute("analyze vis.key_events")
        plan = str(connection.execute(f"explain {steps}", asked).fetchall())
        connection.rollback()
    assert "org_id_key_id_created_at_idx" in plan
