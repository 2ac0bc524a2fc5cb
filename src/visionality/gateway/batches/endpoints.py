"""What the lines of a batch may call: single calls that have a meter.

Sources: OpenAI, API reference "Create batch"; Anthropic, "Batch processing" (November 2026).
"""

from collections.abc import Mapping

from visionality.gateway.providers import ANTHROPIC, OPENAI, Provider
from visionality.gateway.routes import Target

MOST_LINES: Mapping[str, int] = {OPENAI.name: 50_000, ANTHROPIC.name: 100_000}
"""The vendors' own limits."""
INPUT_LIMIT = 200 * 1024 * 1024
"""Bytes of an input file at OpenAI."""


def _targets(provider: Provider, *paths: str) -> dict[str, Target]:
    routes = [route for route in provider.routes if route.method == "POST" and route.path in paths]
    return {route.path: Target(provider, route, route.suffix) for route in routes}


AT_OPENAI: Mapping[str, Target] = _targets(
    OPENAI,
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/images/generations",
)
AT_ANTHROPIC: Target = _targets(ANTHROPIC, "/v1/messages")["/v1/messages"]

BY_DIALECT: Mapping[str, Target] = {
    target.route.dialect.name: target for target in (*AT_OPENAI.values(), AT_ANTHROPIC)
}
"""The target of a batch's lines by the dialect of its rows."""
