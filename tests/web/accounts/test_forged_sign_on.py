"""Issuers that lie, stall or never end: none of it opens a door or holds the pages up (attacks 42 and 43)."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from web.accounts.forged_issuer import forging
from web.accounts.issuer import address_in, asked, come_back, leave
from web.accounts.people import Visitor, invited, joined, signed_in, token_of, visitor


@pytest.fixture
def forged():
    with forging() as found:
        yield found


def set_up(office, forged, **fields):
    page = office.browser.get("/settings/sign-in").text
    given = {"title": "F", "issuer": forged.address, "client_id": forged.client_id, "secret": "shhh"} | fields
    answer = office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token_of(page), **given)
    assert answer.status == 302, answer.text


@pytest.fixture
def office(new_office, forged, plane):
    with plane.database.as_role("vis_super") as connection:
        connection.execute(
            "update vis_control.account_user set email = id || '@earlier.example' where email like '%.example'"
        )
    made = new_office()
    set_up(made, forged)
    joined(made, "dana@houston.example", "operator")
    return made


def answered(office, forged, there=None, **fields):
    """Somebody back from the issuer, which is given the nonce that it was asked with."""
    org = office.org_id.hex
    if there is None:
        there = visitor(office.plane)
        given = asked(leave(there, org, **fields))
    else:
        given = asked(address_in(there.send("/confirm", "/login/company", org=org)))
    forged.nonce = given["nonce"]
    return there, come_back(there, f"{given['redirect_uri']}?code=c&state={given['state']}")


def test_what_is_right_comes_in_so_that_a_refusal_below_has_its_own_cause(office, forged):
    there, answer = answered(office, forged)
    assert answer.headers["location"] == "/home", answer.text
    assert there.is_in


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["forged", "another"]},
        {"aud": ["forged", "another"], "azp": "another"},
        {"azp": "another"},
        {"aud": None},
        {"iss": "https://login.example.com"},
        {"iss": None},
        {"exp": 1},
        {"exp": "soon"},
        {"exp": None},
        {"nonce": "of another sign-in"},
        {"nonce": "\u00e9"},
        {"nonce": None},
        {"sub": "s2"},
        {"sub": None},
        {"sub": 7},
        {"iat": 4102444800},
    ],
    ids=str,
)
def test_an_id_token_that_says_something_else_lets_nobody_in(office, forged, claims):
    forged.claims = claims
    there, answer = answered(office, forged)
    assert answer.status in {401, 403}, answer.text
    assert not there.is_in


def unsigned(forged, claims):
    parts = ({"alg": "none", "kid": "ours"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in parts)
        + "."
    )


FORGERIES = {
    "no signature": unsigned,
    "another key": lambda forged, claims: forged.by(rsa.generate_private_key(65537, 2048), claims),
    "HS256 under the client secret": lambda forged, claims: forged.by("shhh" * 16, claims, "HS256"),
    "HS256 under what the keys say": lambda forged, claims: forged.by(
        forged.keys()["keys"][0]["n"], claims, "HS256"
    ),
    "no token": lambda forged, claims: "x",
    "a number": lambda forged, claims: 7,
}


@pytest.mark.parametrize("way", FORGERIES)
def test_an_id_token_that_the_issuers_key_did_not_sign_lets_nobody_in(office, forged, way):
    forged.signed = FORGERIES[way]
    there, answer = answered(office, forged)
    assert answer.status in {401, 403}, answer.text
    assert not there.is_in


def test_the_same_id_token_opens_no_second_session(office, forged):
    forged.claims = {"jti": "once"}
    assert answered(office, forged)[0].is_in
    there, answer = answered(office, forged)
    assert answer.status == 401
    assert not there.is_in


def without_end(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 65536)
    except OSError:
        pass


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/me"])
def test_an_answer_without_end_is_cut_off(office, forged, path):
    there = visitor(office.plane)
    given = asked(leave(there, office.org_id.hex))
    forged.nonce = given["nonce"]
    forged.raw = {path: without_end}
    answer = come_back(there, f"{given['redirect_uri']}?code=c&state={given['state']}")
    assert answer.status in {401, 502}
    assert not there.is_in


@pytest.mark.parametrize("said", [b"[]", b"null", b'"x"', b"{}", b"[" * 100_000, b"\xff"])
@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/keys", "/me"])
def test_an_answer_of_another_form_is_refused_and_no_fault_of_ours(office, forged, path, said):
    def written(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(said)

    there = visitor(office.plane)
    given = asked(leave(there, office.org_id.hex))
    forged.nonce = given["nonce"]
    forged.raw = {path: written}
    answer = come_back(there, f"{given['redirect_uri']}?code=c&state={given['state']}")
    assert answer.status in {401, 403, 502}, answer.text
    assert not there.is_in


@pytest.mark.parametrize("where", ["authorization_endpoint"])
@pytest.mark.parametrize("to", ["javascript:alert(1)", "data:text/html,x", 7])
def test_an_issuer_leads_a_browser_to_no_script(office, forged, where, to):
    forged.discovery = {where: to}
    answer = visitor(office.plane).send("/login", "/login/company", org=office.org_id.hex)
    assert answer.status in {400, 502}, answer.text


def test_the_issuer_of_one_organisation_does_not_confirm_a_session_of_another(office, new_office, forged):
    """Whoever runs B's issuer could otherwise freshen a stolen session of A for the dangerous acts of A."""
    with forging() as evil:
        theirs = new_office()
        set_up(theirs, evil)
        both = signed_in(office.plane, "dana@houston.example")[0]
        assert both.send(invited(theirs, "dana@houston.example", "finance")).status == 302
        there, _ = answered(office, forged)
        there.age()
        waiting = there.send("/settings/members", email="new@houston.example", roles="finance")
        assert waiting.status == 403
        answered(theirs, evil, there)
        again = {"email": "new@houston.example", "roles": "operator"}
        assert there.send("/", "/settings/members", **again).status == 403
        assert "new@houston.example" not in office.browser.get("/settings/members").text


def test_the_client_secret_is_not_sent_back_by_the_page_that_asks_who_is_there(office, forged):
    there = Visitor(office.plane, office.browser)
    there.age()
    typed = {"title": "F", "issuer": forged.address, "client_id": "c", "secret": "the-new-client-secret"}
    asked_again = there.send("/settings/sign-in", **typed)
    assert asked_again.status == 403
    assert "Send it again" in asked_again.text
    assert "the-new-client-secret" not in asked_again.text


def test_what_is_no_invitation_and_a_way_back_without_end_are_kept_in_no_session(office, forged):
    there = visitor(office.plane)
    assert there.send("/login", "/login/company", invitation="x" * 500_000).status == 404
    leave(there, office.org_id.hex, next="/" + "x" * 500_000)
    with office.plane.database.as_role("vis_web") as connection:
        ((longest,),) = connection.execute(
            "select max(length(session_data)) from vis_control.django_session"
        ).fetchall()
    assert longest < 20_000
