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
        "azure/blocking_with_filter_results",
        "compatible/chat_usage_on_last_chunk",
    },
    "responses": {
        "openai_responses/blocking",
        "openai_responses/blocking_reasoning_cached",
        "openai_responses/blocking_tool_use",
        "openai_responses/blocking_web_search",
        "openai_responses/blocking_file_search",
        "openai_responses/blocking_code_interpreter",
        "openai_responses/blocking_image_generation",
        "openai_responses/blocking_incomplete",
        "openai_responses/blocking_failed",
        "openai_responses/blocking_compaction",
        "openai_responses/stream",
        "openai_responses/stream_tool_use",
        "openai_responses/stream_reasoning_cached",
        "openai_responses/stream_incomplete",
        "openai_responses/stream_failed",
        "openai_responses/stream_error",
        "openai_responses/stream_aborted",
    },
    "gemini": {
        "google/blocking",
        "google/blocking_thinking",
        "google/blocking_thinking_within",
        "google/blocking_cached",
        "google/blocking_modalities",
        "google/blocking_tool_use",
        "google/blocking_server_tools",
        "google/blocking_searches",
        "google/blocking_searches_per_prompt",
        "google/blocking_prompt_blocked",
        "google/blocking_flex",
    },
    "gemini_stream": {
        "google/stream",
        "google/stream_array",
        "google/stream_tool_use",
        "google/stream_thinking_cached",
        "google/stream_searches",
        "google/stream_prompt_blocked",
        "google/stream_error",
        "google/stream_array_error",
        "google/stream_aborted",
        "google/stream_array_aborted",
    },
    "gemini_embeddings": {"google/embeddings", "google/embeddings_of_an_image"},
    "embeddings": {
        "openai_embeddings/blocking",
        "openai_embeddings/blocking_contradicting",
        "openai_embeddings/blocking_tokens_in_base64",
        "openai_embeddings/blocking_without_usage",
        "azure/blocking_embeddings",
    },
    "images": {
        "openai_images/blocking",
        "openai_images/blocking_another_model",
        "openai_images/blocking_edit",
        "openai_images/blocking_text_out",
        "openai_images/blocking_without_usage",
        "openai_images/stream",
        "openai_images/stream_aborted",
        "openai_images/stream_edit",
        "openai_images/stream_error",
    },
    "speech": {
        "openai_audio/speech_blocking",
        "openai_audio/speech_stream",
        "openai_audio/speech_stream_aborted",
        "openai_audio/speech_stream_error",
    },
    "transcription": {
        "openai_audio/transcription_blocking",
        "openai_audio/transcription_blocking_begun_second",
        "openai_audio/transcription_blocking_diarized",
        "openai_audio/transcription_blocking_seconds",
        "openai_audio/transcription_blocking_subtitles",
        "openai_audio/transcription_blocking_text",
        "openai_audio/transcription_stream",
        "openai_audio/transcription_stream_aborted",
        "openai_audio/transcription_stream_error",
        "openai_audio/translation_blocking",
    },
    "converse": {
        "bedrock/converse",
        "bedrock/converse_cached",
        "bedrock/converse_tool_use",
        "bedrock/converse_prompt_router",
        "bedrock/converse_stream",
        "bedrock/converse_stream_cached",
        "bedrock/converse_stream_input_includes_cache",
        "bedrock/converse_stream_tool_use",
        "bedrock/converse_stream_exception",
        "bedrock/converse_stream_damaged",
        "bedrock/converse_stream_aborted",
    },
    "invoke_model": {
        "bedrock/invoke_anthropic",
        "bedrock/invoke_anthropic_headers_fill_in",
        "bedrock/invoke_nova",
        "bedrock/invoke_llama",
        "bedrock/invoke_titan_embeddings",
        "bedrock/invoke_stream_anthropic",
        "bedrock/invoke_stream_anthropic_metrics_fill_in",
        "bedrock/invoke_stream_anthropic_tool_use",
        "bedrock/invoke_stream_anthropic_exception",
        "bedrock/invoke_stream_anthropic_aborted",
        "bedrock/invoke_stream_nova",
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
    metered = wire.dialect.metered_body(wire.answer, wire.document, wire.headers)
    assert told(metered) == without({"dialect"}, wire.expected)
    assert metered.raw_usage or metered.source == "tokenizer_estimate"


@pytest.mark.parametrize("wire", STREAMS, ids=ids(STREAMS))
def test_a_stream_is_read_as_its_fixture_says(wire):
    reader = wire.reader()
    reader.feed(wire.answer)
    assert told(reader.metered(wire.document)) == without({"dialect"}, wire.expected)
    assert reader.complete is bool(wire.terminal.search(wire.answer))


def test_every_bucket_that_a_reader_fills_has_a_place_in_the_price_book():
    filled = {bucket for wire in ALL for bucket in wire.expected["usage"]}
    assert filled <= set(BUCKETS)
    assert len(filled) == len(BUCKETS)


def test_a_call_without_a_card_is_unknown_and_not_free():
    metered = BODIES[0].dialect.metered_body(BODIES[0].answer, BODIES[0].document)
    assert cost(metered.usage, None).state == "unknown"
