"""People come in by an invitation, and are what their membership says, at every request (S8, S5)."""

import re
from concurrent.futures import ThreadPoolExecutor

from web.accounts.people import PASSWORD, acts, change, invited, joined, signed_in, token_of, visitor


def test_an_invitation_makes_a_member_who_is_signed_in(office):
    dana = joined(office, "dora@houston.example", "finance", "auditor")
    page = dana.get("/account").text
    assert "dora@houston.example" in page
    assert "auditor, finance" in page


def test_an_invitation_works_once(office):
    link = invited(office, "dana1@houston.example")
    assert visitor(office.plane).send(link, name="Dana", password=PASSWORD).status == 302
    again = visitor(office.plane).get(link)
    assert again.status == 410
    assert "does not work any more" in again.text


def test_looking_at_an_invitation_uses_nothing_up(office):
    link = invited(office, "dana2@houston.example")
    for _ in range(3):
        assert visitor(office.plane).get(link).status == 200


def test_a_newer_invitation_replaces_an_earlier_one(office):
    first, second = (invited(office, "dana3@houston.example") for _ in range(2))
    assert visitor(office.plane).get(first).status == 410
    assert visitor(office.plane).get(second).status == 200


def test_a_withdrawn_or_invented_invitation_lets_nobody_in(office):
    link = invited(office, "dana4@houston.example")
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        ((number,),) = connection.execute(
            "select id from vis_control.invitation where email = 'dana4@houston.example'"
        ).fetchall()
    assert change(office, "", "withdraw", invitation=str(number)).status == 302
    for path in (link, "/join/x", "/join/" + "A" * 64):
        assert visitor(office.plane).get(path).status == 410


def test_a_weak_password_is_said_beside_the_field_and_the_name_stays(office):
    link = invited(office, "dana5@houston.example")
    answer = visitor(office.plane).send(link, name="Dana <Ortiz>", password="password1234")
    assert answer.status == 200
    assert "too common" in answer.text
    assert 'value="Dana &lt;Ortiz&gt;"' in answer.text


def test_a_role_that_is_taken_away_is_gone_with_the_next_request(office):
    dana = joined(office, "dana6@houston.example", "operator")
    assert dana.get("/settings/members").status == 200
    assert change(office, "dana6@houston.example", "roles", roles=["finance"]).status == 302
    assert dana.get("/settings/members").status == 403
    assert dana.is_in


def test_a_removed_member_is_out_with_the_next_request(office):
    dana = joined(office, "dana7@houston.example", "operator")
    assert change(office, "dana7@houston.example", "remove").status == 302
    assert dana.get("/").headers["location"] == "/login"
    assert "No organisation is open to you" in dana.get("/login").text


def test_an_operator_signs_a_member_out_everywhere(office):
    dana = joined(office, "dana8@houston.example")
    assert change(office, "dana8@houston.example", "sessions").status == 302
    assert dana.get("/").headers["location"] == "/login"
    again, answer = signed_in(office.plane, "dana8@houston.example")
    assert answer.headers["location"] == "/home"
    assert again.is_in


def test_an_auditor_looks_at_the_members_and_changes_nothing(office):
    dana = joined(office, "dana9@houston.example", "auditor")
    assert dana.get("/settings/members").status == 200
    answer = dana.send(
        "/settings/members",
        "/settings/members/change",
        member="dana9@houston.example",
        change="roles",
        roles="operator",
    )
    assert answer.status == 403
    assert "auditor" in dana.get("/account").text


def test_a_member_of_one_organisation_sees_nothing_of_another(new_office):
    ours, theirs = new_office(), new_office()
    dana = joined(ours, "dana10@houston.example", "operator")
    joined(theirs, "eve@other.example", "operator")
    page = dana.get("/settings/members").text
    assert "dana10@houston.example" in page
    assert "eve@other.example" not in page
    for what in ("roles", "remove", "sessions"):
        fields = {"member": "eve@other.example", "change": what, "roles": "auditor"}
        assert dana.send("/settings/members", "/settings/members/change", **fields).status == 404
    assert dana.send("/settings/members", "/organisation", organisation=theirs.org_id.hex).status == 404


def test_somebody_in_two_organisations_goes_from_one_to_the_other(new_office):
    ours, theirs = new_office(), new_office()
    dana = joined(ours, "dana11@houston.example", "operator")
    link = invited(theirs, "dana11@houston.example", "auditor")
    assert "Join as dana11@houston.example" in dana.get(link).text
    assert dana.send(link).headers["location"] == "/home"
    assert "you are auditor" in dana.get("/account").text
    assert 'action="/organisation"' in dana.get("/").text
    assert dana.send("/", "/organisation", organisation=ours.org_id.hex).headers["location"] == "/home"
    assert "you are operator" in dana.get("/account").text


def test_an_invitation_gives_no_password_to_an_account_that_is_there(new_office):
    ours, theirs = new_office(), new_office()
    joined(ours, "dana12@houston.example")
    link = invited(theirs, "dana12@houston.example")
    stranger = visitor(ours.plane)
    assert "There is an account of this address" in stranger.get(link).text
    answer = stranger.send("/login", link, name="Eve", password="another long password")
    assert answer.status == 200
    assert not signed_in(ours.plane, "dana12@houston.example", "another long password")[0].is_in


def test_each_act_on_a_member_says_what_was_before_and_after(office):
    joined(office, "dana13@houston.example", "finance")
    change(office, "dana13@houston.example", "roles", roles=["people", "security"], reason="moved to HR")
    change(office, "dana13@houston.example", "remove")
    told = {kind: (actor, detail) for kind, actor, detail in acts(office)}
    assert told["member_invited"][1]["roles"] == "finance"
    assert told["member_joined"] == (
        "dana13@houston.example",
        {"member": "dana13@houston.example", "roles": "finance", "by": "invitation"},
    )
    assert told["member_roles_set"] == (
        "operator",
        {
            "member": "dana13@houston.example",
            "roles": "people security",
            "was_roles": "finance",
            "reason": "moved to HR",
        },
    )
    assert told["member_removed"][1]["was_roles"] == "people security"
    assert told["signed_in"] == ("dana13@houston.example", {"by": "password"})


def test_an_operator_sees_a_members_sessions_here_and_none_of_another_organisation(new_office):
    ours, theirs = new_office(), new_office()
    dana = joined(ours, "dana30@houston.example")
    page = ours.browser.get("/settings/members").text
    assert "signed in now: 1" in page
    assert re.search(r"since \d+ \w{3} \d{4}, [0-9:]{5} UTC from 127\.0\.0\.1", page)
    answer = dana.send(invited(theirs, "dana30@houston.example"), password=PASSWORD)
    assert answer.status == 302, answer.text
    assert "signed in now" not in ours.browser.get("/settings/members").text
    assert "signed in now: 1" in theirs.browser.get("/settings/members").text
    change(theirs, "dana30@houston.example", "sessions", reason="a lost laptop")
    assert "signed in now" not in theirs.browser.get("/settings/members").text
    assert dana.send("/login", "/organisation", organisation=ours.org_id.hex).status == 302
    assert "signed in now: 1" in ours.browser.get("/settings/members").text


def test_only_the_hash_of_an_invitation_is_kept(office):
    token = invited(office, "dana14@houston.example").rpartition("/")[2]
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        kept = str(connection.execute("select i::text from vis_control.invitation i").fetchall())
    assert token not in kept
    assert token.encode().hex() not in kept


def at_once(*sends):
    """What each is answered, all sent in the same moment."""
    with ThreadPoolExecutor(len(sends)) as pool:
        return [one.result() for one in [pool.submit(send) for send in sends]]


def entering(plane, link):
    """A stranger with the page of an invitation open, about to send it."""
    there = visitor(plane)
    fields = {"csrfmiddlewaretoken": token_of(there.get(link).text), "name": "D", "password": PASSWORD}
    return lambda: there.browser.post(link, **fields)


def test_an_invitation_that_is_used_by_several_at_once_lets_one_in(office):
    link = invited(office, "race@houston.example", "operator")
    answers = at_once(*(entering(office.plane, link) for _ in range(6)))
    assert sorted(one.status for one in answers) == [302, 410, 410, 410, 410, 410]
    assert [kind for kind, *_ in acts(office)].count("member_joined") == 1


def test_invitations_of_several_organisations_at_once_make_one_account_and_no_fault(new_office):
    offices = [new_office() for _ in range(4)]
    links = [invited(one, "races@houston.example", "finance") for one in offices]
    answers = at_once(*(entering(offices[0].plane, link) for link in links))
    places = sorted(one.headers["location"] for one in answers)
    assert [one.status for one in answers] == [302] * 4
    assert places.count("/home") == 1
    assert all(place.startswith("/join/") for place in places[1:])
