"""Codex: turn metadata with the remote and the commit, in a header and again in the body (seen at 0.169).

The first turn may lack them; then its `<environment_context>` still names the directory. It names no branch: the
commit leads to one.
"""

from typing import Any

from visionality.core.attribution import METADATA, Evidence
from visionality.core.remote import normalised
from visionality.gateway.evidence.said import (
    Found,
    Said,
    Told,
    commit_hash,
    environment,
    json_object,
    leading_block,
    session,
    version,
)

CLIENT = "codex"
_METADATA = "x-codex-turn-metadata"
_CONFIDENCE = 85
_CONFIDENCE_OF_A_DIRECTORY = 50
_MOST_WORKSPACES = 4


def sends(told: Told) -> bool:
    """Whether these headers are its own."""
    return told.agent.startswith(("codex_", "codex-")) or told.headers.get("originator", "").startswith(
        "codex"
    )


def read(said: Said) -> Found | None:
    """What it said, or None when it is another client."""
    if not sends(said.told):
        return None
    helper = said.told.headers.get("x-openai-subagent", "")
    return Found(
        CLIENT,
        version(said.told.agent),
        session(
            said.told.headers.get("session-id")
            or said.told.headers.get("session_id")
            or said.told.headers.get("thread-id")
        ),
        is_subagent=bool(helper),
        command=helper[:40],
        evidence=_turn(said) + _directory(said),
    )


def _turn(said: Said) -> tuple[Evidence, ...]:
    """The remote and the commit of each workspace."""
    metadata = json_object(said.told.headers.get(_METADATA))
    if not isinstance(metadata.get("workspaces"), dict):
        mirrored = said.document.get("client_metadata")
        metadata = json_object(mirrored.get(_METADATA)) if isinstance(mirrored, dict) else {}
    workspaces = metadata.get("workspaces")
    each = list(workspaces.values())[:_MOST_WORKSPACES] if isinstance(workspaces, dict) else []
    return tuple(found for one in each if isinstance(one, dict) and (found := _workspace(one)))


def _workspace(workspace: dict[str, Any]) -> Evidence | None:
    remotes = workspace.get("associated_remote_urls")
    origin = remotes.get("origin") if isinstance(remotes, dict) else None
    repo = normalised(origin) if isinstance(origin, str) else None
    commit = commit_hash(workspace.get("latest_git_commit_hash"))
    if not repo and not commit:
        return None
    return Evidence(METADATA, "codex turn metadata", _CONFIDENCE, repo=repo, commit=commit)


def _directory(said: Said) -> tuple[Evidence, ...]:
    """The working directory. The client's own block stands before anything a person typed: the first one counts."""
    for text in said.opening:
        about = leading_block(text, "environment_context")
        if about is not None:
            cwd = about.partition("<cwd>")[2].partition("</cwd>")[0]
            return environment(CLIENT, _CONFIDENCE_OF_A_DIRECTORY, cwd)
    return ()
