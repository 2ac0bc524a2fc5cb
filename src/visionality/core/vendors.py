"""The providers at an address of their own, and how they write themselves, for every page that names them to people.

These are the ones that the sandbox can step in for. The gateway knows more of each (gateway/providers), and rooms that
cannot see the gateway name them by this.
"""

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "google": "Google",
    "bedrock": "Amazon Bedrock",
    "openrouter": "OpenRouter",
}

ADDRESSES: Mapping[str, str] = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "google": "https://generativelanguage.googleapis.com",
    "bedrock": "https://bedrock-runtime.us-east-1.amazonaws.com",
    "openrouter": "https://openrouter.ai/api/v1",
    "azure": "",
    "litellm": "",
}
"""Every provider that the gateway knows, and where its calls go when nothing else is said; empty where that must be said."""

RESERVED = frozenset(
    {
        "at",
        "cursor",
        "gemini",
        "livez",
        "metrics",
        "model",
        "openai",
        "readyz",
        "sandbox",
        "unknown",
        "v1",
        "v1beta",
    }
)
"""First segments of the gateway's own paths, which no provider can have for its name."""
