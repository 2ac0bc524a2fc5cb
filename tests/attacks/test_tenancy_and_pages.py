"""Attacks 27 to 34: another organisation's things, and the pages (promises W1, L2).

Deeper: tests/web/test_every_route.py, which tries every route of the URL map; the rest of tests/web, tests/ledger/test_append_only.py, tests/chargeback/test_csv.py, tests/gateway/test_spend_tokens.py.
"""

import csv
import io
import json
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest

from gateway.backend import Backend
from gateway.calls import CHAT, ask, body_of, new_id
from product import Product
from visionality.postgres import read_endpoint
from visionality.runtime.clock import utc_now
from web.browsing import Browser

HURTFUL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
FORMULAS = ["=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(1)", "\uff1d1", " =1", '"=1']
BEFORE_SIGN_IN = ["vis.orgs_v1", "vis.org_revisions", "vis_control.login_link"]
"""What names organisations and nothing that is theirs: there is none to be set before it was read."""
NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?")


@dataclass
class Second(Product):
    """The same product as its second organisation runs it."""

    def try_run(self, *words: str, stdin: str = ""):
        return super().try_run(*words, "--org", "second", stdin=stdin)


@pytest.fixture(scope="module")
def second(product) -> Second:
    """Made in the database, since no command makes one."""
    product.query(
        """insert into vis_control.organisation
           select (jsonb_populate_record(o, jsonb_build_object('id', gen_random_uuid(), 'slug', 'second', 'name', 'Second'))).*
             from vis_control.organisation o where slug = 'default' returning id"""
    )
    other = Second(product.data_dir, product.process, product.summary, product.environment)
    other.run("project", "add", "SECRET", "--name", "Takeover")
    other.run("agent", "add", "mallory@second", "--owner", "Mallory")
    return other


@pytest.fixture(scope="module")
def theirs(second) -> Backend:
    backend = Backend.registered(second, "their-service")
    backend.caller = "svc:theirs"
    return backend


@pytest.fixture(scope="module")
def their_key(theirs) -> dict[str, str]:
    words = ("--scope", "call", "--scope", "mint", "--level", "3")
    return theirs.issue(*words, agent="mallory@second", project="SECRET")


@pytest.fixture(scope="module")
def their_row(theirs, their_key) -> dict:
    call_id = new_id()
    assert theirs.post(their_key["handle"], call_id=call_id).status == 200
    return theirs.row_of(call_id)


@pytest.fixture(scope="module")
def page(product) -> Browser:
    link = urlsplit(product.run("login").strip())
    browser = Browser(link.port)
    browser.get(link.path)
    return browser


@pytest.mark.attack(27)
def test_another_organisations_ids_are_not_there(product, second, page, their_row, their_key, theirs, seen):
    for found in (their_row["id"], their_row["request_id"]):
        answer, nothing = page.get(f"/rows/{found}"), page.get(f"/rows/{uuid4()}")
        assert (answer.status, len(answer.text)) == (nothing.status, len(nothing.text))
        assert answer.status == 404
    ledger = page.get("/?project=SECRET").text + page.get("/rows?agent=mallory@second").text
    assert "Takeover" not in ledger + page.get("/").text
    assert str(their_row["id"]) not in ledger
    words = [
        ("key", "revoke", their_key["id"], "--reason", "x"),
        ("key", "rotate", their_key["id"], "--reason", "x"),
        ("binding-key", "revoke", theirs.key_id, "--reason", "x"),
        ("binding-key", "rotate", "their-service", "--reason", "x"),
        ("ledger", "show", str(their_row["id"])),
        ("key", "issue", "--agent", "mallory@second"),
        ("floor", "set", "project:SECRET", "0"),
    ]
    for sentence in words:
        assert product.try_run(*sentence).returncode != 0, sentence
    assert theirs.post(their_key["handle"]).status == 200
    seen(f"2 pages and their filters as for ids of nobody, {len(words)} commands refused")


@pytest.mark.attack(10)
def test_another_organisations_binding_key_and_names_are_nobodys_here(
    backend, theirs, their_key, bound, seen
):
    for change in ({"key": theirs.key, "key_id": theirs.key_id}, {"key": theirs.key}):
        assert backend.post(bound["handle"], **change).header("x-acc-error") == "binding_invalid"
        assert theirs.post(their_key["handle"], key=backend.key, key_id=backend.key_id).status == 401
    for wanted in ({"project_id": "SECRET"}, {"customer_id": "their-customer"}):
        assert backend.mint(bound["handle"], **wanted).status in {400, 403}
    seen("another organisation's binding key: 401")


@pytest.mark.attack(28)
def test_a_role_sees_the_organisation_that_was_set_and_no_other(product, second, their_row, seen):
    """Every table and view that a scoped role may read: with one organisation set, with a strange one, with none.

    But what is read to learn which organisation is meant: their names, and the hashes of sign-in links.
    """
    orgs = {row["slug"]: row["id"] for row in product.query("select id, slug from vis_control.organisation")}
    endpoint, looked = read_endpoint(product.data_dir), 0
    foreign_rows: list[tuple[str, str]] = []
    for role in ("vis_web", "vis_reader"):
        password = (product.data_dir / "secrets" / f"{role}.password").read_text().strip()
        dsn = psycopg.conninfo.make_conninfo(endpoint.dsn("vis"), user=role, password=password)
        with psycopg.connect(dsn) as connection:
            tables = connection.execute(
                """select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
                    where a.attname = 'org_id' and c.relkind in ('r','p','v') and not c.relispartition
                      and c.relnamespace::regnamespace::text like 'vis%%' and c.oid::regclass::text <> all(%s) and has_table_privilege(c.oid, 'select')""",
                [BEFORE_SIGN_IN],
            ).fetchall()
            assert ("vis.request_logs",) in tables
            for (table,) in tables:
                for org in (orgs["default"], uuid4(), None):
                    connection.execute("select set_config('vis.org_id', %s, false)", [str(org or "")])
                    (foreign,) = connection.execute(
                        f"select count(*) from {table} where org_id is distinct from %s", [org]
                    ).fetchone()
                    foreign_rows += [(role, table)] * bool(foreign)
                    looked += 1
    assert foreign_rows == []
    roles = product.query(
        "select rolname from pg_roles where rolname like 'vis%' and (rolbypassrls or rolsuper)"
    )
    assert {row["rolname"] for row in roles} <= {"vis_super"}
    seen(
        f"{looked} looks of two roles into every table and view but the lists of organisations and the hashes of sign-in "
        "links: no row of another organisation"
    )


@pytest.mark.attack(29)
def test_another_site_changes_nothing_and_frames_nothing(page, seen):
    shown = page.get("/")
    assert shown.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', shown.text)[1]
    evil = {"origin": "https://evil.example", "referer": "https://evil.example/"}
    sent = [
        page._ask("POST", "/logout", b"", {}),
        page._ask(
            "POST", "/logout", b"csrfmiddlewaretoken=x", {"content-type": "application/x-www-form-urlencoded"}
        ),
        page._ask("POST", "/logout", b'{"csrfmiddlewaretoken":"x"}', {"content-type": "text/plain"}),
        page._ask(
            "POST",
            "/logout",
            f"csrfmiddlewaretoken={token}".encode(),
            evil | {"content-type": "application/x-www-form-urlencoded"},
        ),
        page.get("/logout"),
    ]
    assert {answer.status for answer in sent} <= {403, 405}
    assert page.get("/").status == 200
    seen("5 ways to sign out from another site: 403, 405; frame-ancestors 'none'")


@pytest.mark.attack(30)
def test_markup_in_any_text_is_text(product, page, seen):
    product.run("project", "add", "XSS", "--name", HURTFUL)
    product.run("agent", "add", "xss@arctrade", "--owner", HURTFUL)
    refused = product.try_run("key", "issue", "--agent", "xss@arctrade", "--url", "javascript:alert(1)")
    assert refused.returncode != 0
    words = ("--memo", HURTFUL, "--task", "T<b>", "--task-class", "c<b>")
    key = product.issue(*words, agent="xss@arctrade", project="XSS")
    call_id = f"<script>{new_id()}"
    headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
    headers += [("user-agent", HURTFUL), ("x-client-request-id", call_id)]
    body = body_of(CHAT, model="gpt-4o<script>", user=HURTFUL, metadata={"a": HURTFUL})
    assert ask(product.gateway, "POST", CHAT, headers, body).status < 500
    product.until(lambda: product.query("select 1 from vis.request_logs where agent_sub = 'xss@arctrade'"))
    (row,) = product.query(
        "select id from vis.request_logs where agent_sub = 'xss@arctrade' and model_requested is not null limit 1"
    )
    pages = [
        page.get("/"),
        page.get("/rows"),
        page.get(f"/rows/{row['id']}"),
        page.get("/?project=" + "%3Cscript%3E"),
    ]
    for shown in pages:
        assert shown.status == 200
        assert "<script>alert" not in shown.text
        assert "<img src=x" not in shown.text
        assert "gpt-4o<script>" not in shown.text
        policy = shown.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src" in policy
    assert "&lt;script&gt;" in pages[2].text
    seen(
        f"{len(pages)} pages with markup in 8 texts: shown as text; javascript: refused when the key is issued"
    )


@pytest.mark.attack(31)
def test_no_cell_is_a_formula_and_every_number_is_one(product, tmp_path, seen):
    """In what finance opens; `vis ledger export` has every byte as it is, for machines."""
    for number, text in enumerate(FORMULAS):
        product.run("project", "add", f"CSV{number}", "--name", text, "--gl-code", text)
    key = product.issue("--memo", FORMULAS[0], "--task", FORMULAS[1], project="CSV0")
    headers = [("authorization", f"Bearer {key}"), ("user-agent", "@SUM(1)"), ("x-client-request-id", "-1+1")]
    assert ask(product.gateway, "POST", CHAT, headers, body_of(CHAT)).status == 200
    product.until(lambda: product.rows_of("-1+1"))
    month = f"{utc_now():%Y-%m}"
    file = tmp_path / "chargeback.csv"
    product.run("chargeback", "--month", month, "--include-sandbox", "-o", str(file))
    by = tmp_path / "cost-centers.csv"
    product.run("chargeback", "--by", "cost-center", "--month", month, "--include-sandbox", "-o", str(by))
    cells = 0
    for written in (file, by):
        for row in csv.reader(io.StringIO(written.read_text(encoding="utf-8-sig"))):
            for cell in row:
                cells += 1
                if cell.lstrip(' "')[:1] in set("=+-@\t\r\n\0\uff1d\uff0b\uff0d\uff20") - {""}:
                    assert NUMBER.fullmatch(cell), (written.name, cell)
                assert not re.fullmatch(r"'-?\d+\.\d+", cell), (written.name, cell)
    seen(f"{cells} cells of both files of finance: texts guarded, numbers plain")


@pytest.mark.attack(32)
def test_a_session_is_the_servers_to_give_and_to_end(product, seen):
    link = urlsplit(product.run("login").strip())
    browser = Browser(link.port, {"vis_session": "a" * 32, "vis_csrf": "b" * 32})
    assert browser.get("/").status == 302
    signed_in = browser.get(link.path)
    assert browser.cookies["vis_session"] != "a" * 32
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert browser.get(link.path).status == 410
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get("/").text)[1]
    stolen = Browser(link.port, dict(browser.cookies))
    assert stolen.get("/").status == 200
    assert browser.post("/logout", csrfmiddlewaretoken=token).status == 302
    assert stolen.get("/").status == 302
    seen("a planted session is replaced, a link works once, after signing out the stolen cookie is nobody's")


@pytest.mark.attack(33)
def test_nothing_is_assigned_that_was_not_asked_for(product, backend, bound, seen):
    fields = [{"org": "second"}, {"org_id": str(uuid4())}, {"role": "admin"}, {"price": "0"}, {"jti": "mine"}]
    fields += [
        {"scp": ["mint"]},
        {"exp": 2**40},
        {"__proto__": {}},
        {"cap": "1"},
        {"key_id": "x"},
        {"par": None},
    ]
    for more in fields:
        assert backend.mint(bound["handle"], **more).error["code"] == "bad_request", more
    absurd = [
        ("allocation", "set", "customer:houston-power", "--markup", "-1"),
        ("allocation", "set", "customer:houston-power", "--markup", "NaN"),
        ("budget", "set", "org", "--cap=-5/month"),
        ("budget", "set", "org", "--cap", "5EUR/month"),
        ("price", "set", "openai", "gpt-4o", "--input=-1", "--output", "1", "--yes"),
    ]
    for words in absurd:
        assert product.try_run(*words).returncode != 0, words
    seen(f"{len(fields)} unknown fields: 400; {len(absurd)} absurd amounts refused")


@pytest.mark.attack(34)
def test_a_page_leads_to_pages_of_here_only(product, seen):
    link, tried = urlsplit(product.run("login").strip()), 0
    for aim in ("https://evil.example", "//evil.example", "/\\evil.example", "https:evil.example"):
        browser = Browser(link.port)
        for path in ("/", "/login", link.path if not tried else "/login/x", "/logout"):
            location = browser.get(f"{path}?next={aim}").headers.get("location", "/")
            assert location.startswith("/"), (path, location)
            assert not location.startswith(("//", "/\\"))
            assert "evil" not in urlsplit(location).path
            for after in parse_qs(urlsplit(location).query).get("next", []):
                assert after.startswith("/"), (path, location)
                assert not after.startswith(("//", "/\\")), (path, location)
            tried += 1
    browser = Browser(link.port)
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost@evil.example"):
        assert browser.get("/login", host=host).status == 400, host
    assert json.dumps(browser.get("//evil.example/%2f..").headers.get("location", "")).find("evil") == -1
    seen(f"{tried} ways to say where to go next: all stay; foreign hosts 400")
