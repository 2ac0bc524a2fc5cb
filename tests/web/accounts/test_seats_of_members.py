"""Each role as somebody who was invited has it: where they begin, what they may see, and that looking is all of it (S5)."""

import re

import pytest

from visionality.web.accounts.roles import Role
from web.accounts.people import change, invited, joined, token_of, visitor
from web.rows import call

ROLES = tuple(str(role) for role in Role)
HOME = {
    "operator": "/start",
    "finance": "/finance",
    "people": "/people",
    "projects": "/projects",
    "security": "/security",
    "auditor": "/security",
}
SEATS = {"/finance": "finance", "/people": "people", "/projects": "projects", "/security": "security"}
"""Each seat's page, and for whom it is beside operators and auditors."""
OF_EVERYBODY = ("/", "/coverage", "/account")
OF_THE_OPERATOR = (
    "/start",
    "/operations",
    "/hints",
    "/names",
    "/providers",
    "/map",
    "/connectors",
    "/limits",
    "/settings/members",
    "/settings/sign-in",
    "/settings/service-tokens",
)
LOOKED_AT = {
    "/budgets": {"finance"},
    "/prices": {"finance"},
    "/allocation": {"finance"},
    "/alerts": {"finance"},
    "/queue": {"finance"},
    "/keys": {"security"},
}
"""Control pages that somebody beside the operator may look at."""
WRITES = (
    "/start",
    "/budgets/set",
    "/keys/issue",
    "/queue/assign",
    "/names/project/add",
    "/providers/add",
    "/prices/set",
    "/map/apply",
    "/connectors/add",
    "/alerts/channels/add",
    "/allocation/markup",
    "/limits/set",
    "/hints/add",
    "/settings/members",
    "/settings/members/change",
    "/settings/sign-in",
    "/settings/service-tokens",
)


def somebody(office, *roles):
    return joined(office, f"{'-'.join(roles)}-{office.org_id.hex[-12:]}@seats.example", *roles)


def forms(page):
    """Where the forms of a page's own part lead by POST; those of its frame (sign out, another organisation) are not its own."""
    main = re.search(r"<main.*</main>", page, re.DOTALL)[0]
    return re.findall(r"<form[^>]*method=\"post\"[^>]*>", main)


@pytest.mark.parametrize("role", ROLES)
def test_a_member_begins_the_day_at_their_own_seat(office, role):
    there = somebody(office, role)
    assert there.get("/home").headers["location"] == HOME[role]
    assert there.get(HOME[role]).status == 200


def test_an_operator_whose_ledger_has_begun_starts_at_operations(office):
    there = somebody(office, "operator")
    office.write(call())
    assert there.get("/home").headers["location"] == "/operations"


def test_of_several_roles_the_first_seat_wins_and_an_operators_before_all(office):
    assert somebody(office, "people", "finance").get("/home").headers["location"] == "/finance"
    assert somebody(office, "auditor", "projects").get("/home").headers["location"] == "/projects"
    assert somebody(office, "finance", "operator").get("/home").headers["location"] == "/start"


@pytest.mark.parametrize("role", ROLES)
def test_a_seat_is_for_its_role_for_operators_and_for_auditors_and_403_for_all_others(office, role):
    there = somebody(office, role)
    everywhere = role in {"operator", "auditor"}
    for page, whose in SEATS.items():
        assert there.get(page).status == (200 if everywhere or role == whose else 403), page
    for page in OF_EVERYBODY:
        assert there.get(page).status == 200, page
    for page in OF_THE_OPERATOR:
        assert there.get(page).status == (200 if everywhere else 403), page
    for page, whose in LOOKED_AT.items():
        assert there.get(page).status == (200 if everywhere or role in whose else 403), page


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_what_is_not_for_a_member_is_not_in_their_navigation(office, role):
    there = somebody(office, role)
    shown = re.search(r"<nav.*?</nav>", there.get("/").text, re.DOTALL)[0]
    for to in re.findall(r'href="(/[^"?#]*)"', shown):
        assert there.get(to).status == 200, to


@pytest.mark.parametrize("role", ["finance", "security", "auditor"])
def test_whoever_may_only_look_at_a_control_page_is_offered_no_act(office, role):
    there = somebody(office, role)
    for page, whose in LOOKED_AT.items():
        if role == "auditor" or role in whose:
            shown = there.get(page).text
            assert forms(shown) == [], page
            main = re.search(r"<main.*</main>", shown, re.DOTALL)[0]
            offered = set(re.findall(r'href="([^"?#]*)', main)) & set(WRITES)
            assert not offered, (page, offered)


def test_the_first_run_shows_an_auditor_its_steps_and_no_form(office):
    shown = somebody(office, "auditor").get("/start")
    assert shown.status == 200
    assert forms(shown.text) == []
    assert "An operator does this step." in shown.text


@pytest.mark.parametrize("role", [role for role in ROLES if role != "operator"])
def test_no_act_of_the_operator_is_done_by_a_post_of_another_role(office, role):
    there = somebody(office, role)
    token = token_of(there.get("/").text)
    there.age()  # nor does the page that asks who is there keep a form for whoever may not send it
    for page in WRITES:
        answer = there.browser.post(
            page, csrfmiddlewaretoken=token, key="X", name="X", email="x@seats.example"
        )
        assert answer.status == 403, page
        assert "Send it again" not in answer.text, page


def test_a_role_that_is_taken_away_and_a_member_who_is_removed_see_nothing_with_their_next_request(office):
    there = somebody(office, "finance")
    email = re.search(r"[\w-]+@seats\.example", there.get("/account").text)[0]
    assert there.get("/finance").status == 200
    assert change(office, email, "roles", roles=["projects"]).status == 302
    assert there.get("/finance").status == 403
    assert change(office, email, "remove").status == 302
    assert there.get("/projects").status == 302
    assert there.get("/").headers["location"].startswith("/login")


def test_the_last_operator_may_go_and_the_link_of_the_machine_still_opens_the_organisation(office):
    there = somebody(office, "operator")
    email = re.search(r"[\w-]+@seats\.example", there.get("/account").text)[0]
    answer = there.send("/settings/members", "/settings/members/change", member=email, change="remove")
    assert answer.status == 302
    assert there.get("/operations").headers["location"].startswith("/login")
    again = office.plane.signed_in(office.org_id)
    assert again.get("/settings/members").status == 200


def test_an_invitation_that_is_open_when_a_member_is_removed_brings_nobody_back(office):

    email = f"back-{office.org_id.hex[-12:]}@seats.example"
    open_still = invited(office, email, "operator")
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        (kept,) = connection.execute(
            "select token_sha256 from vis_control.invitation where org_id = %s", [office.org_id]
        ).fetchone()
    joined(office, email, "finance")
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(  # as one that was made while they came in by the company's sign-on
            "update vis_control.invitation set ended_at = null where token_sha256 = %s", [kept]
        )
    assert visitor(office.plane).get(open_still).status == 200
    assert change(office, email, "remove").status == 302
    assert visitor(office.plane).get(open_still).status == 410
