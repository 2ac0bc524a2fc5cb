"""What an Anthropic message can be billed for beyond its bytes.

Sources: anthropic-sdk-python 2.12, the types of requests; docs.claude.com, "Vision", "PDF support", "Server tools",
"Stop reasons" and "Compaction" (November 2026). A tool that Anthropic runs has the model asked again, up to ten times in
a request; each time has the whole output limit, and the usage is the sum.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Reach
from visionality.gateway.dialects.reach._core import (
    PROMPT_TOKENS,
    ROUNDS,
    SEARCHED_TOKENS,
    TOOL_TOKENS,
    Found,
    member,
    objects,
    typed,
)

PICTURE_TOKENS = 8_464
"""A token for 28 x 28 pixels of a picture whose longer side is scaled down to 2,576 pixels."""

_BOUNDED = frozenset(
    {
        *("text", "thinking", "redacted_thinking", "search_result", "compaction", "fallback"),
        *("tool_use", "server_tool_use", "mcp_tool_use", "mcp_tool_listing", "tool_reference"),
        *("tool_removal", "tool_search_tool_result", "web_search_tool_result", "advisor_tool_result"),
        *("code_execution_tool_result", "bash_code_execution_tool_result", "browser_state"),
        "text_editor_code_execution_tool_result",
    }
)
"""Blocks whose bytes bound them; some are encrypted, which makes nothing shorter."""
_HOLDERS = frozenset({"tool_result", "mcp_tool_result"})
_RUN_BY_THE_CLIENT = frozenset(
    {"bash", "text_editor", "computer", "memory", "browser_toolset", "computer_toolset"}
)
_MORE = frozenset({"container", "context_management", "fallbacks", "mcp_servers", "thread"})
_DATE = "_0123456789"


class _Found(Found):
    picture_tokens = PICTURE_TOKENS
    anew = True
    most_rounds = ROUNDS


def messages_reach(document: Mapping[str, Any]) -> Reach:
    found = _Found()
    for message in objects(document.get("messages")):
        content = message.get("content")
        if type(content) is list:
            _blocks(found, content)
    system = document.get("system")
    if type(system) is list:
        _blocks(found, system)
    if tools := document.get("tools"):
        found.tokens += PROMPT_TOKENS
        claude_tools(found, tools)
    if not _MORE.isdisjoint(document):
        _more(found, document)
    return found.reach()


def _blocks(found: Found, content: list[Any]) -> None:
    for block in content:
        kind = block.get("type") if type(block) is dict else None
        if type(kind) is not str:
            found.unseen = True
        elif kind not in _BOUNDED:
            _block(found, kind, block)


def _block(found: Found, kind: str, block: Mapping[str, Any]) -> None:
    if kind in _HOLDERS:
        content = block.get("content")
        if type(content) is list:
            _blocks(found, content)
    elif kind == "image":
        found.picture(member(block.get("source"), "data"))
    elif kind == "document":
        _document(found, block)
    elif kind == "web_fetch_tool_result":
        fetched = member(block.get("content"), "content")
        if fetched is not None:
            _blocks(found, [fetched])
    elif kind == "tool_addition":
        claude_tools(found, [member(block.get("tool"), "definition")])
    else:
        found.unseen = True


def _document(found: Found, block: Mapping[str, Any]) -> None:
    """A text is what it is. Citations have it cut up, which adds to it; a PDF is a text and a picture a page."""
    source = block.get("source")
    kind = member(source, "type")
    if kind == "content":
        content = member(source, "content")
        if type(content) is list:
            _blocks(found, content)
    elif kind != "text" or block.get("citations"):
        found.document(member(source, "data"))


def claude_tools(found: Found, tools: object) -> None:
    """The tools among these that are more than the client's own functions."""
    for kind, tool in typed(tools):
        name = kind.rstrip(_DATE)
        if name == "custom" or tool.get("type") is None:
            continue
        if name in _RUN_BY_THE_CLIENT:
            found.tokens += TOOL_TOKENS
            continue
        limit = tool.get("max_uses")
        found.runs(limit)
        if name == "web_search":
            found.tokens += SEARCHED_TOKENS
            found.uses("web_search", limit)
        elif not name.startswith("tool_search_tool"):
            found.unseen = True


def _more(found: Found, document: Mapping[str, Any]) -> None:
    """What stands beside the messages and has more read, or more often."""
    if document.get("container") or member(document.get("thread"), "type") not in (None, "create"):
        found.unseen = True
    if document.get("mcp_servers"):
        found.unseen = True
        found.runs(None)
    edits = member(document.get("context_management"), "edits")
    if any(not kind.startswith("clear_") for kind, _ in typed(edits)):
        found.times *= 2
    fallbacks = document.get("fallbacks")
    if fallbacks:
        found.times *= 1 + (len(fallbacks) if isinstance(fallbacks, list) else 1)
