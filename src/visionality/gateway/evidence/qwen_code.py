"""Qwen Code: the set-up text before the first question (seen at 0.15.10). It has no session's id and no branch."""

from visionality.gateway.evidence.said import READ, Found, Said, Told, environment, line, version

CLIENT = "qwen-code"
_CONFIDENCE = 50
_SET_UP = "This is the Qwen Code. We are setting up the context for our chat."
_REMINDER = "<system-reminder>\n"


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith("QwenCode/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = next(
        (text[:READ] for text in said.opening if text.removeprefix(_REMINDER).startswith(_SET_UP)), None
    )
    directory = line(about, "I'm currently working in the directory: ")
    return Found(CLIENT, version(said.told.agent), evidence=environment(CLIENT, _CONFIDENCE, directory))
