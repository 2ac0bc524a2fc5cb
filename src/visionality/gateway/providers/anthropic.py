"""Anthropic (docs.claude.com, August 2026)."""

from visionality.gateway.dialects import MESSAGE_BATCHES, MESSAGE_RESULTS, MESSAGES
from visionality.gateway.providers._core import Provider, Route

_BATCHES = "/v1/messages/batches"
_BATCH = _BATCHES + "/{id}"

ANTHROPIC = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    key_header=b"x-api-key",
    key_prefix=b"",
    routes=(
        Route("POST", "/v1/messages", "/v1/messages", MESSAGES, "model_call"),
        Route("POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens", MESSAGES, "free"),
        Route("POST", _BATCHES, _BATCHES, MESSAGE_BATCHES, "batch"),
        Route("GET", _BATCH, _BATCH, MESSAGE_BATCHES, "batch_state"),
        Route("POST", _BATCH + "/cancel", _BATCH + "/cancel", MESSAGE_BATCHES, "batch_state"),
        Route("GET", _BATCH + "/results", _BATCH + "/results", MESSAGE_RESULTS, "download"),
        Route("DELETE", _BATCH, _BATCH, MESSAGE_BATCHES, "catalogue"),
        Route("GET", "/v1/models", "/v1/models", MESSAGES, "catalogue"),
        Route("GET", "/v1/models/{id}", "/v1/models/{id}", MESSAGES, "catalogue"),
    ),
)
