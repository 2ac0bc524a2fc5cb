"""The second story, end to end with the client helper: a platform resells AI to clinics (promises K3, K4, K5, B5).

Its backend keeps the binding key in memory, mints a short-lived token for each clinic, and signs each call. Whoever takes
the tokens, the keys and the pages still cannot spend a cent.
"""

import json

import anthropic
import openai
import pytest

from gateway.calls import CHAT, CLAUDE, GPT, ask, body_of, new_id
from visionality_client import BindingKey, Signer, mint
from visionality_client.httpx2_auth import BindingAuth
from visionality_client.sealed import new_keypair, open_sealed

ONE = [{"role": "user", "content": "Summarise this visit in one line."}]
CALLER = "svc:clinic-app"


@pytest.fixture(scope="module")
def platform(product) -> dict:
    """What the operator sets up once."""
    for clinic in ("iq_drpatel", "iq_glow"):
        product.run("customer", "add", clinic)
        product.run("project", "add", f"app_{clinic}", "--customer", clinic)
    product.run("agent", "add", "clinic-app@aestheticiq", "--owner", "AestheticIQ")
    product.run("allocation", "set", "customer:iq_drpatel", "--markup", "1.35")
    private, public = new_keypair()
    product.run("service", "add", "clinic-backend", "--x25519", public)
    sealed = product.run("binding-key", "create", "clinic-backend", "--reason", "first")
    words = (
        "--agent",
        "clinic-app@aestheticiq",
        "--service",
        "clinic-backend",
        "--level",
        "3",
        "--caller",
        CALLER,
    )
    key = product.run("key", "issue", *words, "--scope", "mint").strip()
    product.until(lambda: product.status(key) == 403)
    return {"key": key, "signer": Signer(open_sealed(private, sealed), caller=CALLER)}


def clients(product, token: str, signer: Signer) -> tuple[openai.OpenAI, anthropic.Anthropic]:
    made = {"api_key": token, "max_retries": 0}
    return (
        openai.OpenAI(
            base_url=f"{product.gateway}/v1",
            http_client=openai.DefaultHttpxClient(auth=BindingAuth(signer)),
            **made,
        ),
        anthropic.Anthropic(
            base_url=product.gateway,
            http_client=anthropic.DefaultHttpxClient(auth=BindingAuth(signer)),
            **made,
        ),
    )


def spend(product, token: str, signer: Signer) -> list[str]:
    """One call of each SDK; the ids by which their rows are found."""
    ids = [new_id(), new_id()]
    chat, messages = clients(product, token, signer)
    with chat, messages:
        headers = [{"x-client-request-id": call_id} for call_id in ids]
        chat.chat.completions.create(model=GPT, messages=ONE, max_tokens=64, extra_headers=headers[0])
        with messages.messages.stream(
            model=CLAUDE, messages=ONE, max_tokens=64, extra_headers=headers[1]
        ) as stream:
            stream.until_done()
    return ids


def minted(product, platform, clinic: str, cap: str) -> str:
    wanted = {"cap_usd": cap, "ttl_seconds": 300, "project_id": f"app_{clinic}", "task_class": "chat"}
    return mint(product.gateway, platform["key"], platform["signer"], **wanted).token


def test_a_clinics_calls_are_signed_priced_marked_up_and_on_its_own_row(product, platform):
    token = minted(product, platform, "iq_drpatel", "1")
    for call_id in spend(product, token, platform["signer"]):
        (row,) = product.rows_of(call_id)
        assert (row["customer_id"], row["project_id"]) == ("iq_drpatel", "app_iq_drpatel")
        assert (row["binding_status"], row["caller"], row["decision"]) == ("verified", CALLER, "allowed")
        assert row["spend_token_id"]
        assert row["cost_nusd"] > 0
        assert row["billed_nusd"] == pytest.approx(row["cost_nusd"] * 1.35, abs=1)


def test_at_the_cap_the_app_gets_a_402_and_shows_its_banner(product, platform):
    token = minted(product, platform, "iq_glow", "0.0000001")
    with pytest.raises(openai.APIStatusError) as caught:
        spend(product, token, platform["signer"])
    assert caught.value.status_code == 402
    assert caught.value.body["code"] == "spend_token_blocked"
    signer = platform["signer"]
    headers = [("authorization", f"Bearer {token}")]
    headers += signer.headers("GET", "/usage/card", dict(headers), b"", token).items()
    card = json.loads(ask(product.gateway, "GET", "/usage/card", headers).body)
    assert card["cap_usd"] == "0.0000001"
    assert card["spent_usd"] == "0"


def test_a_call_that_is_overheard_cannot_be_sent_again(product, platform):
    token = minted(product, platform, "iq_drpatel", "1")
    body, call_id = body_of(CHAT, max_tokens=64), new_id()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    headers |= platform["signer"].headers("POST", CHAT, headers, body, token)
    assert ask(product.gateway, "POST", CHAT, list(headers.items()), body).status == 200
    again = [*headers.items(), ("x-client-request-id", call_id)]
    reply = ask(product.gateway, "POST", CHAT, again, body)
    assert (reply.status, reply.error["code"]) == (401, "binding_replayed")
    (row,) = product.rows_of(call_id)
    assert (row["decision"], row["binding_status"], row["cost_nusd"]) == ("refused", "replayed", 0)


def test_a_thief_with_every_token_and_a_key_of_his_own_spends_nothing(product, platform):
    token = minted(product, platform, "iq_drpatel", "1")
    signer = platform["signer"]
    forged = Signer(
        BindingKey(signer._binding_key.key_id, bytes(range(32)), signer._binding_key.aud), caller=CALLER
    )
    with pytest.raises(openai.AuthenticationError) as caught:
        spend(product, token, forged)
    assert caught.value.body["code"] == "binding_invalid"
    for credential in (token, platform["key"]):
        reply = ask(product.gateway, "POST", CHAT, [("authorization", f"Bearer {credential}")], body_of(CHAT))
        assert reply.status in {401, 403}
