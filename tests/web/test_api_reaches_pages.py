"""What a page shows or does a program reads or does too, or the page says here why only a person can.

Made from the URL map and the OpenAPI file: a page that is new fails until its operation is named.
"""

import pytest

from visionality.web.accounts.roles import SCOPES_OF, Role
from web.programs import full_program
from web.test_every_route import FOR_PROGRAMS, SIGNED_OTHERWISE, invented

ITSELF = "it is about the account of whoever sits there: a program has none"
SIGNING_IN = "it is how a person comes in; a program shows its token"
CONFIRMING = "it says once more who sits there; a program's scopes were given to it by somebody who did"

DOES = {
    "person_revoke": ("revoke_keys_of_person",),
    "signed_figures": ("sign_figure",),
    "start": ("set_provider", "add_project", "add_person", "replace_identities", "issue_key"),
    "members": ("invite",),
    "change_member": (
        "set_member_roles",
        "remove_member",
        "sign_member_out",
        "end_member_session",
        "withdraw_invitation",
    ),
    "sign_in_settings": ("change_sign_on", "try_sign_on", "remove_sign_on"),
    "service_tokens": ("revoke_service_token",),
    "budget_set": ("set_budget",),
    "budget_edit": ("set_budget",),
    "budget_remove": ("remove_budget",),
    "key_issue": ("issue_key",),
    "key_rotate": ("rotate_key",),
    "key_revoke": ("revoke_key",),
    "queue_assign": ("assign",),
    "hint_add": ("add_hint",),
    "hint_remove": ("remove_hint",),
    "identity_import": ("replace_identities",),
    "project_add": ("add_project",),
    "customer_add": ("add_customer",),
    "team_add": ("add_team",),
    "agent_add": ("replace_identities",),
    "person_add": ("add_person",),
    "project_set": ("change_project",),
    "team_set": ("change_team",),
    "identity_set": ("change_identity",),
    "provider_add": ("set_provider",),
    "provider_remove": ("remove_provider",),
    "passthrough_open": ("open_passthrough",),
    "passthrough_close": ("close_passthrough",),
    "price_set": ("set_price",),
    "map_apply": ("plan_mapping", "apply_mapping"),
    "connector_add": ("add_connector",),
    "connector_sync": ("sync_connector",),
    "connector_sync_full": ("sync_connector",),
    "connector_secret": ("set_connector_secret",),
    "connector_webhook": ("make_webhook_secret",),
    "connector_remove": ("remove_connector",),
    "alert_seen": ("acknowledge",),
    "channel_add": ("add_channel",),
    "channel_remove": ("remove_channel",),
    "markup_set": ("set_markup",),
    "split_set": ("set_split",),
    "limit_set": ("set_limit",),
    "limit_remove": ("remove_limit",),
    "floor_set": ("set_floor",),
    "floor_decline": ("decline_floor",),
    "signing_key_rotate": ("rotate_signing_key",),
    "signing_key_revoke": ("revoke_signing_key",),
    "organisation_set": ("change_organisation",),
    "organisation_revoke_keys": ("revoke_all_keys",),
    "evidence": ("make_pack",),
}
"""A page with a form, and the operations that do what its buttons do."""
SHOWS = {
    "ledger": ("rows", "totals"),
    "changes": ("rows",),
    "rows_file": ("rows_file",),
    "row": ("row",),
    "people": ("access",),
    "people_file": ("access_file",),
    "leavers": ("leavers",),
    "leavers_file": ("leavers_file",),
    "person": ("access_of_person", "totals"),
    "offboarding": ("offboarding",),
    "offboarding_json": ("offboarding",),
    "offboarding_csv": ("offboarding_file",),
    "projects": ("totals", "budgets"),
    "project": ("totals", "burn_of"),
    "project_work": ("work",),
    "finance": ("spend", "spend_parts", "totals"),
    "chargeback": ("chargeback", "chargeback_by_cost_center"),
    "signed_figures": ("figures",),
    "start_call": ("rows",),
    "coverage": ("coverage", "totals"),
    "security": ("refusals", "key_risks", "append_only", "ledger_check"),
    "keys_file": ("key_risks_file",),
    "audit": ("admin_events", "key_events"),
    "audit_file": ("audit_file",),
    "audit_event": ("audit_event",),
    "operations": ("burn", "list_alerts", "spend", "queue", "connectors", "keys", "providers"),
    "budgets": ("budgets",),
    "budget": ("burn_of",),
    "keys": ("keys",),
    "key": ("key", "key_events"),
    "queue": ("queue", "corrections"),
    "hints": ("list_hints",),
    "names": ("projects", "customers", "teams", "people", "list_identities"),
    "providers": ("providers", "projects"),
    "prices": ("prices", "prices_in_force"),
    "map": ("mapping", "mapping_versions"),
    "connectors": ("connectors",),
    "alerts": ("list_alerts", "channels"),
    "allocation": ("allocations",),
    "limits": ("list_limits",),
    "floors": ("list_floors",),
    "signing_keys": ("list_signing_keys", "key_document"),
    "organisation_settings": ("organisation",),
    "members": ("members", "member_sessions", "invitations"),
    "sign_in_settings": ("sign_on",),
    "service_tokens": ("list_service_tokens",),
    "evidence": ("packs",),
    "evidence_keys": ("evidence_keys",),
    "evidence_pack": ("pack",),
    "evidence_pack_file": ("pack_envelope",),
    "controls": ("controls",),
    "exceptions_file": ("exceptions",),
}
"""A page that shows something, and the operations that answer with it."""
FOR_PEOPLE = {
    "home": "it leads to a seat",
    "floor_approve": "a second person decides on a lower floor, and no token is a person",
    "confirm": CONFIRMING,
    "confirmed": CONFIRMING,
    **dict.fromkeys(
        ("account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn"), CONFIRMING
    ),
    **dict.fromkeys(
        (
            *("account", "sessions", "account_change_password", "account_set_password", "mfa_index"),
            *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_list_webauthn", "mfa_add_webauthn"),
            *("mfa_remove_webauthn", "mfa_edit_webauthn", "mfa_view_recovery_codes"),
            *("mfa_generate_recovery_codes", "switch", "logout", "account_logout"),
        ),
        ITSELF,
    ),
    **dict.fromkeys(
        (
            *("login", "account_login", "mfa_login_webauthn", "sign_on", "socialaccount_login_cancelled"),
            *("openid_connect_callback", "use_link", "join", "mfa_authenticate", "account_inactive"),
            *("account_reset_password", "account_reset_password_done", "account_reset_password_from_key"),
            "account_reset_password_from_key_done",
        ),
        SIGNING_IN,
    ),
}
"""Pages of which a program has nothing, and why."""
BUTTONS_FOR_PEOPLE = {
    "service_tokens": "a token that makes a token outlives its own end",
    "sign_in_settings": "who names an issuer says who everybody is",
}
"""Pages of which a program has a part, and why it does not have the rest."""
OPEN = {"figure", "figure_file", "livez", "readyz"}
"""What anybody may ask for without a token."""


@pytest.fixture(scope="module")
def routes(plane):
    return [
        one
        for one in plane.tell("routes")
        if not one["address"].startswith(FOR_PROGRAMS) and one["name"] not in SIGNED_OTHERWISE | OPEN
    ]


@pytest.fixture
def operations(office):
    paths = full_program(office).send("GET", "openapi.json").content["paths"]
    return {
        operation["operationId"]: (method.upper(), operation["x-scopes"])
        for by_method in paths.values()
        for method, operation in by_method.items()
    }


def takes_forms(office, route) -> bool:
    """Whether a POST is not turned away for being one. A view that does not say so is taken to take them."""
    answer = office.browser._ask("OPTIONS", invented(route), None, {})
    return answer.status != 405 or "POST" in answer.headers.get("allow", "")


def test_every_form_has_its_operation_or_says_why_only_a_person_can(office, routes):
    forms = {one["name"] for one in routes if takes_forms(office, one)} - {"home"}
    known = set(DOES) | set(FOR_PEOPLE)
    assert sorted(forms - known) == [], "say in DOES which operation does what the page does"
    assert set(DOES) <= forms
    assert not set(DOES) & set(FOR_PEOPLE)
    print(f"\n{len(forms)} forms: {len(DOES)} with operations")


def test_every_page_has_its_operation_or_says_why_only_a_person_needs_it(routes):
    pages = {one["name"] for one in routes}
    known = set(DOES) | set(SHOWS) | set(FOR_PEOPLE)
    assert sorted(pages - known) == [], "say in SHOWS which operation answers with what the page shows"
    assert known <= pages
    assert set(BUTTONS_FOR_PEOPLE) <= set(DOES)


def test_every_operation_that_a_page_is_said_to_have_is_there(operations):
    for page, names in DOES.items():
        assert {operations[name][0] for name in names} <= {"POST", "PUT", "PATCH", "DELETE"}, page
    for page, names in SHOWS.items():
        assert {operations[name][0] for name in names} == {"GET"}, page


def test_a_token_that_may_give_a_role_may_do_what_its_pages_do_and_show(routes, operations):
    """So somebody whom a program makes a member can do no more than the program (web/api/giving.py)."""
    for role, scopes in SCOPES_OF.items():
        has = scopes | {one.replace("write:", "read:") for one in scopes}
        looks = role is Role.AUDITOR
        for route in routes:
            if route["name"] in FOR_PEOPLE or not (looks or role in route["roles"]):
                continue
            wanted = [*SHOWS.get(route["name"], ()), *(() if looks else DOES.get(route["name"], ()))]
            for name in wanted:
                assert has & set(operations[name][1]), (role, route["name"], name)
