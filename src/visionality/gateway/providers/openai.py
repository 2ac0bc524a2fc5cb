"""OpenAI and everything that speaks its Chat Completions (openai-openapi, August 2026)."""

from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.providers._core import Provider, Route

OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    key_header=b"authorization",
    key_prefix=b"Bearer ",
    routes=(
        Route("POST", "/v1/chat/completions", "/chat/completions", CHAT_COMPLETIONS, "model_call"),
        Route("GET", "/v1/models", "/models", CHAT_COMPLETIONS, "catalogue"),
        Route("GET", "/v1/models/{id}", "/models/{id}", CHAT_COMPLETIONS, "catalogue"),
    ),
    sandbox_suffix="/v1",
)
