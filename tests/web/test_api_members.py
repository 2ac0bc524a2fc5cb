"""Members, invitations and the sign-on for programs: no token makes anybody more than it is itself (S8, attacks 27 to 34)."""

import json

import pytest

from visionality.core.service_token import SCOPES
from visionality.web.accounts.roles import Role
from web.accounts.people import PASSWORD, acts, change, joined, signed_in, visitor
from web.programs import Program, full_program, is_problem, program_of, told_of_itself


@pytest.fixture(autouse=True)
def forgotten_attempts(plane):
    plane.tell("forget-attempts")


@pytest.fixture
def program(office) -> Program:
    return full_program(office)


def path_of(link: str) -> str:
    return "/join/" + link.rpartition("/join/")[2]


def one(program: Program, email: str) -> dict:
    (found,) = program.send("GET", f"members?email={email}").content["items"]
    return found


def test_a_program_invites_somebody_who_comes_in_as_it_said(office, program):
    body = {"email": "Ann@api.example", "roles": ["finance", "projects"], "reason": "the new controller"}
    made = program.send("POST", "invitations", body)
    assert made.status == 201, made
    assert made.content["invitation"]["email"] == "ann@api.example"
    assert made.content["is_mailed"] is False
    listed = program.send("GET", "invitations").content["items"]
    assert [one["id"] for one in listed] == [made.content["invitation"]["id"]]
    assert "/join/" not in json.dumps(listed)
    ann = visitor(office.plane)
    answer = ann.send(path_of(made.content["link"]), name="Ann", password=PASSWORD)
    assert (answer.status, answer.headers["location"]) == (302, "/home")
    assert program.send("GET", "invitations").content["items"] == []
    found = one(program, "ann@api.example")
    assert (found["roles"], found["state"], found["name"]) == (["finance", "projects"], "active", "Ann")
    _, actor, detail = next(act for act in acts(office) if act[0] == "member_invited")
    assert (actor, detail["reason"]) == (f"service-token:{program.token_id}", "the new controller")


def test_an_invitation_that_is_asked_for_twice_is_one_and_its_link_works(office, program):
    body = {"email": "ann2@api.example", "roles": ["projects"]}
    first, again = (program.send("POST", "invitations", body, idempotency_key="once") for _ in range(2))
    assert first.content == again.content
    assert visitor(office.plane).get(path_of(again.content["link"])).status == 200


def test_an_invitation_is_sent_again_and_the_lost_link_ends(office, program):
    made = program.send("POST", "invitations", {"email": "ann3@api.example", "roles": ["projects"]}).content
    again = program.send("POST", f"invitations/{made['invitation']['id']}/resend").content
    assert again["invitation"]["roles"] == ["projects"]
    assert visitor(office.plane).get(path_of(made["link"])).status == 410
    assert visitor(office.plane).get(path_of(again["link"])).status == 200
    gone = program.send("DELETE", f"invitations/{again['invitation']['id']}?reason=wrong%20person")
    assert gone.status == 200
    assert visitor(office.plane).get(path_of(again["link"])).status == 410
    is_problem(program.send("DELETE", f"invitations/{again['invitation']['id']}"), 404)


def test_roles_are_set_by_somebody_who_has_read_them(office, program):
    joined(office, "bob@api.example", "finance")
    bob = one(program, "bob@api.example")
    tag = program.send("GET", f"members/{bob['id']}").headers["etag"]
    told = program.send("PATCH", f"members/{bob['id']}", {"roles": ["auditor"]}, if_match=tag)
    assert (told.status, told.content["roles"]) == (200, ["auditor"])
    is_problem(program.send("PATCH", f"members/{bob['id']}", {"roles": ["finance"]}, if_match=tag), 412)
    is_problem(program.send("PATCH", f"members/{bob['id']}", {"roles": []}), 422)
    is_problem(program.send("PATCH", f"members/{bob['id']}", {"roles": ["owner"]}), 422)


def test_a_member_is_signed_out_everywhere_and_removed_with_the_next_request(office, program):
    eve = joined(office, "eve@api.example", "finance")
    found = one(program, "eve@api.example")
    (session,) = program.send("GET", f"members/{found['id']}/sessions").content["items"]
    assert session["address"] == "127.0.0.1"
    assert program.send("POST", f"members/{found['id']}/sign-out", {"reason": "a lost laptop"}).status == 200
    assert program.send("GET", f"members/{found['id']}/sessions").content["items"] == []
    assert eve.get("/").headers["location"] == "/login"
    again, _ = signed_in(office.plane, "eve@api.example")
    assert again.is_in
    gone = program.send("DELETE", f"members/{found['id']}?reason=left")
    assert (gone.status, gone.content["state"]) == (200, "removed")
    assert again.get("/").headers["location"] == "/login"
    is_problem(program.send("PATCH", f"members/{found['id']}", {"roles": ["finance"]}), 404)
    is_problem(program.send("DELETE", f"members/{found['id']}"), 404)


def test_one_session_of_a_member_is_ended_by_the_page_or_a_program_and_the_others_stay(office, program):
    phone = joined(office, "iris@api.example", "finance")
    laptop, _ = signed_in(office.plane, "iris@api.example")
    desk, _ = signed_in(office.plane, "iris@api.example")
    found = one(program, "iris@api.example")
    newest, older, oldest = got = program.send("GET", f"members/{found['id']}/sessions").content["items"]
    left = program.send("DELETE", f"members/{found['id']}/sessions/{newest['id']}?reason=stolen")
    assert [one["id"] for one in left.content["items"]] == [older["id"], oldest["id"]]
    assert [there.is_in for there in (phone, laptop, desk)] == [True, True, False]
    is_problem(program.send("DELETE", f"members/{found['id']}/sessions/{newest['id']}"), 404)
    assert change(office, "iris@api.example", "session", session=str(oldest["id"])).status == 302
    assert [there.is_in for there in (phone, laptop)] == [False, True]
    for wrong in (str(oldest["id"]), "x", "", "9" * 30):
        assert change(office, "iris@api.example", "session", session=wrong).status == 404
    ended = [detail for kind, _, detail in acts(office) if kind == "member_session_ended"]
    assert [one["seen_from"] for one in ended] == ["127.0.0.1", "127.0.0.1"]
    assert len(got) == 3


def test_a_session_of_somebody_else_is_not_ended_under_ones_name(office, program):
    ann, ben = joined(office, "ann7@api.example"), joined(office, "ben7@api.example")
    of_ann, of_ben = (one(program, f"{name}7@api.example")["id"] for name in ("ann", "ben"))
    (session,) = program.send("GET", f"members/{of_ben}/sessions").content["items"]
    is_problem(program.send("DELETE", f"members/{of_ann}/sessions/{session['id']}"), 404)
    assert (ann.is_in, ben.is_in) == (True, True)


def test_no_token_makes_an_operator_and_a_token_that_takes_the_role_away_may(office, program):
    is_problem(program.send("POST", "invitations", {"email": "m@api.example", "roles": ["operator"]}), 403)
    joined(office, "carl@api.example", "finance")
    joined(office, "olga@api.example", "operator", "finance")
    carl, olga = one(program, "carl@api.example"), one(program, "olga@api.example")
    is_problem(program.send("PATCH", f"members/{carl['id']}", {"roles": ["finance", "operator"]}), 403)
    kept = program.send("PATCH", f"members/{olga['id']}", {"roles": ["operator", "auditor"]})
    assert kept.content["roles"] == ["auditor", "operator"]
    less = program.send("PATCH", f"members/{olga['id']}", {"roles": ["auditor"]})
    assert less.content["roles"] == ["auditor"]
    is_problem(program.send("PATCH", f"members/{olga['id']}", {"roles": ["operator"]}), 403)


def test_an_invitation_of_an_operator_is_not_sent_again_by_a_program(office, program):
    """Its new link would be in the answer."""
    from web.accounts.people import invited  # noqa: PLC0415

    link = invited(office, "oz@api.example", "operator")
    (found,) = program.send("GET", "invitations").content["items"]
    is_problem(program.send("POST", f"invitations/{found['id']}/resend"), 403)
    assert visitor(office.plane).get(link).status == 200


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OPERATOR}))
def test_a_token_gives_no_role_that_is_more_than_itself(office, role):
    told_of_itself(office.plane)
    body = {"email": f"{role}@api.example", "roles": [role]}
    is_problem(program_of(office, "write:members").send("POST", "invitations", body), 403)
    assert program_of(office, *SCOPES).send("POST", "invitations", body).status == 201


def test_who_may_only_read_members_changes_none(office):
    told_of_itself(office.plane)
    reader = program_of(office, "read:members")
    assert reader.send("GET", "members").status == 200
    is_problem(reader.send("POST", "invitations", {"email": "x@api.example", "roles": ["finance"]}), 403)
    is_problem(reader.send("DELETE", "sign-on"), 403)
    is_problem(program_of(office, "write:policy").send("GET", "members"), 403)


def set_up(office, **given) -> None:
    """By the page, as an operator does."""
    from web.accounts.people import token_of  # noqa: PLC0415

    fields = {
        "title": "Okta",
        "issuer": "http://127.0.0.1:9/idp",
        "client_id": "vis",
        "secret": "s3cret-of-the-issuer",
        "domains": "api.example",
        **given,
    }
    token = token_of(office.browser.get("/settings/sign-in").text)
    answer = office.browser.post("/settings/sign-in", csrfmiddlewaretoken=token, **fields)
    assert answer.status == 302, answer.text


def test_the_sign_on_is_kept_up_and_switched_off_and_its_secret_stays_in(office, program):
    is_problem(program.send("GET", "sign-on"), 404)
    is_problem(program.send("POST", "sign-on/test"), 404)
    set_up(office)
    found = program.send("GET", "sign-on")
    assert found.content["redirect_uri"].endswith(f"/login/company/{office.org_id}/callback")
    asked = {"title": "Acme", "secret": "the-next-secret", "reason": "it was rotated"}
    told = program.send("PATCH", "sign-on", asked, if_match=found.headers["etag"])
    assert (told.status, told.content["title"], told.content["domains"]) == (200, "Acme", ["api.example"])
    is_problem(program.send("PATCH", "sign-on", {"title": "x"}, if_match=found.headers["etag"]), 412)
    said = json.dumps([program.send("GET", "sign-on").content, program.send("GET", "admin-events").content])
    assert "secret-of" not in said
    assert "the-next-secret" not in said
    assert program.send("DELETE", "sign-on?reason=moved").status == 200
    is_problem(program.send("GET", "sign-on"), 404)


def test_a_program_names_no_issuer_and_opens_nothing_that_a_person_closed(office, program):
    set_up(office)
    for named in ({"issuer": "https://evil.example"}, {"client_id": "other"}):
        is_problem(program.send("PATCH", "sign-on", named), 422)
    is_problem(program.send("PUT", "sign-on", {}), 405)
    is_problem(program.send("PATCH", "sign-on", {"joins_as": ["operator"]}), 403)
    assert program.send("PATCH", "sign-on", {"only": True}).content["only"] is True
    is_problem(program.send("PATCH", "sign-on", {"only": False}), 403)
    is_problem(program.send("DELETE", "sign-on"), 403)
    assert program.send("GET", "sign-on").content["issuer"] == "http://127.0.0.1:9/idp"


def test_a_program_leads_no_further_domain_to_a_role_that_is_more_than_itself(office, program):
    set_up(office, joins_as="operator")
    is_problem(program.send("PATCH", "sign-on", {"domains": ["api.example", "evil.example"]}), 403)
    assert program.send("PATCH", "sign-on", {"title": "Same people"}).status == 200
    assert program.send("PATCH", "sign-on", {"joins_as": []}).content["joins_as"] == []
    wider = program.send("PATCH", "sign-on", {"domains": ["api.example", "more.example"]})
    assert wider.content["domains"] == ["api.example", "more.example"]


def test_an_issuer_that_does_not_answer_is_told_by_the_test_of_it(office, program):
    set_up(office)
    told = program.send("POST", "sign-on/test").content
    assert told["works"] is False
    assert "does not answer" in told["told"]


def test_the_name_of_the_organisation_is_set(office, program):
    tag = program.send("GET", "organisation").headers["etag"]
    told = program.send("PATCH", "organisation", {"name": "ArcTrade Ltd", "reason": "renamed"}, if_match=tag)
    assert told.content["name"] == "ArcTrade Ltd"
    is_problem(program.send("PATCH", "organisation", {"name": " "}), 422)
    assert "ArcTrade Ltd" in office.browser.get("/organisation-settings").text
