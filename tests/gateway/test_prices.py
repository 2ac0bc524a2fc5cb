"""Promise G5: each row carries the price that made it; a new price is appended, and an unknown one is no zero."""

import json

import pytest

from gateway.calls import CHAT, MESSAGES, body_of, new_id, recomputed

USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}


def call(caller, model: str, path: str = CHAT, **plan: object) -> dict:
    call_id = new_id()
    assert caller.post(path, call_id, body_of(path, model=model), **plan).status == 200
    return caller.row(call_id)


def test_an_unknown_model_is_served_and_shown_as_unpriced(caller):
    row = call(caller, "model-nobody-knows", usage=USAGE)
    assert (row["decision"], row["price_state"], row["cost_nusd"]) == ("allowed", "unknown", 0)
    assert (row["usage"], row["rates"]) == ({"in_text": 1000, "out_text": 200}, None)
    tail = ("ledger", "tail", "-n", "200")
    (line,) = (line for line in caller.product.run(*tail).splitlines() if "model-nobody-knows" in line)
    assert "unpriced" in line
    shown = map(json.loads, caller.product.run(*tail, "--json").splitlines())
    assert [each["price_state"] for each in shown if each["id"] == str(row["id"])] == ["unknown"]


def test_a_price_is_confirmed_appended_and_used_from_then_on(caller):
    product, model = caller.product, "house-model-1"
    before = call(caller, model, usage=USAGE)
    words = (
        "price",
        "set",
        "openai",
        model,
        "--input",
        "2.5",
        "--output",
        "10.000001",
        "--source",
        "contract 7",
    )
    asked = product.try_run(*words, stdin="n\n")
    assert asked.returncode == 1
    assert "1M in + 1M out would cost 12.500001 USD" in asked.stderr
    assert model not in product.run("price", "list")
    assert "saved" in product.run(*words, stdin="y\n")
    product.until(lambda: call(caller, model, usage=USAGE)["price_state"] == "known")
    first = call(caller, model, usage=USAGE)
    product.run(*words[:4], "--input", "3", "--output", "30", "--source", "contract 8", "--yes")
    product.until(lambda: call(caller, model, usage=USAGE)["price_version"] != first["price_version"])
    second = call(caller, model, usage=USAGE)
    assert first["cost_nusd"] == 1000 * 2_500 + 200 * 10_000 == recomputed(first)
    assert second["cost_nusd"] == 1000 * 3_000 + 200 * 30_000 == recomputed(second)
    assert second["price_version"] > first["price_version"] > 1
    assert "contract 7" in first["rates"]["source"]
    assert "contract 8" in second["rates"]["source"]
    for row in (before, first):
        (now,) = product.query("select * from vis.request_logs where id = %s", row["id"])
        assert now == row
    listed = [json.loads(line) for line in product.run("price", "list", "--json").splitlines()]
    assert [price["source"] for price in listed if price["model"] == model] == ["contract 7", "contract 8"]


def test_a_price_of_next_year_does_not_count_yet(caller):
    product, model = caller.product, "house-model-2"
    product.run(
        "price", "set", "openai", model, "--input", "1", "--output", "1", "--yes", "--from", "2999-01-01"
    )
    product.run("price", "set", "openai", "house-model-3", "--input", "1", "--output", "1", "--yes")
    product.until(lambda: call(caller, "house-model-3")["price_state"] == "known")
    assert call(caller, model)["price_state"] == "unknown"


@pytest.mark.parametrize(
    ("model", "tier", "in_text"),
    [("gpt-5", "default", "1.25"), ("gpt-5", "flex", "0.625"), ("gpt-5", "priority", "2.5")],
)
def test_the_tier_that_was_served_is_the_tier_that_is_priced(caller, model, tier, in_text):
    row = call(caller, model, service_tier=tier, usage=USAGE)
    assert (row["served_tier"], row["price_state"], row["rates"]["in_text"]) == (tier, "known", in_text)
    assert recomputed(row) == row["cost_nusd"]


def test_a_tier_that_nobody_knows_is_unpriced_and_not_the_plain_price(caller):
    row = call(caller, "gpt-5", service_tier="gold", usage=USAGE)
    assert (row["served_tier"], row["price_state"], row["cost_nusd"]) == ("gold", "unknown", 0)


def test_a_long_context_reprices_the_whole_call(caller):
    usage = {"input_tokens": 300_000, "output_tokens": 1_000}
    row = call(caller, "claude-sonnet-4-5", MESSAGES, usage=usage)
    assert row["cost_nusd"] == 1_822_500_000 == recomputed(row)


def test_every_row_can_be_recomputed_from_itself(caller):
    metered = "cost_nusd <> 0 and entry = 'call' and usage_source <> 'reservation_ceiling'"
    rows = caller.product.query(f"select * from vis.request_logs where {metered}")
    assert rows
    assert [row["id"] for row in rows if recomputed(row) != row["cost_nusd"]] == []
