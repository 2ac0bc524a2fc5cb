import pytest

from gateway.dialects.wire import ALL, BODIES, STREAMS, told, without
from visionality.core.pricing import cost
from visionality.gateway.dialects import DIALECTS
from visionality.pricebook.book import BUCKETS

SITUATIONS = {
    "chat_completions": {
        "openai/blocking",
        "openai/stream",
        "openai/stream_tool_use",
        "openai/stream_error",
        "openai/blocking_cached",
        "openai/blocking_reasoning",
        "openai/stream_aborted",
        "openai/blocking_priority",
        "openai/stream_flex",
        "openai/stream_client_asked",
        "azure/stream_first_chunk_without_choices",
        "compatible/chat_usage_on_last_chunk",
    },
    "messages": {
        "anthropic/blocking",
        "anthropic/stream",
        "anthropic/stream_tool_use",
        "anthropic/stream_error",
        "anthropic/blocking_cached_5m_and_1h",
        "anthropic/blocking_thinking",
        "anthropic/stream_thinking",
        "anthropic/stream_aborted",
        "anthropic/blocking_batch_tier",
        "anthropic/blocking_priority_in_the_us",
        "compatible/messages_inflated_start",
    },
}


def ids(wires):
    return [wire.name for wire in wires]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_has_a_fixture_for_each_of_its_situations(dialect):
    have = {wire.name for wire in ALL if wire.dialect is dialect}
    assert have >= SITUATIONS[dialect.name]


@pytest.mark.parametrize("wire", BODIES, ids=ids(BODIES))
def test_a_blocking_answer_is_read_as_its_fixture_says(wire):
    metered = wire.dialect.metered_body(wire.answer, wire.document)
    assert told(metered) == without({"dialect"}, wire.expected)
    assert metered.raw_usage


@pytest.mark.parametrize("wire", STREAMS, ids=ids(STREAMS))
def test_a_stream_is_read_as_its_fixture_says(wire):
    reader = wire.reader()
    reader.feed(wire.answer)
    assert told(reader.metered(wire.document)) == without({"dialect"}, wire.expected)
    assert reader.complete is (b"[DONE]" in wire.answer or b'"type":"message_stop"' in wire.answer)


def test_every_bucket_that_a_reader_fills_has_a_place_in_the_price_book():
    filled = {bucket for wire in ALL for bucket in wire.expected["usage"]}
    assert filled <= set(BUCKETS)
    assert len(filled) == len(BUCKETS)


def test_a_call_without_a_card_is_unknown_and_not_free():
    metered = BODIES[0].dialect.metered_body(BODIES[0].answer, BODIES[0].document)
    assert cost(metered.usage, None).state == "unknown"
