"""The first run, step by step over plain HTTP: what is asked, refused and kept, for whom (G6, deliver 7)."""

import re
import shlex

import pytest

from visionality.cli.ide_settings.tools import TOOLS
from visionality.core.trial import AGENT, PROJECT
from visionality.runtime.ids import uuid7
from visionality.web.first_run.clients import CALLS, first_call
from visionality.web.first_run.initials import initials
from web.forms import done, hidden, said, submit
from web.rows import call

HOSTILE = "<script>alert(1)</script> \"&'{{7*7}}"
ON = "/start?with=simulated"
GATEWAY = "http://127.0.0.1:8700"


def states(page):
    return re.findall(r'<li class="panel (done|next|later)"', page)


def at(office):
    """The number of the step that is next."""
    return states(office.browser.get("/start").text).index("next") + 1


def with_project(office):
    done(office.browser, ON, name="Houston Power Contract")
    return office


def with_person(office):
    with_project(office)
    done(office.browser, "/start", email="alice@arctrade.example", name="Alice K.")
    return office


def with_key(office, **fields):
    """The page that shows the key, and the key."""
    with_person(office)
    answer = submit(office.browser, "/start", agent="alice@arctrade.example", project="HPC", **fields)
    assert answer.status == 200, said(answer.text)
    return answer.text, re.search(r"visk_live_\w{38}", answer.text)[0]


def key_of(office):
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        ((key_id, level, lifetime),) = connection.execute(
            "select id, level, expires_at - issued_at from vis_control.virtual_key where org_id = %s",
            [office.org_id],
        ).fetchall()
    return key_id, level, lifetime


def kinds(office):
    """What the audit log has."""
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        return [
            kind
            for (kind,) in connection.execute(
                "select kind from vis.admin_events where org_id = %s and kind <> 'signed_in' order by seq",
                [office.org_id],
            )
        ]


def test_an_empty_organisation_is_asked_for_a_providers_key_first(office):
    page = office.browser.get("/start").text
    assert states(page) == ["next", "later", "later", "later", "later"]
    assert page.count('<form class="form"') == 1
    assert "Go on with the simulated provider" in page


def test_without_a_sandbox_there_is_no_going_on_without_a_key(plain_plane, office):
    there = plain_plane.signed_in(office.org_id)
    for path in ("/start", ON):
        page = there.get(path).text
        assert states(page)[0] == "next"
        assert "simulated" not in page


def test_a_providers_key_goes_in_sealed_and_never_comes_out(office):
    key = "sk-ant-api03-" + "A" * 40
    page = done(office.browser, "/start", provider="anthropic", key=key)
    assert "Calls of Anthropic are paid by your key." in page
    assert at(office) == 2
    assert key not in office.browser.get("/start").text
    assert kinds(office) == ["provider_added"]


@pytest.mark.parametrize(
    ("provider", "key", "words"),
    [
        ("anthropic", "", "This field is required."),
        ("anthropic", "sk-ant two words", "without spaces"),
        ("anthropic", "sk-ant-\N{BULLET}\N{BULLET}\N{BULLET}", "without spaces"),
        ("openai", "sk-ant-api03-AAAA", "This is a key of Anthropic: expected one that OpenAI gave out."),
        ("anthropic", "sk-or-v1-AAAA", "This is a key of OpenRouter"),
        ("openai", "AIzaAAAA", "This is a key of Google"),
        ("anthropic", "visk_live_AAAA", "This is a virtual key of this gateway"),
        ("nobody", "sk-1", "Select a valid choice."),
    ],
)
def test_a_wrong_key_is_refused_beside_its_field_and_not_sent_back(office, provider, key, words):
    answer = submit(office.browser, "/start", provider=provider, key=key)
    assert answer.status == 422
    assert words in said(answer.text)
    assert 'class="wrong"' in answer.text
    assert not key or key not in answer.text
    assert kinds(office) == []


def test_a_project_needs_only_a_name(office):
    page = done(office.browser, ON, name="Houston Power Contract")
    assert "HPC" in page
    assert at(office) == 3, "that a project was made says that it goes on with the simulated provider"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Houston Power Contract", "HPC"),
        ("billing", "BILLING"),
        ("a b c d e f g h i j", "ABCDEFGH"),
        ("R&D", "RD"),
        ("\N{CYRILLIC SMALL LETTER YA}", ""),
    ],
)
def test_a_key_is_made_of_the_name(name, key):
    assert initials(name) == key


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "", "key": "HPC"}, "This field is required."),
        ({"name": HOSTILE, "key": "<b>"}, "cannot be a key"),
        ({"name": "\N{CYRILLIC SMALL LETTER YA}", "key": ""}, "Say one"),
        ({"name": "a\nb", "key": "A"}, "Expected printable characters."),
    ],
)
def test_a_wrong_project_keeps_what_was_typed(office, fields, words):
    answer = submit(office.browser, ON, **fields)
    assert answer.status == 422
    assert words in said(answer.text)
    assert "<script>alert" not in answer.text
    if fields["name"] == HOSTILE:
        assert 'value="&lt;script&gt;alert(1)&lt;/script&gt; &quot;&amp;&#x27;{{7*7}}"' in answer.text
    assert kinds(office) == []


def test_hostile_names_stay_text(office):
    done(office.browser, ON, name=HOSTILE, key="HPC")
    done(office.browser, "/start", email="alice&<b>@arctrade", name=HOSTILE)
    answer = submit(office.browser, "/start", agent="alice&<b>@arctrade", project="HPC")
    assert answer.status == 200
    for page in (answer.text, office.browser.get("/start").text):
        assert "<script>alert" not in page
        assert "<b>" not in page
        assert "alice&amp;&lt;b&gt;@arctrade" in page


def test_a_person_gets_an_agent_of_the_same_subject(office):
    with_person(office)
    assert kinds(office) == ["project_added", "person_added", "agent_added"]
    assert "alice@arctrade.example" in said(office.browser.get("/start").text)


def test_a_person_who_is_there_already_is_offered_and_gets_an_agent(office):
    with_project(office)
    done(office.browser, "/names/person/add", sso_sub="00u-bob", name="Bob")
    assert 'value="00u-bob"' in office.browser.get("/start").text
    done(office.browser, "/start", email="00u-bob", name="Bob")
    assert kinds(office)[-2:] == ["person_added", "agent_added"]


def test_an_agent_that_is_taken_is_said_beside_the_field_and_nothing_is_done(office):
    with_project(office)
    done(office.browser, "/names/agent/add", sub="ci@arctrade", owner="Desk")
    answer = submit(office.browser, "/start", email="ci@arctrade", name="Desk")
    assert answer.status == 422
    assert 'id="id_email_error">agent ci@arctrade is there already' in answer.text
    assert 'value="Desk"' in answer.text
    assert kinds(office) == ["project_added", "agent_added"]


@pytest.mark.parametrize("email", ["alice k", "<b>", " ", "@x"])
def test_a_subject_that_rows_cannot_carry_is_refused(office, email):
    with_project(office)
    answer = submit(office.browser, "/start", email=email, name="A")
    assert answer.status == 422
    assert 'id="id_email_error"' in answer.text


def test_the_key_is_shown_once_and_kept_nowhere(office):
    with_person(office)
    answer = submit(office.browser, "/start", agent="alice@arctrade.example", project="HPC")
    handle = re.search(r"visk_live_\w{38}", answer.text)[0]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.count(handle) == 1
    assert f"export VIS_KEY={handle}" in answer.text
    assert "No hard budget covers this key" in answer.text
    assert handle not in office.browser.get("/start").text
    _, level, lifetime = key_of(office)
    assert (level, lifetime.days) == (0, 90)


def test_sending_the_form_of_the_key_again_makes_no_second_key(office):
    with_person(office)
    fields = hidden(office.browser.get("/start")) | {"agent": "alice@arctrade.example", "project": "HPC"}
    assert office.browser.post("/start", **fields).status == 200
    again = office.browser.post("/start", **fields)
    assert (again.status, again.headers["location"]) == (302, "/start")
    assert "That step is done by now" in said(office.browser.get("/start").text)
    key_of(office)


def test_a_cap_is_a_budget_of_the_key_alone(office):
    page, _ = with_key(office, cap="50")
    assert "No hard budget" not in page
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        budgets = connection.execute(
            "select scope_kind, scope_value, period, cap_nusd from vis_control.budget where org_id = %s",
            [office.org_id],
        ).fetchall()
    assert budgets == [("key", str(key_of(office)[0]), "month", 50 * 10**9)]


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "mallory@elsewhere", "project": "HPC"},
        {"agent": "alice@arctrade.example", "project": "THEIRS"},
        {"agent": "alice@arctrade.example", "project": "HPC", "cap": "0"},
        {"agent": "alice@arctrade.example", "project": "HPC", "cap": "lots"},
    ],
)
def test_a_key_for_nobody_or_with_no_cap_is_refused(office, fields):
    with_person(office)
    answer = submit(office.browser, "/start", **fields)
    assert answer.status == 422
    assert 'class="wrong"' in answer.text
    assert "visk_live_" not in answer.text


def test_where_keys_must_show_more_the_refusal_stands_beside_the_form(office):
    with_person(office)
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            "update vis_control.organisation set level_floor = 2 where id = %s", [office.org_id]
        )
    answer = submit(office.browser, "/start", agent="alice@arctrade.example", project="HPC")
    assert answer.status == 422
    assert 'id="id_agent_error">a key at level 2 needs a service' in answer.text


def test_the_page_waits_for_the_first_row_of_that_key(office):
    with_key(office)
    assert office.browser.get("/start/call").status == 204
    office.write(call(agent_sub="alice@arctrade.example", key_id=uuid7()))
    assert office.browser.get("/start/call").status == 204, "a row of another key is not it"
    (row,) = office.write(
        call(agent_sub="alice@arctrade.example", key_id=key_of(office)[0], project_id=HOSTILE)
    )
    for text in (office.browser.get("/start/call").text, office.browser.get("/start").text):
        assert f"/rows/{row.id}" in text
        assert "0.003405" in text
        assert HOSTILE[:8] not in text
        assert 'href="/"' in text
    assert states(office.browser.get("/start").text) == ["done"] * 5


def test_what_vis_try_made_is_no_step(office):
    done(office.browser, "/names/project/add", key=PROJECT, name="First calls")
    done(office.browser, "/names/agent/add", sub=AGENT, owner="First caller")
    office.write(call(agent_sub=AGENT, project_id=PROJECT))
    assert at(office) == 1
    assert 'href="/start"' in office.browser.get("/coverage").text


def test_the_room_is_there_until_the_ledger_is_in_use(office):
    assert 'href="/start"' in office.browser.get("/coverage").text
    assert office.browser.get("/home").headers["location"] == "/start"
    office.write(call())
    assert 'href="/start"' not in office.browser.get("/coverage").text
    assert office.browser.get("/home").headers["location"] == "/operations"
    assert office.browser.get("/start").status == 200


def test_a_second_operator_goes_on_where_the_first_one_stopped(office):
    with_person(office)
    second = office.plane.signed_in(office.org_id, "bob@arctrade.example")
    assert states(second.get("/start").text) == ["done", "done", "done", "next", "later"]
    answer = submit(second, "/start", agent="alice@arctrade.example", project="HPC")
    assert answer.status == 200
    assert at(office) == 5


def test_another_organisations_progress_is_not_seen(new_office):
    ours, theirs = new_office(), new_office()
    with_key(theirs)
    theirs.write(call(agent_sub="alice@arctrade.example", key_id=key_of(theirs)[0]))
    assert states(ours.browser.get("/start").text) == ["next", "later", "later", "later", "later"]
    assert ours.browser.get("/start/call").status == 204
    with_person(ours)
    page = ours.browser.get("/start").text
    assert "THEIRS" not in page
    assert ours.browser.get("/start/call").status == 204
    assert ours.browser.get("/home").headers["location"] == "/start"


def test_a_form_without_its_token_is_refused(office):
    assert office.browser.post("/start", step="project", name="X").status == 403
    assert kinds(office) == []


def test_a_step_out_of_turn_changes_nothing(office):
    fields = hidden(office.browser.get("/start")) | {"step": "key", "agent": "x", "project": "y"}
    assert office.browser.post("/start", **fields).headers["location"] == "/start"
    assert kinds(office) == []


def test_the_empty_ledger_leads_an_operator_there(office):
    assert "Set up in five steps" in office.browser.get("/").text


def test_the_page_takes_few_statements(office):
    with_key(office)
    office.write(call(agent_sub="alice@arctrade.example", key_id=key_of(office)[0]))
    assert len(office.plane.statements(office.browser, "/start")) < 12
    assert len(office.plane.statements(office.browser, "/start/call")) < 12


def test_the_assistants_settings_are_those_of_the_command(office):
    page, _ = with_key(office)
    shown = re.sub(r"&quot;", '"', page)
    for tool in ("claude", "codex"):
        assert TOOLS[tool](GATEWAY, "VIS_KEY").text.strip() in shown
    for tool in TOOLS.keys() - {"claude", "codex"}:
        assert f"<code>{tool}</code>" in page


@pytest.mark.parametrize("provider", sorted(CALLS))
def test_the_first_call_holds_no_key_and_is_one_command(provider):
    text = first_call(GATEWAY, (provider,))
    words = shlex.split(text)
    assert words[0] == "curl"
    assert words[1].startswith(GATEWAY)
    assert any(word.endswith("$VIS_KEY") for word in words)
