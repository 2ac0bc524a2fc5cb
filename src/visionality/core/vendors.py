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
