"""Signing in by a link that works once, and nothing without it."""

import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

ID = "01991d3a-0000-7000-8000-000000000000"
ENTRANCE = {
    "/login",
    "/login/x",
    "/login/passkey",
    "/login/second-factor",
    "/login/inactive",
    "/login/company",
    "/login/company/cancelled",
    f"/login/company/{ID}/callback",
    "/join/x",
    "/password/forgotten",
    "/password/forgotten/sent",
    "/password/new/x-x",
    "/password/new/done",
    "/organisation",
    "/logout",
}
OPEN = ENTRANCE | {"/livez", "/readyz", f"/hooks/{ID}", "/figures/x", "/figures/x/figure.json"}
FOR_PROGRAMS = "/api/"


def addresses(plane):
    """Every address of the URL map, with something in the place of what varies."""
    return {
        re.sub(r"<(\w+?):.*?>", lambda found: {"uuid": ID, "int": "1"}.get(found[1], "x"), written(one))
        for one in plane.tell("addresses")
    }


def written(address):
    """A pattern that is a regular expression, as the others are."""
    return re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<str:\1>", address)


def token_of(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]


def test_every_address_but_sign_in_and_health_sends_a_stranger_to_sign_in(plane):
    assert {"/", "/rows", "/settings/members"} | OPEN < addresses(plane)
    for address in addresses(plane) - OPEN:
        answer = plane.browser().get(address)
        if address.startswith(FOR_PROGRAMS):
            assert (answer.status, "set-cookie" in answer.headers) == (401, False), address
        else:
            back = "" if address == "/" else f"?{urlencode({'next': address})}"
            assert (answer.status, answer.headers["location"]) == (302, f"/login{back}"), address


def test_the_entrance_shows_nothing_of_an_organisation(plane, office):
    for address in ENTRANCE:
        answer = plane.browser().get(address)
        assert answer.status in {200, 302, 404, 405, 410}, address
        assert "ArcTrade" not in answer.text, address


def test_a_poll_of_somebody_whose_session_ended_sends_the_whole_page_to_sign_in(plane):
    answer = plane.browser().get("/rows", **{"HX-Request": "true"})
    assert (answer.status, answer.headers["hx-redirect"]) == (401, "/login")


def test_the_sign_in_page_says_what_to_do(plane):
    assert (
        "<code>vis login</code> on the machine where Visionality runs" in plane.browser().get("/login").text
    )


def test_a_link_signs_in_once(plane, office):
    link, first, second = plane.link(office.org_id, "alice@arctrade"), plane.browser(), plane.browser()
    assert first.get(link).headers["location"] == "/home"
    assert "alice@arctrade" in first.get("/").text
    again = second.get(link)
    assert again.status == 410
    assert "vis login" in again.text
    assert second.get("/").headers["location"] == "/login"


def test_a_link_used_by_many_at_once_lets_one_in(plane, office):
    link = plane.link(office.org_id)
    with ThreadPoolExecutor(8) as crowd:
        statuses = sorted(
            answer.status for answer in crowd.map(lambda _: plane.browser().get(link), range(8))
        )
    assert statuses == [302] + [410] * 7


def test_an_expired_or_unknown_link_does_not_sign_in(plane, office):
    link = plane.link(office.org_id)
    with plane.database.as_role("vis_web") as connection:
        connection.execute(
            "update vis_control.login_link set expires_at = now() - interval '1 second' where used_at is null"
        )
    for path in (link, "/login/" + "A" * 43, "/login/%00"):
        assert plane.browser().get(path).status == 410


def test_previews_and_prefetches_leave_a_link_unused(plane, office):
    link = plane.link(office.org_id)
    assert plane.browser().get(link, method="HEAD").status == 204
    assert plane.browser().get(link, **{"Sec-Purpose": "prefetch;prerender"}).status == 204
    assert plane.browser().get(link).status == 302


def test_only_the_hash_of_a_token_is_kept(plane, office):
    token = plane.link(office.org_id).rpartition("/")[2]
    with plane.database.as_role("vis_web") as connection:
        kept = connection.execute("select l::text from vis_control.login_link l").fetchall()
    assert len(token) == 43
    assert token.encode().hex() not in str(kept)
    assert token not in str(kept)


def test_a_sign_in_is_in_the_audit_log(plane, office):
    plane.signed_in(office.org_id, "alice@arctrade")
    with plane.database.as_role("vis_auditor") as connection:
        acts = connection.execute(
            "select kind, actor, host(source_ip::inet) from vis.admin_events where org_id = %s order by seq",
            [office.org_id],
        ).fetchall()
    assert acts == [("signed_in", "operator", "127.0.0.1"), ("signed_in", "alice@arctrade", "127.0.0.1")]


def test_signing_in_changes_the_session_key(plane, office):
    before = office.browser.cookies["vis_session"]
    office.browser.get(plane.link(office.org_id))
    assert office.browser.cookies["vis_session"] != before
    stale = plane.browser()
    stale.cookies["vis_session"] = before
    assert stale.get("/").headers["location"] == "/login"


def test_signing_out_needs_the_page_and_ends_the_session(office):
    page = office.browser.get("/").text
    kept = dict(office.browser.cookies)
    assert office.browser.get("/logout").status == 405
    assert office.browser.post("/logout").status == 403
    answer = office.browser.post("/logout", csrfmiddlewaretoken=token_of(page))
    assert answer.headers["location"] == "/login"
    office.browser.cookies = kept
    assert office.browser.get("/").headers["location"] == "/login"
