"""What is found in one request, and the numbers that a finding is turned into."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeGuard

from visionality.core.call import ITS_BYTES, Reach

PICTURE_TOKENS = 50_000
"""The most tokens of a picture: 48,169 at gpt-4o-mini, which counts 2,833 and 5,667 for each of up to 8 tiles.

Other models take fewer, as far as their vendors say: the others of OpenAI 10,000 patches, Qwen-VL 16,384, Gemini 3
2,240 and its older models 258 for each of 16 tiles.
"""
SEARCHED_TOKENS = 131_072
"""What the searches of one call bring in, assumed: OpenAI limits the context of its web search to 128,000 tokens."""
PROMPT_TOKENS = 1_024
"""What a vendor puts before the prompt of a call with any tools: Anthropic up to 804, assumed of the others."""
TOOL_TOKENS = 8_192
"""What a vendor's own description of a tool adds to the prompt, assumed: Anthropic tells of 245 to 735 a tool."""
ROUNDS = 10
"""How often a model is asked in a call with tools that the provider runs: Anthropic's limit, assumed of others."""
USES = 30
"""How often such a tool is used in a call that states no limit, assumed: three times a round."""


class Found:
    """What a walk through a request has found so far; a format with numbers of its own has a kind of its own."""

    picture_tokens: ClassVar = PICTURE_TOKENS
    anew: ClassVar = False
    most_rounds: ClassVar[int | None] = None
    """How often the model is asked at most, whatever limit the request has for its tools."""

    tokens = 0
    unseen = False
    times = 1
    """How often the whole of it may be done: before it a summary of the conversation, after it another model."""
    _runs: int | None = 0
    _uses: dict[str, int] | None = None

    def picture(self, inline: object = None) -> None:
        """A picture, and the text that stands for it in the body, if one does."""
        self.tokens += self.picture_tokens - _length(inline)

    def document(self, inline: object = None) -> None:
        """Something whose tokens its bytes do not bound, and the text that stands for it in the body, if one does."""
        self.unseen = True
        self.tokens -= _length(inline)

    def runs(self, limit: object) -> None:
        """The provider runs tools, as often as the request says; where it does not say, until there are enough rounds."""
        self._runs = self._runs + limit if self._runs is not None and _is_limit(limit) else None

    def uses(self, bucket: str, limit: object) -> None:
        """A tool that costs something a use is used as often as the request says."""
        self._uses = self._uses or {}
        self._uses[bucket] = self._uses.get(bucket, 0) + (limit if _is_limit(limit) else USES)

    def reach(self) -> Reach:
        if not vars(self):
            return ITS_BYTES
        rounds = ROUNDS if self._runs is None else 1 + self._runs
        if self.most_rounds is not None:
            rounds = min(rounds, self.most_rounds)
        uses = tuple((self._uses or {}).items())
        return Reach(self.tokens, self.unseen, rounds * self.times, self.anew, uses)


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; of anything else none."""
    return [item for item in value if type(item) is dict] if type(value) is list else []


def typed(value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The same, each with its `type`, which is empty where it is no text."""
    for item in objects(value):
        kind = item.get("type")
        yield kind if type(kind) is str else "", item


def member(value: object, name: str) -> Any:
    """A member of what should be an object; None when it is none."""
    return value.get(name) if type(value) is dict else None


def _length(inline: object) -> int:
    """At most the bytes that a text takes in the body."""
    return len(inline) if type(inline) is str else 0


def _is_limit(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0
