"""Dangerous acts want to know once more who is there (attack 16)."""

import re

from web.accounts.people import PASSWORD, Visitor, joined, token_of
from web.test_api_reaches_pages import DOES
from web.test_every_route import invented

GENTLE = {
    "signed_figures": "a signature says what the ledger says",
    "evidence": "a pack says what the ledger says, to whoever may read it anyway",
    "start": "its steps ask where a secret or a key is in them",
    "alert_seen": "the alert stays in the inbox",
    "connector_sync": "it reads again",
    "connector_sync_full": "it reads again",
    "connector_remove": "what was read stays, and it is added again by whoever has the credential",
    "floor_decline": "the floor stays as high as it was",
    "hint_remove": "calls get the model that they ask for",
    "passthrough_close": "less is let through",
    "map_apply": "what it changes is shown first, and each version can be applied again",
    **dict.fromkeys(
        (
            *("identity_import", "identity_set", "project_add", "customer_add", "team_add", "agent_add"),
            *("person_add", "project_set", "team_set"),
        ),
        "names of rows to come, which can be set again",
    ),
}
"""Forms that nobody confirms, and why: all others hand out power, move money, or take a guard away."""


def act(there: Visitor, **fields: str):
    """Invite somebody, from a page that is open already."""
    return there.send("/settings/members", email="late@houston.example", roles="finance", **fields)


def test_within_ten_minutes_of_signing_in_nobody_is_asked(office):
    dana = joined(office, "step@houston.example", "operator")
    assert "Hand this link to late@houston.example" in act(dana).text


def test_after_ten_minutes_what_was_typed_waits_and_is_sent_again(office):
    dana = joined(office, "step1@houston.example", "operator")
    dana.age()
    asked = act(dana)
    assert asked.status == 403
    assert "Confirm that it is you" in asked.text
    assert 'name="email" value="late@houston.example"' in asked.text
    assert "late@houston.example" not in dana.get("/settings/members").text
    to = dana.get("/confirm").headers["location"]
    assert to.startswith("/confirm/password")
    assert dana.send(to, "/confirm/password", password="wrong").status == 200
    assert act(dana).status == 403
    assert dana.send(to, "/confirm/password", password=PASSWORD).status == 302
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="(.*?)">', asked.text))
    assert "Hand this link to late@houston.example" in dana.browser.post("/settings/members", **fields).text


def test_a_page_that_shows_secrets_asks_before_and_leads_back(office):
    dana = joined(office, "step2@houston.example")
    dana.age()
    to = dana.get("/account/app").headers["location"]
    assert to == "/confirm?next=%2Faccount%2Fapp"
    to = dana.get(to).headers["location"]
    answer = dana.send(to, "/confirm/password", password=PASSWORD, next="/account/app")
    assert answer.headers["location"] == "/account/app"
    assert dana.get("/account/app").status == 200


def test_confirming_leads_to_no_other_place(office):
    dana = joined(office, "step3@houston.example")
    for wanted in ("https://evil.example/", "//evil.example"):
        to = dana.browser.get(f"/confirm?next={wanted}").headers["location"]
        assert "evil" not in to
        answer = dana.send("/confirm/password", password=PASSWORD, next=wanted)
        assert answer.headers["location"] == "/home"


def test_looking_needs_no_confirmation(office):
    dana = joined(office, "step4@houston.example", "operator")
    dana.age()
    for page in ("/settings/members", "/settings/sign-in", "/settings/service-tokens", "/account"):
        assert dana.get(page).status == 200


def test_the_local_operator_confirms_by_a_fresh_link_and_the_waiting_form_is_still_good(office):
    there = Visitor(office.plane, office.browser)
    assert act(there).status == 200
    there.age()
    asked = act(there)
    assert asked.status == 403
    assert "vis login" in asked.text
    assert office.browser.get(office.plane.link(office.org_id)).status == 302
    again = {"csrfmiddlewaretoken": token_of(asked.text), "email": "l2@houston.example", "roles": "finance"}
    assert office.browser.post("/settings/members", **again).status == 200


def test_wrong_passwords_are_counted_here_too(office):
    dana = joined(office, "step5@houston.example")
    dana.age()
    statuses = [dana.send("/confirm/password", password="wrong").status for _ in range(5)]
    statuses += [
        dana.browser.post(
            "/confirm/password", csrfmiddlewaretoken=token_of(dana.get("/account").text), password="wrong"
        ).status
        for _ in range(8)
    ]
    assert 429 in statuses


def test_every_form_that_hands_out_power_moves_money_or_takes_a_guard_away_asks_who_is_there(office):
    there = joined(office, "step6@houston.example", "operator")
    token = token_of(there.get("/settings/members").text)
    there.age()
    routes = {one["name"]: one for one in office.plane.tell("routes")}
    asked = set()
    for name in DOES:
        fields = {"csrfmiddlewaretoken": token, "reason": "test", "what": "kept"}
        answer = there.browser.post(invented(routes[name]), **fields)
        if answer.status == 403 and 'value="kept"' in answer.text:
            asked.add(name)
    assert asked == set(DOES) - set(GENTLE)
