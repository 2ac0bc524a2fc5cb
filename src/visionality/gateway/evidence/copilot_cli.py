"""Copilot CLI with an own key: known by its interaction headers on a bare SDK (seen at 1.0.102). It has no session."""

from visionality.core.attribution import Evidence
from visionality.core.remote import normalised
from visionality.gateway.evidence.said import (
    Found,
    Said,
    Told,
    block,
    environment,
    leading_block,
    line,
    version,
)

CLIENT = "copilot-cli"
_CONFIDENCE = 50


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return "x-interaction-type" in told.headers and told.agent.startswith(
        ("OpenAI/", "Anthropic/", "copilot/")
    )


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    return Found(
        CLIENT,
        version(said.told.agent) if said.told.agent.startswith("copilot/") else "",
        is_subagent=said.told.headers["x-interaction-type"] == "conversation-subagent",
        evidence=next(filter(None, map(_environment, _blocks(said))), ()),
    )


def _blocks(said: Said) -> list[str | None]:
    return [block(text, "environment_context") for text in said.system] + [
        leading_block(text, "environment_context") for text in said.opening
    ]


def _environment(about: str | None) -> tuple[Evidence, ...]:
    """The owner and name it writes for GitHub remotes only; else the root of the working copy."""
    named = line(about, "Git repository: ") or ""
    repo = normalised(f"github.com/{named}") if named.count("/") == 1 else None
    root = line(about, "Git repository root: ")
    return environment(CLIENT, _CONFIDENCE, root, repo=repo) if root or repo else ()
