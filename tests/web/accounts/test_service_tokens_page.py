"""Service tokens on their page: shown once, then never again; revoked at once (A4, K7)."""

import re

from web.accounts.people import joined


def test_a_token_is_shown_once_works_and_is_revoked(office):
    dana = joined(office, "tok@houston.example", "operator")
    answer = dana.send("/settings/service-tokens", scopes="identities:read", days="30", reason="the HR feed")
    token = re.search(r'<code class="secret">(visa_\w+)</code>', answer.text)[1]
    assert token not in dana.get("/settings/service-tokens").text
    bearer = {"authorization": f"Bearer {token}"}
    assert office.plane.browser().get("/api/v1/identities", **bearer).status == 200
    number = re.search(r'name="revoke" value="([\w-]+)"', dana.get("/settings/service-tokens").text)[1]
    assert dana.send("/settings/service-tokens", revoke=number).status == 302
    assert office.plane.browser().get("/api/v1/identities", **bearer).status == 401


def test_what_is_missing_is_said_beside_its_field_and_the_rest_stays(office):
    dana = joined(office, "tok1@houston.example", "operator")
    answer = dana.send("/settings/service-tokens", days="400", reason="the HR <feed>")
    assert answer.text.count('class="wrong"') == 2
    assert 'value="the HR &lt;feed&gt;"' in answer.text


def test_a_token_of_another_organisation_is_not_there(new_office):
    ours, theirs = new_office(), new_office()
    dana = joined(ours, "tok2@houston.example", "operator")
    number, _ = ours.plane.tell("service-token", str(theirs.org_id), "90", "identities:read")
    for revoke in (number, "01991d3a-0000-7000-8000-000000000000", "x"):
        assert dana.send("/settings/service-tokens", revoke=revoke).status == 404


def test_who_is_no_operator_issues_none(office):
    for number, role in enumerate(("finance", "security", "auditor")):
        dana = joined(office, f"tok3{number}@houston.example", role)
        answer = dana.send(
            "/account", "/settings/service-tokens", scopes="identities:read", days="30", reason="x"
        )
        assert answer.status == 403
