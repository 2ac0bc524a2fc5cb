"""Mistral Vibe: its affinity header, the directory and a git status from the session's start (seen at 2.2.1)."""

from visionality.gateway.evidence.said import Found, Said, Told, behind, environment, line, session, version

CLIENT = "mistral-vibe"
_CONFIDENCE = 60


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("Mistral-Vibe/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    directory = branch = None
    for text in said.system:
        directory = directory or line(behind(text, "Directory structure of "), "Absolute path: ")
        branch = branch or line(behind(text, "gitStatus:"), "Current branch: ")
    return Found(
        CLIENT,
        version(said.told.agent),
        session(said.told.headers.get("x-affinity")),
        evidence=environment(CLIENT, _CONFIDENCE, directory, branch),
    )
