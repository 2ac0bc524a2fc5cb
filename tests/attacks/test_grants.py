"""Attacks 14, 15 and 17: more than was granted, and after it ended (promises K3, K7, B1).

Deeper: tests/gateway/test_spend_tokens.py, tests/core/test_narrowing.py, tests/crash/test_budgets.py.
"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from attacks.attacker import claims_of, knocking, saying, trust
from gateway.budgets import (
    WORST,
    cap,
    check_books,
    gateways,
    in_force,
    price_house,
    question,
    somebody,
    streaming,
    usage_at_worst,
    window,
)
from gateway.calls import CHAT, ask, body_of, new_id, opened

ROOM = 6
"""How many calls at their worst fit under the cap."""
CALLS = 60


@pytest.fixture(scope="module")
def minter(product, backend) -> dict[str, str]:
    """A key that mints, bound in everything."""
    product.run("customer", "add", "glow")
    product.run("project", "add", "glow", "--customer", "glow")
    words = ["--task", "T-1", "--task-class", "chat", "--memo", "m", "--url", "https://x.example"]
    words += ["--model", "gpt-4o*", "--provider", "openai", "--network", "127.0.0.0/8", "--cap", "5/month"]
    words += ["--level", "3", "--scope", "mint", "--scope", "call", "--caller", backend.caller]
    return backend.issue(*words)


WIDER = {
    "project_id": ["glow", "nobody", ""],
    "customer_id": ["glow", "houston-power-2"],
    "task_id": ["T-2"],
    "task_class": ["review"],
    "memo": ["other"],
    "url": ["https://y.example"],
    "models": [["*"], ["gpt-*"], ["gpt-4o*", "o3"], ["*gpt-4o"], ["[a-z]*"], ["gpt-4o*", ""]],
    "providers": [["anthropic"], ["openai", "anthropic"], ["*"]],
    "networks": [["0.0.0.0/0"], ["::/0"], ["127.0.0.0/7"], ["127.0.0.0/8", "10.0.0.0/8"], ["::ffff:0:0/96"]],
    "callers": [["svc:other"], ["svc:checkout", "svc:other"], ["*"]],
    "level": [0, 2, -1, 5],
    "cap_usd": ["5.000000001", "1000000", "-1", "0", "1e9", "Infinity"],
    "ttl_seconds": [24 * 3600 + 1, -1, 0, 2**63, 1e300],
    "scopes": [["mint"]],
    "org": ["another"],
    "par": ["another"],
}


@pytest.mark.attack(14)
def test_a_child_is_not_wider_than_its_parent_in_any_claim(backend, minter, seen):
    tried = [(name, value) for name, values in WIDER.items() for value in values]
    answers = Counter()
    for name, value in tried:
        reply = backend.mint(minter["handle"], **{name: value})
        if (name, value) == ("project_id", "") and reply.status == 201:
            assert claims_of(json.loads(reply.body)["token"])["prj"] == "HPC"
            answers["as its parent"] += 1
            continue
        assert reply.status in {400, 403}, (name, value, reply.body)
        answers[reply.error["code"]] += 1
    seen(f"{len(tried)} wider children: {dict(answers)}")


@pytest.mark.attack(14)
def test_a_child_that_somehow_says_more_still_does_no_more(product, backend, minter, seen):
    """Even one that is rightly signed: its level, life, epoch and state follow its parent."""
    key = trust(product)
    child = backend.minted(minter["handle"], cap_usd="0.5")
    with knocking(product.gateway) as door:
        product.until(lambda: door.knock(saying(key, child, memo="m"))[1] == "binding_required")
        lower = {**claims_of(child)["bnd"], "lvl": 0}
        assert door.knock(saying(key, child, bnd=lower))[1] == "binding_required"
        assert door.knock(saying(key, child, par="0193a1b2-0000-7000-8000-00000000000a"))[0] == 401
        assert door.knock(saying(key, child, gen=0))[1] == "spend_token_revoked"
        assert door.knock(saying(key, child, sgen=-1))[1] == "spend_token_revoked"
        assert door.knock(saying(key, child, org="0193a1b2-0000-7000-8000-00000000000a"))[0] == 401
        assert door.knock(saying(key, child, aud="vis:another"))[0] == 401
    mints = saying(key, child, scp=["call", "mint"])
    assert backend.mint(mints).error["code"] == "scope_denied"
    seen("level, parent, epochs, organisation, scope of a well signed child are its parent's")


@pytest.mark.attack(14)
def test_children_die_with_their_parent(product, backend, seen):
    key = backend.issue("--scope", "call", "--scope", "mint")
    tokens = [backend.minted(key["handle"], cap_usd="5") for _ in range(3)]
    assert {backend.code(token) for token in tokens} == {""}
    product.run("key", "revoke", key["id"], "--reason", "the red team")
    begun = time.monotonic()
    product.until(lambda: {backend.code(one) for one in tokens} == {"spend_token_revoked"})
    assert backend.mint(key["handle"]).error["code"] == "spend_token_revoked"
    seen(f"3 children refused {time.monotonic() - begun:.2f} s after their parent was revoked")


@pytest.mark.attack(15)
def test_no_crowd_passes_a_cap(product, seen):
    """At two gateways at once; a third of the calls are streams, and a third of those break off."""
    price_house(product)
    who = somebody(product)
    budget = cap(who, ROOM * WORST)
    with gateways(product, 1) as (other,):
        addresses = (product.gateway, other.address)
        in_force(who, *addresses)

        def call(number: int) -> int:
            address = addresses[number % 2]
            if number % 3:
                headers = who.headers(CHAT, new_id(), usage=usage_at_worst())
                return ask(address, "POST", CHAT, headers, question()).status
            with suppress(OSError), streaming(who, new_id(), address=address, chunks=5) as answer:
                if number % 9:
                    answer.read()
                return answer.status
            return 0

        with ThreadPoolExecutor(16) as pool:
            statuses = Counter(pool.map(call, range(CALLS)))
        product.until(lambda: window(product, budget)[1] == 0)
    spent, held = window(product, budget)
    assert statuses[402] > 0
    assert statuses[200] > 0
    assert set(statuses) <= {0, 200, 402}
    assert (0 <= spent <= ROOM * WORST, held) == (True, 0)
    check_books(product)
    seen(f"{CALLS} calls at two gateways: {dict(statuses)}, spent {spent / ROOM / WORST:.0%} of the cap")


@pytest.mark.attack(15)
def test_a_rotated_key_has_no_new_window(product, backend, seen):
    key = backend.issue("--cap", "0.0001/month")
    assert backend.code(key["handle"]) == "spend_token_blocked"
    for _ in range(2):
        words = ("--reason", "the red team", "--json")
        key = key | json.loads(product.run("key", "rotate", key["id"], *words))
        backend.until_known(key["handle"])
        assert backend.code(key["handle"]) == "spend_token_blocked"
    seen("rotated twice: 402 still")


@pytest.mark.attack(17)
def test_a_leaver_calls_no_more_while_their_last_answer_still_streams(product, backend, seen):
    product.run("person", "add", "00u-eve", "--name", "Eve")
    product.run("agent", "add", "eve@arctrade", "--owner", "Eve", "--person", "00u-eve")
    key = backend.issue("--scope", "call", "--scope", "mint", agent="eve@arctrade")
    token = backend.minted(key["handle"], cap_usd="0.1")
    call_id = new_id()
    plan = json.dumps({"chunks": 200, "chunk_delay_ms": 20})
    headers = [("authorization", f"Bearer {key['handle']}"), ("x-client-request-id", call_id)]
    headers += [("x-sandbox-plan", plan), ("content-type", "application/json")]
    with opened(product.gateway, "POST", CHAT, headers, body_of(CHAT, stream=True)) as answer:
        assert answer.read(20)
        product.run("person", "revoke", "00u-eve", "--reason", "left on Friday")
        begun = time.monotonic()
        credentials = (key["handle"], key["envelope"], token)
        product.until(lambda: {backend.code(one) for one in credentials} == {"spend_token_revoked"})
        took = time.monotonic() - begun
        assert answer.read(20)
    assert backend.row_of(call_id)["agent_sub"] == "eve@arctrade"
    seen(f"handle, envelope and token refused after {took:.2f} s; the open stream has its row")
