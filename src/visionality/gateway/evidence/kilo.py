"""Kilo: its session header, and `<environment_details>` as the last part of the user's turn (seen at 7.7.9)."""

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

CLIENT = "kilo"
_CONFIDENCE = 50
_TITLE = "You are a title generator"


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("Kilo-Code/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = next(
        filter(
            None, (leading_block(text, "environment_details") for text in last_user_texts(said.document)[-1:])
        ),
        None,
    )
    workspace = (line(about, "# Current Workspace Directory (") or "").partition(") Files")[0]
    root = line(about, "Workspace root folder: ")
    directory = root if root and root != "/" else line(about, "Working directory: ")
    return Found(
        CLIENT,
        version(said.told.agent),
        session(said.told.headers.get("x-session-id") or said.told.headers.get("x-session-affinity")),
        is_title=said.begins(_TITLE),
        evidence=environment(CLIENT, _CONFIDENCE, directory or workspace),
    )
