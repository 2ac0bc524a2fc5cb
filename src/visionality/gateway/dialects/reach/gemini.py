"""What a request to Gemini can be billed for beyond its bytes.

Sources: python-genai 3.4, `types.py`; ai.google.dev, "Tokens", "Media resolution", "Grounding with Google Search", "URL
context" and "Code execution" (November 2026). The prompt is reported once, and beside it, as one sum, what tools brought
in. Names come in camelCase or snake_case, and one object in place of a list of one.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Reach
from visionality.gateway.dialects.reach._core import (
    PROMPT_TOKENS,
    SEARCHED_TOKENS,
    TOOL_TOKENS,
    Found,
    member,
    objects,
)

_BOUNDED = frozenset(
    {
        *("text", "thought", "thoughtSignature", "thought_signature", "functionCall", "function_call"),
        *("executableCode", "executable_code", "codeExecutionResult", "code_execution_result"),
        *("toolCall", "tool_call", "toolResponse", "tool_response", "partMetadata", "part_metadata"),
    }
)
_INLINE = frozenset({"inlineData", "inline_data"})
_ANSWERS = frozenset({"functionResponse", "function_response"})
_RESOLUTION = frozenset({"mediaResolution", "media_resolution"})
_FUNCTIONS = frozenset({"functionDeclarations", "function_declarations"})
_COMPUTER = frozenset({"computerUse", "computer_use"})
_SEARCHES = frozenset(
    {
        *("googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"),
        *("enterpriseWebSearch", "enterprise_web_search"),
    }
)
_CONTENTS = ("contents", "content", "systemInstruction", "system_instruction")


class _Found(Found):
    anew = True


def gemini_reach(document: Mapping[str, Any]) -> Reach:
    found = _Found()
    _contents(found, document)
    if requests := document.get("requests"):
        for request in _objects(requests):
            _contents(found, request)
    if document.get("cachedContent") or document.get("cached_content"):
        found.unseen = True
    if tools := document.get("tools"):
        found.tokens += PROMPT_TOKENS
        _tools(found, tools)
    return found.reach()


def _contents(found: Found, body: Mapping[str, Any]) -> None:
    for name in _CONTENTS:
        if name in body:
            for content in _objects(body[name]):
                _parts(found, content.get("parts"))


def _parts(found: Found, parts: object) -> None:
    for part in _objects(parts):
        if len(part) != 1 or "text" not in part:
            _part(found, part)


def _part(found: Found, part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if name in _BOUNDED:
            continue
        if name in _INLINE:
            _inline(found, value)
        elif name in _ANSWERS:
            _parts(found, member(value, "parts"))
        elif name in _RESOLUTION:
            if member(value, "numTokens") or member(value, "num_tokens"):
                found.unseen = True
        else:
            found.unseen = True


def _inline(found: Found, blob: object) -> None:
    kind = member(blob, "mimeType") or member(blob, "mime_type")
    kind = kind if isinstance(kind, str) else ""
    data = member(blob, "data")
    if kind.startswith("image/"):
        found.picture(data)
    elif not kind.startswith("text/"):
        found.document(data)


def _tools(found: Found, tools: object) -> None:
    is_served = False
    for tool in _objects(tools):
        for name in tool.keys() - _FUNCTIONS:
            if name in _COMPUTER:
                found.tokens += TOOL_TOKENS
                continue
            is_served = True
            if name in _SEARCHES:
                found.tokens += SEARCHED_TOKENS
                found.uses("web_search", None)
            else:
                found.unseen = True
    if is_served:
        found.runs(1)


def _objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list, or the one that stands in its place."""
    return [value] if type(value) is dict else objects(value)
