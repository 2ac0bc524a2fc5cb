"""OpenCode: its session header, on title calls too, and `<env>` in its system block (seen at 1.18.33)."""

from visionality.gateway.evidence.said import Found, Said, Told, block, environment, line, session, version

CLIENT = "opencode"
_CONFIDENCE = 60
_TITLE = "You are a title generator"


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("opencode/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = next(filter(None, (block(text, "env") for text in said.system)), None)
    root = line(about, "Workspace root folder: ")
    directory = root if root and root != "/" else line(about, "Working directory: ")
    return Found(
        CLIENT,
        version(said.told.agent),
        session(said.told.headers.get("x-session-id") or said.told.headers.get("x-opencode-session")),
        is_title=said.begins(_TITLE),
        evidence=environment(CLIENT, _CONFIDENCE, directory),
    )
