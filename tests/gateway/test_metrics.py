"""What Prometheus reads of a gateway is what its rows add up to, and tells nobody's name (G5, B1, D1)."""

from collections import defaultdict
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.calls import CHAT, GPT, MESSAGES, Caller, ask, body_of, new_id
from product import running, set_up
from visionality.core.money import usd
from visionality.gateway.metrics import may_read

TOKEN = "a-token-of-the-operator"


@pytest.fixture(scope="module")
def product():
    """With a key whose budget lets some calls through and refuses the others, and one that lost its project."""
    with running(metrics_token=TOKEN) as product:
        set_up(product)
        yield product


def read(product, *headers):
    return ask(product.gateway, "GET", "/metrics", list(headers))


def samples(product):
    """Value by name and labels."""
    reply = read(product, ("authorization", f"Bearer {TOKEN}"))
    assert reply.status == 200, reply.body
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def test_counters_are_the_sums_of_the_rows(product):
    open_key, capped = product.issue(), product.issue("--cap", "0.000001/month")
    for path in (CHAT, MESSAGES, CHAT):
        assert Caller(product, open_key).post(path, new_id()).status == 200
    assert {Caller(product, capped).post(CHAT, new_id()).status for _ in range(4)} == {402}
    product.until(lambda: rows(product, "sum((tags->>'repeats')::int) as repeats") == [{"repeats": 3}])
    found = samples(product)
    expected = defaultdict(int)
    for row in rows(
        product,
        "provider, case price_state when 'known' then model_family end as model_family, decision, reason, coalesce((tags->>'repeats')::int, 1) as calls, cost_nusd,"
        " billed_nusd, input_tokens, output_tokens",
    ):
        labels = [(name, row[name] or "") for name in ("decision", "model_family", "provider")]
        code = row["reason"] if row["decision"] == "refused" else ""
        expected["visionality_calls_total", *labels, ("reason", code)] += row["calls"]
        expected["visionality_cost_usd_total", *labels] += row["cost_nusd"]
        expected["visionality_billed_usd_total", *labels] += row["billed_nusd"]
        for kind in ("input", "output"):
            name = ("visionality_tokens_total", labels[0], ("kind", kind), *labels[1:])
            expected[name] += row[f"{kind}_tokens"]
    for name, value in expected.items():
        dollars = "_usd_" in name[0]
        assert found[name] == (float(Decimal(usd(value))) if dollars else value), name
    counted = sum(value for name, value in found.items() if name[0] == "visionality_calls_total")
    assert counted == sum(
        row["calls"] for row in rows(product, "coalesce((tags->>'repeats')::int, 1) as calls")
    )
    assert any(dict(name[1:]).get("reason") == "spend_token_blocked" for name in expected)


def test_latencies_queue_and_age_are_told(product):
    found = samples(product)
    assert found["visionality_commit_seconds_count",] > 0
    assert found["visionality_hold_seconds_count",] >= 4
    assert found["visionality_writes_waiting",] == 0
    assert 0 <= found["visionality_snapshot_age_seconds",] < 2
    assert found["visionality_ready",] == 1
    assert found["process_resident_memory_bytes",] > 0


def test_no_name_of_anybody_is_in_them(product):
    text = read(product, ("authorization", f"Bearer {TOKEN}")).body.decode()
    for name in ("alice", "arctrade", "HPC", "desk", "houston"):
        assert name not in text


def test_only_who_holds_the_token_is_told(product):
    for headers in ([], [("authorization", "Bearer wrong")], [("authorization", f"Basic {TOKEN}")]):
        reply = read(product, *headers)
        assert reply.status == 401
        assert b"VIS_METRICS_TOKEN" in reply.body
        assert b"visionality_calls" not in reply.body


def test_a_caller_who_invents_models_and_reasons_makes_no_more_lines(product):
    key = product.issue()
    for number in range(3):
        body = body_of(CHAT).replace(GPT.encode(), f"made-up-{number}".encode())
        Caller(product, key).post(CHAT, new_id(), body)
    families = {
        dict(name[1:])["model_family"] for name in samples(product) if name[0] == "visionality_calls_total"
    }
    assert not [family for family in families if family.startswith("made-up")]


def rows(product, columns):
    grouped = "" if "sum(" in columns else " order by wseq"
    return product.query(
        f"select {columns} from vis.request_logs where entry in ('call', 'attempt'){grouped}"
    )


def test_without_a_token_only_this_machine_is_told():
    local, elsewhere = "127.0.0.1", "10.1.2.3"
    assert may_read(None, local, [])
    assert not may_read(None, elsewhere, [])
    assert not may_read(None, local, [(b"x-forwarded-for", b"203.0.113.9")])
    assert not may_read(None, "", [])
    assert not may_read(TOKEN, local, [])
