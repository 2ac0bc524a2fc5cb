"""Gemini CLI: `<session_context>` before the first question (seen at 0.61). It has no session's id and no branch."""

from visionality.gateway.evidence.said import Found, Said, Told, environment, leading_block, line, version

CLIENT = "gemini-cli"
_CONFIDENCE = 50
_OLDER = "This is the Gemini CLI. We are setting up the context for our chat."


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("GeminiCLI")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = next(filter(None, map(_context, said.opening)), None)
    return Found(
        CLIENT, version(said.told.agent), evidence=environment(CLIENT, _CONFIDENCE, _directory(about))
    )


def _context(text: str) -> str | None:
    return leading_block(text, "session_context") or (text if text.startswith(_OLDER) else None)


def _directory(about: str | None) -> str | None:
    """The first of the workspace's directories, which is the one it was started in."""
    listed = (about or "").partition("- **Workspace Directories:**\n")[2].partition("\n")[0].strip()
    return listed.removeprefix("- ") or line(about, "I'm currently working in the directory: ")
