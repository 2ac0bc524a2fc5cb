"""Nothing goes unmetered: a path without a meter is refused, unless an operator opened it; then it is a row all the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest

from gateway.calls import CHAT, Caller, ask, body_of, new_id, opened
from gateway.scripted import closed_port, scripted
from gateway.test_compatible import KEY, add, in_force, recomputed, whole
from product import Product
from visionality.gateway.passthrough import passed

HOUSE = "house-server"
FILES = f"/{HOUSE}/v1/files"
LISTED = b'{"object":"list","data":[{"id":"file-1","object":"file"}],"has_more":false}'


@pytest.fixture(scope="module")
def passer(product) -> Caller:
    """Somebody of a project of its own, whose keys may pass calls through to one provider."""
    product.run("project", "add", "PASS")
    return Caller(product, product.issue(project="PASS"))


@contextmanager
def house(product: Product, caller: Caller, *words: str) -> Iterator[Any]:
    """A provider that answers with prepared bytes, open to the project."""
    with scripted() as provider:
        provider.answer = whole("", LISTED)
        add(product, HOUSE, provider.address)
        product.run("project", "passthrough", "PASS", HOUSE, "on", *words)
        product.until(lambda: get(caller).status == 200)
        try:
            yield provider
        finally:
            product.run("project", "passthrough", "PASS", HOUSE, "off")
            product.run("provider", "remove", HOUSE)
            product.until(lambda: get(caller).status == 404)


def get(caller: Caller, path: str = FILES, call_id: str = "") -> Any:
    return ask(caller.product.gateway, "GET", path, caller.headers("files", call_id or new_id()))


def test_an_opened_path_passes_and_is_a_row_of_unknown_price(product, passer):
    with house(product, passer):
        with openai.OpenAI(
            base_url=f"{product.gateway}/{HOUSE}/v1", api_key=passer.key, max_retries=0
        ) as client:
            assert in_force(client)
            call_id = new_id()
            found = client.files.list(extra_headers={"x-client-request-id": call_id})
        assert [file.id for file in found] == ["file-1"]
        row = passer.row(call_id)
    assert (row["provider"], row["dialect"], row["project_id"]) == (HOUSE, "passthrough", "PASS")
    assert (row["decision"], row["status_code"], row["model_requested"]) == ("allowed", 200, None)
    assert (row["price_state"], row["cost_nusd"], row["usage"], row["usage_source"]) == (
        "unknown",
        0,
        None,
        "none",
    )


def test_a_declared_price_is_charged_for_each_request_that_was_answered(product, passer):
    with house(product, passer, "--usd-per-request", "0.0125") as provider:
        call_id = new_id()
        assert get(passer, call_id=call_id).body == LISTED
        row = passer.row(call_id)
        assert (row["price_state"], row["cost_nusd"], row["billed_nusd"]) == ("known", 12_500_000, 12_500_000)
        assert recomputed(row) == row["cost_nusd"]
        held = "select amount_nusd from vis.budget_events where kind = 'reserve' and request_id = %s"
        assert product.query(held, row["request_id"]) == [{"amount_nusd": 12_500_000}]
        assert "12500000 nano-USD from the row's own usage and rates" in product.run(
            "ledger", "show", str(row["id"])
        )
        provider.answer = whole("", b'{"error":{"message":"no"}}').replace(b"200 OK", b"404 Not Found")
        reply = get(passer, call_id=(call_id := new_id()))
        assert (reply.status, reply.body) == (404, b'{"error":{"message":"no"}}')
        row = passer.row(call_id)
        assert (row["reason"], row["price_state"], row["cost_nusd"]) == ("upstream_refused", "known", 0)
        provider.answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nbroken"
        call_id = new_id()
        assert get(passer, call_id=call_id).status == 502
        row = passer.row(call_id)
        assert (row["reason"], row["cost_nusd"]) == ("upstream_broke", 12_500_000)


def test_a_stream_passes_as_it_comes_and_ends_when_its_row_is_durable(product, passer):
    events = b"data: one\n\n: comment\n\nevent: odd\r\ndata: two\r\n\r\n"
    with house(product, passer) as provider:
        provider.answer = whole("", events, "text/event-stream")
        call_id = new_id()
        with opened(
            product.gateway, "POST", f"/{HOUSE}/v1/threads/t-1/runs", passer.headers("x", call_id), b"{}"
        ) as answer:
            assert answer.getheader("content-type") == "text/event-stream"
            assert answer.read() == events
        row = passer.row(call_id)
        assert (row["decision"], row["finish"], row["price_state"]) == ("allowed", None, "unknown")
        provider.answer = provider.answer.replace(b"content-length: %d" % len(events), b"content-length: 999")
        with opened(
            product.gateway,
            "POST",
            f"/{HOUSE}/v1/threads/t-1/runs",
            passer.headers("x", call_id := new_id()),
            b"{}",
        ) as answer:
            assert answer.read().startswith(events)
        row = passer.row(call_id)
        assert (row["decision"], row["reason"], row["price_state"]) == ("failed", "upstream_broke", "unknown")


def test_what_goes_up_is_what_came_without_the_callers_key(product, passer):
    """The sandbox knows no such path, but it keeps what came to one that it knows."""
    product.run("provider", "add", HOUSE, "--base-url", product.sandbox, stdin=KEY)
    product.run("project", "passthrough", "PASS", HOUSE, "on")
    body = body_of(CHAT, odd=[1, None])
    path = f"/{HOUSE}/v1/v1/chat/completions?a=b&c=%20"
    headers = passer.headers(CHAT, new_id())
    product.until(lambda: ask(product.gateway, "POST", path, headers, body).status == 200)
    seen = passer.seen()
    assert seen["path"] == "/v1/chat/completions?a=b&c=%20"
    assert ["authorization", f"Bearer {KEY}"] in seen["headers"]
    assert passer.key not in str(seen)
    product.run("project", "passthrough", "PASS", HOUSE, "off")
    product.run("provider", "remove", HOUSE)


def test_it_is_closed_to_every_other_project_and_provider(product, passer, caller):
    with house(product, passer):
        rows = product.query("select count(*) as n from vis.request_logs")
        for reply in (
            get(caller),
            get(passer, "/openai/v1/files"),
            get(passer, "/anthropic/v1/files"),
            ask(product.gateway, "GET", FILES, []),
            ask(product.gateway, "GET", FILES, [("authorization", "Bearer visk_live_nonsense")]),
            ask(product.gateway, "HEAD", FILES, passer.headers("files", new_id())),
        ):
            assert (reply.status, reply.header("x-acc-error")) == (404, "route_not_metered")
        assert product.query("select count(*) as n from vis.request_logs") == rows


def test_a_revoked_key_is_refused_and_its_metered_routes_stay_metered(product, passer):
    with house(product, passer) as provider:
        key = Caller(product, product.issue(project="PASS"))
        assert get(key).status == 200
        provider.answer = whole("", b"{}")
        reply = key.post(f"/{HOUSE}/v1/chat/completions", call_id := new_id())
        (row,) = product.rows_of(call_id)
        assert (reply.status, row["dialect"], row["usage_source"]) == (
            502,
            "chat_completions",
            "tokenizer_estimate",
        )
        product.run("key", "revoke", str(row["key_id"]))
        product.until(lambda: get(key).status == 401)


def test_a_provider_that_cannot_be_reached_costs_nothing(product, passer):
    with house(product, passer, "--usd-per-request", "1"):
        add(product, HOUSE, closed_port())
        product.until(lambda: get(passer).status == 502)
        call_id = new_id()
        assert get(passer, call_id=call_id).error["code"] == "upstream_unreachable"
        row = passer.row(call_id)
        assert (row["price_state"], row["cost_nusd"]) == ("known", 0)


def test_opening_and_closing_is_on_record(product, passer):
    with house(product, passer, "--usd-per-request", "0.5"):
        assert f"{HOUSE}: 0.5" in product.run("project", "list")
    kinds = product.query(
        "select kind, detail from vis.admin_events where kind like 'passthrough%' and detail->>'project' = 'PASS' order by created_at"
    )
    assert [one["kind"] for one in kinds[-2:]] == ["passthrough_opened", "passthrough_closed"]
    assert kinds[-2]["detail"] == {"project": "PASS", "provider": HOUSE, "usd_per_request": "0.5"}
    assert HOUSE not in product.run("project", "list")
    told = product.try_run("project", "passthrough", "PASS", HOUSE, "off")
    assert (told.returncode, "passes nothing through" in told.stderr) == (1, True)
    told = product.try_run("project", "passthrough", "NOPE", HOUSE, "on")
    assert (told.returncode, "there is no project NOPE" in told.stderr) == (1, True)


AROUND = [
    "/openai/v1/Chat/Completions", "/openai/v1/chat/completions/", "/openai/v1/chat%2Fcompletions", "/openai/v1/chat%252fcompletions",
    "/openai/v1/../v1/files", "/openai/v1/%2e%2e/files", "/openai/v1/.%2e/files", "/openai/v1/a//b", "/openai/v1/a\\b",
    "/openai/v1/a b", "/openai/v1", "/openai/v1/", "/openai/files", "/v1/files", "/livez/files", "/cursor/v1/files",
    "/sandbox/v1/files", "/V1/files", "//files", "/anthropic/v1/messages/", "/anthropic/v1/MESSAGES",
    "/google/v1beta/models/gemini-2.5-pro%3AgenerateContent", "/gemini/v1/models/gemini-2.5-pro:GenerateContent",
    "/bedrock/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fus%2Eclaude/converse", "/bedrock/model/a%2fb%2Ec/invoke",
    "/azure/openai/deployments/a%2Fb/chat/completions", "/openai/v1/chat/completions;x=1", "/openai/v1/chat;x/completions",
    "/openai/v1/chat/completions%3Fx", "/openai/v1/chat/completions%23", "/openai/v1/chat/completions%20", "/openai/v1/..;/files",
]  # fmt: skip


@pytest.mark.parametrize("path", AROUND)
def test_there_is_no_way_around_the_meter(path):
    assert passed("POST", path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/files/my%20file",
        "/google/v1beta/models/m:batchGenerateContent",
        "/bedrock/guardrail/g/apply",
    ],
)
def test_what_only_stands_near_a_metered_path_can_be_opened(path):
    assert passed("POST", path) is not None
