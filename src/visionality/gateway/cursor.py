"""Cursor's ingress: it sends three wire formats to `/chat/completions`, so the body says which one came.

Sources: the formats' own references; forum.cursor.com topic 159298, docs.litellm.ai "Cursor endpoint" and
truefoundry.com/docs/ai-gateway/cursor (2026) for what Cursor sends: Responses bodies in agent mode, and Anthropic's
for models whose name has `claude` in it. What it sends for which model changes between its versions.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from visionality.core.call import Headers, Refusal

PATHS = frozenset({"/v1/chat/completions", "/v1/responses", "/v1/messages"})
CHAT, RESPONSES, MESSAGES = "/openai/v1/chat/completions", "/openai/v1/responses", "/anthropic/v1/messages"
ANTHROPIC_VERSION = (b"anthropic-version", b"2023-06-01")
"""Anthropic refuses a request without one, and a client that was told to talk to OpenAI sends none."""

_OPENAI_ROLES = ("system", "developer", "tool", "function")
_ANTHROPIC_BLOCKS = (
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "image",
    "document",
    "server_tool_use",
)
"""Types of content that Chat Completions does not have: it says `image_url`, `file`, and tools beside the content."""


def path_of(document: Mapping[str, Any], headers: Headers) -> str:
    """The path of the route that a body is for. Raises Refusal when it is for none."""
    if not isinstance(document.get("messages"), list):
        if "input" in document:
            return RESPONSES
        raise Refusal(400, "bad_request", "the body has neither `messages` nor `input`")
    return MESSAGES if _is_anthropic(document, headers) else CHAT


def _is_anthropic(document: Mapping[str, Any], headers: Headers) -> bool:
    """By the surest mark first: a version header, `system` beside the messages, roles, then tools and blocks."""
    if "system" in document or any(name == b"anthropic-version" for name, _ in headers):
        return True
    messages = [message for message in document["messages"] if isinstance(message, dict)]
    if any(message.get("role") in _OPENAI_ROLES or "tool_calls" in message for message in messages):
        return False
    if any("input_schema" in tool for tool in _objects(document.get("tools"))):
        return True
    return any(
        block.get("type") in _ANTHROPIC_BLOCKS or "cache_control" in block
        for message in messages
        for block in _objects(message.get("content"))
    )


def _objects(values: object) -> Iterator[dict[str, Any]]:
    return (value for value in values if isinstance(value, dict)) if isinstance(values, list) else iter(())
