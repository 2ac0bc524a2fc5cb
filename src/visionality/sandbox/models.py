"""The models that the sandbox lists. A call may name any model; none of them is real here.

Sources of the two shapes: the types `Model` of the official OpenAI SDK and `ModelInfo` of
the official Anthropic SDK. The names are common ones, so that a price book knows them.
"""

from typing import Final

import msgspec

OWNER: Final = "visionality-sandbox"
CREATED_S: Final = 1_735_689_600
CREATED_AT: Final = "2025-01-01T00:00:00Z"

OPENAI_NAMES: Final = ("gpt-4o", "gpt-4o-mini", "gpt-5.5")
ANTHROPIC_NAMES: Final = ("claude-opus-4-8", "claude-sonnet-4-6", "claude-haiku-4-5")


class OpenAIModel(msgspec.Struct):
    id: str
    object: str = "model"
    created: int = CREATED_S
    owned_by: str = OWNER


class OpenAIList(msgspec.Struct):
    object: str
    data: list[OpenAIModel]


class AnthropicModel(msgspec.Struct):
    id: str
    display_name: str
    type: str = "model"
    created_at: str = CREATED_AT
    lifecycle: str = "active"


class AnthropicList(msgspec.Struct):
    data: list[AnthropicModel]
    has_more: bool
    first_id: str
    last_id: str


_OPENAI: Final = {name: OpenAIModel(name) for name in OPENAI_NAMES}
_ANTHROPIC: Final = {name: AnthropicModel(name, f"{name} (simulated)") for name in ANTHROPIC_NAMES}

OPENAI_LIST: Final = msgspec.json.encode(OpenAIList("list", list(_OPENAI.values())))
ANTHROPIC_LIST: Final = msgspec.json.encode(
    AnthropicList(
        list(_ANTHROPIC.values()), has_more=False, first_id=ANTHROPIC_NAMES[0], last_id=ANTHROPIC_NAMES[-1]
    )
)
OPENAI_MODELS: Final = {name: msgspec.json.encode(model) for name, model in _OPENAI.items()}
ANTHROPIC_MODELS: Final = {name: msgspec.json.encode(model) for name, model in _ANTHROPIC.items()}
