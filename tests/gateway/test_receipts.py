"""Spend receipts (S4): a call's answer carries what its row says, signed, and costs nobody anything who does not ask."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import anthropic
import openai
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.backend import Backend
from gateway.budgets import NOTHING_NUSD, set_budget, spender
from gateway.calls import (
    CHAT,
    CLAUDE,
    GPT,
    MESSAGES,
    Caller,
    Reply,
    ask,
    body_of,
    complaints,
    new_id,
    opened,
)
from gateway.scripted import Scripted, scripted
from visionality.core.canonical import timestamp

ASK = ("x-vis-receipt", "1")
ONE = [{"role": "user", "content": "one two three"}]


@pytest.fixture(scope="module", autouse=True)
def keys(product) -> None:
    """The sealer of the product makes them, within a second."""
    product.until(lambda: product.query("select from vis.evidence_keys where role = 'receipt'"))


def asked(caller: Caller, path: str, call_id: str, *more: tuple[str, str], **plan: Any) -> Reply:
    """A call whose client asks for its receipt, with the body that `more` may replace."""
    headers = [*caller.headers(path, call_id, **plan), *(more or [ASK])]
    return ask(caller.product.gateway, "POST", path, headers, body_of(path))


def fetched(caller: Caller, request_id: str, *headers: tuple[str, str], method: str = "GET") -> Reply:
    own = headers or (("authorization", f"Bearer {caller.key}"),)
    return ask(caller.product.gateway, method, f"/receipts/{request_id}", list(own))


def opened_receipt(product, text: str) -> dict[str, Any]:
    """What a receipt says, once its signature holds under a receipt key of its organisation."""
    content, signature = (urlsafe_b64decode(part + "==") for part in text.split("."))
    said = json.loads(content)
    assert content == rfc8785.dumps(said)
    (key,) = product.query(
        "select public from vis.evidence_keys where role = 'receipt' and org_id = %s and encode(sha256(public), 'hex') = %s",
        said["org_id"],
        said["keyid"],
    )
    public = Ed25519PublicKey.from_public_bytes(bytes(key["public"]))
    public.verify(signature, b"visionality receipt v1\0" + content)
    return said


def check(product, text: str, row: dict[str, Any]) -> None:
    """That a receipt is of this row: what formats.md section 7 has, and the leaf that the ledger stores."""
    (installation,) = product.query("select installation_id from vis.installation")
    said = opened_receipt(product, text)
    signed_at, keyid = said.pop("signed_at"), said.pop("keyid")
    assert signed_at >= timestamp(row["created_at"])
    assert len(keyid) == 64
    assert said == {
        "billed_nusd": str(row["billed_nusd"]),
        "cost_nusd": str(row["cost_nusd"]),
        "created_at": timestamp(row["created_at"]),
        "currency": "USD",
        "installation": str(installation["installation_id"]),
        "leaf": bytes(row["leaf_hash"]).hex(),
        "org_id": str(row["org_id"]),
        "price_version": row["price_version"],
        "project_id": row["project_id"],
        "request_id": str(row["request_id"]),
        "row_id": str(row["id"]),
        "type": "receipt",
        "v": 1,
    }


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_a_whole_answer_carries_the_receipt_of_its_very_row_and_its_body_is_the_same(caller, path):
    plain, call_id = caller.post(path, new_id()), new_id()
    reply = asked(caller, path, call_id)
    row = caller.row(call_id)
    check(caller.product, reply.header("x-vis-receipt"), row)
    assert reply.header("x-vis-receipt-absent") is None
    assert (reply.status, len(reply.body)) == (200, len(plain.body))
    assert reply.header("x-vis-request-id") == str(row["request_id"])
    assert not any(name.startswith("x-vis-receipt") for name, _ in plain.headers)


def test_the_sdks_unmodified_read_a_receipt_off_an_answer(caller):
    gateway, call_id, other_id = caller.product.gateway, new_id(), new_id()
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=caller.key, max_retries=0) as client:
        headers = {"x-vis-receipt": "1", "x-client-request-id": call_id}
        raw = client.chat.completions.with_raw_response.create(model=GPT, messages=ONE, extra_headers=headers)
        assert raw.parse().choices[0].message.content
        check(caller.product, raw.headers["x-vis-receipt"], caller.row(call_id))
    with anthropic.Anthropic(base_url=gateway, api_key=caller.key, max_retries=0) as client:
        headers = {"x-vis-receipt": "1", "x-client-request-id": other_id}
        raw = client.messages.with_raw_response.create(
            model=CLAUDE, max_tokens=9, messages=ONE, extra_headers=headers
        )
        assert raw.parse().content
        check(caller.product, raw.headers["x-vis-receipt"], caller.row(other_id))


def test_the_sdks_unmodified_fetch_the_receipt_of_a_stream_once_it_has_ended(caller):
    gateway, call_id, other_id = caller.product.gateway, new_id(), new_id()
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=caller.key, max_retries=0) as client:
        headers = {"x-vis-receipt": "1", "x-client-request-id": call_id}
        with client.chat.completions.with_streaming_response.create(
            model=GPT, messages=ONE, stream=True, extra_headers=headers
        ) as raw:
            said = dict(raw.headers)
            assert list(raw.parse())
        assert said["x-vis-receipt-absent"] == "stream"
        text = client.get(f"{gateway}/receipts/{said['x-vis-request-id']}", cast_to=str)
        check(caller.product, text.strip(), caller.row(call_id))
    with anthropic.Anthropic(base_url=gateway, api_key=caller.key, max_retries=0) as client:
        headers = {"x-client-request-id": other_id}
        with client.messages.stream(
            model=CLAUDE, max_tokens=9, messages=ONE, extra_headers=headers
        ) as stream:
            request_id = stream.response.headers["x-vis-request-id"]
            assert stream.get_final_message().content
        text = client.get(f"/receipts/{request_id}", cast_to=str)
        check(caller.product, text.strip(), caller.row(other_id))


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_no_byte_of_a_stream_changes_for_who_asks(caller, path):
    def streamed(*more: tuple[str, str]) -> Reply:
        headers = [*caller.headers(path, new_id(), chunks=5), *more]
        return ask(caller.product.gateway, "POST", path, headers, body_of(path, stream=True))

    plain, with_receipt = streamed(), streamed(ASK)
    assert len(plain.body) == len(with_receipt.body)
    assert {name for name, _ in with_receipt.headers} - {name for name, _ in plain.headers} == {
        "x-vis-receipt-absent"
    }


@pytest.mark.parametrize("value", ["", "0", "true", "11", "1, 1", "1\t1", "\xff" * 100, "1" * 30_000, "{}"])
def test_only_the_value_1_asks_and_no_value_harms_a_call(caller, value):
    reply = asked(caller, CHAT, call_id := new_id(), ("x-vis-receipt", value))
    assert reply.status == 200
    assert not any(name.startswith("x-vis-receipt") for name, _ in reply.headers)
    caller.row(call_id)


def test_of_several_headers_one_that_asks_is_enough_and_there_is_one_receipt(caller):
    reply = asked(caller, CHAT, new_id(), ("x-vis-receipt", "nonsense"), ("X-Vis-Receipt", " 1 "), ASK)
    assert [name for name, _ in reply.headers if name.startswith("x-vis-receipt")] == ["x-vis-receipt"]


def test_that_a_receipt_was_asked_for_does_not_reach_the_provider(caller):
    asked(caller, CHAT, new_id())
    assert not [name for name, _ in caller.seen()["headers"] if name.startswith("x-vis-")]


def test_a_refused_call_is_a_row_and_has_its_receipt(product):
    product.run("project", "add", "no-money")
    product.run("agent", "add", "poor@arctrade", "--owner", "P. Oor")
    poor = spender(product, agent="poor@arctrade", project="no-money")
    set_budget(poor, "project:no-money", NOTHING_NUSD, "--hard", period="month")
    caller, call_id = Caller(product, poor.key), new_id()
    reply = asked(caller, CHAT, call_id)
    assert reply.status == 402
    (row,) = product.rows_of(call_id)
    check(product, reply.header("x-vis-receipt"), row)
    again = asked(caller, CHAT, new_id())
    assert (again.status, again.header("x-vis-receipt")) in {
        (402, None),
        (402, again.header("x-vis-receipt")),
    }
    if again.header("x-vis-receipt") is None:  # it is told the same at once, and is written up with others
        assert again.header("x-vis-receipt-absent") == "no_row"


def test_a_caller_whom_nobody_knows_has_no_row_and_no_receipt(caller):
    reply = ask(caller.product.gateway, "POST", CHAT, [("authorization", "Bearer sk-x"), ASK], body_of(CHAT))
    assert (reply.status, reply.header("x-vis-receipt-absent")) == (401, "no_row")


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_providers_own_error_has_the_receipt_of_its_row(caller, status):
    reply = asked(caller, CHAT, call_id := new_id(), status=status)
    assert reply.status == status
    check(caller.product, reply.header("x-vis-receipt"), caller.row(call_id))


FORGED = (
    b"x-vis-receipt: forged\r\nx-vis-receipt-absent: no\r\nx-vis-cost-usd: 0\r\nx-vis-request-id: theirs\r\n"
)
SCRIPTED = "/receipt-house/v1/chat/completions"


@pytest.fixture
def house(product, caller) -> Iterator[Scripted]:
    """A provider that answers with prepared bytes; at first with headers that are ours alone."""
    body = json.dumps(
        {"object": "chat.completion", "model": GPT, "choices": [], "usage": {"prompt_tokens": 1}}
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + FORGED
    with scripted() as provider:
        provider.answer = head + b"content-length: %d\r\n\r\n" % len(body) + body.encode()
        product.run("provider", "add", "receipt-house", "--base-url", provider.address, stdin="sk-x\n")
        product.until(lambda: asked(caller, SCRIPTED, new_id()).status == 200)
        yield provider
        product.run("provider", "remove", "receipt-house")


def test_a_provider_cannot_pass_off_a_receipt_or_a_cost_of_its_own(caller, house):
    reply = asked(caller, SCRIPTED, call_id := new_id())
    assert "forged" not in [value for _, value in reply.headers]
    names = [name for name, _ in reply.headers if name.startswith("x-vis-")]
    assert {"x-vis-receipt", "x-vis-request-id"} <= set(names)
    assert len(names) == len(set(names))
    check(caller.product, reply.header("x-vis-receipt"), caller.product.rows_of(call_id)[0])


def test_a_call_whose_provider_fails_has_the_receipt_of_what_was_charged(caller, house):
    house.answer = b""
    reply = asked(caller, SCRIPTED, call_id := new_id())
    assert (reply.status, reply.header("x-acc-error")) == (502, "upstream_broke")
    check(caller.product, reply.header("x-vis-receipt"), caller.product.rows_of(call_id)[0])


def test_a_client_that_leaves_before_the_end_may_fetch_its_receipt_later(caller):
    call_id, headers = new_id(), [ASK]
    sent = [*caller.headers(CHAT, call_id, chunks=12, chunk_delay_ms=30), *headers]
    with opened(caller.product.gateway, "POST", CHAT, sent, body_of(CHAT, stream=True)) as answer:
        request_id = answer.getheader("x-vis-request-id")
        answer.read1()
    caller.product.until(lambda: caller.product.rows_of(call_id))
    reply = fetched(caller, request_id)
    assert reply.status == 200
    check(caller.product, reply.body.decode().strip(), caller.row(call_id))


def test_a_receipt_is_fetched_by_its_own_key_only_and_nothing_says_that_it_is_there(caller):
    call_id = new_id()
    caller.post(CHAT, call_id)
    request_id = str(caller.row(call_id)["request_id"])
    assert fetched(caller, request_id).status == 200
    other = Caller(caller.product, caller.product.issue())
    unknown = "01991d3a-0000-7000-8000-000000000000"
    refusals = [fetched(other, request_id), fetched(caller, unknown)]
    assert [reply.status for reply in refusals] == [404, 404]
    assert refusals[0].error["message"] == refusals[1].error["message"]
    assert fetched(caller, request_id, ("authorization", "Bearer visk_live_nonsense")).status == 401
    assert fetched(caller, request_id, ("accept", "*/*")).status == 401


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x",
        "%2e%2e",
        "01991D3A-0000-7000-8000-000000000000",
        "01991d3a00007000800000000000000f",
        "9" * 5000,
        "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "00000000-0000-7000-8000-000000000000",
    ],
)
def test_what_is_no_id_of_a_call_is_not_found(caller, name):
    assert (fetched(caller, name).status, fetched(caller, name).header("x-acc-error")) == (
        404,
        "receipt_not_found",
    )


def test_a_receipt_is_only_read(caller):
    caller.post(CHAT, call_id := new_id())
    request_id = str(caller.row(call_id)["request_id"])
    head = fetched(caller, request_id, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert fetched(caller, request_id, method="DELETE").status == 404
    before = caller.product.query("select count(*) as n from vis.request_logs")
    assert fetched(caller, request_id).status == 200
    assert caller.product.query("select count(*) as n from vis.request_logs") == before


def test_a_spend_token_fetches_what_it_spent_itself(product):
    for name in ("spa_one", "spa_two"):
        product.run("customer", "add", name)
        product.run("project", "add", name, "--customer", name)
    backend = Backend.registered(product, "receipt-desk")
    parent = backend.issue("--level", "3", "--scope", "mint", project=None)["handle"]
    one = backend.minted(parent, project_id="spa_one", cap_usd="0.5")
    two = backend.minted(parent, project_id="spa_two", cap_usd="0.5")
    call_id = new_id()
    assert backend.post(one, body=body_of(CHAT, max_tokens=9), call_id=call_id).status == 200
    row = backend.row_of(call_id)
    path = f"/receipts/{row['request_id']}"

    def got(token: str) -> Reply:
        proof = backend.signed(path, b"", token, method="GET", content_type="")
        headers = [("authorization", f"Bearer {token}"), ("x-acc-binding", proof)]
        return ask(product.gateway, "GET", path, [*headers, ("x-acc-caller", backend.caller)])

    assert got(one).status == 200, got(one).body
    check(product, got(one).body.decode().strip(), row)
    assert got(two).status == 404


def test_nothing_of_all_this_was_a_fault_of_the_gateway(product):
    assert not [line for line in complaints(product) if "receipt" in line]


def test_a_keys_name_is_the_hash_of_its_public_half(caller):
    said = opened_receipt(caller.product, asked(caller, CHAT, new_id()).header("x-vis-receipt"))
    (key,) = caller.product.query(
        "select public from vis.evidence_keys where role = 'receipt' and org_id = %s and verify_until is null",
        said["org_id"],
    )
    assert sha256(bytes(key["public"])).hexdigest() == said["keyid"]
