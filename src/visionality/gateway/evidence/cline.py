"""Cline: known by how its instructions begin, or its title header; `<env>` names the directory (seen at 3.0.65)."""

from visionality.gateway.evidence.said import Found, Said, block, environment, line, session

CLIENT = "cline"
_CONFIDENCE = 60


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not said.begins("You are Cline") and said.headers.get("x-title", "").lower() != "cline":
        return None
    about = next(filter(None, (block(text, "env") for text in said.system)), None)
    directory = line(about, "Working Directory: ", "Working directory: ")
    return Found(
        CLIENT,
        session=session(said.headers.get("x-task-id")),
        evidence=environment(CLIENT, _CONFIDENCE, directory),
    )
