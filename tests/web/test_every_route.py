"""Isolation of every page, generated from the URL map: a new route is tried by being there (attacks 27, 29, 33).

Each is for somebody or open to all; each lets in exactly those that it is for; each answers another organisation's ids as it
answers those of nothing; none is changed by another site. A route with something new in its address fails here until `KINDS`
says where an id of that kind comes from.
"""

import json
import re
from itertools import chain, combinations
from urllib.parse import quote_plus, urlencode
from uuid import UUID, uuid4

import pytest

from contracts.control import insert as insert_row
from contracts.control import rows_of
from ledger.rows import insert as insert_event
from ledger.rows import smallest
from visionality.ledger.administration import append_admin_event
from visionality.runtime.clock import utc_now
from visionality.web.accounts.roles import Role
from web.rows import call
from web.test_signing_in import token_of

SAFE = {"GET", "HEAD", "OPTIONS"}
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
FOR_PROGRAMS = "/api/"
"""They show a token and no cookie; tests/web of the API tries theirs."""
SIGNED_OTHERWISE = {"hook"}
"""Open routes that a program calls: it proves itself by a signature of the body."""

KINDS = {
    "row_id": ("vis.request_logs", "id"),
    "event_id": ("vis.admin_events", "id"),
    "connector_id": ("vis_control.connector", "id"),
    "person_id": ("vis_control.person", "id"),
    "key_id": ("vis_control.virtual_key", "id"),
    "agent_id": ("vis_control.agent_identity", "id"),
    "agent_sub": ("vis_control.agent_identity", "sub"),
    "agent": ("vis_control.agent_identity", "sub"),
    "sso_sub": ("vis_control.person", "sso_sub"),
    "project_id": ("vis_control.project", "id"),
    "project": ("vis_control.project", "key"),
    "team": ("vis_control.team", "key"),
    "customer": ("vis_control.end_customer", "key"),
    "key": ("vis_control.project", "key"),
    "budget_id": ("vis_control.budget", "id"),
    "hint_id": ("vis_control.model_hint", "id"),
    "limit_id": ("vis_control.rate_limit", "id"),
    "channel_id": ("vis_control.alert_channel", "id"),
    "service": ("vis_control.service", "key"),
    "service_id": ("vis_control.service", "id"),
    "binding_key_id": ("vis_control.binding_key", "id"),
    "signing_key_id": ("vis_control.signing_key", "id"),
    "token_id": ("vis_control.service_token", "id"),
    "request_id": ("vis_control.floor_request", "id"),
    "order_id": ("vis_control.correction_order", "id"),
    "version": ("vis_control.mapping_file", "version"),
    "sub": ("vis_control.agent_identity", "sub"),
    "name": ("vis_control.connector", "name"),
    "alert_id": ("vis.alerts", "alert_id"),
    "pack_id": ("vis.evidence_packs", "pack_id"),
}
"""What varies in an address: a table and the column that it is of."""
OF_AN_ACCOUNT = {"pk"}
"""Passkeys are somebody's and no organisation's: tests/web/accounts tries another person's."""
OWNER = "Theirs T."
FILTERED = {
    "ledger",
    "changes",
    "finance",
    "chargeback",
    "audit",
    "audit_file",
    "people",
    "keys",
    "projects",
    "security",
}
"""Routes that each of the filters is tried at by itself; at all others they are tried together."""
SAMPLES = {"int": lambda: "7", "uuid": lambda: str(uuid4())}


@pytest.fixture(scope="module")
def routes(plane):
    found = plane.tell("routes")
    print(f"\n{len(found)} routes of the web plane")
    return found


def handed_out(org_id):
    """A pack that is kept."""
    summary = {"controls": [], "limits": [], "totals": {}, "has_previous": False}
    row = smallest("evidence_packs", org_id, utc_now())
    return row | {"envelope": b"{}", "summary": json.dumps(summary)}


@pytest.fixture
def theirs(new_office):
    """Another organisation with one of everything."""
    office = new_office()
    slug = f"theirs-{office.org_id.hex}"
    office.write(call(project_id=slug, agent_owner=OWNER))
    with office.plane.database.as_role("vis_web", office.org_id) as connection, connection.cursor() as cursor:
        for table, row in rows_of(office.org_id, slug).items():
            if table != "organisation":
                insert_row(connection, table, row)
        cursor.execute(
            """insert into vis_control.connector (id, org_id, name, kind, base_url, scope, account, ca_bundle, enabled, made_at)
               values (%s, %s, %s, 'github', '', '{}', '', '', true, now())""",
            [uuid4(), office.org_id, slug],
        )
        append_admin_event(cursor, office.org_id, utc_now(), "project_added", "theirs", {"project": slug})
        insert_event(connection, "evidence_packs", handed_out(office.org_id))
    with office.plane.database.as_role("vis_jobs", office.org_id) as connection:
        connection.execute(
            """insert into vis.alerts (org_id, alert_id, created_at, kind, subject_id, mark, scope, title, body, detail)
               values (%s, %s, now(), 'soft_cap', %s, 60, 'theirs', 'theirs', 'theirs', '{}')""",
            [office.org_id, uuid4(), uuid4()],
        )
    return office


def ids_of(office, name):
    """An id of this kind that is theirs, and one of nothing that has its shape."""
    assert name in KINDS, (
        f"<{name}> is new in an address: say in KINDS which table and column such an id is of"
    )
    table, column = KINDS[name]
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        (real,) = connection.execute(
            f"select {column} from {table} where org_id = %s limit 1", [office.org_id]
        ).fetchone()
    if isinstance(real, int):
        return str(real), "999"
    return str(real), str(uuid4()) if isinstance(real, UUID) else f"nothing-{uuid4().hex}"


def filled(route, ids):
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: ids[found[1]], route["address"])


def invented(route):
    """The address with something of its shape in each place."""
    address = (
        re.sub(r"\(\?P<\w+>[^)]*\)", lambda _: uuid4().hex, route["address"])
        .replace("^", "")
        .replace("$", "")
    )
    return re.sub(r"<(?:(\w+):)?\w+>", lambda found: SAMPLES.get(found[1], lambda: uuid4().hex)(), address)


def normal(text, ids):
    """A page without what differs at each look, and without the ids that it was asked for."""
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)
    for one in sorted(ids.values(), key=len, reverse=True):
        text = re.sub(f"{re.escape(one)}|{re.escape(quote_plus(one))}", "ID", text)
    return text


def kept_by(office):
    """What stands in every control table of an organisation."""
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        tables = connection.execute(
            """select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
                where c.relkind = 'r' and c.relnamespace = 'vis_control'::regnamespace and has_table_privilege(c.oid, 'select')"""
        ).fetchall()
        return {
            table: connection.execute(
                f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t where org_id = %s",
                [office.org_id],
            ).fetchone()
            for (table,) in tables
            if table != "vis_control.login_link"
        }


def test_every_route_says_for_whom_it_is(routes):
    said = [route["address"] for route in routes if not route["is_open"] and not route["roles"]]
    assert said == [], "mark the view with @for_roles(...) or @open_to_all"
    names = [route["name"] for route in routes]
    assert "" not in names


def test_every_set_of_roles_is_let_in_where_the_view_says_and_nowhere_else(plane, routes):
    every = list(chain.from_iterable(combinations(Role, size) for size in (1, 2)))
    for roles in every:
        admitted = {tuple(one) for one in plane.tell("admitted", *roles)}
        for route in routes:
            for method in (*SAFE, *UNSAFE):
                asked = set(roles) - ({"auditor"} if method not in SAFE else set())
                wanted = {*route["roles"], "operator"} - ({"auditor"} if method not in SAFE else set())
                wanted |= {"auditor"} if method in SAFE else set()
                expected = route["is_open"] or bool(asked & wanted)
                assert ((route["address"], method) in admitted) == expected, (roles, route["address"], method)
    print(f"\n{len(every)} sets of roles × {len(routes)} routes × {len(SAFE) + len(UNSAFE)} methods")


def test_another_organisations_ids_are_answered_like_ids_of_nothing(routes, theirs, office):
    before, tried = kept_by(theirs), 0
    token = token_of(office.browser.get("/").text)
    for route in routes:
        if route["is_open"] or not route["varies"] or OF_AN_ACCOUNT & set(route["varies"]):
            continue
        both = {name: ids_of(theirs, name) for name in route["varies"]}
        real, nothing = ({name: pair[place] for name, pair in both.items()} for place in (0, 1))
        for method in ("GET", "HEAD", *UNSAFE):
            answers = []
            for ids in (real, nothing):
                body = f"csrfmiddlewaretoken={token}&reason=test".encode() if method in UNSAFE else None
                headers = {"content-type": "application/x-www-form-urlencoded", "x-csrftoken": token}
                found = office.browser._ask(method, filled(route, ids), body, headers)
                answers.append((found.status, found.headers.get("location"), normal(found.text, ids)))
            assert answers[0] == answers[1], (route["address"], method)
            may_be = {404, 405} if not (answers[0][1] or "").startswith("/confirm") else {302}
            assert answers[0][0] in may_be, (route["address"], method, answers[0][0])
            assert "theirs-" not in answers[0][2]
            tried += 1
        assert theirs.browser.get(filled(route, real)).status != 404 or route["name"].startswith("api"), (
            f"{route['address']}: what KINDS gives for it is there for nobody, so nothing was tried"
        )
    assert kept_by(theirs) == before
    print(f"\n{tried} requests with ids of another organisation")
    assert tried


def test_another_organisations_names_in_a_filter_are_answered_like_names_of_nothing(routes, theirs, office):
    asked = ("project", "customer", "team", "agent", "key_id", "sso_sub", "row_id", "budget_id", "service")
    both = {name: ids_of(theirs, name) for name in asked}
    real, nothing = ({name: pair[place] for name, pair in both.items()} for place in (0, 1))
    one_by_one = [{param: name} for name in asked for param in {name.removesuffix("_id"), "subject"}]
    together = {name.removesuffix("_id"): name for name in asked}
    for route in routes:
        if route["is_open"] or route["varies"] or route["name"] == "logout":
            continue
        for params in one_by_one if route["name"] in FILTERED else [together, {"project": "project"}]:
            first, second = (
                office.browser.get(
                    f"{route['address']}?{urlencode({param: ids[name] for param, name in params.items()})}"
                )
                for ids in (real, nothing)
            )
            assert first.status == second.status, (route["address"], params)
            assert OWNER not in first.text
            if first.headers.get("content-type", "").startswith("text/html"):
                either = real | {
                    f"no {name}": value for name, value in nothing.items()
                }  # exports are events that name both
                assert normal(first.text, either) == normal(second.text, either), (route["address"], params)


def test_no_route_is_changed_by_another_site(routes, office):
    """Without the form's token every unsafe method is refused before anything else; programs prove themselves otherwise."""
    tried = 0
    for route in routes:
        is_for_programs = route["address"].startswith(FOR_PROGRAMS) or route["name"] in SIGNED_OTHERWISE
        assert route["is_exempt"] == is_for_programs, route["address"]
        assert not is_for_programs or route["is_open"]
        address = invented(route)
        for method in UNSAFE:
            for body, content_type in (
                (b"reason=x", "application/x-www-form-urlencoded"),
                (b'{"reason":"x"}', "text/plain"),
            ):
                answer = office.browser._ask(method, address, body, {"content-type": content_type})
                if is_for_programs:
                    assert answer.status in {401, 404, 405, 415}, (address, method, answer.status)
                else:
                    assert answer.status == 403, (address, method, answer.status)
                tried += 1
    print(f"\n{tried} forged requests")


def test_every_page_answers_its_operator_under_the_same_strict_headers(routes, office):
    for route in routes:
        if route["varies"] or route["name"] == "logout":
            continue
        answer = office.browser.get(route["address"])
        assert answer.status < 500, route["address"]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in answer.headers["cache-control"]
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", answer.text), route[
                "address"
            ]
            assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text), route["address"]
