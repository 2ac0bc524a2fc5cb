"""Authenticator apps, recovery codes and passkeys, the last with a real browser (deliver 1)."""

import base64
import hashlib
import hmac
import re
import struct
import time

import pytest

from browser import with_authenticator
from web.accounts.people import PASSWORD, invited, joined, signed_in, visitor


def code_of(secret: str, away: int = 0) -> str:
    """What an app shows for this secret (RFC 6238), so many half minutes from now."""
    counter = struct.pack(">Q", int(time.time()) // 30 + away)
    digest = hmac.digest(base64.b32decode(secret), counter, hashlib.sha1)
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at : at + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def with_app(office, email: str):
    """A member who has an authenticator app: they, its secret, and their recovery codes."""
    there = joined(office, email)
    page = there.get("/account/app").text
    secret = re.search(r'<code class="secret">(\w+)</code>', page)[1]
    answer = there.browser.post(
        "/account/app",
        csrfmiddlewaretoken=re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1],
        code=code_of(secret),
    )
    assert answer.headers["location"] == "/account/recovery-codes", answer.text
    codes = re.search(r"<pre>(.*?)</pre>", there.get("/account/recovery-codes").text, re.DOTALL)[1].split()
    return there, secret, codes


def test_a_password_alone_does_not_do_where_there_is_an_app(office):
    _, secret, _ = with_app(office, "mfa@houston.example")
    there, answer = signed_in(office.plane, "mfa@houston.example")
    assert answer.headers["location"] == "/login/second-factor"
    assert not there.is_in
    assert "Incorrect code" in there.send("/login/second-factor", code="000000").text
    assert not there.is_in
    assert there.send("/login/second-factor", code=code_of(secret, 1)).status == 302
    assert there.is_in


def test_a_code_is_good_once(office):
    _, secret, _ = with_app(office, "mfa1@houston.example")
    code = code_of(secret, 1)
    there, _ = signed_in(office.plane, "mfa1@houston.example")
    assert there.send("/login/second-factor", code=code).status == 302
    again, _ = signed_in(office.plane, "mfa1@houston.example")
    assert again.send("/login/second-factor", code=code).status == 200
    assert not again.is_in


def test_a_recovery_code_signs_in_once(office):
    _, _, codes = with_app(office, "mfa2@houston.example")
    there, _ = signed_in(office.plane, "mfa2@houston.example")
    assert there.send("/login/second-factor", code=codes[0]).status == 302
    assert there.is_in
    again, _ = signed_in(office.plane, "mfa2@houston.example")
    assert again.send("/login/second-factor", code=codes[0]).status == 200
    assert not again.is_in


def test_wrong_codes_are_counted(office):
    _, secret, _ = with_app(office, "mfa3@houston.example")
    there, _ = signed_in(office.plane, "mfa3@houston.example")
    for _ in range(5):
        there.send("/login/second-factor", code="000000")
    answer = there.send("/login/second-factor", code=code_of(secret, 1))
    assert "Too many failed login attempts" in answer.text
    assert not there.is_in


def test_secrets_of_second_factors_are_sealed(office):
    _, secret, codes = with_app(office, "mfa4@houston.example")
    with office.plane.database.as_role("vis_web") as connection:
        kept = str(connection.execute("select data::text from vis_control.mfa_authenticator").fetchall())
    assert secret not in kept
    assert codes[0] not in kept


def test_a_second_factor_confirms_too(office):
    there, secret, _ = with_app(office, "mfa5@houston.example")
    there.age()
    to = there.get("/account/app/remove").headers["location"]
    assert to == "/confirm?next=%2Faccount%2Fapp%2Fremove"
    answer = there.send("/confirm/code", code=code_of(secret, 1), next="/account/app/remove")
    assert answer.headers["location"] == "/account/app/remove"
    assert there.send("/account/app/remove").status == 302
    assert signed_in(office.plane, "mfa5@houston.example")[1].headers["location"] == "/home"


@pytest.fixture
def dana(office, new_page, at):
    """A member in a browser that has an authenticator, at their account's page."""
    page = new_page()
    page.faults = []
    page.on("console", lambda said: page.faults.append(said.text) if said.type == "error" else None)
    with_authenticator(page)
    page.goto(at(invited(office, "pass@houston.example", "operator")))
    page.fill("#id_name", "Dana Ortiz")
    page.fill("#id_password", PASSWORD)
    page.click("text=Make the account and join")
    page.goto(at("/account"))
    yield page
    with office.plane.database.as_role("vis_super") as connection:  # the next test has a Dana of its own
        connection.execute("update vis_control.account_user set email = id || '@earlier.example'")


def add_passkey(page) -> None:
    page.click("text=Add a passkey")
    page.fill("#id_name", "Dana's laptop")
    page.click("text=Make the passkey")
    page.wait_for_url("**/account/recovery-codes")


def test_a_passkey_signs_in_without_password_or_code(dana, at):
    add_passkey(dana)
    dana.goto(at("/account"))
    assert "Dana's laptop" in dana.inner_text("main")
    dana.click("button:text('Sign out')")
    dana.click("text=Sign in with a passkey")
    dana.wait_for_url(at("/start"))
    dana.goto(at("/account"))
    assert "pass@houston.example" in dana.inner_text("main")
    assert dana.faults == []


def test_a_passkey_is_the_second_factor_of_a_password(dana, at):
    add_passkey(dana)
    dana.goto(at("/account"))
    dana.click("button:text('Sign out')")
    dana.fill("#id_login", "pass@houston.example")
    dana.fill("#id_password", PASSWORD)
    dana.click("main >> text=Sign in >> nth=1")
    dana.wait_for_url("**/login/second-factor")
    dana.click("text=Use a passkey")
    dana.wait_for_url(at("/start"))
    assert dana.faults == []


def test_a_passkey_confirms_a_dangerous_act(dana, at, plane):
    add_passkey(dana)
    session = next(one["value"] for one in dana.context.cookies() if one["name"] == "vis_session")
    plane.tell("age", session, "700")
    dana.goto(at("/confirm/passkey?next=/account/recovery-codes"))
    dana.click("main >> text=Use a passkey")
    dana.wait_for_url("**/account/recovery-codes")
    assert dana.faults == []


def test_a_passkey_that_was_removed_signs_nobody_in(dana, at):
    add_passkey(dana)
    dana.goto(at("/account"))
    dana.click("table >> text=Remove")
    dana.click("button:text('Remove it')")
    dana.click("button:text('Sign out')")
    dana.click("text=Sign in with a passkey")
    dana.wait_for_selector("text=Incorrect code")
    assert dana.goto(at("/account")).url.startswith(at("/login"))


def test_an_answer_of_another_ceremony_signs_nobody_in(office):
    """The challenge is of the session: an answer without one is refused."""
    there = visitor(office.plane)
    answer = there.send(
        "/login", "/login/passkey", credential='{"id":"x","rawId":"x","type":"public-key","response":{}}'
    )
    assert answer.status in {200, 302}
    assert not there.is_in


def test_neither_the_seed_of_an_app_nor_an_invitation_stands_in_the_row_of_a_session(office):
    """Both are kept in the session of whoever sets an app up, or is away at their sign-on."""
    dana = joined(office, "rest@houston.example")
    seed = re.search(r'<code class="secret">(\w+)</code>', dana.get("/account/app").text)[1]
    with office.plane.database.as_role("vis_web") as connection:
        ((kept,),) = connection.execute(
            "select session_data from vis_control.django_session where session_key = %s",
            [dana.browser.cookies["vis_session"]],
        ).fetchall()
    record = base64.b64decode(kept, validate=True)
    assert record[:2] == b"\x02\x01"  # sealed (vault/sealing.py); what Django keeps is signed and legible
    assert seed.encode() not in record
