"""Cursor: `<user_info>` and `<git_status>` before the first question (from its sources). Calls come from its servers."""

from visionality.gateway.evidence.said import Found, Said, Told, environment, leading_block, line

CLIENT = "cursor"
_CONFIDENCE = 50


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return "x-cursor-client-version" in told.headers or told.path.lstrip("/").startswith("cursor/")


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    about = status = None
    for text in said.opening:
        about = leading_block(text, "user_info") if about is None else about
        found = leading_block(text, "git_status", after=("user_info", "project_layout"))
        status = found if status is None else status
    root = (line(about, "Is directory a git repo: ") or "").partition("Yes, at ")[2]
    return Found(
        CLIENT,
        said.told.headers.get("x-cursor-client-version", "")[:40],
        evidence=environment(
            CLIENT,
            _CONFIDENCE,
            root or line(about, "Workspace Path: "),
            (line(status, "## ") or "").partition(" ")[0],
        ),
    )
