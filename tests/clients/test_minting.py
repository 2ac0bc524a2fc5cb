"""Promises K3, K4: a customer's backend mints a spend token with its key and a proof."""

import json
from decimal import Decimal

import pytest

from visionality_client import Minted, MintRefused, mint

KEY = "visk_live_" + "7" * 38
TOKEN = {"token": "vis2_live_secret", "jti": "0197", "expires_at": "2026-11-22T08:00:00Z", "cap_usd": "0.50"}


def test_a_token_is_minted_with_a_proof_and_the_claims_that_were_asked_for(gateway, signer):
    gateway.answers_with((201, {}, TOKEN))
    cap = Decimal("0.000000001")
    asked = {"customer_id": "pjm", "memo": "Σ", "models": ["gpt-4.1*"], "level": 3}
    minted = mint(f"{gateway.url}/", KEY, signer, cap_usd=cap, ttl_seconds=60, **asked)
    assert minted == Minted("vis2_live_secret", "0197", "2026-11-22T08:00:00Z", Decimal("0.50"))
    gateway.check(requests=1)
    (seen,) = gateway.seen
    assert (seen.target, seen.credential) == ("/spend-tokens", KEY)
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == asked | {"cap_usd": "0.000000001", "ttl_seconds": 60}


def test_each_minting_has_a_nonce_of_its_own(gateway, signer):
    gateway.answers_with((201, {}, TOKEN))
    for _ in range(3):
        mint(gateway.url, KEY, signer, cap_usd="1", ttl_seconds=60)
    gateway.check(requests=3)


def test_a_minted_token_does_not_show_itself():
    assert "secret" not in repr(Minted("vis2_live_secret", "0197", "2026", Decimal(1)))


def test_a_refusal_says_what_the_gateway_said(gateway, signer):
    gateway.answers_with((403, {}, {"error": {"code": "wider_than_parent", "message": "at most 5 USD"}}))
    with pytest.raises(MintRefused, match="at most 5 USD") as refused:
        mint(gateway.url, KEY, signer, cap_usd="9", ttl_seconds=60)
    assert (refused.value.status, refused.value.code) == (403, "wider_than_parent")


@pytest.mark.parametrize("said", [[], {}, {"error": "no"}])
def test_an_answer_that_is_not_the_gateways_is_said_to_be_none(gateway, signer, said):
    gateway.answers_with((502, {}, said))
    with pytest.raises(MintRefused, match="answered 502 without saying why"):
        mint(gateway.url, KEY, signer, cap_usd="9", ttl_seconds=60)


def test_a_credential_follows_no_redirect(gateway, signer):
    gateway.answers_with((302, {"location": "/elsewhere"}, {}), (201, {}, TOKEN))
    with pytest.raises(MintRefused) as refused:
        mint(gateway.url, KEY, signer, cap_usd="9", ttl_seconds=60)
    assert refused.value.status == 302
    assert len(gateway.seen) == 1


def test_a_float_is_no_cap(gateway, signer):
    with pytest.raises(TypeError, match="a float has no exact cents"):
        mint(gateway.url, KEY, signer, cap_usd=0.1, ttl_seconds=60)
    assert gateway.seen == []
