"""Promise B5: the usage card of an end customer, in what that customer is billed."""

import json
from decimal import Decimal

import pytest

from gateway.calls import CHAT, Caller, Pairs, Reply, ask, body_of, new_id

CARD = "/usage/card"
PLAN = {"usage": {"prompt_tokens": 100_000, "completion_tokens": 10_000}}
COST = Decimal("0.35")
"""Of one such call of gpt-4o."""


@pytest.fixture(scope="module")
def clinic(product) -> Caller:
    """A clinic that is billed 1.2 times the cost, and may cost 1 dollar a month."""
    product.run("customer", "add", "client_glow")
    product.run("project", "add", "glow", "--customer", "client_glow")
    product.run("agent", "add", "glow-app", "--owner", "AestheticIQ")
    product.run("allocation", "set", "customer:client_glow", "--markup", "1.2")
    product.run("budget", "set", "customer:client_glow", "--cap", "1/month", "--hard")
    caller = Caller(product, product.issue(agent="glow-app", project="glow"))
    product.until(lambda: shown(caller)["cap_usd"] == "1.2")
    return caller


def get(caller: Caller, *headers: tuple[str, str], method: str = "GET", query: str = "") -> Reply:
    own: Pairs = [("authorization", f"Bearer {caller.key}"), *headers]
    return ask(caller.product.gateway, method, CARD + query, own)


def shown(caller: Caller) -> dict:
    return json.loads(get(caller).body)


def spend(caller: Caller) -> int:
    body = body_of(CHAT, max_tokens=20_000)
    return caller.post(CHAT, new_id(), body, **PLAN).status


def test_the_card_goes_from_nothing_to_blocked_and_its_sums_are_those_of_the_rows(clinic, product):
    empty = shown(clinic)
    assert (empty["scope"], empty["name"], empty["period"]) == ("customer", "client_glow", "month")
    assert (empty["spent_usd"], empty["remaining_usd"], empty["state"]) == ("0", "1.2", "ok")
    assert spend(clinic) == 200
    product.until(lambda: Decimal(shown(clinic)["spent_usd"]) == COST * Decimal("1.2"))
    assert spend(clinic) == 200
    product.until(lambda: Decimal(shown(clinic)["spent_usd"]) == 2 * COST * Decimal("1.2"))
    card = shown(clinic)
    (billed,) = product.query(
        "select sum(billed_nusd)::bigint as nusd, count(*) as calls from vis.request_logs where customer_id = 'client_glow' and task_class = 'chat'"
    )
    assert Decimal(card["spent_usd"]) == Decimal(billed["nusd"]) / 10**9
    assert card["by_model"] == [{"model": "gpt-4o", "spent_usd": card["spent_usd"], "calls": 2}]
    assert [day["spent_usd"] for day in card["by_day"]] == [card["spent_usd"]]
    assert Decimal(card["remaining_usd"]) == Decimal("1.2") - Decimal(card["spent_usd"])
    forecast = card["forecast"]
    assert Decimal(forecast["low_usd"]) <= Decimal(forecast["expected_usd"]) <= Decimal(forecast["high_usd"])
    large = body_of(CHAT, max_tokens=100_000)
    assert clinic.post(CHAT, new_id(), large).status == 402
    product.until(lambda: shown(clinic)["state"] == "blocked")
    assert shown(clinic)["blocked_at"] is not None
    page = get(clinic, ("accept", "text/html"))
    assert page.header("content-type") == "text/html; charset=utf-8"
    assert b'role="alert"' in page.body
    assert b'data-state="blocked"' in page.body


def test_a_card_shows_nothing_to_a_stranger(clinic):
    reply = ask(clinic.product.gateway, "GET", CARD, [("authorization", "Bearer visk_live_nonsense")])
    assert reply.status == 401
    assert json.loads(reply.body)["error"]["code"] == "spend_token_malformed"
    assert ask(clinic.product.gateway, "GET", CARD, []).status == 401


def test_a_key_without_a_budget_sees_the_month_of_its_end_customer_and_of_nobody_else(clinic, caller):
    card = shown(caller)
    assert (card["scope"], card["name"], card["cap_usd"]) == ("customer", "houston-power", None)
    assert "client_glow" not in json.dumps(card)


def test_asking_for_a_card_writes_no_row_and_reaches_no_provider(clinic, product):
    count = "select count(*) as n from vis.request_logs where customer_id = 'client_glow'"
    before = product.query(count)
    for _ in range(5):
        assert get(clinic).status == 200
    assert product.query(count) == before


def test_only_pages_that_the_operator_names_may_ask_from_afar(clinic):
    allowed, other = ("origin", "https://app.clinic.example"), ("origin", "https://evil.example")
    assert get(clinic, allowed).header("access-control-allow-origin") == "https://app.clinic.example"
    assert get(clinic, other).header("access-control-allow-origin") is None
    preflight = ask(
        clinic.product.gateway, "OPTIONS", CARD, [allowed, ("access-control-request-method", "GET")]
    )
    assert preflight.status == 204
    assert preflight.header("access-control-allow-headers") == "authorization, x-api-key"
    assert (
        ask(clinic.product.gateway, "OPTIONS", CARD, [other]).header("access-control-allow-methods") is None
    )


def test_a_card_is_read_and_nothing_else(clinic):
    assert get(clinic, method="POST").status == 404
    assert get(clinic, method="HEAD").body == b""


def test_names_are_text_on_the_page(product):
    product.run("project", "add", "xss")
    product.run("agent", "add", "x<b>@y", "--owner", "X")
    product.run("budget", "set", "agent:x<b>@y", "--cap", "5/month")
    odd = Caller(product, product.issue(agent="x<b>@y", project="xss"))
    product.until(lambda: shown(odd)["name"] == "x<b>@y")
    page = get(odd, query="?format=html").body
    assert b"x&lt;b&gt;@y" in page
    assert b"x<b>" not in page
