"""VS Code Copilot Chat: its session header, and `<repoContext>` where the remote is at GitHub (from its sources)."""

from visionality.core.remote import normalised
from visionality.gateway.evidence.said import (
    Found,
    Said,
    Told,
    environment,
    last_user_texts,
    leading_block,
    line,
    session,
    version,
)

CLIENT = "copilot-chat"
_CONFIDENCE = 60
_TITLE = "You are an expert in crafting pithy titles for chatbot conversations"
_ITS_OWN = ("context", "editorContext")
"""Blocks that it writes before the repository's, without anything of a file in them."""


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.lower().startswith("githubcopilotchat/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = next(
        (
            found
            for text in last_user_texts(said.document)
            if (found := leading_block(text, "repoContext", after=_ITS_OWN)) is not None
        ),
        None,
    )
    owner, name = line(about, "Owner: "), line(about, "Repository name: ")
    return Found(
        CLIENT,
        version(said.told.agent),
        session(said.told.headers.get("vscode-sessionid")),
        is_title=said.begins(_TITLE),
        evidence=environment(
            CLIENT,
            _CONFIDENCE,
            branch=line(about, "Current branch: "),
            repo=normalised(f"github.com/{owner}/{name}") if owner and name else None,
        ),
    )
