"""Claude Code: its session header, and the environment in its system blocks (seen at 2.1.197, directly and by Bedrock).

Newer versions say it in reminders before the first question instead (seen at 2.1.330). The branch is a snapshot from the session's start. Sub-agents name a directory only, title calls nothing; both carry
the session's id.
"""

from collections.abc import Mapping
from typing import Any

from visionality.core.attribution import Evidence
from visionality.gateway.evidence.said import (
    Found,
    Said,
    Told,
    behind,
    block,
    environment,
    json_object,
    last_user_texts,
    leading_block,
    line,
    session,
    version,
)

CLIENT = "claude-code"
_CONFIDENCE = 60
_REMINDED_CONFIDENCE = 50
_REMINDERS = (
    "\n# Environment\n",
    "\nAs you answer the user's questions, you can use the following context:\n",
)
"""How the reminders begin that say where it runs."""
_TITLES = (
    "Generate a concise, sentence-case title",
    "Analyze if this message indicates a new conversation topic",
)
_COMMAND_TAGS = ("<command-message>", "<command-name>")


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("claude-cli/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    is_title = said.begins(*_TITLES) and not said.has_tools()
    return Found(
        CLIENT,
        version(said.told.agent),
        _session(said.told.headers, said.document),
        is_subagent="x-claude-code-agent-id" in said.told.headers
        or any(
            "cc_is_subagent=true" in each
            for each in said.system
            if each.startswith("x-anthropic-billing-header:")
        ),
        is_title=is_title,
        command=_command(said.document),
        evidence=() if is_title else _environment(said.system, _CONFIDENCE) or _reminded(said.opening),
    )


def _reminded(opening: tuple[str, ...]) -> tuple[Evidence, ...]:
    """What stands in reminders of their own before the first question, which is the last part and a person's words."""
    reminders = (leading_block(text, "system-reminder") or "" for text in opening[:-1])
    return _environment(
        tuple(each for each in reminders if each.startswith(_REMINDERS)), _REMINDED_CONFIDENCE
    )


def _environment(blocks: tuple[str, ...], confidence: int) -> tuple[Evidence, ...]:
    """The last block that has one: what a project's notes copy into an earlier block does not count."""
    directory = branch = None
    for text in reversed(blocks):
        status = behind(text, "gitStatus:", last=True) or behind(text, "# gitStatus\n", last=True)
        branch = branch or line(status, "Current branch: ")
        if directory is None:
            about = behind(text, "# Environment\n", last=True) or block(text, "env", last=True)
            is_repo = line(about, "Is a git repository: ", "Is directory a git repo: ") or ""
            if is_repo.lower() in {"true", "yes"}:
                directory = line(about, "Primary working directory: ", "Working directory: ")
    return environment(CLIENT, confidence, directory, branch)


def _session(headers: Mapping[str, str], document: Mapping[str, Any]) -> str:
    """Its header's, else that of `metadata.user_id`, which is JSON or, before 2.1, `user_…_session_ID`."""
    if found := session(headers.get("x-claude-code-session-id")):
        return found
    metadata = document.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    return session(json_object(user).get("session_id")) or session(
        user.rpartition("_session_")[2] if "_session_" in user else ""
    )


def _command(document: Mapping[str, Any]) -> str:
    """The slash command that the turn was started by, from the tag that the client wraps it in."""
    for text in last_user_texts(document):
        if text.startswith(_COMMAND_TAGS):
            name = (behind(text, "<command-name>") or "").partition("</command-name>")[0]
            return name.strip().removeprefix("/")[:40]
    return ""
