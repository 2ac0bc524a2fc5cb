"""Whoever else speaks OpenAI's format, at an address that an operator sets.

One by the name of a list in the price book (`mistral`, `groq`, `together`, …) is priced by that list; any other by
the operator's own prices.
"""

import re
from dataclasses import replace
from functools import lru_cache

from visionality.gateway.providers._core import Provider
from visionality.gateway.providers.openai import ELSEWHERE, OPENAI

NAME = re.compile(r"[a-z][a-z0-9-]{1,39}")
OWN_SEGMENTS = frozenset({"livez", "readyz", "metrics", "at", "cursor", "sandbox", "unknown"})
"""First segments of the gateway's own paths, and the names that mark a row as simulated or a placeholder: nobody else's."""


@lru_cache(maxsize=256)
def compatible(name: str) -> Provider:
    """The provider of this name, as far as its format goes; whether an organisation has it, its credentials tell."""
    return replace(OPENAI, name=name, base_url="", routes=ELSEWHERE)


OPENROUTER = replace(
    OPENAI,
    name="openrouter",
    base_url="https://openrouter.ai/api/v1",
    routes=ELSEWHERE,
    sandbox_suffix="/v1",
    states_cost=True,
)
"""A reseller: the cost in its usage report is what it takes from the account (OpenRouter API, August 2026)."""

LITELLM = replace(
    OPENAI,
    name="litellm",
    base_url="",
    routes=ELSEWHERE,
    sends=((b"x-litellm-num-retries", b"0"),),
    cost_header=b"x-litellm-response-cost",
)
"""A proxy of the organisation's own (LiteLLM docs, May 2026). Its retries would be calls that no row shows."""
