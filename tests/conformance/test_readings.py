"""What is read of each fixture, and what it costs."""

from decimal import Decimal

import pytest

from conformance.bill import billed, expected_nusd, summed_nusd
from conformance.situations import SITUATIONS
from conformance.wire import ALL, FOLDER, STREAMS, told, without
from visionality.core.pricing import STATED_BY, cost
from visionality.gateway.dialects import DIALECTS
from visionality.pricebook.book import BUCKETS

every_wire = pytest.mark.parametrize("wire", ALL, ids=lambda wire: wire.name)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_has_a_fixture_for_each_of_its_situations(dialect):
    have = {wire.name for wire in ALL if wire.dialect is dialect}
    assert have >= SITUATIONS[dialect.name]


def test_every_vendor_is_named_in_the_readme():
    readme = (FOLDER / "README.md").read_text()
    assert {wire.vendor for wire in ALL if f"| `{wire.vendor}` |" not in readme} == set()


@every_wire
def test_an_answer_is_read_as_its_fixture_says(wire):
    metered = wire.read()
    assert told(metered) == without({"dialect"}, wire.expected)
    assert metered.raw_usage or metered.source == "tokenizer_estimate"


@pytest.mark.parametrize("wire", STREAMS, ids=lambda wire: wire.name)
def test_a_stream_is_complete_when_its_last_event_or_an_error_came(wire):
    reader = wire.reader()
    reader.feed(wire.answer)
    has_error = "error" in wire.name or "exception" in wire.name
    assert reader.complete is (has_error or bool(wire.terminal.search(wire.answer)))


@every_wire
def test_a_fixtures_cost_is_its_units_times_its_rates_and_an_unknown_one_says_why(wire):
    said = wire.cost
    assert (said.state == "unknown") == bool(said.why) == (said.usd is None)
    if said.state == "known" and said.stated_by is None:
        assert said.rates.keys() == wire.billed.keys()
        assert summed_nusd(wire) == expected_nusd(wire) > 0
        assert all(Decimal(rate) > 0 for rate in said.rates.values())
    else:
        assert said.rates == {}


@every_wire
def test_the_product_bills_what_the_fixture_says(wire, record_property):
    row = billed(wire, wire.read())
    said = wire.cost
    record_property("conformance", {
        "vendor": wire.vendor, "dialect": wire.dialect.name, "fixtures": 1, "streams": int(wire.streams), "cuts": 0,
        "unpriced": int(said.state == "unknown"),
        "units_expected": sum(wire.billed.values()), "units_found": sum((row.usage or {}).values()),
        "nusd_expected": expected_nusd(wire), "nusd_found": row.cost_nusd,
    })  # fmt: skip
    assert wire.provider.price_list == said.prices
    assert (row.model_used, row.price_state, row.usage) == (said.model, said.state, wire.billed)
    assert (row.cost_nusd, row.billed_nusd) == (expected_nusd(wire), expected_nusd(wire))
    if said.state == "known":
        source = row.rates.pop("source")
        assert {bucket: Decimal(rate) for bucket, rate in row.rates.items()} == {
            bucket: Decimal(rate) for bucket, rate in said.rates.items()
        }
        assert said.stated_by is None or source == STATED_BY + said.stated_by


def test_every_bucket_that_a_reader_fills_has_a_place_in_the_price_book():
    filled = {bucket for wire in ALL for bucket in wire.expected["usage"]}
    assert filled <= set(BUCKETS)
    assert len(filled) == len(BUCKETS)


def test_a_call_without_a_card_is_unknown_and_not_free():
    assert cost(ALL[0].read().usage, None).state == "unknown"
