"""What a request in one of OpenAI's formats can be billed for beyond its bytes.

Sources: openai-python 3.54, the types of requests; OpenAI's guides "Images and vision", "Image generation", "File inputs",
"Web search", "File search" and "Conversation state" (November 2026). Tools that OpenAI runs have the model asked again;
`max_output_tokens` is for all rounds together, and prompts are cached without being asked to.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Reach
from visionality.gateway.dialects.form import FILE_BYTES
from visionality.gateway.dialects.reach._core import (
    PROMPT_TOKENS,
    SEARCHED_TOKENS,
    TOOL_TOKENS,
    Found,
    member,
    objects,
    typed,
)

EDITED_TOKENS = 16_384
"""The most tokens of a picture to be edited, assumed: gpt-image-1 takes some 7,000 at high fidelity."""
EDITED = 17
"""How many pictures a form can hold: 16, and a mask."""

_BOUNDED_PARTS = frozenset(
    {
        *("text", "input_text", "output_text", "summary_text", "reasoning_text", "refusal"),
        *("thinking", "reasoning", "input_audio"),
    }
)
"""Parts whose bytes bound them: sound comes as MP3 or WAV, and takes ten tokens a second."""
_BOUNDED_ITEMS = frozenset(
    {
        *("function_call", "custom_tool_call", "computer_call", "web_search_call", "file_search_call"),
        *("code_interpreter_call", "local_shell_call", "local_shell_call_output", "shell_call"),
        *("shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_call", "mcp_list_tools"),
        *("mcp_approval_request", "mcp_approval_response", "tool_search_call", "tool_search_output"),
        *("compaction", "configuration_update", "program", "program_output"),
    }
)
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "computer_call_output"})
_FUNCTIONS = frozenset({"function", "custom", "namespace"})
_RUN_BY_THE_CLIENT = frozenset({"computer", "computer_use_preview", "local_shell", "apply_patch"})
_CONTAINED = frozenset({"code_interpreter", "shell"})
"""Tools that need a machine, which is billed by the session."""
_TEXTS_OR_TOKENS = frozenset({str, int, list})
_KEPT = frozenset({"previous_response_id", "conversation", "prompt"})
_SEARCHES = frozenset({"web_search_options", "plugins", "search_parameters", "enable_search"})
"""What has a chat searched, without a tool: at OpenAI, OpenRouter, xAI, Alibaba."""


def chat_reach(document: Mapping[str, Any]) -> Reach:
    found = Found()
    for message in objects(document.get("messages")):
        content = message.get("content")
        if type(content) is list:
            parts(found, content)
        if message.get("audio"):
            found.unseen = True
    if tools := document.get("tools") or document.get("functions"):
        found.tokens += PROMPT_TOKENS
        for kind, tool in typed(tools):
            if kind not in _FUNCTIONS and tool.get("type") is not None:
                found.runs(None)
                found.unseen = True
    if _is_searched(document):
        found.runs(None)
        found.uses("web_search", None)
        found.tokens += SEARCHED_TOKENS
    return found.reach()


def _is_searched(document: Mapping[str, Any]) -> bool:
    """Whether the web is searched for a chat without a tool for it."""
    if not _SEARCHES.isdisjoint(document):
        return any(document.get(name) not in (None, False, []) for name in _SEARCHES)
    return str(document.get("model")).endswith(":online")


def responses_reach(document: Mapping[str, Any]) -> Reach:
    found = Found()
    is_served = False
    for name in ("input", "instructions"):
        if type(items := document.get(name)) is list:
            is_served |= _items(found, items)
    if tools := document.get("tools"):
        found.tokens += PROMPT_TOKENS
        is_served |= _tools(found, tools, document.get("max_tool_calls"))
    if is_served:
        found.runs(document.get("max_tool_calls"))
    if not _KEPT.isdisjoint(document) and any(document.get(name) for name in _KEPT):
        found.unseen = True
    if document.get("context_management"):
        found.times = 2
    return found.reach()


def _items(found: Found, items: list[Any]) -> bool:
    """Whether there are tools among the items that the provider runs."""
    is_served = False
    for kind, item in typed(items):
        if kind == "message" or (not kind and "role" in item):
            _listed(found, item.get("content"))
        elif kind in _BOUNDED_ITEMS:
            continue
        elif kind in _OUTPUTS:
            output = item.get("output")
            _listed(found, [output] if type(output) is dict else output)
        elif kind == "reasoning":
            if not (item.get("encrypted_content") or item.get("content")):
                found.unseen = True
        elif kind == "image_generation_call":
            found.picture(item.get("result"))
        elif kind == "additional_tools":
            is_served |= _tools(found, item.get("tools"), None)
        elif kind == "compaction_trigger":
            found.times = 2
        else:
            found.unseen = True
    return is_served


def _tools(found: Found, tools: object, limit: object) -> bool:
    """Whether there are tools among these that the provider runs."""
    is_served = False
    for kind, tool in typed(tools):
        if kind in _FUNCTIONS:
            continue
        if kind in _RUN_BY_THE_CLIENT or _is_here(kind, tool):
            found.tokens += TOOL_TOKENS
            continue
        is_served = True
        if kind.startswith("web_search"):
            found.tokens += SEARCHED_TOKENS
            found.uses("web_search", limit)
        elif kind == "file_search":
            found.tokens += SEARCHED_TOKENS
            found.uses("file_search", limit)
        elif kind == "image_generation":
            found.picture()
            found.uses("images", limit)
        elif kind in _CONTAINED:
            found.unseen = True
            found.uses("code_session", 1)
        elif kind != "tool_search":
            found.unseen = True
    return is_served


def _is_here(kind: str, tool: Mapping[str, Any]) -> bool:
    """Whether a tool that either side can run is run by the client."""
    if kind == "shell":
        return bool(member(tool.get("environment"), "type") == "local")
    return kind == "tool_search" and tool.get("execution") == "client"


def parts(found: Found, content: list[Any]) -> None:
    """The parts of a message of either format, or of what a tool has put out."""
    for part in content:
        kind = part.get("type") if type(part) is dict else None
        if type(kind) is not str:
            found.unseen = True
        elif kind not in _BOUNDED_PARTS:
            _part(found, kind, part)


def _listed(found: Found, content: object) -> None:
    if type(content) is list:
        parts(found, content)


def _part(found: Found, kind: str, part: Mapping[str, Any]) -> None:
    if kind == "image_url":
        shown = part.get("image_url")
        _picture(found, member(shown, "url") or shown)
    elif kind in {"input_image", "computer_screenshot"}:
        _picture(found, part.get("image_url"))
    elif kind == "input_file":
        found.document(part.get("file_data"))
    elif kind == "file":
        found.document(member(part.get("file"), "file_data"))
    else:
        found.unseen = True


def _picture(found: Found, address: object) -> None:
    """A picture by its address or its id. An address that is the data itself may be that of something else."""
    if not isinstance(address, str) or not address.startswith("data:"):
        found.picture()
    elif address.startswith("data:image/"):
        found.picture(address)
    else:
        found.document(address)


class _Edited(Found):
    picture_tokens = EDITED_TOKENS


def images_reach(document: Mapping[str, Any]) -> Reach:
    """A form holds its pictures as files; a JSON body refers to them."""
    found = _Edited()
    if FILE_BYTES in document:
        found.tokens += EDITED * EDITED_TOKENS
    for name in ("image", "images", "mask"):
        given = document.get(name)
        for each in given if isinstance(given, list) else [given]:
            if each is not None:
                _picture(found, each.get("image_url") if isinstance(each, dict) else each)
    return found.reach()


def embeddings_reach(document: Mapping[str, Any]) -> Reach:
    """Texts and tokens are bounded; some vendors embed pictures and other things too."""
    found = Found()
    given = document.get("input")
    if type(given) is list and not _TEXTS_OR_TOKENS.issuperset(map(type, given)):
        found.unseen = True
    return found.reach()
