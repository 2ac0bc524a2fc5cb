"""OpenCode: its session header, on title calls too, and `<env>` in its system block (seen at 1.18.33)."""

from visionality.gateway.evidence.said import Found, Said, block, environment, line, session, version

CLIENT = "opencode"
_CONFIDENCE = 60
_TITLE = "You are a title generator"


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not said.agent.startswith("opencode/"):
        return None
    about = next(filter(None, (block(text, "env") for text in said.system)), None)
    root = line(about, "Workspace root folder: ")
    directory = root if root and root != "/" else line(about, "Working directory: ")
    return Found(
        CLIENT,
        version(said.agent),
        session(said.headers.get("x-session-id") or said.headers.get("x-opencode-session")),
        is_title=said.begins(_TITLE),
        evidence=environment(CLIENT, _CONFIDENCE, directory),
    )
