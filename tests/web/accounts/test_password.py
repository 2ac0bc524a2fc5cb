"""Signing in by password, the throttle before it, and where one may be led from it (attacks 29, 32, 34)."""

from urllib.parse import urlencode

import pytest

from web.accounts.people import PASSWORD, Visitor, invited, joined, signed_in, token_of, visitor

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "http:evil.example",
    "javascript:alert(1)",
    "http://localhost/",
    "\t//evil.example",
    "///evil.example",
)


def test_a_password_signs_in_and_a_wrong_one_does_not(office):
    joined(office, "ann@houston.example")
    wrong, answer = signed_in(office.plane, "ann@houston.example", "not the password at all")
    assert answer.status == 200
    assert "not correct" in answer.text
    assert 'value="ann@houston.example"' in answer.text
    assert not wrong.is_in
    right, answer = signed_in(office.plane, "Ann@Houston.example")
    assert answer.headers["location"] == "/home"
    assert right.is_in


def test_an_unknown_address_is_answered_like_a_wrong_password(office):
    joined(office, "ann1@houston.example")
    said = {
        signed_in(office.plane, email, "not the password at all")[1].text.count("not correct")
        for email in ("ann1@houston.example", "nobody@houston.example")
    }
    assert said == {1}


def test_wrong_passwords_are_counted_and_then_even_the_right_one_waits(office):
    joined(office, "ann2@houston.example")
    for _ in range(5):
        signed_in(office.plane, "ann2@houston.example", "not the password at all")
    there, answer = signed_in(office.plane, "ann2@houston.example")
    assert "Too many failed login attempts" in answer.text
    assert not there.is_in


def test_signing_in_changes_the_session_key(office):
    joined(office, "ann3@houston.example")
    there = visitor(office.plane)
    there.send("/login", login="ann3@houston.example", password="not the password at all")
    planted = there.browser.cookies.get("vis_session", "planted0planted0planted0planted0")
    there.browser.cookies["vis_session"] = planted
    there.send("/login", login="ann3@houston.example", password=PASSWORD)
    assert there.is_in
    assert there.browser.cookies["vis_session"] != planted
    stale = visitor(office.plane)
    stale.browser.cookies["vis_session"] = planted
    assert not stale.is_in


def test_an_account_takes_the_place_of_the_local_operator_and_nothing_of_them_stays(office):
    joined(office, "ann4@houston.example", "finance")
    browser = office.browser
    there = Visitor(office.plane, browser)
    browser.post("/logout", csrfmiddlewaretoken=token_of(browser.get("/").text))
    there.send("/login", login="ann4@houston.example", password=PASSWORD)
    assert there.get("/settings/members").status == 403


def test_a_form_from_elsewhere_signs_nobody_in(office):
    joined(office, "ann5@houston.example")
    there = visitor(office.plane)
    there.get("/login")
    assert there.browser.post("/login", login="ann5@houston.example", password=PASSWORD).status == 403
    assert not there.is_in


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_sign_in_leads_to_no_other_place(office, wanted):
    joined(office, f"ann{abs(hash(wanted))}@houston.example")
    there = visitor(office.plane)
    answer = there.send(
        "/login", login=f"ann{abs(hash(wanted))}@houston.example", password=PASSWORD, next=wanted
    )
    assert answer.headers["location"] == "/home"
    again = there.browser.get("/login?" + urlencode({"next": wanted}))
    assert again.headers["location"] == "/home"


def test_sign_in_leads_back_to_the_page_that_was_asked_for(office):
    joined(office, "ann6@houston.example")
    there = visitor(office.plane)
    asked = there.get("/coverage?month=2026-11").headers["location"]
    assert asked == "/login?next=%2Fcoverage%3Fmonth%3D2026-11"
    answer = there.send(
        asked, "/login", login="ann6@houston.example", password=PASSWORD, next="/coverage?month=2026-11"
    )
    assert answer.headers["location"] == "/coverage?month=2026-11"
    assert 'name="next" value="/coverage?month=2026-11"' in visitor(office.plane).get(asked).text


def test_a_session_that_is_ended_elsewhere_is_out_at_once(office):
    first = joined(office, "ann7@houston.example")
    second, _ = signed_in(office.plane, "ann7@houston.example")
    assert first.is_in
    assert second.is_in
    assert second.send("/account/sessions", session="others").status == 302
    assert second.is_in
    assert not first.is_in


def test_somebody_ends_their_own_sessions_only(office):
    ann = joined(office, "ann8@houston.example")
    joined(office, "bob8@houston.example")
    with office.plane.database.as_role("vis_web") as connection:
        ((theirs,),) = connection.execute(
            """select s.id from vis_control.usersessions_usersession s join vis_control.account_user u on u.id = s.user_id
                where u.email = 'bob8@houston.example'"""
        ).fetchall()
    ann.send("/account/sessions", session=str(theirs))
    with office.plane.database.as_role("vis_web") as connection:
        assert (
            connection.execute(
                "select from vis_control.usersessions_usersession where id = %s", [theirs]
            ).fetchone()
            is not None
        )


def test_a_new_password_ends_the_other_sessions(office):
    first = joined(office, "ann9@houston.example")
    second, _ = signed_in(office.plane, "ann9@houston.example")
    fresh = "another long way to Houston 8"
    answer = second.send("/account/password", oldpassword=PASSWORD, password1=fresh, password2=fresh)
    assert answer.status == 302, answer.text
    assert second.is_in
    assert not first.is_in
    assert signed_in(office.plane, "ann9@houston.example", fresh)[0].is_in


def test_a_password_is_kept_by_scrypt(office):
    joined(office, "ann10@houston.example")
    with office.plane.database.as_role("vis_web") as connection:
        ((kept,),) = connection.execute(
            "select password from vis_control.account_user where email = 'ann10@houston.example'"
        ).fetchall()
    assert kept.startswith("scrypt$")


def test_nobody_signs_up_by_themselves(plane):
    for path in ("/signup", "/account/signup", "/accounts/signup/"):
        assert plane.browser().get(path).status in {302, 404}
    assert "/signup" not in str(plane.tell("addresses"))


def test_a_link_names_the_host_that_is_ours_and_no_other(office):
    """Attack 32: the host of a request goes into no link unless it is one of ours."""
    invited(office, "ann11@houston.example")
    assert office.browser.get("/settings/members", Host="evil.example").status == 400
