"""What a request to Amazon Bedrock can be billed for beyond its bytes.

Sources: botocore's service model `bedrock-runtime`; AWS, "Converse API", "Amazon Nova: Using tools" (November 2026). The
bodies of InvokeModel are those of other vendors: Anthropic's by themselves, and messages of OpenAI's or Amazon's form.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Reach
from visionality.gateway.dialects.reach import openai
from visionality.gateway.dialects.reach._core import PROMPT_TOKENS, ROUNDS, Found, member, objects
from visionality.gateway.dialects.reach.messages import claude_tools, messages_reach

_BOUNDED = frozenset(
    {
        *("text", "json", "toolUse", "cachePoint", "reasoningContent", "citationsContent", "searchResult"),
        *("toolAddition", "toolRemoval"),
    }
)
_TEXTS = ("txt", "md", "csv", "html")
_PICTURES = ("images", "image", "inputImage")


class _Found(Found):
    anew = True
    most_rounds = ROUNDS


def converse_reach(document: Mapping[str, Any], model: str) -> Reach:
    """`model` is as the path has it: the ARN of a stored prompt brings its text."""
    found = _Found()
    _messages(found, document)
    if document.get("promptVariables") or ":prompt/" in model:
        found.unseen = True
    if more := document.get("additionalModelRequestFields"):
        claude_tools(found, member(more, "tools"))
    return found.reach()


def invoke_reach(document: Mapping[str, Any]) -> Reach:
    if "anthropic_version" in document:
        return messages_reach(document)
    found = _Found()
    _messages(found, document)
    for name in _PICTURES:
        given = document.get(name)
        for picture in given if isinstance(given, list) else [given]:
            if picture is not None:
                found.picture(picture)
    return found.reach()


def _messages(found: Found, document: Mapping[str, Any]) -> None:
    for message in objects(document.get("messages")):
        content = message.get("content")
        if type(content) is list:
            _blocks(found, content)
    if config := document.get("toolConfig"):
        found.tokens += PROMPT_TOKENS
        for tool in objects(member(config, "tools")):
            if "systemTool" in tool:
                found.runs(None)
                found.unseen = True


def _blocks(found: Found, content: list[Any]) -> None:
    for block in content:
        if type(block) is not dict:
            found.unseen = True
        elif "type" in block:
            openai.parts(found, [block])
        elif len(block) != 1 or "text" not in block:
            _block(found, block)


def _block(found: Found, block: Mapping[str, Any]) -> None:
    for name, value in block.items():
        if name in _BOUNDED:
            continue
        if name == "image":
            found.picture(_inline(value))
        elif name == "document":
            _document(found, value)
        elif name == "toolResult":
            content = member(value, "content")
            if type(content) is list:
                _blocks(found, content)
        elif name == "guardContent":
            _blocks(found, [value])
        else:
            found.unseen = True


def _inline(media: object) -> object:
    return member(member(media, "source"), "bytes")


def _document(found: Found, document: object) -> None:
    """A text is what it is. Citations have it cut up, which adds to it; other formats are compressed."""
    source = member(document, "source")
    is_text = member(source, "text") or member(source, "content") or member(document, "format") in _TEXTS
    if member(source, "s3Location") or member(document, "citations") or not is_text:
        found.document(_inline(document))
