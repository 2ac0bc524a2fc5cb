"""The second factor at the gateway's edge: a stolen token without its binding key is worth nothing (promises K4, K5)."""

import json
import os
import time

import pytest

from gateway.backend import Backend
from gateway.calls import CHAT, MESSAGES, ask, body_of, new_id


@pytest.fixture(scope="module")
def backend(product) -> Backend:
    return Backend.registered(product, "checkout")


@pytest.fixture(scope="module")
def keys(backend) -> dict:
    """A key at level 3."""
    return backend.issue("--level", "3")


@pytest.fixture(scope="module", params=["handle", "envelope"])
def token(request, keys) -> str:
    return keys[request.param]


def verdict(backend: Backend, token: str, **other) -> tuple[int, str, str]:
    """Status, error code and the row's binding_status of one call."""
    call_id = new_id()
    reply = backend.post(token, call_id=call_id, **other)
    return reply.status, reply.header("x-acc-error") or "", backend.row_of(call_id)["binding_status"]


def test_a_signed_call_goes_through_and_its_row_says_so(backend, token):
    call_id = new_id()
    assert backend.post(token, call_id=call_id).status == 200
    row = backend.row_of(call_id)
    assert (row["binding_status"], row["caller"], row["decision"]) == ("verified", "svc:checkout", "allowed")


def test_a_leaked_token_alone_gets_a_structured_401_and_a_row(backend, token):
    call_id = new_id()
    reply = backend.post(token, proof=None, call_id=call_id)
    assert (reply.status, reply.error["code"]) == (401, "binding_required")
    assert reply.header("x-should-retry") == "false"
    row = backend.row_of(call_id)
    assert (row["decision"], row["reason"], row["binding_status"]) == (
        "refused",
        "binding_required",
        "missing",
    )
    assert (row["cost_nusd"], row["caller"]) == (0, None)


@pytest.mark.parametrize(
    "proof",
    [
        "",
        "b1",
        "b2;k=a;t=1;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 43,
        "b1;k=a;t=01;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 43,
        "b1;k=a;t=1;n=AAAAAAAAAAAAAAAAAAAAAB;s=" + "A" * 43,
        "b1;k=a;t=1;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 42 + "B",
        "b1;k=a;t=1;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 43 + ";s=" + "A" * 43,
        "b1; k=a;t=1;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 43,
        "b1;k=é;t=1;n=AAAAAAAAAAAAAAAAAAAAAA;s=" + "A" * 43,
    ],
)
def test_a_malformed_proof_is_refused(backend, keys, proof):
    assert verdict(backend, keys["handle"], proof=proof) == (401, "binding_invalid", "malformed")


def test_two_proofs_or_two_callers_are_refused(backend, keys):
    body = body_of(CHAT)
    second = backend.signed(CHAT, body, keys["handle"])
    for more in ((("x-acc-binding", second),), (("X-Acc-Caller", "svc:other"),)):
        assert verdict(backend, keys["handle"], more=more) == (401, "binding_invalid", "malformed")
    both = f"{backend.signed(CHAT, body, keys['handle'])}, {second}"
    assert verdict(backend, keys["handle"], proof=both) == (401, "binding_invalid", "malformed")


@pytest.mark.parametrize(
    "other",
    [
        {"of_body": b"{}"},
        {"of_body": body_of(CHAT) + b" "},
        {"target": MESSAGES},
        {"target": CHAT + "?a=1"},
        {"method": "GET"},
        {"content_type": "text/plain"},
        {"caller": "svc:somebody"},
        {"of_token": "visk_live_another"},
        {"aud": "vis:elsewhere"},
        {"key": bytes(32)},
        {"key": bytes(range(32))},
    ],
    ids=str,
)
def test_a_proof_of_anything_else_is_refused(backend, token, other):
    assert verdict(backend, token, **other) == (401, "binding_invalid", "mismatch")


@pytest.mark.parametrize("late", [-70, 70, -100_000, 1_000_000, 900_000_000_000])
def test_a_proof_of_another_time_is_refused_and_told_the_time_here(backend, keys, late):
    call_id = new_id()
    reply = backend.post(keys["handle"], call_id=call_id, late=late)
    assert (reply.status, reply.error["code"]) == (401, "binding_stale")
    assert abs(int(reply.header("x-vis-server-time")) - time.time()) < 30
    assert backend.row_of(call_id)["binding_status"] == "stale"


def test_a_clock_that_is_off_by_half_a_minute_is_no_matter(backend, keys):
    assert (
        backend.post(keys["handle"], late=-30).status == backend.post(keys["handle"], late=30).status == 200
    )


def test_a_proof_is_good_for_one_call(backend, token):
    body = body_of(CHAT)
    proof = backend.signed(CHAT, body, token)
    assert backend.post(token, proof=proof).status == 200
    assert verdict(backend, token, proof=proof) == (401, "binding_replayed", "replayed")


def test_a_wrong_proof_does_not_use_up_the_nonce_of_a_right_one(backend, keys):
    nonce = os.urandom(16)
    for _ in range(3):
        found = verdict(backend, keys["handle"], nonce=nonce, key=os.urandom(32))
        assert found == (401, "binding_invalid", "mismatch")
    assert backend.post(keys["handle"], nonce=nonce).status == 200


def test_another_services_key_proves_nothing(backend, keys, product):
    other = Backend.registered(product, "other-service")
    other.issue()  # the gateway knows the other key now
    found = verdict(backend, keys["handle"], key=other.key, key_id=other.key_id)
    assert found == (401, "binding_invalid", "key_mismatch")
    assert verdict(backend, keys["handle"], key_id="0193") == (401, "binding_invalid", "key_unknown")


def test_only_the_callers_that_a_key_names_may_sign(backend):
    named = backend.issue("--level", "3", "--caller", "svc:billing")
    found = verdict(backend, named["handle"])
    assert found == (401, "caller_not_allowed", "caller_denied")
    assert backend.post(named["handle"], caller="svc:billing", says_caller="svc:billing").status == 200


def test_a_refused_call_is_told_in_its_callers_dialect(backend, keys):
    headers = [("x-api-key", keys["handle"]), ("anthropic-version", "2023-06-01")]
    reply = ask(backend.product.gateway, "POST", MESSAGES, headers, body_of(MESSAGES))
    assert (reply.status, json.loads(reply.body)["type"]) == (401, "error")
    assert reply.error["code"] == "binding_required"


LEVELS = {
    "absent": {0: 200, 1: 200, 2: 200, 3: 401, 4: 401},
    "empty": dict.fromkeys(range(5), 401),
    "malformed": dict.fromkeys(range(5), 401),
    "stale": dict.fromkeys(range(5), 401),
    "wrong key": dict.fromkeys(range(5), 401),
    "replayed": dict.fromkeys(range(5), 401),
    "valid": dict.fromkeys(range(5), 200),
}


@pytest.fixture(scope="module")
def at_level(backend) -> dict[int, str]:
    more = {1: ("--network", "127.0.0.0/8"), 4: ("--caller", backend.caller)}
    return {level: backend.issue("--level", str(level), *more.get(level, ()))["handle"] for level in range(5)}


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("kind", LEVELS)
def test_no_request_talks_a_level_down(backend, at_level, level, kind):
    token, used = at_level[level], None
    if kind == "replayed":
        used = backend.signed(CHAT, body_of(CHAT), token)
        assert backend.post(token, proof=used).status == 200
    sent = {
        "absent": {"proof": None},
        "empty": {"proof": ""},
        "malformed": {"proof": "b1;k=x"},
        "stale": {"late": -600},
        "wrong key": {"key": os.urandom(32)},
        "replayed": {"proof": used},
        "valid": {},
    }[kind]
    assert backend.post(token, **sent).status == LEVELS[kind][level]


def test_an_observed_key_notes_that_no_proof_came(backend, at_level):
    assert verdict(backend, at_level[2], proof=None) == (200, "", "absent_allowed")
    assert verdict(backend, at_level[0], proof=None) == (200, "", "not_required")


def test_a_projects_floor_lifts_every_key_of_it(backend, product):
    product.run("project", "add", "FLOORED")
    handle = backend.issue(project="FLOORED")["handle"]
    assert backend.post(handle, proof=None).status == 200
    product.run("floor", "set", "project:FLOORED", "3")
    product.until(lambda: backend.code(handle) == "binding_required")
    assert backend.post(handle).status == 200


@pytest.mark.parametrize(("floor", "code"), [("1", "network_denied"), ("4", "caller_not_allowed")])
def test_a_floor_that_is_raised_asks_older_keys_for_all_that_it_asks(backend, product, floor, code):
    product.run("project", "add", f"RAISED-{floor}")
    handle = backend.issue(project=f"RAISED-{floor}")["handle"]
    assert backend.post(handle).status == 200
    product.run("floor", "set", f"project:RAISED-{floor}", floor)
    product.until(lambda: backend.post(handle).header("x-acc-error") == code)


def test_a_pinned_key_is_of_its_networks_only(backend):
    elsewhere = backend.issue("--level", "1", "--network", "10.0.0.0/8")["handle"]
    assert backend.code(elsewhere) == "network_denied"
    card = ask(backend.product.gateway, "GET", "/usage/card", [("authorization", f"Bearer {elsewhere}")])
    assert card.header("x-acc-error") == "network_denied"
    claimed = (("x-forwarded-for", "10.1.2.3"),)
    assert backend.post(elsewhere, proof=None, more=claimed).header("x-acc-error") == "network_denied"


def test_a_key_is_for_its_models_and_providers_only(backend):
    narrow = backend.issue("--model", "gpt-4o-*", "--provider", "openai")["handle"]
    assert backend.code(narrow) == "model_not_allowed"
    assert backend.code(narrow, body=body_of(CHAT, model="gpt-4o-mini")) == ""
    sneaky = body_of(CHAT, model="gpt-4o-mini", models=["gpt-4o"])
    assert backend.code(narrow, body=sneaky) == "model_not_allowed"
    assert backend.code(narrow, MESSAGES) == "model_not_allowed"


def test_a_binding_key_that_is_rotated_goes_on_for_its_overlap_and_then_is_nobodys(backend, product, keys):
    old = Backend(product, backend.service, private=backend.private, key_id=backend.key_id, key=backend.key)
    old.aud = backend.aud
    fresh = Backend.registered(product, "rotating")
    handle = fresh.issue("--level", "3")["handle"]
    first = (fresh.key_id, fresh.key)
    fresh.take(product.run("binding-key", "rotate", "rotating", "--overlap", "1h", "--reason", "quarterly"))
    product.until(lambda: fresh.post(handle).status == 200)
    assert fresh.post(handle, key_id=first[0], key=first[1]).status == 200
    product.run("binding-key", "revoke", first[0], "--reason", "seen in a log")
    product.until(lambda: fresh.post(handle, key_id=first[0], key=first[1]).status == 401)
    assert verdict(fresh, handle, key_id=first[0], key=first[1])[2] == "key_unknown"
    assert fresh.post(handle).status == 200


def test_an_envelope_names_the_very_key_that_it_is_bound_to(product):
    service = Backend.registered(product, "named-key")
    issued = service.issue("--level", "3")
    product_key = product.run("binding-key", "rotate", "named-key", "--overlap", "1h", "--reason", "test")
    service.take(product_key)
    product.until(lambda: service.post(issued["handle"]).status == 200)
    assert verdict(service, issued["envelope"]) == (401, "binding_invalid", "key_mismatch")


def test_the_usage_card_asks_for_the_proof_too(backend, keys):
    headers = [("authorization", f"Bearer {keys['handle']}"), ("x-acc-caller", backend.caller)]
    plain = ask(backend.product.gateway, "GET", "/usage/card", headers)
    assert plain.header("x-acc-error") == "binding_required"
    proof = backend.signed("/usage/card", b"", keys["handle"], method="GET", content_type="")
    assert (
        ask(backend.product.gateway, "GET", "/usage/card", [*headers, ("x-acc-binding", proof)]).status == 200
    )
