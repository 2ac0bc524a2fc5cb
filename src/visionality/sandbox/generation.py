"""What the simulated model says: deterministic, and counted in words instead of tokens.

A "token" here is a word between white space. That is no tokeniser's count, but the
same request always gives the same usage, which is what tests and first steps need.
"""

import itertools
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from visionality.sandbox.plan import NO_PLAN, Plan, ToolCall

DEFAULT_TEXT: Final = (
    "This answer is simulated: it comes from the Visionality sandbox, and no model has read the request."
)
TOOL_DELTA_CHARACTERS: Final = 8
NO_LIMIT: Final = 1 << 62
DEEPEST_CONTENT: Final = 8  # content blocks nest at most twice in either dialect

_WORD: Final = re.compile(r"\s*\S+(?:\s+\Z)?")


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer of the simulated model, whole and as the deltas of a stream.

    `output_tokens` contains `reasoning_tokens`, as both dialects count them.
    """

    text: str
    text_deltas: tuple[str, ...]
    output_tokens: int
    reasoning: str = ""
    reasoning_deltas: tuple[str, ...] = ()
    reasoning_tokens: int = 0
    tool_call: ToolCall | None = None
    tool_arguments: str = ""
    was_cut: bool = False

    @property
    def tool_deltas(self) -> tuple[str, ...]:
        size = TOOL_DELTA_CHARACTERS
        return tuple(self.tool_arguments[at : at + size] for at in range(0, len(self.tool_arguments), size))


@lru_cache(maxsize=64)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, each with its white space, so that they join to the text again."""
    return tuple(_WORD.findall(text)) or ((text,) if text else ())


def even_pieces(text: str, count: int) -> tuple[str, ...]:
    """A text in `count` pieces of nearly equal length, fewer when it has fewer characters."""
    count = min(count, len(text))
    borders = [len(text) * number // count for number in range(count + 1)] if count else [0]
    return tuple(text[start:end] for start, end in itertools.pairwise(borders))


DEFAULT: Final = Generation(
    text=DEFAULT_TEXT, text_deltas=words_of(DEFAULT_TEXT), output_tokens=len(words_of(DEFAULT_TEXT))
)


def planned_text(plan: Plan) -> str:
    if plan.text is not None:
        return plan.text
    if plan.chunks is not None:
        words = words_of(DEFAULT_TEXT + " ")
        rounds, rest = divmod(plan.chunks, len(words))
        return ("".join(words) * rounds + "".join(words[:rest])).rstrip()
    return "" if plan.tool_call else DEFAULT_TEXT


def generate(plan: Plan, max_tokens: int | None) -> Generation:
    """What the plan makes the model say, cut where the request's limit of output tokens cuts it.

    Reasoning comes first, then the text, then the tool call, and each takes from the limit.
    """
    limit = max_tokens if max_tokens is not None else NO_LIMIT
    if plan is NO_PLAN and limit >= DEFAULT.output_tokens:
        return DEFAULT
    reasoning, text = words_of(plan.reasoning), words_of(planned_text(plan))
    said_reasoning = reasoning[:limit]
    said_text = text[: limit - len(said_reasoning)]
    left = limit - len(said_reasoning) - len(said_text)
    arguments = msgspec.json.encode(plan.tool_call.arguments).decode() if plan.tool_call else ""
    tool_tokens = 1 + len(arguments.split()) if plan.tool_call else 0
    has_tool_call = plan.tool_call is not None and tool_tokens <= left
    whole_text = "".join(said_text)
    return Generation(
        text=whole_text,
        text_deltas=even_pieces(whole_text, plan.chunks) if plan.text and plan.chunks else said_text,
        output_tokens=len(said_reasoning) + len(said_text) + (tool_tokens if has_tool_call else 0),
        reasoning="".join(said_reasoning),
        reasoning_deltas=said_reasoning,
        reasoning_tokens=len(said_reasoning),
        tool_call=plan.tool_call if has_tool_call else None,
        tool_arguments=arguments if has_tool_call else "",
        was_cut=len(reasoning) + len(text) + tool_tokens > limit,
    )


def count_words(content: object, depth: int = 0) -> int:
    """The words in a message's content: a string, or blocks that carry `text` or further `content`."""
    if isinstance(content, str):
        return len(content.split())
    if depth > DEEPEST_CONTENT:
        return 0
    if isinstance(content, list):
        return sum(count_words(part, depth + 1) for part in content)
    if isinstance(content, dict):
        return count_words(content.get("text"), depth + 1) + count_words(content.get("content"), depth + 1)
    return 0
