"""Names, the identity table and the map at the pages: looked at before they are applied (A2, A4)."""

import pytest

from web.forms import audited, done, hidden, said, stored, submit

TABLE = (
    "agent_sub,owner,sso_sub,team,cost_center,gl_code\nalice@arctrade,Alice K.,00u1alice,desk-tools,CC-410,\n"
)
MAP = "version: 1\nprojects:\n  HPC: {}\nrepos:\n  hpc-billing: HPC\n"
AGENTS = "select sub, owner from vis_control.agent_identity where org_id = %s order by sub"


def test_each_kind_of_name_is_added_with_its_audit_row(office):
    done(office.browser, "/names/customer/add", key="acme", name="Acme Energy")
    done(
        office.browser,
        "/names/project/add",
        key="HPC",
        customer="acme",
        gl_code="6100",
        reason="new contract",
    )
    done(office.browser, "/names/team/add", key="desk-tools", cost_center="CC-410")
    done(office.browser, "/names/person/add", sso_sub="00u1alice", name="Alice K.")
    text = done(
        office.browser,
        "/names/agent/add",
        sub="alice@arctrade",
        owner="Alice K.",
        team="desk-tools",
        person="00u1alice",
    )
    for name in ("acme", "HPC", "6100", "desk-tools", "CC-410", "00u1alice", "alice@arctrade"):
        assert name in text
    assert audited(office, "project_added") == [
        {"project": "HPC", "name": "HPC", "customer": "acme", "gl_code": "6100", "reason": "new contract"}
    ]
    assert [len(audited(office, f"{kind}_added")) for kind in ("customer", "team", "person", "agent")] == [
        1,
        1,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        ("project", {"key": "two words"}, "'two words' cannot be a key: expected letters, digits"),
        ("project", {"key": "HPC", "customer": "nobody"}, "there is no customer nobody"),
        ("agent", {"sub": "a b", "owner": "A"}, "'a b' cannot be a subject: expected no spaces"),
        ("team", {"key": "x" * 81}, "at most 80 characters"),
        ("person", {"sso_sub": ""}, "This field is required"),
    ],
)
def test_a_name_that_cannot_be_is_explained_and_kept(office, kind, fields, told):
    answer = submit(office.browser, f"/names/{kind}/add", **fields)
    assert answer.status == 422
    assert told in said(answer.text)
    for typed in filter(None, fields.values()):
        assert f'value="{typed}"' in answer.text.replace("&#x27;", "'")
    assert audited(office, f"{kind}_added") == []


def test_a_name_is_taken_once(office):
    done(office.browser, "/names/project/add", key="HPC")
    assert "project HPC is there already" in said(
        submit(office.browser, "/names/project/add", key="HPC").text
    )


def test_a_project_a_team_and_an_agent_are_set(office):
    done(office.browser, "/names/project/add", key="HPC")
    done(office.browser, "/names/team/add", key="desk")
    done(office.browser, "/names/agent/add", sub="a/b@arctrade", owner="Alice K.")
    assert "Project HPC is of the business unit power." in done(
        office.browser, "/names/project/set/HPC", business_unit="power"
    )
    assert "Team desk is of the business unit power." in done(
        office.browser, "/names/team/set/desk", business_unit="power"
    )
    text = done(office.browser, "/names/agent/set/a/b@arctrade", owner="Alice Kern", team="desk")
    assert "agent a/b@arctrade: owner Alice K. → Alice Kern, team none → desk, from" in text
    answer = submit(
        office.browser, "/names/agent/set/a/b@arctrade", owner="Alice Kern", first_day="2020-01-01"
    )
    assert "2020-01-01 has passed" in said(answer.text)


def test_a_table_is_shown_before_it_is_applied(office):
    page = submit(office.browser, "/names/identities/import", text=TABLE)
    assert page.status == 200
    assert (
        "added + agent alice@arctrade: owner Alice K., person 00u1alice, team desk-tools, cost center CC-410"
        in said(page.text)
    )
    assert stored(office, AGENTS) == []
    answer = office.browser.post("/names/identities/import", **hidden(page))
    assert answer.status == 302
    assert "1 agents changed from" in said(office.browser.get("/names").text)
    assert stored(office, AGENTS) == [("alice@arctrade", "Alice K.")]
    assert audited(office, "identity_set")[0]["agent_sub"] == "alice@arctrade"


def test_a_table_that_others_changed_meanwhile_is_shown_again(office):
    page = submit(office.browser, "/names/identities/import", text=TABLE)
    done(office.browser, "/names/agent/add", sub="alice@arctrade", owner="Alice")
    again = office.browser.post("/names/identities/import", **hidden(page))
    assert again.status == 200
    assert "The changes are others than those that were shown" in said(again.text)
    assert stored(office, AGENTS) == [("alice@arctrade", "Alice")]


def test_every_mistake_of_a_table_is_told_by_its_line_and_the_text_stays(office):
    answer = submit(
        office.browser, "/names/identities/import", text=TABLE + "two words,Bob,,,,\nbob@arctrade,,,,,\n"
    )
    assert answer.status == 422
    text = said(answer.text)
    assert "line 3:" in text
    assert "line 4:" in text
    assert "two words,Bob" in text


def test_a_mapping_file_is_shown_applied_and_kept(office):
    page = submit(office.browser, "/map/apply", text=MAP)
    assert "project HPC" in said(page.text)
    assert "repo hpc-billing" in said(page.text)
    assert office.browser.post("/map/apply", **hidden(page)).status == 302
    text = said(office.browser.get("/map").text)
    assert "Version 1 of the map is in force." in text
    assert "hpc-billing: HPC" in text
    assert audited(office, "map_applied")[0]["version"] == "1"
    assert "It says this already: nothing changes." in done(office.browser, "/map/apply", text=MAP)


def test_the_mistakes_of_a_mapping_file_are_told_by_line(office):
    answer = submit(office.browser, "/map/apply", text="version: 1\nprojects:\n  HPC: {repo: [x]}\n")
    assert answer.status == 422
    assert "line 3:" in said(answer.text)
    assert "{repo: [x]}" in said(answer.text)


def test_names_of_another_organisation_are_not_there(office, new_office):
    done(office.browser, "/names/project/add", key="HPC")
    done(office.browser, "/names/team/add", key="desk")
    done(office.browser, "/names/agent/add", sub="alice@arctrade", owner="Alice K.")
    stranger = new_office().browser
    for path in ("project/set/HPC", "team/set/desk", "agent/set/alice@arctrade"):
        assert stranger.get(f"/names/{path}").status == 404
