"""Signing in by an organisation's own OpenID Connect issuer, against one that we did not write (attacks 42 and 43, S8)."""

import json
from urllib.parse import urlencode

import pytest

from npm.modules import Missing, installed
from web.accounts.issuer import PACKAGE, Issuer, address_in, asked, come_back, leave, path_of, running, set_up
from web.accounts.people import acts, change, invited, joined, signed_in, token_of, visitor
from web.browsing import Browser
from web.programs import full_program


@pytest.fixture(scope="module")
def issuer():
    try:
        modules = installed((PACKAGE,))
    except Missing as missing:
        pytest.skip(str(missing))
    with running(modules) as found:
        yield found


@pytest.fixture
def office(new_office, issuer, plane):
    """An organisation whose members come in by the issuer. Its people are of this test alone."""
    with plane.database.as_role("vis_super") as connection:
        connection.execute(
            "update vis_control.account_user set email = id || '@earlier.example' where email like '%.example'"
        )
    made = new_office()
    set_up(made, issuer)
    return made


def slug(office) -> str:
    return office.org_id.hex


def enter(office, issuer: Issuer, sub: str, **fields: str):
    """Somebody who comes back from the issuer, and what they are answered."""
    there = visitor(office.plane)
    return there, come_back(there, issuer.walk(leave(there, slug(office), **fields), sub))


def test_an_invitation_and_the_issuer_make_a_member_who_comes_again_without_one(office, issuer):
    there = visitor(office.plane)
    link = invited(office, "dana.o@houston.example", "finance")
    out = address_in(there.send(link, "/login/company", invitation=link.rpartition("/")[2]))
    assert come_back(there, issuer.walk(out, "00u-dana")).headers["location"] == "/home"
    assert "dana.o@houston.example" in there.get("/account").text
    again, answer = enter(office, issuer, "00u-dana")
    assert answer.headers["location"] == "/home"
    assert again.is_in
    kinds = [(kind, actor, detail.get("sso_sub")) for kind, actor, detail in acts(office)]
    assert ("signed_in", "dana.o@houston.example", "00u-dana") in kinds


def test_a_verified_address_of_a_member_ties_them_to_their_subject(office, issuer):
    joined(office, "dana@houston.example", "finance")
    there, answer = enter(office, issuer, "00u-dana")
    assert answer.headers["location"] == "/home"
    assert there.is_in
    assert "00u-dana" in office.browser.get("/settings/members").text


@pytest.mark.parametrize("sub", ["00u-eve", "00u-word", "00u-bare"])
def test_an_address_that_is_not_verified_ties_nobody(office, issuer, sub):
    joined(office, "dana@houston.example", "operator")
    there, answer = enter(office, issuer, sub)
    assert answer.status == 403
    assert "you are no member here" in answer.text
    assert not there.is_in


def test_another_subject_does_not_become_a_member_by_their_address(office, issuer):
    """The account is (issuer, subject): an address that was given to somebody else opens nothing."""
    joined(office, "dana@houston.example", "operator")
    assert enter(office, issuer, "00u-dana")[0].is_in
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute("update vis_control.membership set sso_sub = '00u-before'")
    assert enter(office, issuer, "00u-dana")[1].status == 403


def test_a_stranger_of_the_issuer_is_no_member(office, issuer):
    there, answer = enter(office, issuer, "00u-far")
    assert answer.status == 403
    assert not there.is_in


def test_a_member_of_one_organisation_is_not_one_of_another_with_the_same_issuer(office, new_office, issuer):
    joined(office, "dana@houston.example", "operator")
    assert enter(office, issuer, "00u-dana")[0].is_in
    theirs = new_office()
    set_up(theirs, issuer)
    assert enter(theirs, issuer, "00u-dana")[1].status == 403


def test_a_session_of_one_organisations_issuer_opens_no_other_organisation_and_not_the_account(
    office, new_office, issuer
):
    joined(office, "dana@houston.example", "finance")
    theirs = new_office()
    both = signed_in(office.plane, "dana@houston.example")[0]
    assert both.send(invited(theirs, "dana@houston.example", "operator")).status == 302
    there, _ = enter(office, issuer, "00u-dana")
    assert there.is_in
    assert theirs.org_id.hex not in there.get("/").text
    assert there.send("/", "/organisation", organisation=slug(theirs)).status == 404
    for page in ("/account/app", "/account/passkeys/add", "/account/password", "/account/sessions"):
        assert there.get(page).status == 403, page


def test_people_of_a_domain_join_by_themselves_where_the_organisation_says_so(office, issuer):
    set_up(office, issuer, domains="houston.example", joins_as=["projects"])
    there, answer = enter(office, issuer, "00u-ann")
    assert answer.headers["location"] == "/home"
    assert "you are projects" in there.get("/account").text
    assert enter(office, issuer, "00u-far")[1].status == 403
    change(office, "ann@houston.example", "remove")
    assert enter(office, issuer, "00u-ann")[1].status == 403


def test_an_account_that_others_can_enter_joins_by_no_issuers_word(office, new_office, issuer):
    """Another organisation invited the address and opened the link itself: its password would lead in here (S8)."""
    squatted = joined(new_office(), "ann@houston.example", "finance")
    set_up(office, issuer, domains="houston.example", joins_as=["projects"])
    there, answer = enter(office, issuer, "00u-ann")
    assert answer.status == 403
    assert "sign in to it first" in answer.text
    assert not there.is_in
    link = invited(office, "ann@houston.example", "projects")
    bearer = visitor(office.plane)
    out = address_in(bearer.send(link, "/login/company", invitation=link.rpartition("/")[2]))
    assert come_back(bearer, issuer.walk(out, "00u-ann")).status == 403
    assert squatted.send(link).status == 302  # its holder, who has the link
    assert enter(office, issuer, "00u-ann")[1].headers["location"] == "/home"


def test_an_address_leads_to_the_sign_on_of_its_domain(office, issuer):
    domain = f"{office.org_id.hex[:20]}.example"
    set_up(office, issuer, domains=domain)
    there = visitor(office.plane)
    out = address_in(there.send("/login", "/login/company", login=f"somebody@{domain}"))
    assert out.startswith(issuer.address)
    answer = there.send("/login", "/login/company", login="somebody@unknown.example")
    assert answer.status == 404
    assert "No company sign-on is set up for somebody@unknown.example" in answer.text


def test_an_organisation_may_want_its_own_sign_on_of_everybody(office, issuer):
    dana = joined(office, "dana@houston.example", "finance")
    set_up(office, issuer, only="on")
    assert not dana.is_in
    assert not signed_in(office.plane, "dana@houston.example")[0].is_in
    assert enter(office, issuer, "00u-dana")[0].is_in
    assert office.browser.get("/").status == 200  # the local operator


def test_the_issuer_is_asked_with_state_nonce_and_a_challenge(office, issuer):
    given = asked(leave(visitor(office.plane), slug(office)))
    assert given["code_challenge_method"] == "S256"
    assert len(given["state"]) >= 16
    assert len(given["nonce"]) >= 32
    assert given["redirect_uri"].endswith(f"/login/company/{office.org_id}/callback")


def test_the_issuer_refuses_a_request_without_a_challenge_and_nobody_is_in(office, issuer):
    there = visitor(office.plane)
    url = leave(there, slug(office))
    bare = {name: value for name, value in asked(url).items() if not name.startswith("code_challenge")}
    back = Browser(issuer.port).get("/auth?" + urlencode(bare))
    assert "invalid_request" in back.headers["location"]
    assert come_back(there, back.headers["location"]).status == 401
    assert not there.is_in


def test_an_answer_is_good_once_and_in_its_own_browser_only(office, issuer):
    joined(office, "dana@houston.example")
    there = visitor(office.plane)
    url = issuer.walk(leave(there, slug(office)), "00u-dana")
    assert come_back(visitor(office.plane), url).status == 401
    assert come_back(there, url).headers["location"] == "/home"
    assert come_back(there, url).status == 401


def test_an_answer_without_a_state_or_with_an_invented_one_is_refused(office, issuer):
    there = visitor(office.plane)
    url = issuer.walk(leave(there, slug(office)), "00u-dana")
    path = path_of(url).partition("?")[0]
    for query in ({"code": asked(url)["code"]}, {"code": asked(url)["code"], "state": "invented"}):
        assert there.get(f"{path}?{urlencode(query)}").status == 401


def test_an_answer_meant_for_another_organisation_is_refused(office, new_office, issuer):
    """Mix-up: the state is bound to the organisation that it began with."""
    theirs = new_office()
    set_up(theirs, issuer)
    there = visitor(office.plane)
    url = issuer.walk(leave(there, slug(office)), "00u-dana")
    assert there.get(path_of(url).replace(str(office.org_id), str(theirs.org_id))).status == 401


def test_an_issuer_that_calls_itself_something_else_is_refused(office, issuer):
    other = Issuer(issuer.address.replace("127.0.0.1", "localhost"))
    set_up(office, other)
    answer = visitor(office.plane).send("/login", "/login/company", org=slug(office))
    assert answer.status == 502
    assert "does not answer as it should" in answer.text


def test_an_organisation_without_a_sign_on_has_no_callback(new_office):
    bare = new_office()
    assert visitor(bare.plane).get(f"/login/company/{bare.org_id}/callback?code=x&state=y").status == 404


def test_the_way_back_leads_to_no_other_place(office, issuer):
    joined(office, "dana@houston.example")
    assert enter(office, issuer, "00u-dana", next="https://evil.example/")[1].headers["location"] == "/home"
    assert enter(office, issuer, "00u-dana", next="/coverage")[1].headers["location"] == "/coverage"


def test_a_member_of_the_sign_on_confirms_by_it(office, issuer):
    joined(office, "dana@houston.example", "operator")
    there, _ = enter(office, issuer, "00u-dana")
    there.age()
    typed = {"email": "new@houston.example", "roles": "finance"}
    waiting = there.send("/settings/members", **typed)
    assert waiting.status == 403
    out = address_in(there.send("/confirm", "/login/company", org=slug(office), next="/confirm/done"))
    assert asked(out)["prompt"] == "login"
    assert come_back(there, issuer.walk(out, "00u-dana")).headers["location"] == "/confirm/done"
    again = {"csrfmiddlewaretoken": token_of(waiting.text), **typed}
    assert "Hand this link to" in there.browser.post("/settings/members", **again).text


def test_the_client_secret_is_sealed_never_shown_and_never_sent_to_another_issuer(office, issuer):
    client_id, secret = issuer.register("http://127.0.0.1/x")
    set_up(office, issuer, client_id=client_id, secret=secret)
    page = office.browser.get("/settings/sign-in").text
    assert secret not in page
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        kept = str(connection.execute("select s::text, sealed from vis_control.sign_on s").fetchall())
    assert secret not in kept
    assert secret not in json.dumps([detail for *_, detail in acts(office)])
    moved = {"title": "Acme", "issuer": "https://evil.example", "client_id": client_id, "secret": ""}
    answer = office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token_of(page), **moved)
    assert "another issuer needs its own client secret" in answer.text


@pytest.mark.parametrize(
    "wrong",
    [
        "http://login.example.com",
        "https://169.254.169.254/x",
        "https://a@b.example",
        "javascript:alert(1)",
        "x",
    ],
)
def test_an_issuer_that_cannot_be_one_is_refused_beside_its_field(office, wrong):
    page = office.browser.get("/settings/sign-in").text
    given = {"title": "Acme", "issuer": wrong, "client_id": "c", "secret": "s"}
    answer = office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token_of(page), **given)
    assert answer.status == 200
    assert "is no issuer" in answer.text


def test_each_change_of_the_sign_on_is_in_the_audit_with_before_and_after(office, issuer):
    set_up(office, issuer, title="Okta")
    told = [detail for kind, _, detail in acts(office) if kind == "sign_on_set"][-1]
    assert (told["title"], told["was_title"]) == ("Okta", "Acme")
    assert "was_issuer" not in told


def test_the_issuer_is_tried_by_the_page_and_by_a_program_and_nobody_is_signed_in(office, issuer):
    program = full_program(office)
    before = len(acts(office))
    told = program.send("POST", "sign-on/test").content
    assert told["works"] is True
    assert told["told"].startswith(f"{issuer.address} answers, and publishes")
    token = token_of(office.browser.get("/settings/sign-in").text)
    office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token, test="yes")
    assert "answers, and publishes" in office.browser.get("/settings/sign-in").text
    assert len(acts(office)) == before
