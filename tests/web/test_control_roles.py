"""Who may enter the control pages, and that whoever may only look is offered nothing else (S5)."""

import pytest

LOOKED_AT = {
    "/operations": {"operator"},
    "/budgets": {"finance"},
    "/budgets/<uuid:budget_id>": {"finance"},
    "/keys": {"operator", "security"},
    "/keys/<uuid:key_id>": {"operator", "security"},
    "/queue": {"operator", "finance"},
    "/alerts": {"operator", "finance"},
    "/allocation": {"operator", "finance"},
    "/prices": {"operator", "finance"},
    "/floors": {"operator", "security"},
    "/signing-keys": {"operator", "security"},
}
"""Pages that change nothing, and for whom they are; operators may enter all."""
PLACES = (
    "/operations",
    "/budgets",
    "/keys",
    "/queue",
    "/hints",
    "/names",
    "/providers",
    "/prices",
    "/map",
    "/connectors",
    "/alerts",
    "/allocation",
    "/limits",
    "/floors",
    "/signing-keys",
    "/organisation-settings",
)


def test_what_changes_something_is_for_operators_alone(plane):
    found = {one["address"]: one["roles"] for one in plane.tell("routes")}
    ours = {path: set(roles) for path, roles in found.items() if path.startswith(PLACES)}
    assert len(ours) > 40
    assert {path: roles for path, roles in ours.items() if roles != {"operator"}} == {
        path: roles for path, roles in LOOKED_AT.items() if roles != {"operator"}
    }


@pytest.mark.parametrize("path", LOOKED_AT)
def test_a_page_that_is_looked_at_takes_no_post(office, path):
    if "<" not in path:
        token = office.browser.cookies.get("vis_csrf", "")
        assert office.browser.post(path, csrfmiddlewaretoken=token).status in (403, 405)


@pytest.mark.parametrize("path", PLACES)
def test_every_page_is_answered_and_a_stranger_is_sent_to_sign_in(office, plane, path):
    assert office.browser.get(path).status == 200
    answer = plane.browser().get(path)
    assert answer.status == 302
    assert answer.headers["location"].startswith("/login")
