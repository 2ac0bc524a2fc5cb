"""Every client and dialect, what the simulated provider is told to report, and what that must come to.

Units are the report by hand, rates are typed in: nothing here asks the product what it would say. Where nothing can be told,
the sandbox counts words as tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance import client_calls as by

CHAT = {"in_text": 800, "cache_read": 200, "out_text": 60, "out_reasoning": 40}
CACHED = {"in_text": 100, "cache_read": 50, "cache_write_5m": 10, "cache_write_1h": 20, "out_text": 80}
GPT_4O = {"in_text": 2_500, "cache_read": 1_250, "out_text": 10_000, "out_reasoning": 10_000}
GPT_5_1 = {"in_text": 1_250, "cache_read": 125, "out_text": 10_000, "out_reasoning": 10_000}
FLASH = {"in_text": 300, "cache_read": 30, "out_text": 2_500, "out_reasoning": 2_500}
CLAUDE = {"in_text": 3_000, "cache_read": 300, "cache_write_5m": 3_750, "cache_write_1h": 6_000, "out_text": 15_000}  # fmt: skip
CLAUDE_IN_THE_US = {bucket: rate * 11 // 10 for bucket, rate in CLAUDE.items()}
"""Nano-USD a unit: the vendors' lists, October 2026."""


Ask = Callable[[Any, by.Headers], Any]


@dataclass(frozen=True)
class Case:
    """A client, what it asks, and what one call of it must come to."""

    name: str
    dialect: str
    client: by.Client
    ask: Ask
    units: dict[str, int]
    nusd: int
    plan: dict[str, Any] = field(default_factory=dict)
    streamed: bool = False
    state: str = "known"


def costing(units: dict[str, int], rates: dict[str, int]) -> tuple[dict[str, int], int]:
    return units, sum(count * rates[bucket] for bucket, count in units.items())


def both(
    name: str,
    dialect: str | tuple[str, str],
    make: Callable[[bool], by.Client],
    asks: tuple[Ask, ...],
    cost: tuple[dict[str, int], int],
    *,
    usage: dict[str, Any] | None = None,
    text: str = "A ledger is a book of accounts.",
    has_async: bool = True,
) -> list[Case]:
    """A case for a client and its asynchronous sister, each for a whole answer and, by the second question, a stream."""
    plan = {"text": text} if usage is None else {"text": text, "usage": usage}
    dialects = (dialect, dialect) if isinstance(dialect, str) else dialect
    return [
        Case(f"{name} async" if kind else name, dialects[number], make(kind), ask, *cost, plan, number == 1)
        for kind in ((False, True) if has_async else (False,))
        for number, ask in enumerate(asks)
    ]


def free(name: str, dialect: str, client: by.Client, ask: Ask) -> Case:
    """A call that costs nothing by its vendor's word, and is a row all the same."""
    return Case(name, dialect, client, ask, {}, 0, state="free")


def at_openrouter(is_async: bool) -> by.Client:
    return by.OpenAI(is_async, "/openrouter/v1")


def at_cursor(is_async: bool) -> by.Client:
    return by.OpenAI(is_async, "/cursor")


STREAM = {"stream": True}
CASES = (
    *both("openai", "chat_completions", by.OpenAI, (by.chat(by.GPT), by.chat(by.GPT, **STREAM)), costing(CHAT, GPT_4O), usage=by.CHAT_USAGE),
    *both("openai", "responses", by.OpenAI, (by.respond(), by.respond(**STREAM)), costing(CHAT, GPT_5_1), usage=by.RESPONSES_USAGE),
    *both("openai", "embeddings", by.OpenAI, (by.embed(by.EMBEDDING),), costing({"embed": 3}, {"embed": 20})),
    *both("openai", "images", by.OpenAI, (by.draw(), by.draw(**STREAM)), costing({"in_text": 2, "out_image": 1056}, {"in_text": 5_000, "out_image": 40_000})),
    *both("openai", "speech", by.OpenAI, (by.speak,), costing({"chars": 18}, {"chars": 15_000})),
    *both("openai", "transcription", by.OpenAI, (by.hear(), by.hear(**STREAM)), costing({"in_audio": 90, "out_text": 7}, {"in_audio": 6_000, "out_text": 10_000})),
    *both("openai at OpenRouter", "chat_completions", at_openrouter, (by.chat(by.ROUTED), by.chat(by.ROUTED, **STREAM)), (CHAT, 1_230_000), usage=by.CHAT_USAGE | {"cost": float(by.STATED_USD)}, has_async=False),
    *both("openai at /cursor", "chat_completions", at_cursor, (by.chat(by.GPT), by.chat(by.GPT, **STREAM)), costing(CHAT, GPT_4O), usage=by.CHAT_USAGE, has_async=False),
    *both("openai Azure", "chat_completions", by.Azure, (by.chat("chat-prod"), by.chat("chat-prod", **STREAM)), costing(CHAT, GPT_4O), usage=by.CHAT_USAGE),
    *both("openai Azure", "embeddings", by.Azure, (by.embed("search-prod"),), costing({"embed": 3}, {"embed": 20})),
    *both("anthropic", "messages", by.Anthropic, (by.message(by.CLAUDE), by.message(by.CLAUDE, **STREAM)), costing(CACHED, CLAUDE), usage=by.MESSAGES_USAGE),
    *both("anthropic Bedrock", "invoke_model", by.AnthropicBedrock, (by.message(by.SONNET), by.message(by.SONNET, **STREAM)), costing(CACHED, CLAUDE_IN_THE_US), usage=by.MESSAGES_USAGE),
    *both("boto3", "converse", by.Amazon, (by.amazon("converse", messages=by.BLOCKS), by.amazon("converse_stream", "stream", messages=by.BLOCKS)), costing(CACHED, CLAUDE_IN_THE_US), usage=by.CONVERSE_USAGE, has_async=False),
    *both("boto3", "invoke_model", by.Amazon, (by.amazon("invoke_model", body=by.native()), by.amazon("invoke_model_with_response_stream", "body", body=by.native())), costing(CACHED, CLAUDE_IN_THE_US), usage=by.MESSAGES_USAGE, has_async=False),
    *both("google-genai", ("gemini", "gemini_stream"), by.Google, (by.generate, by.generate_stream), costing(CHAT, FLASH), usage=by.GEMINI_USAGE),
    *both("google-genai", "gemini_embeddings", by.Google, (by.embed_content,), costing({"embed": 3}, {"embed": 150})),
    free("openai", "moderations", by.OpenAI(), by.moderate),
    free("openai", "responses", by.OpenAI(), by.count_input),
    free("anthropic", "messages", by.Anthropic(), by.count_message),
    free("google-genai", "gemini", by.Google(), by.count_content),
    free("boto3", "converse", by.Amazon(), by.amazon("count_tokens", input={"converse": {"messages": by.BLOCKS}})),
)  # fmt: skip
