"""Continue CLI: known by how its instructions begin; `<env>` and a git status from the session's start (seen at 1.5.47)."""

from visionality.gateway.evidence.said import Found, Said, behind, block, environment, line

CLIENT = "continue"
_CONFIDENCE = 60
_STATUS = '<context name="gitStatus">'


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    ours = next(
        (text for text in said.system if text.startswith("You are an agent in the Continue CLI")), None
    )
    if ours is None:
        return None
    status = (behind(ours, _STATUS) or "").partition("</context>")[0]
    branch = line(status, "Current branch: ", "Branch: ", "On branch ", "## ")
    directory = line(block(ours, "env"), "Working directory: ")
    return Found(CLIENT, evidence=environment(CLIENT, _CONFIDENCE, directory, branch))
