"""Attack 16: the attacker has all that a stolen dashboard, its logs and a read replica hold, and spends nothing (promise K4).

What they do not have is the master key, and the memory of the customer's backend.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest

from attacks.attacker import knocking, logs
from gateway.backend import Backend
from gateway.calls import CHAT, WITHIN, ask, body_of, new_id
from product import Product
from visionality.postgres import read_endpoint
from web.browsing import Browser

ADDRESSES = """
import json
from visionality.web.app import load
load()
from django.urls import URLResolver, get_resolver

def walk(patterns, before=""):
    for one in patterns:
        path = before + str(one.pattern)
        yield from walk(one.url_patterns, path) if isinstance(one, URLResolver) else [path]

print(json.dumps(list(walk(get_resolver().url_patterns))))
"""
SAMPLES = {"uuid": "01991d3a-0000-7000-8000-000000000000", "str": "x", "int": "1", "slug": "x", "path": "x"}
CREDENTIAL = re.compile(r"[A-Za-z0-9_\-.+/=:]{16,4096}")
SOME = 100
STATEFUL = ("django_session", "login_link")
"""What looking at pages may move."""


@pytest.fixture(scope="module")
def loot(product, backend, bound, bearer) -> dict[str, str]:
    """Every table as text, by its name, and every log; after calls of all kinds, so that there is something in them."""
    token = backend.minted(bound["handle"], cap_usd="5")
    for one in (bound["handle"], bound["envelope"], token):
        assert backend.post(one).status == 200
        assert backend.post(one, proof=None).status == 401
        assert backend.post(one, key=os.urandom(32)).status == 401
    assert backend.code(bearer["handle"]) == backend.code(bearer["envelope"]) == ""
    assert backend.code(bearer["envelope"][:-1] + "!") == "spend_token_malformed"
    call_id = new_id()
    backend.post(token, call_id=call_id)
    backend.row_of(call_id)
    return _tables(product) | logs(product)


def _tables(product: Product) -> dict[str, str]:
    found = {}
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_schema like 'vis%'"
        ).fetchall()
        for schema, name in names:
            rows = connection.execute(f'select to_jsonb(t)::text from {schema}."{name}" t').fetchall()
            found[f"{schema}.{name}"] = "\n".join(row for (row,) in rows)
    return found


@pytest.fixture(scope="module")
def cookies(product) -> Browser:
    """The operator's browser: signed in by the link that the start printed, with every cookie."""
    link = urlsplit(product.summary["login"])
    browser = Browser(link.port)
    browser.get(link.path)
    assert browser.get("/").status == 200
    return browser


@pytest.mark.attack(16)
def test_nothing_that_was_found_is_a_credential(product, loot, cookies, seen):
    text = "\n".join([*loot.values(), *cookies.cookies.values(), product.summary["login"]])
    found = set(CREDENTIAL.findall(text)) | set(re.findall(r"[A-Za-z0-9_\-]{20,}", text))
    found |= {one.removeprefix("\\\\x").removeprefix("x") for one in found}
    answers: Counter[str] = Counter()
    with knocking(product.gateway) as door:
        for one in sorted(found):
            status, code = door.knock(one)
            assert status == 401, (code, one[:12])
            answers[code] += 1
    assert answers["spend_token_malformed"] > 100
    seen(f"{len(found):,} strings out of tables, logs and cookies tried as credentials: {dict(answers)}")


@pytest.mark.attack(16)
def test_no_token_and_no_key_stands_in_tables_or_logs(loot, bound, bearer, backend, seen):
    secrets = {bound["handle"], bound["envelope"], bearer["handle"], bearer["envelope"]}
    signatures = {one[-90:-7] for one in secrets if one.startswith("vis2_")}
    for name, text in loot.items():
        assert not [one for one in secrets | signatures if one in text], name
        assert backend.key.hex() not in text, name
        assert not re.search(r"vis2_(live|test)_[A-Za-z0-9_-]{180}", text), name
        assert not re.search(r"visk_(live|test)_[0-9A-Za-z]{38}", text), name
        assert "visb_" not in text, name
    seen(f"{len(loot)} tables and logs: no handle, envelope, spend token or binding key")


@pytest.mark.attack(16)
def test_even_with_the_leaked_token_nothing_found_signs_for_it(backend, bound, loot, seen):
    """The attacker has the handle and the envelope too, and tries what the dump has in 32 bytes as the binding key.

    All of what was decided; of the ledger's own many hashes, some.
    """
    decided = {
        blob for name, text in loot.items() if name.startswith("vis_control.") for blob in _blobs(text)
    }
    others = {
        blob for name, text in loot.items() if not name.startswith("vis_control.") for blob in _blobs(text)
    }
    blobs = decided | set(sorted(others)[:SOME])
    keys = (
        {blob[:32] for blob in blobs} | {blob[-32:] for blob in blobs} | {sha256(b).digest() for b in blobs}
    )
    keys |= {blob[66:98] for blob in blobs if len(blob) == 114} | {bytes(32)}
    assert backend.key not in keys
    answers = Counter(
        backend.post(bound[form], key=key).header("x-acc-error")
        for form in ("handle", "envelope")
        for key in sorted(keys)
    )
    assert set(answers) == {"binding_invalid"}
    assert backend.post(bound["handle"], proof=None).status == 401
    assert backend.mint(bound["handle"], proof=None).status == 401
    seen(f"{len(keys)} candidates for the binding key out of the dump: 401 binding_invalid")


def _blobs(text: str) -> set[bytes]:
    """What is written in hex, of 32 bytes and more."""
    found = re.findall(r"\\\\x((?:[0-9a-f]{2}){32,})", text) + re.findall(r"\b[0-9a-f]{64}\b", text)
    return {bytes.fromhex(one) for one in found}


@pytest.mark.attack(16)
def test_no_page_mints_raises_a_cap_or_lowers_a_floor(product, backend, bound, cookies, seen):
    """What a form with all that it wants asks besides, once a session is ten minutes old: web/accounts/test_step_up.py."""
    addresses = _addresses()
    assert {"", "rows", "logout"} <= set(addresses)
    before = _decided(product)
    tried = 0
    token = cookies.cookies.get("vis_csrf", "")
    fields = {"csrfmiddlewaretoken": token, "cap": "999999", "level": "0", "floor": "0", "action": "issue"}
    page = cookies.get("/").text
    if form := re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page):
        fields["csrfmiddlewaretoken"] = form[1]
    for address in addresses:
        path = "/" + re.sub(r"<(\w+):\w+>", lambda found: SAMPLES[found[1]], address)
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            kept = dict(cookies.cookies)
            status = _sent(cookies, method, path, fields)
            tried += 1
            refusals = (
                {401, 405} if path.startswith(("/api/", "/hooks/")) else {302, 403, 404, 405, 422}
            )  # no cookie is a token or a signature; 422 is a form that says nothing
            assert status in refusals, (method, path, status)
            cookies.cookies = kept
        if path == "/logout":
            link = urlsplit(product.run("login").strip())
            cookies.get(link.path)
    for path in ("/binding-keys", "/api", "/admin", "/graphql"):
        assert cookies.get(path).status == 404
        assert cookies.post(path, **fields).status in {403, 404}
    assert _decided(product) == before
    assert backend.post(bound["handle"], proof=None).status == 401
    for name, value in cookies.cookies.items():
        reply = ask(
            product.gateway,
            "POST",
            "/spend-tokens",
            [("cookie", f"{name}={value}"), ("authorization", f"Bearer {value}")],
            json.dumps({"cap_usd": "1"}).encode(),
        )
        assert reply.status == 401
    seen(f"{len(addresses)} addresses of the pages, {tried} attempts to change something: nothing moved")


def _sent(browser: Browser, method: str, path: str, fields: dict[str, str]) -> int:
    connection = HTTPConnection("127.0.0.1", browser.port, timeout=WITHIN)
    jar = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    headers = {"cookie": jar, "content-type": "application/x-www-form-urlencoded"}
    try:
        connection.request(method, path, urlencode(fields), headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    finally:
        connection.close()


def _decided(product: Product) -> dict[str, str]:
    return {
        name: "\n".join(sorted(text.splitlines()))
        for name, text in _tables(product).items()
        if name.startswith("vis_control.") and not name.endswith(STATEFUL)
    }


def _addresses() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", ADDRESSES], capture_output=True, text=True, check=True, timeout=WITHIN
    )
    return json.loads(done.stdout)


@pytest.mark.attack(16)
def test_a_role_that_reads_cannot_write_a_grant(product, seen):
    """The read replica's roles, were they let at the primary."""
    endpoint = read_endpoint(product.data_dir)
    refused = 0
    for role in ("vis_reader", "vis_auditor"):
        password = (product.data_dir / "secrets" / f"{role}.password").read_text().strip()
        dsn = psycopg.conninfo.make_conninfo(endpoint.dsn("vis"), user=role, password=password)
        for sentence in (
            "update vis_control.virtual_key set level = 0, revoked_at = null",
            "update vis_control.organisation set level_floor = 0",
            "update vis_control.budget set cap_nusd = 10^15",
            "insert into vis_control.binding_key select * from vis_control.binding_key",
            "delete from vis.nonces",
            "update vis_control.binding_key set sealed = sealed",
        ):
            with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sentence)
            refused += 1
    seen(f"{refused} writes of the reading roles refused")


@pytest.mark.attack(16)
def test_a_backend_of_the_attackers_own_is_not_the_keys(product, backend, bound, seen):
    """Who can register a service has the machine; even then another service's key proves nothing for this one."""
    own = Backend.registered(product, "the-attackers")
    own.issue()
    own.aud = backend.aud
    body = body_of(CHAT)
    proof = own.signed(CHAT, body, bound["handle"])
    assert own.post(bound["handle"], body=body, proof=proof).status == 401
    assert own.mint(bound["handle"]).status == 401
    seen("another service's key: 401")
