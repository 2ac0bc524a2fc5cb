"""What kind of work a call is (promise A5), by declared rules over the shape of the request.

A rule names what must hold: the client, how the path ends, how a system block or the client's own command begins, the
tools that are offered, a trait. The first that holds decides, and its reason is the answer's. No rule reads what a
person wrote. Unknown is an answer: None.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec

TITLE, SUBAGENT, FILL_IN_MIDDLE, WITHOUT_TOOLS = "title", "subagent", "fill_in_middle", "without_tools"

NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Shape(msgspec.Struct, frozen=True):
    """What the rules may look at."""

    client: str = ""
    path: str = ""
    declared: str | None = None
    """The header `x-vis-task-class`."""
    openings: tuple[str, ...] = ()
    """How each system block begins, up to 200 characters."""
    command: str = ""
    """The client's own command that the turn was started by: "review"."""
    tools: frozenset[str] = frozenset()
    """Names of the tools on offer, in lower case."""
    traits: frozenset[str] = frozenset()
    model: str = ""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Of the caller, by their names in lower case."""

    @property
    def first_block(self) -> str:
        """How the first system block begins."""
        return self.openings[0] if self.openings else ""


class Decides(Protocol):
    """A rule, built in or an operator's."""

    @property
    def task_class(self) -> str: ...
    @property
    def reason(self) -> str: ...
    def fits(self, shape: Shape) -> bool:
        """Whether all of it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """A task class, and what must hold for it. What is left out holds always."""

    task_class: str
    reason: str
    client: str = ""
    path: str = ""
    """How the path ends, behind a slash."""
    opening: str = ""
    command: str = ""
    tools: frozenset[str] = frozenset()
    """At least one of them is on offer."""
    trait: str = ""

    def fits(self, shape: Shape) -> bool:
        """Whether all of it holds."""
        return (
            (not self.client or self.client == shape.client)
            and (not self.path or f"/{shape.path}".endswith(f"/{self.path}"))
            and (not self.opening or any(one.startswith(self.opening) for one in shape.openings))
            and (not self.command or self.command == shape.command)
            and (not self.tools or not self.tools.isdisjoint(shape.tools))
            and (not self.trait or self.trait in shape.traits)
        )


class Answer(msgspec.Struct, frozen=True):
    """A task class and why."""

    task_class: str
    reason: str


EDITING = frozenset(
    {
        "edit",
        "multiedit",
        "write",
        "notebookedit",
        "apply_patch",
        "replace",
        "write_file",
        "write_to_file",
        "replace_in_file",
        "apply_diff",
        "editor",
        "search_replace",
        "str_replace_based_edit_tool",
        "str_replace_editor",
        "edit_file",
        "create_file",
        "insert_edit_into_file",
        "replace_string_in_file",
        "bash",
        "shell",
        "shell_command",
        "exec_command",
        "local_shell",
        "run_shell_command",
        "run_terminal_cmd",
        "run_in_terminal",
        "execute_command",
    }
)
"""Tools that change a working copy or run commands in it, by the names that coding assistants give them."""

RULES = (
    Rule("title", "the client asks for a title", trait=TITLE),
    Rule("code_completion", "a fill-in-the-middle route", path="fim/completions"),
    Rule("code_completion", "text before and after a gap", trait=FILL_IN_MIDDLE),
    Rule("embedding", "an embeddings route", path="embeddings"),
    Rule("review", "the client's review command", command="review"),
    Rule("review", "the client's review command", command="security-review"),
    Rule("review", "the client's review command", command="pr-comments"),
    Rule("review", "a reviewer's instructions", opening="# Review guidelines:"),
    Rule(
        "review",
        "a reviewer's instructions",
        opening="You are acting as a reviewer for a proposed code change",
    ),
    Rule("commit_message", "the client's commit command", command="commit"),
    Rule(
        "commit_message",
        "instructions for a commit message",
        opening="You are an AI programming assistant, helping a software developer to come with the best git commit message",
    ),
    Rule(
        "commit_message",
        "instructions for a commit message",
        opening="You are an expert software engineer that generates concise, one-line Git commit messages",
    ),
    Rule("docs", "the client's command that writes a guide", command="init"),
    Rule("docs", "the client's documentation command", command="doc"),
    Rule("test", "the client's test command", command="tests"),
    Rule("summary", "the client's compact command", command="compact"),
    Rule("agent", "a sub-agent", trait=SUBAGENT),
    Rule("agent", "tools that edit files or run commands", tools=EDITING),
    Rule("edit", "instructions for edit blocks", client="aider"),
    Rule("chat", "a conversation without tools", client="copilot-chat", trait=WITHOUT_TOOLS),
)
"""In the order in which they are tried; an operator's come before them."""


def classify(shape: Shape, own: Iterable[Decides] = ()) -> Answer | None:
    """What the request declares, else what the first rule that fits says, an operator's own before ours, else None."""
    if shape.declared and NAME.fullmatch(declared := shape.declared.strip().lower()):
        return Answer(declared, "declared in x-vis-task-class")
    for rule in own:
        if rule.fits(shape):
            return Answer(rule.task_class, rule.reason)
    return _ours(shape.client, shape.path, shape.openings, shape.command, shape.tools, shape.traits)


@lru_cache(1024)
def _ours(
    client: str,
    path: str,
    openings: tuple[str, ...],
    command: str,
    tools: frozenset[str],
    traits: frozenset[str],
) -> Answer | None:
    """What the first of our own rules says; a client's calls look alike, so most are known."""
    shape = Shape(client, path, None, openings, command, tools, traits)
    return next((Answer(rule.task_class, rule.reason) for rule in RULES if rule.fits(shape)), None)
