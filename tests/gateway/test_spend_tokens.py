"""Spend tokens: a hard limit for one end customer, minted by a backend and worth nothing without it (promise K3)."""

import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from gateway.backend import Backend
from gateway.calls import CHAT, ask, body_of, new_id
from visionality.core.spend_token import taken_apart


@pytest.fixture(scope="module")
def backend(product) -> Backend:
    for customer in ("spa_drpatel", "spa_glow"):
        product.run("customer", "add", customer)
        product.run("project", "add", customer, "--customer", customer)
    return Backend.registered(product, "aestheticiq")


@pytest.fixture(scope="module")
def parent(backend) -> str:
    """A key that mints, of no project, at level 3."""
    return backend.issue("--level", "3", "--scope", "mint", project=None)["handle"]


SHORT = body_of(CHAT, max_tokens=64)


def claims_of(token: str) -> dict:
    return json.loads(taken_apart(token).payload)


def events(product, kind: str, key: str) -> list[dict]:
    """The key events of a kind whose detail has this text."""
    found = product.query("select * from vis.key_events where kind = %s order by seq desc", kind)
    return [event for event in found if key in json.dumps(event["detail"])]


def test_a_token_spends_for_its_customer_and_its_rows_say_so(backend, parent):
    token = backend.minted(parent, project_id="spa_drpatel", cap_usd="0.5", task_class="chat")
    call_id = new_id()
    assert backend.post(token, body=SHORT, call_id=call_id).status == 200
    row = backend.row_of(call_id)
    assert row["spend_token_id"] == claims_of(token)["jti"]
    assert (row["project_id"], row["customer_id"]) == ("spa_drpatel", "spa_drpatel")
    assert (row["binding_status"], row["caller"], row["agent_sub"]) == (
        "verified",
        backend.caller,
        "alice@arctrade",
    )


def test_every_token_is_a_row_of_key_events_before_it_is_handed_out(backend, parent, product):
    token = backend.minted(parent, project_id="spa_glow", cap_usd="0.25")
    (event,) = events(product, "minted", claims_of(token)["jti"])
    assert event["detail"]["cap_usd"] == "0.25"
    assert event["detail"]["project"] == event["detail"]["customer"] == "spa_glow"
    assert (event["detail"]["source"], event["detail"]["caller"]) == ("gateway", backend.caller)
    assert event["actor"] == f"key:{event['key_id']}"
    numbers = [row["seq"] for row in product.query("select seq from vis.key_events order by org_id, seq")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_at_its_cap_a_token_gets_a_402_and_nothing_reaches_the_provider(backend, parent, product):
    token = backend.minted(parent, project_id="spa_glow", cap_usd="0.002")
    statuses = []
    while 402 not in statuses and len(statuses) < 60:
        call_id = new_id()
        statuses.append(backend.post(token, body=SHORT, call_id=call_id).status)
    assert set(statuses) == {200, 402}
    assert call_id not in json.loads(ask(product.sandbox, "GET", "/sandbox/seen", []).body)["ids"]
    row = backend.row_of(call_id)
    assert (row["decision"], row["reason"]) == ("refused", "spend_token_blocked")
    assert row["tags"]["blocked_by"] == f"spend_token:{row['spend_token_id']}"
    (window,) = product.query(
        "select * from vis.budget_windows where scope_value = %s", row["spend_token_id"]
    )
    assert window["spent_nusd"] + window["reserved_nusd"] <= window["cap_nusd"] == 2_000_000


def test_many_calls_at_once_never_pass_a_tokens_cap(backend, parent, product):
    token = backend.minted(parent, project_id="spa_glow", cap_usd="0.01")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: backend.post(token, body=SHORT).status, range(64)))
    assert set(statuses) == {200, 402}
    spent = product.query(
        "select sum(cost_nusd)::bigint as nusd from vis.request_logs where spend_token_id = %s",
        claims_of(token)["jti"],
    )[0]["nusd"]
    assert 0 < spent <= 10_000_000


def test_a_token_draws_on_its_parents_budget_too(backend, product):
    capped = backend.issue("--level", "3", "--scope", "mint", "--cap", "0.000001/month", project=None)
    wider = backend.mint(capped["handle"], project_id="spa_glow", cap_usd="1")
    assert (wider.status, wider.error["code"]) == (403, "wider_than_parent")
    token = backend.minted(capped["handle"], project_id="spa_glow", cap_usd="0.000001")
    assert backend.post(token).status == 402
    product.run("budget", "set", f"key:{capped['id']}", "--cap", "1/month", "--hard")
    wanted = {"project_id": "spa_glow", "cap_usd": "0.5"}
    product.until(lambda: backend.mint(capped["handle"], **wanted).status == 201)
    token = backend.minted(capped["handle"], **wanted)
    assert backend.post(token, body=SHORT).status == 200


@pytest.fixture(scope="module")
def narrow(backend) -> str:
    """A parent that is bound in everything."""
    words = ["--task", "HPC-1", "--task-class", "chat", "--memo", "m", "--url", "https://x.example"]
    words += ["--model", "gpt-4o*", "--provider", "openai", "--network", "127.0.0.0/8", "--cap", "5/month"]
    return backend.issue("--level", "3", "--scope", "mint", "--caller", backend.caller, *words)["handle"]


@pytest.mark.parametrize(
    "wider",
    [
        {"project_id": "spa_glow"},
        {"customer_id": "spa_glow"},
        {"task_id": "HPC-2"},
        {"task_class": "review"},
        {"memo": "other"},
        {"url": "https://y.example"},
        {"models": ["*"]},
        {"models": ["gpt-4o", "o3"]},
        {"providers": ["openai", "anthropic"]},
        {"networks": ["0.0.0.0/0"]},
        {"callers": ["svc:other"]},
        {"level": 0},
        {"cap_usd": "5.000000001"},
        {"ttl_seconds": 91 * 24 * 3600, "level": 3},
    ],
    ids=str,
)
def test_a_token_that_would_be_wider_than_its_parent_is_not_minted(backend, narrow, wider, product):
    before = len(events(product, "mint_refused", "gateway"))
    reply = backend.mint(narrow, **wider)
    assert reply.status in {400, 403}
    assert reply.error["code"] in {"wider_than_parent", "bad_request"}
    refused = events(product, "mint_refused", "gateway")
    assert len(refused) == before + 1
    assert refused[0]["detail"]["reason"] == reply.error["code"]


def test_what_a_token_leaves_out_is_as_in_its_parent(backend, narrow):
    claims = claims_of(backend.minted(narrow, cap_usd="1"))
    assert (claims["prj"], claims["tsk"], claims["tcl"], claims["memo"]) == ("HPC", "HPC-1", "chat", "m")
    assert (claims["mdl"], claims["prv"], claims["net"]) == (["gpt-4o*"], ["openai"], ["127.0.0.0/8"])
    assert claims["bnd"]["lvl"] == 3
    assert claims["bnd"]["clr"] == [backend.caller]
    assert backend.post(backend.minted(narrow), body=body_of(CHAT, model="o3")).status == 403


@pytest.mark.parametrize(
    "bad",
    [
        {"cap_usd": "0"},
        {"cap_usd": "-1"},
        {"cap_usd": "1e3"},
        {"cap_usd": "NaN"},
        {"cap_usd": "0.0000000001"},
        {"cap_usd": 1},
        {"ttl_seconds": 0},
        {"ttl_seconds": "5"},
        {"ttl_seconds": 24 * 3600 + 1},
        {"level": 7},
        {"project_id": "nobody"},
        {"customer_id": "nobody"},
        {"networks": ["not a network"]},
        {"memo": "a\nb"},
        {"url": "javascript:alert(1)"},
        {"colour": "red"},
        {"cap_usd": "1", "memo": "x" * 201},
    ],
    ids=str,
)
def test_a_token_that_makes_no_sense_is_not_minted(backend, parent, bad):
    reply = backend.mint(parent, **bad)
    assert (reply.status, reply.error["code"]) == (400, "bad_request")


def test_bytes_that_are_no_text_mint_nothing(backend, parent):
    reply = backend.post(parent, "/spend-tokens", b'{"cap_usd": "\xff"}')
    assert (reply.status, reply.error["code"]) == (400, "bad_request")


def test_a_stolen_key_without_its_binding_key_mints_nothing_and_the_audit_says_so(backend, parent, product):
    reply = backend.mint(parent, proof=None)
    assert (reply.status, reply.error["code"]) == (401, "binding_required")
    assert events(product, "mint_refused", "gateway")[0]["detail"]["binding_status"] == "missing"


def test_a_key_is_for_calls_or_for_minting_as_it_was_issued(backend, parent):
    assert backend.post(parent).header("x-acc-error") == "scope_denied"
    calls = backend.issue("--level", "3")["handle"]
    assert backend.mint(calls).error["code"] == "scope_denied"
    token = backend.minted(parent, project_id="spa_glow")
    assert backend.mint(token).error["code"] == "scope_denied"


def test_a_token_ends_with_its_time(backend, parent):
    token = backend.minted(parent, project_id="spa_glow", ttl_seconds=1)
    backend.product.until(lambda: backend.post(token).header("x-acc-error") == "spend_token_expired")


def test_a_tokens_usage_card_is_its_own(backend, parent):
    token = backend.minted(parent, project_id="spa_glow", cap_usd="0.75")
    backend.post(token)
    headers = [("authorization", f"Bearer {token}"), ("x-acc-caller", backend.caller)]
    proof = backend.signed("/usage/card", b"", token, method="GET", content_type="")
    reply = ask(backend.product.gateway, "GET", "/usage/card", [*headers, ("x-acc-binding", proof)])
    assert reply.status == 200
    assert Decimal(json.loads(reply.body)["cap_usd"]) == Decimal("0.75")


class TestRevocation:
    """Whatever is revoked is refused by every gateway within two seconds (promise K7)."""

    def token_of(self, backend, key: dict) -> str:
        return backend.minted(key["handle"], project_id="spa_glow")

    def until_revoked(self, backend, *tokens: str) -> None:
        def are_refused() -> bool:
            return all(backend.code(token) == "spend_token_revoked" for token in tokens)

        backend.product.until(are_refused)

    def test_one_token(self, backend, parent, product):
        token, other = (backend.minted(parent, project_id="spa_glow") for _ in range(2))
        product.run("token", "revoke", claims_of(token)["jti"], "--reason", "test")
        self.until_revoked(backend, token)
        assert backend.post(other, body=SHORT).status == 200

    def test_a_key_takes_its_envelope_and_its_tokens_with_it(self, backend, product):
        key = backend.issue("--scope", "call", "--scope", "mint", project=None)
        token = self.token_of(backend, key)
        product.run("key", "revoke", key["id"], "--reason", "leaked")
        self.until_revoked(backend, key["handle"], key["envelope"], token)

    def test_a_person_takes_all_their_keys_and_a_new_one_works(self, backend, product):
        product.run("person", "add", "00u-bob", "--name", "Bob")
        product.run("agent", "add", "bob@arctrade", "--owner", "Bob", "--person", "00u-bob")
        mine = [
            backend.issue("--scope", "call", "--scope", "mint", agent="bob@arctrade", project=None)
            for _ in range(2)
        ]
        token = self.token_of(backend, mine[0])
        product.run("person", "revoke", "00u-bob", "--reason", "left on Friday")
        self.until_revoked(backend, token, *(key[form] for key in mine for form in ("handle", "envelope")))
        again = backend.issue(agent="bob@arctrade")
        assert backend.code(again["handle"]) == backend.code(again["envelope"]) == ""

    def test_a_rotated_key_goes_on_for_its_overlap_and_keeps_its_window(self, backend, product):
        key = backend.issue("--cap", "0.0001/month")
        assert backend.code(key["handle"]) == "spend_token_blocked"
        words = ("--overlap", "1h", "--reason", "quarterly", "--envelope", "--json")
        fresh = json.loads(product.run("key", "rotate", key["id"], *words))
        backend.until_known(fresh["handle"])
        for form in ("handle", "envelope"):
            assert backend.code(key[form]) == backend.code(fresh[form]) == "spend_token_blocked"
        product.run("key", "rotate", key["id"], *words)
        self.until_revoked(backend, key["envelope"])
        assert backend.code(key["handle"]) == "spend_token_invalid"
        assert backend.code(fresh["envelope"]) == "spend_token_blocked"

    def test_a_revoked_signing_key_verifies_nothing_more(self, product):
        backend = Backend.registered(product, "signing")
        key = backend.issue()
        assert backend.code(key["envelope"]) == ""
        listed = json.loads(product.run("signing-key", "list", "--json").splitlines()[-1])
        product.run("signing-key", "rotate", "--reason", "test")
        assert backend.code(key["envelope"]) == ""
        product.run("signing-key", "revoke", listed["id"], "--reason", "the seed was seen")
        product.until(lambda: backend.code(key["envelope"]) == "spend_token_invalid")
        assert backend.code(key["handle"]) == ""
