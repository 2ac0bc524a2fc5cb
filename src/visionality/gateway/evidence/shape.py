"""The shape of a request, as the rules for the task class look at it."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from visionality.core.task_class import FILL_IN_MIDDLE, SUBAGENT, TITLE, WITHOUT_TOOLS, Shape
from visionality.gateway.evidence.said import Found, Said

_OPENING = 200
_MOST_TOOLS = 256
_LONGEST_NAME = 80
_MOST_STOPS = 16
_NONE: frozenset[str] = frozenset()
_STOPS = ("<fim_", "<|fim_", "<\uff5cfim", "<PRE>", "<MID>")
"""How the marks begin that fill-in-the-middle models stop at."""


def shape(said: Said, found: Found, model: str = "") -> Shape:
    """What of the request, and of the model that it asks for, the rules may look at."""
    told, document = said.told, said.document
    tools = frozenset(islice(_tools(document), _MOST_TOOLS)) if "tools" in document else _NONE
    traits = (
        TITLE if found.is_title else "",
        SUBAGENT if found.is_subagent else "",
        FILL_IN_MIDDLE if _fills_in(told.path, document) else "",
        "" if tools else WITHOUT_TOOLS,
    )
    return Shape(
        client=found.client,
        path=told.path.lstrip("/"),
        declared=told.headers.get("x-vis-task-class"),
        openings=tuple([text[:_OPENING] for text in said.system]) if said.system else (),
        command=found.command,
        tools=tools,
        traits=frozenset(filter(None, traits)),
        model=model,
        headers=told.headers,
    )


def _tools(document: Mapping[str, Any]) -> Iterator[str]:
    """The names of the tools on offer, in every dialect; a tool that has none goes by its type."""
    tools = document.get("tools")
    for tool in tools[:_MOST_TOOLS] if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        inner = tool.get("function", tool.get("functionDeclarations", tool.get("toolSpec", tool)))
        for each in inner[:_MOST_TOOLS] if isinstance(inner, list) else (inner,):
            name = (each.get("name") or each.get("type")) if isinstance(each, dict) else None
            if isinstance(name, str):
                yield name[:_LONGEST_NAME].lower()


def _fills_in(path: str, document: Mapping[str, Any]) -> bool:
    """Whether it is a completion with a text behind the gap, or one that stops where such models stop."""
    if not path.endswith("/completions") or path.endswith("chat/completions"):
        return False
    if isinstance(document.get("suffix"), str) and document["suffix"]:
        return True
    stops = document.get("stop")
    each = stops[:_MOST_STOPS] if isinstance(stops, list) else (stops,)
    return any(isinstance(stop, str) and stop.startswith(_STOPS) for stop in each)
