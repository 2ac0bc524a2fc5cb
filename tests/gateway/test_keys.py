"""Promise G4: one virtual key wherever the SDK puts it; anything else is refused at once, and no key is ever kept."""

import os
import stat
from pathlib import Path

import anthropic
import openai
import psycopg
import pytest

from gateway.calls import CHAT, CLAUDE, GPT, MESSAGES, Caller, ask, body_of, new_id
from visionality.core.handle import from_entropy
from visionality.postgres import read_endpoint

HEADERS = ["x-api-key", "api-key", "x-goog-api-key", "authorization"]
ONE = [{"role": "user", "content": "hi"}]
REVOKED_WITHIN = 2


def carried(name: str, key: str) -> tuple[str, str]:
    return (name, f"Bearer {key}" if name == "authorization" else key)


def post(caller: Caller, path: str, *credentials: tuple[str, str], call_id: str = ""):
    headers = [*credentials, ("anthropic-version", "2023-06-01"), ("x-client-request-id", call_id)]
    return ask(caller.product.gateway, "POST", path, headers, body_of(path))


def rows(caller: Caller) -> int:
    return caller.product.query("select count(*) as n from vis.request_logs")[0]["n"]


@pytest.fixture(scope="module")
def revoked(product) -> Caller:
    key = product.issue("--task", "HPC-9", "--memo", "gone")
    (found,) = product.query("select id from vis_control.virtual_key where memo = 'gone'")
    assert "is revoked" in product.run("key", "revoke", str(found["id"]))
    product.until(lambda: product.status(key) == 401, within=REVOKED_WITHIN)
    return Caller(product, key)


@pytest.fixture(scope="module")
def expired(product) -> Caller:
    key = product.issue("--memo", "late", "--expires", "1m")
    product.query(
        "update vis_control.virtual_key set expires_at = now() - interval '1 second' where memo = 'late' returning 1"
    )
    product.until(lambda: product.status(key) == 401, within=REVOKED_WITHIN)
    return Caller(product, key)


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_the_key_is_found_in_each_header_that_sdks_use(caller, path, name):
    assert post(caller, path, carried(name, caller.key), call_id=(call_id := new_id())).status == 200
    assert caller.row(call_id)["agent_sub"] == "alice@arctrade"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_is_read_as_http_reads_it(caller, scheme):
    assert post(caller, CHAT, ("authorization", f"{scheme} {caller.key} ")).status == 200


def test_the_same_key_in_every_place_is_one_key(caller):
    assert post(caller, MESSAGES, *[carried(name, caller.key) for name in HEADERS]).status == 200


@pytest.mark.parametrize("first", HEADERS)
def test_two_different_keys_are_refused(caller, first):
    second = HEADERS[HEADERS.index(first) - 1]
    before = rows(caller)
    reply = post(caller, CHAT, carried(first, caller.key), carried(second, from_entropy(os.urandom(32))))
    assert (reply.status, reply.error["code"]) == (400, "multiple_credentials")
    assert rows(caller) == before


NO_KEYS = {
    "spend_token_missing": [
        (),
        (("x-api-key", ""),),
        (("authorization", "Basic dXNlcjpwYXNz"),),
        (("authorization", "Bearer"),),
    ],
    "spend_token_malformed": [
        (("x-api-key", "sk-ant-api03-of-somebody"),),
        (("x-api-key", from_entropy(b"1" * 32)[:-1] + "_"),),
        (("x-api-key", from_entropy(b"1" * 32) + "0"),),
        (("authorization", "Bearer " + "v" * 20_000),),
        (("x-api-key", "vis2_live_header.payload.signature"),),
    ],
    "spend_token_invalid": [
        (("x-api-key", from_entropy(b"1" * 32)),),
        (("authorization", "Bearer " + from_entropy(b"2" * 32, "test")),),
    ],
}


@pytest.mark.parametrize(
    ("code", "credentials"), [(code, sent) for code, each in NO_KEYS.items() for sent in each]
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_stranger_is_refused_without_a_row_and_without_an_echo(caller, path, code, credentials):
    before, seen = rows(caller), len(caller.seen_ids())
    reply = post(caller, path, *credentials, call_id=new_id())
    assert (reply.status, reply.error["code"], reply.header("x-acc-error")) == (401, code, code)
    assert reply.header("x-should-retry") == "false"
    assert reply.header("www-authenticate").startswith("Bearer")
    assert (rows(caller), len(caller.seen_ids())) == (before, seen)
    assert not any(value and value.encode() in reply.body for _, value in credentials)


@pytest.mark.parametrize(
    ("who", "code"), [("revoked", "spend_token_revoked"), ("expired", "spend_token_expired")]
)
def test_a_key_that_was_good_is_refused_and_its_row_says_whose_it_was(request, who, code):
    caller = request.getfixturevalue(who)
    reply = caller.post(MESSAGES, new_id())
    assert (reply.status, reply.error["code"], reply.error["type"]) == (401, code, "authentication_error")
    (row,) = caller.product.query(
        "select * from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
    )
    assert (row["decision"], row["reason"], row["status_code"]) == ("refused", code, 401)
    assert (row["agent_sub"], row["project_id"], row["team_id"]) == ("alice@arctrade", "HPC", "desk")
    assert (row["cost_nusd"], row["usage_source"], row["provider"]) == (0, "none", "anthropic")
    assert (
        caller.product.query("select 1 from vis.budget_events where request_id = %s", row["request_id"]) == []
    )


def test_the_sdks_say_authentication_error_and_do_not_try_again(revoked):
    gateway = revoked.product.gateway
    before = rows(revoked)
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=revoked.key) as client:
        with pytest.raises(openai.AuthenticationError, match="revoked") as caught:
            client.chat.completions.create(model=GPT, messages=ONE)
        assert caught.value.code == "spend_token_revoked"
    with anthropic.Anthropic(base_url=gateway, api_key=revoked.key) as client:
        with pytest.raises(anthropic.AuthenticationError, match="revoked") as caught:
            client.messages.create(model=CLAUDE, max_tokens=9, messages=ONE)
        assert caught.value.body["error"]["type"] == "authentication_error"
    assert rows(revoked) == before + 2


def test_no_key_is_kept_anywhere(caller, revoked):
    product = caller.product
    planted = "sk-planted-8f3a5f0e"
    product.run("provider", "add", "anthropic", "--base-url", product.sandbox, stdin=planted + "\n")

    def is_used() -> bool:
        caller.post(MESSAGES, new_id())
        return ("x-api-key", planted) in [tuple(header) for header in caller.seen()["headers"]]

    product.until(is_used)
    product.run("provider", "remove", "anthropic")
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis"), autocommit=True) as database:
        database.execute("checkpoint")
    master = (product.data_dir / "master.key").read_text().strip()
    for secret in (caller.key, revoked.key, planted, master):
        assert [file for file in files(product.data_dir) if holds(file, secret)] == (
            [product.data_dir / "master.key"] if secret == master else []
        )


def files(directory: Path) -> list[Path]:
    """Everything the product has written: logs, tables, the write-ahead log."""
    return [file for file in directory.rglob("*") if file.is_file()] + [directory.parent / "up.log"]


def holds(file: Path, secret: str) -> bool:
    try:
        content = file.read_bytes()
    except FileNotFoundError:  # the database has put another in its place, or none
        return False
    return secret.encode() in content or secret.encode().hex().encode() in content


def test_what_opens_the_secrets_is_the_owners_alone(product):
    def mode(name: str) -> str:
        return oct(stat.S_IMODE((product.data_dir / name).stat().st_mode))

    assert {name: mode(name) for name in ("master.key", "database.json")} == {
        "master.key": "0o600",
        "database.json": "0o600",
    }
    assert mode("logs") == "0o700"
