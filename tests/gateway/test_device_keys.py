"""A device's credential is worth nothing but short-lived keys that say whose they are and where they were made (A1, A4, K2)."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.backend import Backend
from gateway.calls import CHAT, Caller, Reply, ask, body_of, new_id
from visionality.cli.main import vis
from visionality.core.spend_token import taken_apart

REMOTE = "https://gina:s3cret@bitbucket.org/DeviceShop/Ledger-App.git"
REPO = "bitbucket.org/deviceshop/ledger-app"
BRANCH = "DEVK-12-rebill"
COMMIT = "8f1c2d3e4b5a69788f1c2d3e4b5a69788f1c2d3e"
MAP = """\
version: 1
projects:
  HPC: {customer: houston-power}
  DEVK: {}
repos:
  bitbucket.org/deviceshop/ledger-app: {project: DEVK, default_epic: DEVK-1}
"""


@pytest.fixture(scope="module", autouse=True)
def shop(product, tmp_path_factory):
    """Gina's project and its repository."""
    path = tmp_path_factory.mktemp("map") / "map.yaml"
    path.write_text(MAP)
    product.run("map", "apply", str(path), "--yes")
    product.run("person", "add", "00u-gina", "--name", "Gina")
    product.run("agent", "add", "gina@deviceshop", "--owner", "Gina", "--person", "00u-gina")


def issued(product, *words: str, agent: str = "gina@deviceshop") -> dict[str, Any]:
    key = json.loads(product.run("key", "issue", "--agent", agent, "--scope", "exchange", "--json", *words))
    product.until(lambda: product.status(key["handle"]) != 401)
    return key


@pytest.fixture(scope="module")
def device(product) -> dict[str, Any]:
    return issued(product)


def exchange(product, credential: str, **wanted: Any) -> Reply:
    headers = [("authorization", f"Bearer {credential}"), ("content-type", "application/json")]
    return ask(product.gateway, "POST", "/device-keys", headers, json.dumps(wanted).encode())


def exchanged(product, credential: str, **wanted: Any) -> str:
    reply = exchange(product, credential, **wanted)
    assert reply.status == 201, reply.body
    return json.loads(reply.body)["key"]


def claims_of(key: str) -> dict[str, Any]:
    return json.loads(taken_apart(key).payload)


def events(product, kind: str, key_id: str) -> list[dict[str, Any]]:
    return product.query(
        "select * from vis.key_events where kind = %s and key_id = %s order by seq desc", kind, key_id
    )


def row_of(product, key: str, **headers: str) -> dict[str, Any]:
    caller, call_id = Caller(product, key), new_id()
    given = [*caller.headers(CHAT, call_id), *headers.items()]
    reply = ask(product.gateway, "POST", CHAT, given, body_of(CHAT))
    assert reply.status == 200, reply.body
    return caller.row(call_id)


def test_a_key_says_where_it_was_made_and_so_do_its_rows(product, device):
    row = row_of(product, exchanged(product, device["handle"], repo=REMOTE, branch=BRANCH, commit=COMMIT))
    assert (row["project_id"], row["task_id"], row["epic_id"]) == ("DEVK", "DEVK-12", "DEVK-1")
    assert (row["repo"], row["branch"], row["commit_sha"]) == (REPO, BRANCH, COMMIT)
    assert (row["attribution_level"], row["confidence"]) == (6, 95)
    assert (row["agent_sub"], row["sso_sub"], str(row["key_id"])) == (
        "gina@deviceshop",
        "00u-gina",
        device["id"],
    )
    assert row["spend_token_id"] is None


def test_every_exchange_is_a_row_of_key_events_that_leads_to_its_calls(product, device):
    key = exchanged(product, device["handle"], repo=REMOTE, branch=BRANCH, commit=COMMIT.upper())
    event = events(product, "exchanged", device["id"])[0]
    assert event["subject"] == "gina@deviceshop"
    assert event["detail"]["jti"] == claims_of(key)["jti"] == row_of(product, key)["tags"]["exchanged_key"]
    told = {name: event["detail"][name] for name in ("repo", "branch", "commit")}
    assert told == {"repo": REPO, "branch": BRANCH, "commit": COMMIT}
    assert "s3cret" not in json.dumps(event["detail"])


def test_a_caller_that_nothing_proves_is_no_part_of_the_row(product, device):
    headers = [("authorization", f"Bearer {device['handle']}"), ("x-acc-caller", "svc:" + "x" * 9000)]
    assert ask(product.gateway, "POST", "/device-keys", headers, b"{}").status == 201
    assert events(product, "exchanged", device["id"])[0]["detail"]["caller"] == ""


def test_a_key_can_be_checked_offline_and_says_what_it_is_for(product, device, tmp_path):
    key = exchanged(product, device["handle"], repo=REMOTE, branch=BRANCH, ttl_seconds=900)
    claims = claims_of(key)
    assert (claims["rep"], claims["brn"], claims["par"]) == (REPO, BRANCH, device["id"])
    assert claims["scp"] == ["call"]
    assert claims["exp"] - claims["iat"] == 900
    assert "bud" not in claims
    keys = tmp_path / "keys.json"
    keys.write_text(product.run("token", "keys"))
    inspected = CliRunner().invoke(vis, ["token", "inspect", "-", "--keys", str(keys)], input=key)
    assert inspected.exit_code == 0
    assert REPO in inspected.output
    assert BRANCH in inspected.output


def test_a_credential_calls_nothing_mints_nothing_and_reads_nothing(product, device):
    headers = [("authorization", f"Bearer {device['handle']}"), ("content-type", "application/json")]
    for method, path, body in (
        ("POST", CHAT, body_of(CHAT)),
        ("POST", "/spend-tokens", b'{"cap_usd": "1"}'),
        ("GET", "/v1/models", None),
        ("GET", "/usage/card", None),
    ):
        reply = ask(product.gateway, method, path, headers, body)
        assert (reply.status, reply.header("x-acc-error")) == (403, "scope_denied"), path
        assert b"vis-credential key" in reply.body


def test_an_exchanged_key_is_exchanged_and_mints_no_further(product, device):
    key = exchanged(product, device["handle"], repo=REMOTE)
    assert exchange(product, key).error["code"] == "scope_denied"
    headers = [("authorization", f"Bearer {key}")]
    reply = ask(product.gateway, "POST", "/spend-tokens", headers, b'{"cap_usd": "1"}')
    assert reply.error["code"] == "scope_denied"


def test_an_ordinary_key_is_exchanged_for_nothing_and_the_refusal_is_a_row(product):
    key = json.loads(product.run("key", "issue", "--agent", "gina@deviceshop", "--json"))
    product.until(lambda: product.status(key["handle"]) != 401)
    assert exchange(product, key["handle"]).error["code"] == "scope_denied"
    (event,) = events(product, "exchange_refused", key["id"])
    assert event["detail"]["reason"] == "scope_denied"


def test_a_stranger_leaves_a_count_and_no_row(product):
    before = len(product.query("select 1 from vis.key_events"))
    assert exchange(product, "visk_live_" + "x" * 38).status == 401
    assert len(product.query("select 1 from vis.key_events")) == before


def test_outside_a_repository_a_key_names_the_person_alone(product, device):
    row = row_of(product, exchanged(product, device["handle"]))
    assert (row["agent_sub"], row["project_id"], row["attribution_level"]) == ("gina@deviceshop", None, 8)


@pytest.mark.parametrize(
    "remote", ["https://github.com/else/where", "/srv/git/ledger-app", "file:///x/y.git"]
)
def test_a_repository_that_the_map_does_not_know_gets_a_key_all_the_same(product, device, remote):
    row = row_of(product, exchanged(product, device["handle"], repo=remote))
    assert (row["project_id"], row["attribution_level"]) == (None, 8)


def test_what_a_request_says_is_trusted_before_what_its_key_says_and_the_conflict_is_named(product, device):
    key = exchanged(product, device["handle"], repo=REMOTE, branch=BRANCH)
    row = row_of(product, key, **{"x-vis-branch": "DEVK-77-other"})
    assert (row["branch"], row["task_id"], row["repo"]) == ("DEVK-77-other", "DEVK-77", REPO)
    assert row["attribution_level"] == 2
    assert "credential helper" in row["tags"]["attribution_conflict"]


def test_a_credential_of_one_project_leads_nowhere_else(product):
    bound = issued(product, "--project", "HPC")
    row = row_of(product, exchanged(product, bound["handle"], repo=REMOTE, branch=BRANCH))
    assert (row["project_id"], row["attribution_level"]) == ("HPC", 1)


def test_a_credential_claims_none_but_the_projects_that_it_lists(product):
    some = issued(product, "--claims", "HPC")
    row = row_of(product, exchanged(product, some["handle"], repo=REMOTE, branch=BRANCH))
    assert (row["project_id"], row["attribution_level"], row["tags"]["project_denied"]) == (None, 8, "DEVK")


@pytest.mark.parametrize(
    "bad",
    [
        {"ttl_seconds": 899},
        {"ttl_seconds": 43_201},
        {"ttl_seconds": "900"},
        {"repo": ""},
        {"repo": "x" * 501},
        {"repo": "a\nb"},
        {"branch": 7},
        {"branch": "a\x1b[2J"},
        {"commit": "HEAD"},
        {"commit": "8f1c2d3g"},
        {"commit": "8f1c2d3\n"},
        {"agent": "bob@arctrade"},
        {"project_id": "HPC"},
    ],
    ids=str,
)
def test_an_exchange_that_makes_no_sense_is_refused(product, device, bad):
    reply = exchange(product, device["handle"], **bad)
    assert (reply.status, reply.error["code"]) == (400, "bad_request")


def test_an_exchange_in_bytes_that_are_no_text_is_refused_in_a_sentence(product, device):
    headers = [("authorization", f"Bearer {device['handle']}"), ("content-type", "application/json")]
    reply = ask(product.gateway, "POST", "/device-keys", headers, b'{"branch": "\xff"}')
    assert (reply.status, reply.error["code"]) == (400, "bad_request")


class TestLimits:
    """What holds for the credential holds for its keys."""

    def test_its_networks_hold_for_the_exchange(self, product):
        far = issued(product, "--network", "203.0.113.0/24")
        assert exchange(product, far["handle"]).error["code"] == "network_denied"
        near = issued(product, "--network", "127.0.0.0/8")
        assert claims_of(exchanged(product, near["handle"]))["net"] == ["127.0.0.0/8"]

    def test_its_models_and_its_end_hold(self, product):
        narrow = issued(product, "--model", "claude-*", "--expires", "20m")
        reply = exchange(product, narrow["handle"], ttl_seconds=43_200)
        key = json.loads(reply.body)["key"]
        assert claims_of(key)["exp"] - claims_of(key)["iat"] <= 20 * 60
        assert Caller(product, key).post(CHAT, new_id()).error["code"] == "model_not_allowed"

    def test_its_budget_is_drawn_on(self, product):
        poor = issued(product, "--cap", "0.000001/month")
        key = exchanged(product, poor["handle"])
        reply = Caller(product, key).post(CHAT, new_id())
        assert (reply.status, reply.error["code"]) == (402, "spend_token_blocked")

    def test_its_level_holds_at_the_exchange_and_for_the_key(self, product):
        backend = Backend.registered(product, "device-level")
        words = ("--scope", "exchange", "--level", "3")
        credential = backend.issue(*words, agent="gina@deviceshop", project=None)["handle"]
        assert exchange(product, credential).error["code"] == "binding_required"
        reply = backend.post(credential, "/device-keys", b"{}")
        assert reply.status == 201
        assert backend.code(json.loads(reply.body)["key"]) == "binding_required"
        assert backend.post(json.loads(reply.body)["key"]).status == 200


class TestRevocation:
    """Whatever is revoked takes the keys with it within two seconds (promise K7)."""

    def until_revoked(self, product, *keys: str) -> None:
        def are_refused() -> bool:
            return all(product.status(key) == 401 for key in keys)

        product.until(are_refused)

    def test_a_credential_takes_its_keys_with_it_and_gives_no_more(self, product):
        lost = issued(product)
        key = exchanged(product, lost["handle"])
        product.run("key", "revoke", lost["id"], "--reason", "the laptop was stolen")
        self.until_revoked(product, key, lost["handle"])
        assert exchange(product, lost["handle"]).error["code"] == "spend_token_revoked"

    def test_a_rotation_for_a_leak_takes_the_keys_of_the_leaked_handle_with_it(self, product):
        lost = issued(product, "--envelope")
        keys = [exchanged(product, lost[form]) for form in ("handle", "envelope")]
        assert all(product.status(key) == 200 for key in keys)
        words = ("key", "rotate", lost["id"], "--reason", "leaked", "--overlap")
        fresh = json.loads(product.run(*words, "1h", "--json"))["handle"]
        product.until(lambda: exchange(product, fresh).status == 201)
        of_the_old, of_the_new = exchanged(product, lost["handle"]), exchanged(product, fresh)
        assert all(product.status(key) == 200 for key in (*keys, of_the_old, of_the_new))
        last = json.loads(product.run(*words, "0m", "--json"))["handle"]
        self.until_revoked(product, *keys, of_the_old, of_the_new, fresh)
        product.until(lambda: product.status(exchanged(product, last)) == 200)

    def test_one_key_ends_by_itself(self, product, device):
        key, other = (exchanged(product, device["handle"]) for _ in range(2))
        product.run("token", "revoke", claims_of(key)["jti"], "--reason", "pasted into a chat")
        self.until_revoked(product, key)
        assert product.status(other) == 200

    def test_a_person_takes_credentials_and_keys_with_them(self, product):
        product.run("person", "add", "00u-hugo", "--name", "Hugo")
        product.run("agent", "add", "hugo@deviceshop", "--owner", "Hugo", "--person", "00u-hugo")
        device = issued(product, agent="hugo@deviceshop")
        key = exchanged(product, device["handle"])
        product.run("person", "revoke", "00u-hugo", "--reason", "left on Friday")
        self.until_revoked(product, key, device["handle"])


def test_a_credential_is_one_persons_and_for_nothing_else(product):
    words = ("key", "issue", "--scope", "exchange", "--agent")
    both = product.try_run(*words, "gina@deviceshop", "--scope", "call")
    assert both.returncode != 0
    assert "by itself" in both.stderr
    product.run("agent", "add", "robot@deviceshop", "--owner", "Robot")
    nobody = product.try_run(*words, "robot@deviceshop")
    assert nobody.returncode != 0
    assert "one person's" in nobody.stderr
