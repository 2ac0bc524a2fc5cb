"""OpenAI and everything that speaks its Chat Completions (openai-openapi, August 2026)."""

from visionality.gateway.dialects import (
    BATCHES,
    CHAT_COMPLETIONS,
    COMPACTION,
    EMBEDDINGS,
    FILE_CONTENT,
    FILES,
    IMAGES,
    INPUT_TOKENS,
    MODERATIONS,
    RESPONSES,
    SPEECH,
    STORED_RESPONSE,
    TRANSCRIPTION,
)
from visionality.gateway.providers._core import Provider, Route

_BATCHES = (
    Route("POST", "/v1/files", "/files", FILES, "upload"),
    Route("GET", "/v1/files/{id}", "/files/{id}", FILES, "catalogue"),
    Route("DELETE", "/v1/files/{id}", "/files/{id}", FILES, "catalogue"),
    Route("GET", "/v1/files/{id}/content", "/files/{id}/content", FILE_CONTENT, "download"),
    Route("POST", "/v1/batches", "/batches", BATCHES, "batch"),
    Route("GET", "/v1/batches/{id}", "/batches/{id}", BATCHES, "batch_state"),
    Route("POST", "/v1/batches/{id}/cancel", "/batches/{id}/cancel", BATCHES, "batch_state"),
)
"""No lists of files or batches: one account serves many projects, and whoever knows an id may use it."""

OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_header=b"authorization",
    key_prefix=b"Bearer ",
    routes=(
        Route("POST", "/v1/chat/completions", "/chat/completions", CHAT_COMPLETIONS, "model_call"),
        Route("POST", "/v1/responses", "/responses", RESPONSES, "model_call"),
        Route("POST", "/v1/responses/compact", "/responses/compact", COMPACTION, "model_call"),
        Route("POST", "/v1/responses/input_tokens", "/responses/input_tokens", INPUT_TOKENS, "free"),
        Route("GET", "/v1/responses/{id}", "/responses/{id}", STORED_RESPONSE, "result"),
        Route("POST", "/v1/responses/{id}/cancel", "/responses/{id}/cancel", STORED_RESPONSE, "result"),
        Route("DELETE", "/v1/responses/{id}", "/responses/{id}", RESPONSES, "catalogue"),
        Route("GET", "/v1/responses/{id}/input_items", "/responses/{id}/input_items", RESPONSES, "catalogue"),
        Route("POST", "/v1/embeddings", "/embeddings", EMBEDDINGS, "model_call"),
        Route("POST", "/v1/images/generations", "/images/generations", IMAGES, "model_call"),
        Route("POST", "/v1/images/edits", "/images/edits", IMAGES, "model_call"),
        Route("POST", "/v1/audio/speech", "/audio/speech", SPEECH, "model_call"),
        Route("POST", "/v1/audio/transcriptions", "/audio/transcriptions", TRANSCRIPTION, "model_call"),
        Route("POST", "/v1/audio/translations", "/audio/translations", TRANSCRIPTION, "model_call"),
        Route("POST", "/v1/moderations", "/moderations", MODERATIONS, "free"),
        Route("GET", "/v1/models", "/models", CHAT_COMPLETIONS, "catalogue"),
        Route("GET", "/v1/models/{id}", "/models/{id}", CHAT_COMPLETIONS, "catalogue"),
        *_BATCHES,
    ),
    sandbox_suffix="/v1",
)

ELSEWHERE = tuple(
    route for route in OPENAI.routes if route.dialect is not MODERATIONS and route not in _BATCHES
)
"""What other vendors have of these routes: that moderation is free, and how batches go, is OpenAI's word alone."""
