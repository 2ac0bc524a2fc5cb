"""Anthropic (docs.claude.com, August 2026)."""

from visionality.gateway.dialects import MESSAGES
from visionality.gateway.providers._core import Provider, Route

ANTHROPIC = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    key_header=b"x-api-key",
    key_prefix=b"",
    routes=(
        Route("POST", "/v1/messages", "/v1/messages", MESSAGES, "model_call"),
        Route("POST", "/v1/messages/count_tokens", "/v1/messages/count_tokens", MESSAGES, "free"),
        Route("GET", "/v1/models", "/v1/models", MESSAGES, "catalogue"),
        Route("GET", "/v1/models/{id}", "/v1/models/{id}", MESSAGES, "catalogue"),
    ),
)
