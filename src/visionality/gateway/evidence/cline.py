"""Cline: known by how its instructions begin, or its title header; `<env>` names the directory (seen at 3.0.65)."""

from visionality.gateway.evidence.said import Found, Said, Told, block, environment, line, session

CLIENT = "cline"
_CONFIDENCE = 60


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.headers.get("x-title", "").lower() == "cline"


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not said.begins("You are Cline") and not sends(said.told):
        return None
    about = next(filter(None, (block(text, "env") for text in said.system)), None)
    directory = line(about, "Working Directory: ", "Working directory: ")
    return Found(
        CLIENT,
        session=session(said.told.headers.get("x-task-id")),
        evidence=environment(CLIENT, _CONFIDENCE, directory),
    )
